"""What every test of hawse gets without asking, and what it may ask for.

Without asking (autouse):
    places          an environment of its own: short folders for state, runtime files, configuration and home, and no
                    variable of the caller's hawse, PostgreSQL or terminal. When the test is over, no process that was
                    started with this environment may be left: each is killed and the test fails with their names.
                    And each session in the state that it leaves must be what its events say.

To ask for:
    eventually      eventually(condition, timeout_s=20): wait until the condition is true; no test sleeps
    need            need("tmux"): the path of a program; a test without its program fails in CI and is skipped elsewhere
    postgres        a private PostgreSQL server for the session (one for each xdist worker)
    postgres_database   the conninfo of a new, empty database on it

Marks: `requirement("S5.3", ...)` takes only numbers that stand in docs/requirements.md.
"""

import asyncio
import glob
import importlib.util
import inspect
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TypeVar

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")

# Deadlines measure the machine, which is small and shared; a failing example is printed so that it can be replayed.
hypothesis.settings.register_profile("hawse", deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "hawse"))


def _absent(what: str) -> NoReturn:
    """Skip, or fail where everything must be there."""
    sentence = f"{what} is missing; tools/test-setup installs it or says how"
    if os.environ.get("CI"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


# --- requirements ----------------------------------------------------------------------------------------------------


def _tool(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"hawse_tools_{name}", ROOT / "tools" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def pytest_configure(config: pytest.Config) -> None:
    """Read the numbered list once."""
    tool = _tool("requirements")
    config.stash[_KNOWN] = frozenset(tool.read_list(tool.LIST.read_text(encoding="utf-8")))


_KNOWN = pytest.StashKey[frozenset[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that claims a requirement which nobody wrote down."""
    for mark in item.iter_markers("requirement"):
        unknown = [number for number in mark.args if number not in item.config.stash[_KNOWN]]
        if unknown or mark.kwargs or not mark.args:
            wrong = ", ".join(map(repr, unknown)) or "no number"
            pytest.fail(f"requirement mark: {wrong} (docs/requirements.md holds the numbers)", pytrace=False)


# --- waiting ---------------------------------------------------------------------------------------------------------


class Eventually:
    """Wait for a condition instead of for a time."""

    timeout_s_default = 20.0

    def __call__(self, condition: Callable[[], T], timeout_s: float = timeout_s_default, what: str = "") -> T:
        """Call condition until it returns something true, and return that; fail the test after timeout_s."""
        deadline = time.monotonic() + timeout_s
        for pause_s in self._pauses_s():
            if value := condition():
                return value
            if time.monotonic() >= deadline:
                self._fail(condition, timeout_s, what, value)
            time.sleep(pause_s)
        raise AssertionError("pauses are endless")

    async def wait(
        self, condition: Callable[[], T | Awaitable[T]], timeout_s: float = timeout_s_default, what: str = ""
    ) -> T:
        """Do the same inside an event loop, which goes on meanwhile; condition may be a coroutine function."""
        deadline = time.monotonic() + timeout_s
        for pause_s in self._pauses_s():
            answer = condition()
            value = await answer if inspect.isawaitable(answer) else answer
            if value:
                return value
            if time.monotonic() >= deadline:
                self._fail(condition, timeout_s, what, value)
            await asyncio.sleep(pause_s)
        raise AssertionError("pauses are endless")

    @staticmethod
    def _pauses_s() -> Iterator[float]:
        yield from (0.001, 0.002, 0.004, 0.008, 0.016)
        yield from itertools.repeat(0.03)

    @staticmethod
    def _fail(condition: Callable[[], object], timeout_s: float, what: str, value: object) -> NoReturn:
        name = what or getattr(condition, "__qualname__", repr(condition))
        pytest.fail(f"not within {timeout_s} s: {name} (last answer: {value!r})")


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """`eventually(condition, timeout_s)`; in coroutines `await eventually.wait(condition, timeout_s)`."""
    return Eventually()


@pytest.fixture(scope="session")
def need() -> Callable[[str], str]:
    """`need("tmux")` returns the program's path, or ends the test: skipped, in CI failed."""

    def find(program: str) -> str:
        path = shutil.which(program) or shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin")
        return path or _absent(program)

    return find


# --- an environment of its own, and nothing left in it ---------------------------------------------------------------


@dataclass(frozen=True)
class Places:
    """The folders of one test. Only `base` and `home` are made; what hawse owns, hawse makes."""

    base: Path
    home: Path = field(init=False)
    state: Path = field(init=False)         # HAWSE_STATE_DIR
    runtime: Path = field(init=False)       # HAWSE_RUNTIME_DIR: short, since a Unix socket's path has 107 bytes
    config: Path = field(init=False)        # HAWSE_CONFIG_DIR

    def __post_init__(self) -> None:
        """Name the folders below base."""
        for name in ("home", "state", "config"):
            object.__setattr__(self, name, self.base / name)
        object.__setattr__(self, "runtime", self.base / "r")

    def processes(self) -> list[int]:
        """Return the ids of all living processes that were started with this state folder, and not this one's."""
        return [int(entry) for entry in os.listdir("/proc") if entry.isdecimal() and self.holds(int(entry))]

    def holds(self, pid: int) -> bool:
        """Say whether this process was started with this state folder (and is alive: a zombie has no environment)."""
        if pid == os.getpid():
            return False
        with suppress(OSError):
            with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
                environment = file.read(1 << 20)
            return b"HAWSE_STATE_DIR=" + os.fsencode(self.state) in environment.split(b"\0") and not _is_tool(pid)
        return False


def _is_tool(pid: int) -> bool:
    """Say whether this is Python's own helper, which multiprocessing keeps for the life of the test process."""
    command = _command(pid)
    return "multiprocessing.resource_tracker" in command or "multiprocessing.forkserver" in command


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def _children() -> set[int]:
    """Return this process's living children (forks carry no environment of their own)."""
    found = set()
    for path in glob.glob(f"/proc/{os.getpid()}/task/*/children"):
        with suppress(OSError):
            found.update(int(word) for word in Path(path).read_text().split())
    return {pid for pid in found if _is_alive(pid) and not _is_tool(pid)}


def _is_alive(pid: int) -> bool:
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    return False


_FOREIGN = ("HAWSE_", "PG", "TMUX", "STY", "SSH_", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "COLUMNS", "LINES", "LC_")


def _short_folder(prefix: str) -> Path:
    """Make a folder whose path leaves room for a socket's name."""
    usual = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix=prefix, dir=usual if len(usual) <= 24 else "/tmp"))


@pytest.fixture(autouse=True)
def places() -> Iterator[Places]:
    """Set up this test's own environment; afterwards no process of it may be left."""
    here = Places(_short_folder("hw"))
    here.home.mkdir()
    before = _children()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(_FOREIGN):
                patch.delenv(name)
        patch.setenv("HAWSE_STATE_DIR", str(here.state))
        patch.setenv("HAWSE_RUNTIME_DIR", str(here.runtime))
        patch.setenv("HAWSE_CONFIG_DIR", str(here.config))
        patch.setenv("HOME", str(here.home))
        for name in ("STATE", "DATA", "CONFIG", "CACHE"):
            patch.setenv(f"XDG_{name}_HOME", str(here.home / f"xdg-{name.lower()}"))
        patch.delenv("XDG_RUNTIME_DIR", raising=False)
        patch.setenv("PATH", os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", os.defpath))
        patch.setenv("LANG", "C.UTF-8")
        patch.setenv("TERM", "xterm-256color")
        yield here
        left = _end_processes(here, before)
    try:
        _check_history(here)
    finally:
        shutil.rmtree(here.base, ignore_errors=True)
    if left:
        pytest.fail("processes were left behind:\n  " + "\n  ".join(left), pytrace=False)


def _check_history(here: Places) -> None:
    """Replaying the events gives the present state, for every session that any test ever makes (issue 2, point 5)."""
    database = here.state / "hawse.db"
    if database.is_file():
        from hawse.testing.check_events import check_file

        check_file(database)


def _end_processes(here: Places, before: set[int], grace_s: float = 10.0) -> list[str]:
    """Kill what the test left, exactly that; return it as text. What ends by itself within grace_s is not told."""

    def find() -> set[int]:
        return set(here.processes()) | (_children() - before)

    deadline = time.monotonic() + grace_s
    while (left := find()) and time.monotonic() < deadline:
        time.sleep(0.01)
    told = [f"{pid} {_command(pid)}" for pid in sorted(left)]
    deadline = time.monotonic() + 5.0
    while left and time.monotonic() < deadline:         # again, since what is being killed may still fork
        for pid in left:
            _kill(pid, lambda pid: here.holds(pid) or pid in _children() - before)
        time.sleep(0.01)
        left = find()
    return told


def _kill(pid: int, is_left: Callable[[int], bool]) -> None:
    """Kill this process; never another one that got its number meanwhile."""
    with suppress(OSError):
        descriptor = os.pidfd_open(pid)
        try:
            if is_left(pid):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitid(os.P_PIDFD, descriptor, os.WEXITED)
        finally:
            os.close(descriptor)


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


class PostgresServer:
    """A PostgreSQL server that listens on a socket in a folder of its own and nowhere else."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.folder = folder
        self._binaries = binaries
        self._numbers = itertools.count(1)
        self._as_postgres = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []

    def conninfo(self, database: str = "postgres") -> str:
        """Return how to connect to this database."""
        return f"host={self.folder} port=5432 user=postgres dbname={database}"

    def create(self) -> None:
        """Make the server's files (about a second)."""
        if self._as_postgres:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", str(self.folder / "data"), "-A", "trust", "-U", "postgres", "-N",
                  "--no-instructions", "-E", "UTF8", "--locale=C")  # fmt: skip

    def start(self, *, durable: bool = False) -> None:
        """Start it. durable: with fsync, for tests that pull the plug."""
        settings = {"listen_addresses": "", "shared_buffers": "64MB", "max_connections": "200"}
        if not durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-s", "-t", "60", "-l", str(self.folder / "log"),
                  "-o", f"-p 5432 -k {self.folder} {options}", "start")  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        """Stop it. mode: "fast", or "immediate" as when the plug is pulled."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-s", "-t", "60", "-m", mode, "stop")

    def new_database(self) -> str:
        """Make an empty database; return its name."""
        name = f"test{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def drop_database(self, name: str) -> None:
        """Drop it, whoever is connected."""
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: str) -> None:
        environment = {"PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin", "LC_ALL": "C"}
        command = [*self._as_postgres, str(self._binaries / program), *arguments]
        # Into a file, not a pipe: the server inherits it and would keep a pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command, cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=90
            )
            output.seek(0)
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)}: {output.read().decode(errors='replace')}")


def _postgres_binaries() -> Path | None:
    """Find the newest server's programs, which distributions keep out of PATH."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: int(path.parent.name) if path.parent.name.isdecimal() else 0)
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run a private PostgreSQL server as long as the test session (fsync off; see PostgresServer.start)."""
    binaries = _postgres_binaries()
    if binaries is None:
        _absent("PostgreSQL's server")
    server = PostgresServer(binaries, _short_folder("hwpg"))
    try:
        server.create()
        server.start()
        yield server
    finally:
        if (server.folder / "data" / "postmaster.pid").exists():
            server.stop("immediate")
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """Yield the conninfo of a new, empty database; drop it afterwards."""
    name = postgres.new_database()
    yield postgres.conninfo(name)
    postgres.drop_database(name)

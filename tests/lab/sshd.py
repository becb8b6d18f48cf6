"""A lab with a real sshd on loopback, real accounts, and hawse installed for them.

    with Lab(Path("/tmp/short")) as lab:             # or the fixture `sshd` of tests/lab/conftest.py
        ada = lab.account("ada")                     # a new user of this machine, gone with the lab
        env = lab.environ(ada)                       # for a client: HAWSE_SERVER=ssh://ada, its ssh configuration
        lab.logins()                                 # how many logins sshd has seen
        lab.cut()                                    # every connection breaks, as when a cable is pulled out
        with lab.frozen(): ...                       # silence: packets are taken, nobody answers

What a test must know: accounts need root (`Lab.why_not()` says why it cannot be had). ssh's aliases are the accounts'
short names; `lab.configure(...)` writes more into the client's configuration. Only processes that the lab, or its own
accounts, started are ended, each by its id.
"""

import os
import pwd
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
READY_S = 20.0


def program(name: str) -> str | None:
    """A program's path, sbin included."""
    return shutil.which(name) or shutil.which(name, path=SBIN)


@dataclass(frozen=True)
class Account:
    """A user of this machine that a lab made. name: as the tests say it; login: as the machine does."""

    name: str
    login: str
    uid: int
    home: Path

    @property
    def runtime(self) -> Path:
        """Where its hawse listens."""
        return next(Path(f"/tmp/hawse-{self.uid}").iterdir())

    def processes(self) -> list[int]:
        """All that runs as this user."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if entry.stat().st_uid == self.uid and " Z " not in (entry / "stat").read_text():
                    found.append(int(entry.name))
        return found

    def commands(self) -> dict[int, str]:
        """The same with their command lines."""
        found = {}
        for pid in self.processes():
            with suppress(OSError):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return found

    def run(self, *words: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """A command as this user, at home, without ssh."""
        told = {"HOME": str(self.home), "PATH": f"{self.home}/.local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            words, user=self.uid, group=self.uid, extra_groups=[], cwd=self.home, env=told, text=True,
            capture_output=True, timeout=60, **settings,
        )  # fmt: skip


@dataclass
class Lab:
    """One sshd with its accounts. folder: short, and readable by everybody."""

    folder: Path
    far: Path | None = None  # a folder made by install(); without it accounts have no hawse
    listen: str = "127.0.0.1"
    through: tuple[str, ...] = ()  # words before sshd: `ip netns exec NAME`
    accounts: dict[str, Account] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def why_not() -> str:
        """Why there can be no lab here; empty: there can."""
        missing = [name for name in ("sshd", "ssh", "ssh-keygen", "useradd", "userdel") if program(name) is None]
        if missing:
            return f"{', '.join(missing)} is missing; tools/test-setup installs it or says how"
        return "" if os.getuid() == 0 else "making accounts needs root"

    @property
    def config(self) -> Path:
        """The client's ssh configuration."""
        return self.folder / "ssh_config"

    @property
    def log(self) -> Path:
        """sshd's."""
        return self.folder / "sshd.log"

    def __enter__(self) -> "Lab":
        self.folder.chmod(0o755)
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        for name in ("host", "id"):
            words = [str(program("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(words, check=True, timeout=60)
        (self.folder / "auth").mkdir()
        self.port = free_port()
        self.configure("")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for account in self.accounts.values():
            _remove(account)

    # -- the server ---------------------------------------------------------------------------------------------------

    def start(self, more: str = "") -> None:
        """Start sshd and wait until it listens. more: lines for its configuration."""
        lines = [
            f"Port {self.port}", f"ListenAddress {self.listen}", f"HostKey {self.folder}/host", "PidFile none",
            f"AuthorizedKeysFile {self.folder}/auth/%u", "StrictModes no", "PasswordAuthentication no",
            "KbdInteractiveAuthentication no", "UsePAM no", "MaxStartups 200:30:400", "MaxSessions 100",
            "AcceptEnv LANG LC_*", "LogLevel VERBOSE", more,
        ]  # fmt: skip
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")
        words = [*self.through, str(program("sshd")), "-D", "-f", str(self.folder / "sshd_config"), "-E", str(self.log)]
        self.process = subprocess.Popen(words, env={"PATH": os.defpath}, stdin=subprocess.DEVNULL, cwd="/")
        deadline = time.monotonic() + READY_S
        while "Server listening" not in (self.log.read_text() if self.log.exists() else ""):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "sshd did not begin to listen"
            time.sleep(0.01)

    def stop(self) -> None:
        """End sshd and every connection."""
        if self.process is None:
            return
        self.cut()
        self.process.terminate()
        self.process.wait(20)
        self.process = None
        self.log.rename(self.log.with_suffix(f".{time.monotonic_ns()}"))

    def connections(self) -> list[int]:
        """sshd's processes for one connection each, with their helpers."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, IndexError, ValueError):
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
                if name == "sshd" and rest.split()[0] != "Z":
                    parents[int(entry.name)] = int(rest.split()[1])
        found: list[int] = []
        wanted = {self.process.pid} if self.process else set()
        while wanted:
            wanted = {pid for pid, parent in parents.items() if parent in wanted}
            found += wanted
        return found

    def cut(self) -> int:
        """Break every connection at once; how many processes that were."""
        killed = 0
        for pid in self.connections():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        return killed

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Every connection is silent: the kernel takes what comes, and nobody answers. It dies at the end."""
        stopped = self.connections()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    os.kill(pid, signal.SIGCONT)

    def logins(self) -> int:
        """How often somebody logged in since sshd was started."""
        return self.log.read_text(errors="replace").count("Accepted publickey")

    # -- accounts and clients -----------------------------------------------------------------------------------------

    def account(self, name: str, *, shell: str = "/bin/bash") -> Account:
        """A new user who may log in with the lab's key and has hawse in ~/.local/bin."""
        login = f"hw{os.getpid() % 100000}{name}"[:30]
        useradd = [str(program("useradd")), "-m", "-U", "-s", shell, "-p", "*", login]
        subprocess.run(useradd, check=True, capture_output=True, timeout=60)
        entry = pwd.getpwnam(login)
        made = Account(name, login, entry.pw_uid, Path(entry.pw_dir))
        self.accounts[name] = made
        shutil.copy(self.folder / "id.pub", self.folder / "auth" / login)
        if self.far is not None:
            programs = made.home / ".local" / "bin"
            programs.mkdir(parents=True)
            (programs / "hawse").symlink_to(self.far / "bin" / "hawse")
            for path in (made.home / ".local", programs):
                os.chown(path, made.uid, made.uid)
        self.configure("")
        return made

    def configure(self, more: str) -> None:
        """Write the client's configuration: `more` first, then one alias for each account."""
        key = (self.folder / "host.pub").read_text().split()
        (self.folder / "known_hosts").write_text(f"[{self.listen}]:{self.port} {key[0]} {key[1]}\n")
        aliases = [f"Host {one.name}\n    User {one.login}" for one in self.accounts.values()]
        usual = [
            f"HostName {self.listen}", f"Port {self.port}", f"IdentityFile {self.folder}/id", "IdentitiesOnly yes",
            "IdentityAgent none", f"UserKnownHostsFile {self.folder}/known_hosts", "StrictHostKeyChecking yes",
        ]  # fmt: skip
        names = " ".join(self.accounts) or "nobody"
        lines = [more, *aliases, f"Host {names}", *(f"    {line}" for line in usual)]
        self.config.write_text("\n".join(lines) + "\n")

    def environ(self, account: Account) -> dict[str, str]:
        """What makes a client use this account's hawse."""
        return {"HAWSE_SERVER": f"ssh://{account.name}", "HAWSE_SSH_CONFIG": str(self.config)}

    def ssh(self, account: Account, command: str) -> subprocess.CompletedProcess[str]:
        """A command over plain ssh, without any master connection."""
        words = ["ssh", "-F", str(self.config), account.name, command]
        return subprocess.run(words, text=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _remove(account: Account) -> None:
    """End what runs as this user, and the user."""
    deadline = time.monotonic() + READY_S
    while (left := account.processes()) and time.monotonic() < deadline:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    userdel = [str(program("userdel")), "-r", "-f", account.login]
    subprocess.run(userdel, capture_output=True, timeout=60, check=False)
    shutil.rmtree(f"/tmp/hawse-{account.uid}", ignore_errors=True)
    assert not any(entry.pw_name == account.login for entry in pwd.getpwall()), f"{account.login} is still there"


# -- hawse for everybody ----------------------------------------------------------------------------------------------


def install(folder: Path) -> Path:
    """Put hawse and what it needs where every user can run it: folder/bin/hawse. Returns the folder."""
    folder.chmod(0o755)
    python = _python_for_all()
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120, capture_output=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = folder / "lib" / version / "site-packages"
    for name in (*_pinned(), "cryptography", "cffi", "pycparser"):
        _copy_distribution(name, packages)
    shutil.copytree(ROOT / "src" / "hawse", packages / "hawse", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([folder / "bin" / "python", "-m", "compileall", "-q", packages], check=False, timeout=300)
    script = folder / "bin" / "hawse"
    script.write_text(f"#!{folder}/bin/python\nfrom hawse.cli.entry import main\n\nmain()\n")
    script.chmod(0o755)
    return folder


def _python_for_all() -> str:
    """A Python of our own version (compiled parts are copied) that every user can run."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    ours = os.path.realpath(sys.executable)
    for candidate in (ours, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        if os.path.exists(candidate) and _is_open(Path(os.path.realpath(candidate))):
            return candidate
    raise RuntimeError(f"no Python {version} that other users can run")


def _is_open(path: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def _pinned() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [line.split("==")[0].split("[")[0].strip() for line in lines if line[:1].isalpha() and "==" in line]


def _copy_distribution(name: str, packages: Path) -> None:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return  # not for this platform
    for top in {path.parts[0] for path in found.files or () if path.parts[0] not in ("..", "__pycache__")}:
        source, target = Path(str(found.locate_file(top))), packages / top
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists() and not top.endswith(".pth"):
            shutil.copy2(source, target)


def quoted(*words: str) -> str:
    """Words for a far shell."""
    return shlex.join(words)

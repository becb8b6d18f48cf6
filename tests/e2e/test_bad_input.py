"""What is wrong, forged, oversized, silent or slow gets a clear answer or a bounded wait; nobody else notices."""

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pexpect
import pytest
from machine import Machine, is_alive, job

from hawse.wire import terminal
from hawse.wire.client import ClientHalf
from hawse.wire.errors import WireError
from hawse.wire.ticket import Ticket, seal, unseal

ECHO = ("sh", "-c", "stty -echo; while read line; do echo heard $line; done")
TTY = {"columns": 80, "rows": 24}
DEADLINE_S = 20.0


class Client:
    """Somebody on a runner's socket."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(address)  # blocking, as in _many
        self.sock.settimeout(DEADLINE_S)
        self.half = ClientHalf()
        self.events: list[tuple[Any, ...]] = []
        self.output = b""
        self.closed = False

    def hello(self, ticket: str, start: int | str = "end") -> "Client":
        self.sock.sendall(terminal.hello(ticket=ticket, start=start, columns=80, rows=24))
        return self

    def read(self, timeout_s: float = 0.1) -> None:
        if self.closed:
            return
        self.sock.settimeout(timeout_s or 0.001)
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            return
        except ConnectionResetError:
            data = b""
        finally:
            self.sock.settimeout(DEADLINE_S)
        self.closed = not data
        try:
            for event in self.half.feed(data):
                self.events.append(event)
                self.output += event[3] if event[0] == terminal.OUTPUT else b""
        except WireError:
            self.closed = True

    def until(self, kind: int) -> tuple[Any, ...]:
        """The first event of this kind."""
        deadline = time.monotonic() + DEADLINE_S
        while not (found := [event for event in self.events if event[0] == kind]):
            assert not self.closed, self.events[-3:]
            assert time.monotonic() < deadline, self.events[-3:]
            self.read()
        return found[0]

    def echo(self, text: str) -> float:
        """Type a line and wait until it comes back; how long that took."""
        began = time.monotonic()
        self.sock.sendall(terminal.input_frames(text.encode() + b"\n"))
        while f"heard {text}\r\n".encode() not in self.output:
            assert not self.closed
            assert time.monotonic() < began + DEADLINE_S, self.output[-100:]
            self.read()
        return time.monotonic() - began

    def close(self) -> None:
        self.sock.close()


def admission(machine: Machine, session: str, mode: str = "control") -> Any:
    status, value = machine.ask("POST", f"/v1/sessions/{session}/attachments", {"mode": mode, "where": "test"})
    assert status == 201, value
    return value


def take(machine: Machine, session: str, given: Any) -> None:
    """Control for an attachment that came after another one."""
    status, value = machine.ask("POST", f"/v1/sessions/{session}/attachments/{given['attachment']['id']}/take", {})
    assert status == 200, value


@contextmanager
def attached(machine: Machine, session: str, mode: str = "control") -> Iterator[Client]:
    given = admission(machine, session, mode)
    client = Client(given["address"]).hello(given["ticket"])
    try:
        client.until(terminal.WELCOME)
        if mode == "control":
            take(machine, session, given)
        yield client
    finally:
        client.close()


# -- through the command line -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["attach", "nobody"], 1, "no session 'nobody'"),
        (["show", "a/nobody"], 1, "nobody"),
        (["logs", "0189c0de-0000-7000-8000-000000000000"], 1, "0189c0de"),
        (["end", "nobody"], 1, "nobody"),
        (["new", "-d", "no spaces", "--", "true"], 64, "no spaces"),
        (["new", "-d", "../up", "--", "true"], 64, "../up"),
        (["new", "-d", "x" * 200, "--", "true"], 64, ""),
        (["new", "-d", "0189c0de-0000-7000-8000-000000000000", "--", "true"], 64, ""),
        (["new", "-d", "a", "--", "true"], 1, "hawse attach a"),
        (["run", "a", "--name", "sh", "--", "true"], 1, "sh"),
        (["logs", "a", "--since", "-5"], 64, ""),
        (["logs", "a", "--tail", "-1"], 64, ""),
        (["end", "a", "--grace", "-1"], 64, ""),
        (["signal", "a/sh", "NOTASIGNAL"], 64, "NOTASIGNAL"),
        (["new", "-d", "x", "--cwd", "relative/../place", "--", "true"], None, ""),
        (["new", "-d", "x", "--env", "=no name", "--", "true"], 64, ""),
        (["wait", "a/sh", "--timeout", "0.1"], 75, "goes on"),
        (["describe", "a", "--label", "k" * 500 + "=v"], 64, ""),
    ],
)
@pytest.mark.xdist_group("bad-words")
def test_wrong_words_get_a_sentence(shared, words, code, said):
    done = shared.hawse(*words)
    text = done.stderr.decode(errors="replace")
    assert code is None or done.returncode == code, text
    assert said in text + done.stdout.decode(errors="replace")
    assert "Traceback" not in text
    assert len(text.splitlines()) <= 8


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One machine for tests that change nothing, with a session `a`."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="hws", dir="/tmp") as base:
        # Not this test's environment: it would be found as left behind by the first one.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HAWSE_")}
        here = {"HAWSE_STATE_DIR": f"{base}/state", "HAWSE_RUNTIME_DIR": f"{base}/r", "HAWSE_CONFIG_DIR": f"{base}/c"}
        made = Machine(Path(f"{base}/state"), Path(f"{base}/r"), _eventually)
        made.environ = {**environ, **here, "HOME": base, "NO_COLOR": "1"}
        made.start()
        made.new("a", *ECHO, tty=TTY)
        made.until("a", "started")
        yield made
        made.close()


def _eventually(condition: Any, timeout_s: float = DEADLINE_S, what: str = "") -> Any:
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return value


def test_bytes_that_are_no_text_are_no_name(machine):
    machine.start()
    for words in ([b"show", b"\xff\xfe"], [b"new", b"-d", b"\xff", b"--", b"true"]):
        done = subprocess.run(
            [sys.executable.encode(), b"-m", b"hawse.cli", *words], env=machine.environ, capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode in (1, 64)
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(("columns", "rows"), [(0, 0), (0, 24), (80, 0), (1, 1)])
def test_terminals_of_no_size(machine, columns, rows):
    """TIOCSWINSZ 0x0, as serial consoles and some editors' terminals have: 80x24 is taken, nothing divides by it."""
    machine.start()
    code = (
        "import fcntl, os, struct, sys, termios;"
        f"fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('4H', {rows}, {columns}, 0, 0));"
        "os.execv(sys.executable, [sys.executable, '-m', 'hawse.cli', *sys.argv[1:]])"
    )
    script = "stty size; read x; stty size; read x"
    screen = pexpect.spawn(
        sys.executable, ["-c", code, "new", "a", "--", "sh", "-c", script], env=machine.environ, timeout=30, echo=False
    )
    screen.delaybeforesend = None
    screen.delayafterclose = 0
    try:
        screen.expect(r"(\d+) (\d+)\r\n")
        first = (int(screen.match[1]), int(screen.match[2]))
        assert first == ((1, 1) if (columns, rows) == (1, 1) else (24, 80))
        screen.setwinsize(0, 0)
        screen.send("\r")
        screen.expect(r"(\d+) (\d+)\r\n")
        assert int(screen.match[1]) > 0
        screen.send("\r")
        screen.expect(pexpect.EOF)
    finally:
        screen.close(force=True)
    assert machine.until("a")["outcome"]["code"] == 0


# -- through REST -----------------------------------------------------------------------------------------------------


@pytest.mark.xdist_group("bad-words")
def test_wrong_requests_get_a_problem(shared):
    spec = job("true")
    wrong: list[tuple[str, str, Any, int, str]] = [
        ("GET", "/v1/sessions/nobody", None, 404, "not_found"),
        ("GET", "/v1/sessions/a/jobs/nobody", None, 404, "not_found"),
        ("POST", "/v1/sessions", {"alias": "no/slash"}, 422, "invalid"),
        ("POST", "/v1/sessions", {"alias": ""}, 422, "invalid"),
        ("POST", "/v1/sessions", {"alias": "a"}, 409, "clash"),
        ("POST", "/v1/sessions", {"alias": "\0"}, 422, "invalid"),
        ("POST", "/v1/sessions", {"alias": "b", "unknown": 1}, 422, "invalid"),
        ("POST", "/v1/sessions", {"alias": "b", "job": {**spec, "argv": []}}, 422, "invalid"),
        ("POST", "/v1/sessions", {"alias": "b", "job": {**spec, "argv": ["a\0b"]}}, 422, "invalid"),
        ("POST", "/v1/sessions", {"alias": "b", "job": {**spec, "cwd": "here"}}, 422, "invalid"),
        ("POST", "/v1/sessions", {"alias": "b", "job": {**spec, "grace_s": -1}}, 422, "invalid"),
        ("POST", "/v1/sessions", {"alias": "b", "job": {**spec, "umask": 0o7777}}, 422, "invalid"),
        ("POST", "/v1/sessions", {"alias": "b", "job": {**spec, "tty": {"columns": -1, "rows": 5}}}, 422, "invalid"),
        ("POST", "/v1/sessions", {"alias": "b", "job": {**spec, "encoding": "base64"}}, 422, "invalid"),
        ("DELETE", "/v1/sessions/a?grace_s=-1", None, 422, "invalid"),
        ("DELETE", "/v1/sessions/a?grace_s=nan", None, 422, "invalid"),
        ("GET", "/v1/sessions/a/events?from=-1", None, 422, "invalid"),
        ("GET", "/v1/sessions/a/logs/sh?since=-1", None, 422, "invalid"),
        ("GET", "/v1/sessions/a/logs/sh?from=-1", None, 422, "invalid"),
        ("GET", "/v1/sessions/a/jobs/sh?wait_s=-1", None, 422, "invalid"),
        ("POST", "/v1/sessions/a/jobs/sh/signal", {"signal": "0x7"}, 422, "invalid"),
        ("POST", "/v1/sessions/a/attachments", {"mode": "own", "where": ""}, 422, "invalid"),
    ]
    before = shared.session("a")["last_seq"]
    for method, target, body, status, code in wrong:
        found, value = shared.ask(method, target, body)
        assert (found, value["code"]) == (status, code), (method, target, body, value)
        assert value["detail"]
    for data in (b"{", b"\xff\xfe", b"[" * 100_000, b'{"alias": "\xc3\x28"}', b"null", b'{"alias": "\\ud800"}'):
        assert shared.ask("POST", "/v1/sessions", data=data)[0] == 422
    assert shared.ask("POST", "/v1/sessions", data=b'{"alias": "' + b"x" * (5 << 20) + b'"}')[0] == 413
    huge = {"alias": "b", "job": job("true", env={"X": "y" * (3 << 20)})}
    assert shared.ask("POST", "/v1/sessions", huge)[0] == 413
    assert shared.session("a")["last_seq"] == before, "nothing changed"


@pytest.mark.requirement("S4.1")
def test_one_name_many_askers(machine, eventually):
    """Twenty ask for the same name at once: one gets it, the others are told who has it; free again after the end."""
    import threading

    machine.start()
    answers: list[tuple[int, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(machine.ask("POST", "/v1/sessions", {"alias": "one"})))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(status for status, _ in answers) == [201] + [409] * 19
    machine.end("one")
    assert machine.ask("POST", "/v1/sessions", {"alias": "one"})[0] == 201


# -- tickets ----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S2.9")
def test_tickets_that_are_no_good(machine, eventually):
    """Replayed, forged, changed, of another job, expired: refused by the runner, which goes on for everybody else."""
    machine.start()
    machine.new("a", *ECHO, tty=TTY)
    machine.new("b", *ECHO, tty=TTY)
    for name in "ab":
        machine.until(name, "started")
    with attached(machine, "a") as good:
        good.echo("one")
        given = admission(machine, "a")
        first = Client(given["address"]).hello(given["ticket"])
        first.until(terminal.WELCOME)
        other = admission(machine, "b")
        own = admission(machine, "a")["ticket"]
        part, _, signature = own.partition(".")
        expires = int(time.time()) + 60
        mine = Ticket(job=machine.job("a")["id"], attempt=0, attachment="x", mode="control", expires=expires, nonce="n")
        bad = {
            given["ticket"]: "ticket_used",
            seal(mine, os.urandom(32)): "ticket_forged",
            f"{part}.{'A' * len(signature)}": "ticket_forged",
            f"{part[:-4]}AAAA.{signature}": "ticket_forged",
            other["ticket"]: "ticket_forged",
            "": "ticket_malformed",
            "." * 500: "ticket_malformed",
            "\u00e9": "ticket_malformed",
        }
        for ticket, code in bad.items():
            client = Client(given["address"]).hello(ticket)
            kind, said = client.until(terminal.ERROR)
            assert (kind, said["code"]) == (terminal.ERROR, code), ticket
            client.close()
        with pytest.raises(WireError):
            unseal(own, os.urandom(32), now=time.time())
        for data in (b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\0\0", os.urandom(500)):
            client = Client(given["address"])
            client.sock.sendall(data)
            deadline = time.monotonic() + 15
            while not client.closed and time.monotonic() < deadline:
                client.read()
            assert client.closed
            client.close()
        good.echo("two")
        take(machine, "a", given)
        first.echo("three")
        first.close()
    last = Client(given["address"]).hello(own)
    last.until(terminal.WELCOME)
    last.close()


def test_a_watcher_cannot_type_whatever_it_sends(machine):
    machine.start()
    machine.new("a", *ECHO, tty=TTY)
    machine.until("a", "started")
    with attached(machine, "a") as typist, attached(machine, "a", "watch") as watcher:
        watcher.sock.sendall(terminal.input_frames(b"by the watcher\n") + terminal.resize(10, 10))
        watcher.sock.sendall(terminal.message(terminal.SIGNAL, signal="KILL"))
        typist.echo("by the typist")
        watcher.until(terminal.OUTPUT)
        assert b"by the watcher" not in typist.output
    assert machine.job("a")["state"] == "running"


# -- silence, slowness ------------------------------------------------------------------------------------------------


def _many(stack: ExitStack, path: str, count: int) -> list[socket.socket]:
    """So many connections that say nothing."""
    made = []
    for _ in range(count):
        link = stack.enter_context(socket.socket(socket.AF_UNIX))
        link.connect(path)  # blocking: while the listener's queue is full, this waits
        link.settimeout(5)
        made.append(link)
    return made


@pytest.fixture
def descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("descriptors")
def test_thousands_that_say_nothing(machine):
    """2,000 at the coordinator, 500 at a runner, some with half a request: an echo and the REST API just work."""
    machine.start()
    machine.new("a", *ECHO, tty=TTY)
    machine.until("a", "started")
    runner = machine.claimed(machine.job("a")["id"])["runner_pid"]
    with ExitStack() as stack, attached(machine, "a") as client:
        quiet = [client.echo(f"quiet {n}") for n in range(5)]
        silent = _many(stack, machine.socket, 2000)
        for link in silent[:200]:
            link.sendall(b"POST /v1/sessions HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{")
        for link in silent[200:400]:
            link.sendall(b"GET /v1/sess")
        address = admission(machine, "a")["address"]
        at_runner = _many(stack, address, 500)
        for link in at_runner[-20:]:
            link.sendall(b"\0\0\x10\0\1{")
        busy = [client.echo(f"busy {n}") for n in range(5)]
        assert max(busy) < max(quiet) + 2
        began = time.monotonic()
        assert machine.session("a")["state"] == "active"
        assert machine.out("ls").count("active") == 1
        assert time.monotonic() - began < 10
        with attached(machine, "a") as late:
            late.echo("late")
        assert len(os.listdir(f"/proc/{runner}/fd")) < 100, "the oldest silent ones are cut"
    assert is_alive(runner)


@pytest.mark.requirement("S3.3")
def test_a_reader_that_takes_nothing(machine, eventually):
    """A follower and a feed reader stop reading: the job prints on, memory stays bounded, others see everything."""
    machine.start()
    script = "stty -echo; read go; seq 1 300000; while read line; do echo heard $line; done"
    machine.new("a", "sh", "-c", script, tty=TTY)
    machine.until("a", "started")
    id = machine.job("a")["id"]
    runner = machine.claimed(id)["runner_pid"]
    with ExitStack() as stack, attached(machine, "a", "read"), attached(machine, "a", "watch"):
        feed = stack.enter_context(socket.socket(socket.AF_UNIX))
        feed.connect(machine.socket)
        feed.sendall(b"GET /v1/sessions/a/events HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n")
        with attached(machine, "a") as client:
            before = {pid: _memory(pid) for pid in (runner, machine.pid)}
            client.sock.sendall(terminal.input_frames(b"go\n"))
            for number in range(300):
                machine.ask("PATCH", "/v1/sessions/a", {"description": f"{number} " + "z" * 900})
                client.read(0)
            client.echo("after all")
            assert b"\r\n300000\r\n" in client.output
            assert _memory(runner) - before[runner] < 8 << 20
            assert _memory(machine.pid) - before[machine.pid] < 48 << 20
    assert machine.log("a").startswith(b"1\r\n2\r\n3\r\n")


def _memory(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(("Private_Clean", "Private_Dirty"))) * 1024


def test_a_half_open_connection(machine):
    """A client that closed its writing half still gets its answer; one that vanished leaves nothing."""
    machine.start()
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(machine.socket)
        link.settimeout(20)
        link.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        link.shutdown(socket.SHUT_WR)
        assert link.recv(4096).startswith(b"HTTP/1.1 200")
    machine.new("a", *ECHO, tty=TTY)
    machine.until("a", "started")
    given = admission(machine, "a")
    client = Client(given["address"]).hello(given["ticket"])
    client.until(terminal.WELCOME)
    client.sock.shutdown(socket.SHUT_WR)
    with attached(machine, "a") as other:
        other.echo("still here")
    client.close()


# -- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["serve", "ls"])
def test_places_that_are_no_good(machine, places, who):
    machine.is_checked = False
    target = places.base / "elsewhere"
    target.mkdir(mode=0o700)
    link = places.base / "link"
    link.symlink_to(target)
    state = places.base / "theirs"
    state.mkdir(mode=0o700)
    (state / "host").write_text(json.dumps({"host": "elsewhere", "machine": "0" * 32}))
    wrong = [
        ({"HAWSE_RUNTIME_DIR": str(link)}, 77, "symbolic link"),
        ({"HAWSE_RUNTIME_DIR": "/tmp/" + "x" * 100}, 64, "bytes"),
        ({"HAWSE_RUNTIME_DIR": "relative"}, 64, "absolute"),
        ({"HAWSE_STATE_DIR": str(state)}, 77 if who == "serve" else 69, "belongs to the machine elsewhere"),
        ({"HAWSE_STATE_DIR": "/proc/nowhere/state"}, 69, ""),
    ]
    for environ, code, said in wrong:
        done = machine.hawse(who, env={**machine.environ, **environ})
        text = done.stderr.decode()
        assert done.returncode == code, (environ, text)
        assert said in text
        assert "Traceback" not in text
    assert list(target.iterdir()) == []


def test_a_runtime_folder_of_somebody_else(machine, places):
    machine.is_checked = False
    if os.getuid() != 0:
        pytest.skip("giving a folder away needs root")
    theirs = places.base / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 12345, 12345)
    environ = {**machine.environ, "HAWSE_RUNTIME_DIR": str(theirs)}
    done = machine.hawse("ls", env=environ)
    assert done.returncode == 77
    assert b"12345" in done.stderr
    assert not list(theirs.iterdir())

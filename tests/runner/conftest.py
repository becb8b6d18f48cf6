"""A rig for runner tests: a real parent, real runners, clients and coordinators that are plain sockets."""

import itertools
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hawse.runner import claim, kin
from hawse.runner.log import Log
from hawse.runner.parent import command
from hawse.runner.reader import LogReader
from hawse.wire import order, terminal, ticket
from hawse.wire.client import ClientHalf
from hawse.wire.coordinator import CoordinatorHalf
from hawse.wire.errors import WireError
from hawse.wire.frame import FrameReader

SOURCE = str(Path(__file__).resolve().parents[2] / "src")
DEADLINE_S = 20
_numbers = itertools.count(1)


def connected(path):
    """A connection to a Unix socket; None when nobody listens."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(str(path))
    except OSError:
        sock.close()
        return None
    return sock


def is_readable(sock, timeout_s):
    """select() knows no descriptor above 1023, and a test may have more open."""
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(timeout_s * 1000))


class Link:
    """A client. `events` is all that came, `output` the joined bytes of OUTPUT, `shown` what its terminal was given."""

    def __init__(self, sock):
        self.sock = sock
        self.half = ClientHalf()
        self.events = []
        self.output = bytearray()
        self.shown = bytearray()
        self.errors = bytearray()
        self.closed = False
        self.broken = None

    def send(self, data):
        self.sock.sendall(data)

    def type(self, data):
        self.send(terminal.input_frames(data))

    def read_once(self, timeout_s=0.5, size=65536):
        if self.closed or not is_readable(self.sock, timeout_s):
            return
        try:
            data = self.sock.recv(size)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return
        try:
            events = self.half.feed(data)
        except WireError as error:
            self.broken = error
            self.closed = True
            raise
        for event in events:
            self.events.append(event)
            if event[0] == terminal.OUTPUT:
                self.output += event[3]
                self.shown += event[3]
                if event[2] == terminal.STDERR:
                    self.errors += event[3]
            elif event[0] == terminal.RESTORE:
                self.shown += event[1]

    def until(self, condition, timeout_s=DEADLINE_S):
        """Read until condition() is true or nothing more can come; then it must be true."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert not self.closed, f"closed; last events {self.events[-3:]!r}"[:600]
            assert time.monotonic() < deadline, f"deadline; output {bytes(self.output[-300:])!r}, {self.events[-2:]!r}"[
                :900
            ]
            self.read_once()

    def until_output(self, data, timeout_s=DEADLINE_S):
        self.until(lambda: data in self.output, timeout_s)

    def until_closed(self, timeout_s=DEADLINE_S):
        deadline = time.monotonic() + timeout_s
        while not self.closed:
            assert time.monotonic() < deadline, f"still open; {self.events[-3:]!r}"[:600]
            self.read_once()

    def of(self, kind):
        """All events of a type."""
        return [event for event in self.events if event[0] == kind]

    def notices(self, kind):
        return [event[1] for event in self.of(terminal.NOTICE) if event[1]["kind"] == kind]

    @property
    def welcome(self):
        self.until(lambda: self.half.welcome is not None)
        return self.half.welcome

    @property
    def outcome(self):
        self.until(lambda: self.of(terminal.EXIT))
        return self.of(terminal.EXIT)[0][1]

    @property
    def error(self):
        self.until(lambda: self.of(terminal.ERROR))
        return self.of(terminal.ERROR)[0][1]

    def close(self):
        self.sock.close()
        self.closed = True


class Coordinator:
    """A coordinator's proven link."""

    def __init__(self, sock, attempt, *, secret=None, nonce="n1", number=None):
        self.sock = sock
        self.half = CoordinatorHalf(
            job=attempt.job,
            attempt=number or attempt.attempt,
            secret=secret or attempt.secret,
            nonce=nonce,
            incarnation=attempt.incarnation,
        )
        self.events = []
        self.closed = False
        self._ids = itertools.count(1)
        sock.sendall(self.half.control())

    def read_once(self, timeout_s=0.5):
        if self.closed or not is_readable(self.sock, timeout_s):
            return
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
        self.events += self.half.feed(data)
        if said := self.half.to_send():
            self.sock.sendall(said)

    def until(self, condition, timeout_s=DEADLINE_S):
        deadline = time.monotonic() + timeout_s
        while not (found := condition()):
            assert not self.closed, self.events[-3:]
            assert time.monotonic() < deadline, self.events[-3:]
            self.read_once()
        return found

    def reports(self, kind):
        return [value for name, value in self.events if name == "report" and value["kind"] == kind]

    def report(self, kind):
        return self.until(lambda: self.reports(kind))[-1]

    def command(self, verb, **values):
        self.until(lambda: self.half.is_proven)
        number = next(self._ids)
        self.sock.sendall(self.half.command(number, verb, **values))
        found = self.until(lambda: [value for name, value in self.events if name == "result" and value["id"] == number])
        return found[0]

    def give(self, link, fence=None, **values):
        """Control to who is behind a link; its fence is newer than those before."""
        values = {"attachment": link.welcome.attachment, "who": "somebody", **values}
        return self.command("control", fence=next(_numbers) if fence is None else fence, **values)

    def acknowledge_all(self):
        numbers = [value["seq"] for name, value in self.events if name == "report"]
        self.sock.sendall(self.half.acknowledge(max(numbers)))

    def close(self):
        self.sock.close()
        self.closed = True


class Attempt:
    """A spawned attempt."""

    def __init__(self, rig, values):
        self.rig = rig
        self.job, self.attempt = values["job"], values["attempt"]
        self.incarnation = values["incarnation"]
        self.secret = bytes.fromhex(values["secret"])
        self.job_dir = Path(values["job_dir"])
        self.socket = Path(values["socket"])
        self.directory = claim.attempt_dir(str(self.job_dir), self.attempt)
        self.answer = None

    @property
    def runner_pid(self):
        return self.answer.runner_pid

    def ticket(
        self, mode="control", *, attachment=None, attempt=0, job=None, expires_in=60, nonce=None, secret=None,
        fence=None,
    ):  # fmt: skip
        """One for control gives control: its fence is newer than those before."""
        attachment = attachment or f"a{next(_numbers)}"
        if fence is None:
            fence = next(_numbers) if mode == "control" else 0
        value = ticket.Ticket(
            job=job or self.job,
            attempt=attempt,
            attachment=attachment,
            mode=mode,
            expires=int(time.time() + expires_in),
            nonce=nonce or os.urandom(8).hex(),
            fence=fence,
            who=f"{attachment} (test)" if fence else "",
        )
        return ticket.seal(value, secret or self.secret)

    def connect(self):
        sock = connected(self.socket)
        assert sock is not None, f"nobody listens on {self.socket}"
        self.rig.closers.append(sock.close)
        return sock

    def attach(self, mode="control", start=0, columns=0, rows=0, *, text=None, **of_ticket):
        link = Link(self.connect())
        text = text or self.ticket(mode, **of_ticket)
        link.send(link.half.hello(ticket=text, start=start, columns=columns, rows=rows))
        return link

    def coordinator(self, **options):
        return Coordinator(self.connect(), self, **options)

    def record(self, name=claim.EXIT):
        return claim.read(self.directory, name)

    def ended(self, timeout_s=DEADLINE_S):
        """exit.json, when it is there."""
        return self.rig.eventually(self.record, timeout_s, what="exit.json")

    def gone(self):
        """Wait for the runner's end."""
        self.rig.eventually(lambda: not self.is_running, what="the runner's end")

    @property
    def is_running(self):
        one = kin.look(self.runner_pid)
        return one is not None and one.started == self.answer.runner_started

    @property
    def process(self):
        return self.rig.eventually(lambda: self.record(claim.PROCESS), what="process.json")

    def read_log(self, offset=0):
        """All that can be read from an offset on, and the damage."""
        data, damaged = bytearray(), []
        with LogReader(claim.log_dir(str(self.job_dir))) as reader:
            while True:
                piece = reader.read(offset, bytes_max=1 << 20)
                data += piece.data
                damaged += piece.damaged
                if piece.next >= piece.end:
                    return bytes(data), damaged
                assert piece.next > offset
                offset = piece.next

    def kill_runner(self):
        one = kin.look(self.runner_pid)
        if one is not None and one.started == self.answer.runner_started:
            kin.send(one, signal.SIGKILL)


class Rig:
    """One parent and what it spawned."""

    def __init__(self, base, eventually):
        self.base = base
        self.eventually = eventually
        self.path = base / "p.sock"
        self.closers = []
        self.attempts = []
        self.parent = None
        (base / "r").mkdir(mode=0o700, exist_ok=True)

    def start_parent(self):
        self.parent = subprocess.Popen(
            command(sys.executable, SOURCE, str(self.path)),
            stdin=subprocess.DEVNULL,
            env={**os.environ, "HAWSE_DAEMON": "parent"},
        )
        self.eventually(lambda: self.parent.poll() is not None or self.is_served(), what="the parent's socket")

    def is_served(self):
        sock = connected(self.path)
        if sock is not None:
            sock.close()
        return sock is not None

    def ask(self, frame, timeout_s=DEADLINE_S):
        """Send bytes to the parent; the frames that it answers until it closes."""
        sock = connected(self.path)
        sock.settimeout(timeout_s)
        with sock:
            sock.sendall(frame)
            reader, frames = FrameReader(body_bytes_max=1 << 20), []
            while data := sock.recv(65536):
                frames += reader.feed(data)
            return frames

    def order(self, argv, *, tty=None, env=None, cwd="/tmp", **values):
        job = values.pop("job", f"job{os.getpid()}-{next(_numbers)}")
        base = {
            "job": job,
            "session": "s1",
            "attempt": 1,
            "incarnation": os.urandom(16).hex(),
            "umask": 0o22,
            "tty": {"columns": tty[0], "rows": tty[1]} if isinstance(tty, tuple) else tty,
            "secret": os.urandom(32).hex(),
            "job_dir": str(self.base / "jobs" / job),
            "socket": str(self.base / "r" / job),
            "grace_s": 5,
            "limits": {"linger_s": 0.2, "forget_s": 2, **values.pop("limits", {})},
        }
        base.update(values)
        environment = {os.fsencode(key): os.fsencode(value) for key, value in {**os.environ, **(env or {})}.items()}
        rest = {"argv": [os.fsencode(part) for part in argv], "env": environment, "cwd": os.fsencode(cwd)}
        return base, order.spawn(**rest, **base)

    def spawn(self, *argv, **values):
        """Start a command; returns its Attempt once it is claimed and its socket listens."""
        base, frame = self.order(argv, **values)
        frames = self.ask(frame)
        assert [kind for kind, _ in frames] == [terminal.SPAWNED], frames
        attempt = Attempt(self, base)
        attempt.frame = frame
        attempt.answer = order.parse_spawned(frames[0][1])
        self.attempts.append(attempt)
        return attempt

    def close(self):
        """End everything; fail when a runner met a bug of its own."""
        if self.parent is not None:
            self.parent.kill()
            self.parent.wait()
        for close in self.closers:
            close()
        for attempt in self.attempts:
            self._end(attempt)
        errors = [path.read_text() for path in self.base.glob("jobs/*/attempt-*/runner-errors.txt")]
        assert not errors, "a runner met a bug of its own:\n" + "\n".join(errors)

    def _end(self, attempt):
        if attempt.is_running:
            self.eventually(lambda: attempt.record(claim.PROCESS) or attempt.record(), what="the start")
        attempt.kill_runner()
        process = attempt.record(claim.PROCESS) or {"pid": 0, "started": 0, "cgroup": ""}
        for one in kin.of_job(
            attempt.job, main=process["pid"], main_started=process["started"], cgroup=process["cgroup"]
        ):
            kin.send(one, signal.SIGKILL)
        if path := process["cgroup"]:
            self.eventually(lambda: kin.remove_cgroup(path) or not os.path.exists(path), what=f"the end of {path}")


@pytest.fixture
def bare_rig(places, eventually):
    """A rig without a parent."""
    rig = Rig(places.base, eventually)
    yield rig
    rig.close()


@pytest.fixture
def rig(bare_rig):
    """A rig whose parent serves."""
    bare_rig.start_parent()
    return bare_rig


@pytest.fixture
def open_log(tmp_path):
    """Make a Log in a folder."""
    logs = []

    def make(
        directory=tmp_path, *, attempt=1, segment_bytes_max=64 * 1024, retain_bytes=0, on_full="block", room_bytes=0
    ):
        log = Log(
            str(directory),
            attempt=attempt,
            segment_bytes_max=segment_bytes_max,
            retain_bytes=retain_bytes,
            on_full=on_full,
            room_bytes=room_bytes,
        )
        logs.append(log)
        return log

    yield make
    for log in logs:
        log._close_segment()

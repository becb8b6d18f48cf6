"""A scripted runner on a Unix socket, and the job that leads to it: for links that break where a real one never
would.
"""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from hawse.client.find import Endpoint
from hawse.client.records import Admission, Chunk, JobInfo
from hawse.domain.errors import Problem
from hawse.wire import terminal
from hawse.wire.frame import FrameReader


def welcome(offset: int, end: int = 0) -> bytes:
    """WELCOME at an offset."""
    made = terminal.Welcome(
        job="j", attachment="a", mode="control", tty=False, offset=offset, end=end or offset, columns=80, rows=24
    )
    return terminal.welcome(made)


def exit_frame(code: int = 0) -> bytes:
    """EXIT with a code."""
    return terminal.message(terminal.EXIT, kind="exited", code=code)


class FakeRunner:
    """Each connection's HELLO is answered by the next function of the script: (hello) -> bytes; then the link
    closes.
    """

    def __init__(self, path: Path, script: list[Callable[[terminal.Hello], bytes]]) -> None:
        self.path = str(path)
        self.hellos: list[terminal.Hello] = []
        self.said: list[tuple[int, bytes]] = []
        self._script = list(script)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> "FakeRunner":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                reader = FrameReader(body_bytes_max=terminal.CLIENT_BODY_BYTES_MAX)
                frames: list[tuple[int, bytes]] = []
                while not frames:
                    frames = reader.feed(sock.recv(65536))
                hello = terminal.parse_hello(frames[0][1])
                self.hellos.append(hello)
                sock.sendall(self._script.pop(0)(hello))


class FakeJob:
    """What an attachment needs of a job: tickets while the script lasts, then the job has ended and its log is
    there.
    """

    class session:
        """Its name, and the way to its server."""

        name = "s"
        server = SimpleNamespace(transport=SimpleNamespace(endpoint=Endpoint("/", start="never", where=None)))

    def __init__(self, runner: FakeRunner, log: bytes = b"", *, links: int, outcome: dict | None = None) -> None:
        self.name = "job"
        self.id = "j"
        self.runner = runner
        self.log = log
        self.links = links
        self.is_over = False
        self.fenced: Problem | None = None  # what somebody who goes on after a broken link is told
        self.resumed: list[str | None] = []
        self.info = JobInfo({"id": "j", "name": "job", "state": "running"})
        self._outcome = outcome or {"kind": "exited", "code": 0}

    def refresh(self) -> JobInfo:
        """Whoever asks anew after the end is told of it."""
        self.info = JobInfo({"id": "j", "name": "job", "state": "ended", "outcome": self._outcome})
        return self.info

    def admission(
        self, mode: str, *, where: str = "", resume: str | None = None, policy: str | None = None
    ) -> Admission:
        self.resumed.append(resume)
        if resume is not None and self.fenced is not None:
            raise self.fenced
        ended = self.links == 0
        if ended:
            self.info = JobInfo({"id": "j", "name": "job", "state": "ended", "outcome": self._outcome})
        else:
            self.links -= 1
        raw = {"job": self.info.raw, "address": None if ended else self.runner.path, "ticket": "t"}
        if mode != "read" and not ended:
            raw["attachment"] = {"id": "a1", "mode": mode}
        return Admission(json.loads(json.dumps(raw)))

    def wait(self, timeout: float | None = None, *, until: str = "ended") -> JobInfo:
        if self.is_over:
            self.info = JobInfo({"id": "j", "name": "job", "state": "ended", "outcome": self._outcome})
        return self.info

    def logs(self, from_: int = 0):
        if self.log[from_:]:
            yield Chunk(from_, self.log[from_:])

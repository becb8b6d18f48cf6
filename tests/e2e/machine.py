"""One user's machine for a test: its coordinators, its command line, its REST, and what must be true in the end."""

import http.client
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hawse.runner import claim, kin

READY_S = 20.0
TIMEOUT_S = 60.0


class Http(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float = TIMEOUT_S) -> None:
        super().__init__("hawse", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)  # blocking: with a timeout a full queue would be an error at once
        self.sock.settimeout(self.timeout)


class Machine:
    """Coordinators one after another on the same state, each started as `hawse serve` is; killed by its own id."""

    def __init__(self, state: Path, runtime: Path, eventually: Callable[..., Any]) -> None:
        self.state = state
        self.runtime = runtime
        self.socket = str(runtime / "coordinator.sock")
        self.said = state.parent / "said"
        self.eventually = eventually
        self.environ: dict[str, Any] = {**os.environ, "NO_COLOR": "1"}
        self.process: subprocess.Popen[bytes] | None = None
        self.is_checked = True  # a test that damages the state on purpose sets False
        self._others: list[subprocess.Popen[Any]] = []

    # -- the coordinator ----------------------------------------------------------------------------------------------

    def launch(self, *words: str, environ: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a coordinator and do not wait."""
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hawse.daemons.coordinator", *words], stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, cwd="/", start_new_session=True, env={**self.environ, **(environ or {})},
            )  # fmt: skip
        return self.process

    def start(self, *words: str, environ: dict[str, str] | None = None, or_another: bool = False) -> "Machine":
        """Start a coordinator and wait until it answers. or_another: one that a command started meanwhile will do."""
        process = self.launch(*words, environ=environ)
        deadline = time.monotonic() + READY_S
        while not self.is_ready():
            assert or_another or process.poll() is None, f"it ended with {process.returncode}: {self.said.read_text()}"
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.01)
        return self

    def is_ready(self) -> bool:
        try:
            return self.ask("GET", "/healthz")[0] == 200
        except (OSError, http.client.HTTPException, ValueError):
            return False

    @property
    def pid(self) -> int:
        """The running coordinator's process, whoever started it."""
        return int((self.runtime / "coordinator.lock").read_text())

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the coordinator and wait until it has gone."""
        handle = os.pidfd_open(self.pid)
        try:
            signal.pidfd_send_signal(handle, number)
            assert select.select([handle], [], [], 20)[0], "it did not end"
        finally:
            os.close(handle)
        if self.process is not None:
            self.process.wait(20)
            self.process = None

    def restart(self) -> "Machine":
        """Kill it and start the next."""
        self.kill()
        return self.start()

    def stop(self) -> None:
        """End it in order."""
        self.kill(signal.SIGTERM)

    @property
    def parent_pid(self) -> int | None:
        """The process that listens as the runners' parent."""
        with socket.socket(socket.AF_UNIX) as link, suppress(OSError):
            link.connect(str(self.runtime / "parent.sock"))
            return int(struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
        return None

    def kill_parent(self) -> None:
        """SIGKILL to the runners' parent."""
        pid = self.parent_pid
        assert pid is not None
        end(pid)

    # -- REST ---------------------------------------------------------------------------------------------------------

    def ask(
        self, method: str, target: str, body: object = None, *, data: bytes | None = None, **headers: str
    ) -> tuple[int, Any]:
        """One request: status and decoded body (bytes when it is not JSON)."""
        link = Http(self.socket)
        try:
            given = data if data is not None else None if body is None else json.dumps(body).encode()
            link.request(method, target, given, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = link.getresponse()
            text = answer.read()
            kind = answer.getheader("content-type") or ""
            return answer.status, json.loads(text) if "json" in kind else text
        finally:
            link.close()

    def get(self, target: str) -> Any:
        """What a GET answers, with 200."""
        status, value = self.ask("GET", target)
        assert status == 200, f"GET {target}: {status} {value}"
        return value

    def new(self, alias: str, *argv: str, lease: str = "never", code: int = 201, **spec: Any) -> Any:
        """A session with one job."""
        status, value = self.ask("POST", "/v1/sessions", {"alias": alias, "lease": lease, "job": job(*argv, **spec)})
        assert status == code, f"{status} {value}"
        return value

    def run(self, session: str, *argv: str, code: int = 201, **spec: Any) -> Any:
        """A further job."""
        status, value = self.ask("POST", f"/v1/sessions/{session}/jobs", job(*argv, **spec))
        assert status == code, f"{status} {value}"
        return value

    def session(self, name: str) -> Any:
        return self.get(f"/v1/sessions/{name}")

    def job(self, session: str, name: str | None = None) -> Any:
        """A job of the session; its first one, when no name is given."""
        if name is None:
            return self.session(session)["jobs"][0]
        return self.get(f"/v1/sessions/{session}/jobs/{name}")

    def until(self, session: str, state: str = "ended", name: str | None = None) -> Any:
        """Wait until the job has started or ended; the job then."""
        name = name or self.job(session)["id"]
        return self.eventually(
            lambda: self._reached(self.get(f"/v1/sessions/{session}/jobs/{name}?wait_s=5&until={state}"), state),
            what=f"{session}/{name} {state}",
        )

    @staticmethod
    def _reached(found: Any, state: str) -> Any:
        return found if found["state"] == "ended" or (state == "started" and found["pid"] is not None) else None

    def log(self, session: str, name: str | None = None) -> bytes:
        """All that the job printed."""
        name = name or self.job(session)["id"]
        found, at = b"", 0
        while True:
            link = Http(self.socket)
            link.request("GET", f"/v1/sessions/{session}/logs/{name}?from={at}")
            answer = link.getresponse()
            data = answer.read()
            assert answer.status == 200, data
            found += data
            at = int(answer.getheader("hawse-log-next") or 0)
            link.close()
            if at >= int(answer.getheader("hawse-log-end") or 0):
                return found

    def events(self, session: str) -> list[Any]:
        """Its events, at most 1000."""
        found: list[Any] = self.get(f"/v1/sessions/{session}/events?limit=1000")["items"]
        return found

    def kinds(self, session: str) -> list[str]:
        return [event["kind"] for event in self.events(session)]

    def end(self, session: str, grace_s: float | None = None) -> Any:
        """End the session and wait until it has ended."""
        query = "" if grace_s is None else f"?grace_s={grace_s}"
        status, value = self.ask("DELETE", f"/v1/sessions/{session}{query}")
        assert status in (200, 202), value
        id = value["id"]
        self.eventually(lambda: self.session(id)["state"] == "ended", what=f"{session} ended")
        return self.session(id)

    # -- the command line ---------------------------------------------------------------------------------------------

    def hawse(self, *words: str, **settings: Any) -> subprocess.CompletedProcess[bytes]:
        """One command, to its end."""
        settings.setdefault("env", self.environ)
        if "input" not in settings:
            settings.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            [sys.executable, "-m", "hawse.cli", *words], capture_output=True, timeout=TIMEOUT_S, **settings
        )

    def out(self, *words: str, code: int = 0, **settings: Any) -> str:
        """What a command prints that ends with this code."""
        done = self.hawse(*words, **settings)
        assert done.returncode == code, f"hawse {words}: {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"
        return done.stdout.decode()

    def open(self, *words: str, **settings: Any) -> subprocess.Popen[bytes]:
        """One command in the background; ended with the test."""
        settings.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([sys.executable, "-m", "hawse.cli", *words], env=self.environ, **settings)
        self._others.append(process)
        return process

    # -- files and processes ------------------------------------------------------------------------------------------

    def folder(self, id: str) -> Path:
        return self.state / "jobs" / id

    def claimed(self, id: str, attempt: int = 1) -> dict[str, Any]:
        """What the claim of a job's attempt says."""
        found = claim.read(claim.attempt_dir(str(self.folder(id)), attempt), claim.CLAIM)
        assert found is not None
        return found

    def job_pid(self, id: str, attempt: int = 1) -> int:
        """The main process, as its runner wrote it down."""
        found = claim.read(claim.attempt_dir(str(self.folder(id)), attempt), claim.PROCESS)
        assert found is not None
        return int(found["pid"])

    def kill_runner(self, id: str, attempt: int = 1) -> None:
        end(self.claimed(id, attempt)["runner_pid"])

    def close(self) -> None:
        """End everything that this test started, each by its id."""
        for process in self._others:
            if process.poll() is None:
                process.kill()
            process.wait(20)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
        if not self.state.exists():
            return
        if self.is_ready():
            self._end_sessions()
            self.stop()
        elif self.process is not None:
            self.process.kill()
            self.process.wait(20)
        with suppress(AssertionError):
            self.eventually(lambda: not self._runners(), timeout_s=8)

    def _end_sessions(self) -> None:
        for session in self.get("/v1/sessions?limit=1000")["items"]:
            self.ask("DELETE", f"/v1/sessions/{session['id']}?grace_s=0")
        deadline = time.monotonic() + 15
        while self.get("/v1/status")["jobs"] and time.monotonic() < deadline:
            time.sleep(0.01)

    def _runners(self) -> list[int]:
        """The runners of this state that live."""
        found = []
        for path in self.state.glob("jobs/*/attempt-*/claim.json"):
            with suppress(OSError, ValueError):
                told = json.loads(path.read_text())
                one = kin.look(told["runner_pid"])
                if one is not None and one.started == told["runner_started"]:
                    found.append(one.pid)
        return found


def job(*argv: str, **spec: Any) -> dict[str, Any]:
    """A job as REST takes it."""
    environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    return {"argv": list(argv), "env": {**environ, **spec.pop("env", {})}, "cwd": "/", **spec}


def is_alive(pid: int) -> bool:
    """Does this process live? A zombie does not."""
    return kin.look(pid) is not None


def end(pid: int) -> None:
    """SIGKILL, and wait until it has gone."""
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        assert select.select([handle], [], [], 20)[0], f"process {pid} does not die"
    finally:
        os.close(handle)


def pids_in(path: Path) -> list[int]:
    """The whole lines of a file as process ids."""
    if not path.exists():
        return []
    return [int(line) for line in path.read_text().splitlines() if line.strip().isdecimal()]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """SIGSTOP for as long as the block lasts."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Feed:
    """Server-sent events over the raw socket, from a cursor, across breaks: exactly what a careful reader would do."""

    def __init__(self, path: str, session: str) -> None:
        self.path = path
        self.session = session
        self.seen: list[int] = []
        self.kinds: list[str] = []
        self.breaks = 0
        self._link: socket.socket | None = None
        self._rest = b""

    def read(self, timeout_s: float = 0.2) -> None:
        """Take what has come; connect (again) when there is no connection."""
        try:
            if self._link is None:
                self._connect()
            assert self._link is not None
            self._link.settimeout(timeout_s)
            data = self._link.recv(1 << 16)
        except TimeoutError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            self.breaks += 1
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                if "seq" in event:
                    self.seen.append(event["seq"])
                    self.kinds.append(event["kind"])

    def _connect(self) -> None:
        self._link = socket.socket(socket.AF_UNIX)
        self._link.connect(self.path)
        self._link.settimeout(10)
        last = self.seen[-1] if self.seen else 0
        self._link.sendall(
            f"GET /v1/sessions/{self.session}/events HTTP/1.1\r\nHost: hawse\r\nAccept: text/event-stream\r\n"
            f"Last-Event-ID: {last}\r\n\r\n".encode()
        )

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link, self._rest = None, b""

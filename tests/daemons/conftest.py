"""Real coordinators for tests: started as users start them, spoken to over their socket, ended by their process id."""

import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest


class Http(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float = 30) -> None:
        super().__init__("hawse", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Coordinator:
    """One coordinator process after another, on the same state."""

    def __init__(self, base: Path) -> None:
        self.state = Path(os.environ["HAWSE_STATE_DIR"])
        self.runtime = Path(os.environ["HAWSE_RUNTIME_DIR"])
        self.socket = str(self.runtime / "coordinator.sock")
        self.process: subprocess.Popen[str] | None = None
        self.said = base / "said"

    def start(self, *words: str) -> "Coordinator":
        """Start and wait until it answers."""
        self.launch(*words)
        deadline = time.monotonic() + 20
        while not self.is_ready():
            assert self.process is not None
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.said.read_text()}"
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.01)
        return self

    def launch(self, *words: str) -> "subprocess.Popen[str]":
        """Start it and do not wait."""
        with open(self.said, "w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hawse.daemons.coordinator", *words],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd="/",
                start_new_session=True,
                text=True,
            )
        return self.process

    def is_ready(self) -> bool:
        try:
            return self.ask("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def ask(self, method: str, target: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """One request: status and decoded body."""
        link = Http(self.socket)
        try:
            link.request(method, target, None if body is None else json.dumps(body), headers)
            answer = link.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            link.close()

    def signal(self, number: int) -> int:
        """Send a signal and wait for the end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def stop(self) -> int:
        return self.signal(signal.SIGTERM)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def log(self) -> list[dict[str, Any]]:
        """Its log, read once it has ended."""
        lines = (self.state / "coordinator.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def close(self) -> None:
        """End everything that was started here, each by its id."""
        if self.process is not None and self.process.poll() is None:
            status, page = self.ask("GET", "/v1/sessions?limit=1000") if self.is_ready() else (0, {})
            if status == 200:  # else its store is gone already
                for session in page["items"]:
                    self.ask("DELETE", f"/v1/sessions/{session['id']}?grace_s=0")
                deadline = time.monotonic() + 10
                while self.ask("GET", "/v1/status")[1]["jobs"] and time.monotonic() < deadline:
                    time.sleep(0.02)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self._end_parent()

    def _end_parent(self) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.runtime / "parent.sock"))
            told = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            pid = struct.unpack("3i", told)[0]
            handle = os.pidfd_open(pid)
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            os.close(handle)


@pytest.fixture
def coordinator(places: Any) -> Iterator[Coordinator]:
    """Not started yet."""
    made = Coordinator(places.base)
    try:
        yield made
    finally:
        made.close()

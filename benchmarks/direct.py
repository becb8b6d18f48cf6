"""Runners without a coordinator: a parent, spawn orders, tickets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hawse.runner.parent import command
from hawse.wire import order, terminal
from hawse.wire.frame import FrameReader

SECRET = b"s" * 32


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals wait: what was started is known by its id before anything else happens."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGHUP, signal.SIGINT))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock() -> None:
    """In a child: its own signals reach it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGHUP, signal.SIGINT))


class Direct:
    """A parent of our own and its runners."""

    def __init__(self, place: Path, environment: dict[str, str]) -> None:
        self.place = place
        self.environment = environment
        self.runners: dict[str, int] = {}
        (place / "r").mkdir(mode=0o700)
        source = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")
        with uninterrupted():
            self.parent = subprocess.Popen(
                command(sys.executable, source, str(place / "p")),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**environment, "HAWSE_DAEMON": "parent"},
                preexec_fn=unblock,
            )
        try:
            deadline = time.monotonic() + 10
            while not (place / "p").exists():
                if time.monotonic() > deadline:
                    raise TimeoutError("the runners' parent did not start")
                time.sleep(0.005)
        except BaseException:
            self.close()
            raise

    def spawn(self, job: str, argv: list[str], *, columns: int, rows: int) -> None:
        """Start a job on a terminal. Raises RuntimeError."""
        frame = order.spawn(
            argv=[os.fsencode(part) for part in argv],
            cwd=os.fsencode(self.place),
            env={os.fsencode(key): os.fsencode(value) for key, value in self.environment.items()},
            job=job,
            session="s",
            attempt=1,
            incarnation="ab" * 16,
            umask=0o22,
            tty={"columns": columns, "rows": rows},
            secret=SECRET.hex(),
            job_dir=str(self.place / "jobs" / job),
            socket=str(self.place / "r" / job),
            grace_s=1,
            limits={"linger_s": 0.1, "forget_s": 0.1},
        )
        reader = FrameReader(body_bytes_max=1 << 20)
        with uninterrupted(), socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.place / "p"))
            sock.sendall(frame)
            frames: list[tuple[int, bytes]] = []
            while data := sock.recv(65536):
                frames += reader.feed(data)
            if [kind for kind, _ in frames] != [terminal.SPAWNED]:
                raise RuntimeError(f"the runner was not started: {frames}")
            self.runners[job] = order.parse_spawned(frames[0][1]).runner_pid

    def end_jobs(self) -> None:
        """End all jobs at once and wait for their runners."""
        for pid in self.runners.values():  # SIGTERM: stop the job in order
            _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while self.runners and time.monotonic() < deadline:
            self.runners = {job: pid for job, pid in self.runners.items() if os.path.exists(f"/proc/{pid}")}
            time.sleep(0.05)

    def close(self) -> None:
        """End the parent and the runners; runners end by themselves when their jobs have."""
        self.parent.kill()
        self.parent.wait()
        for pid in self.runners.values():
            _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass

"""Running a program for a notice: bounded in time and in what it may say, and gone with all it started.

Not asyncio's own subprocess: that waits for the end of a pipe which a child left in the background may hold for ever.
Here the program's end is what its pidfd tells, its input is a file in memory that it need not read, and of its output
the end is kept.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from hawse.domain.errors import Unavailable

SAID_BYTES_MAX = 300  # of what it says, for the cause; the rest is read and dropped
READ_BYTES = 64 * 1024
GRACE_S = 1.0  # for the kernel to take away what was killed
# What of the coordinator's own environment a program may need to find its way; nothing that may hold a secret.
KEPT = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER", "XDG_RUNTIME_DIR")


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The few variables that every program gets, and these."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | dict(more)


async def run(argv: Sequence[str], *, env: Mapping[str, str], data: bytes = b"", timeout_s: float) -> None:
    """Run it in a session of its own, with `data` on stdin; it has to end with 0 in time.

    Raises Unavailable with how it ended and the end of what it said. However this ends, also if cancelled, its process
    group is killed.
    """
    with _streams(data) as (given, heard, said):
        process = _started(argv, env, given, said)
        os.close(said)
        output = _Output(heard)
        try:
            async with asyncio.timeout(timeout_s):
                await _ended(process.pid)
        except TimeoutError:
            raise Unavailable(f"{argv[0]} did not end within {timeout_s:g} s") from None
        finally:
            output.close()
            await _killed(process)
    code = process.returncode or 0
    if code != 0:
        how = f"ended with {code}" if code > 0 else f"was killed by signal {-code}"
        raise Unavailable(f"{argv[0]} {how}" + (f": {output.text}" if output.text else ""))


@contextmanager
def _streams(data: bytes) -> Iterator[tuple[int, int, int]]:
    """A file in memory with the data, and a pipe's two ends; the second end is closed by who has handed it on."""
    given = os.memfd_create("notice")
    heard, said = os.pipe()
    try:
        with os.fdopen(os.dup(given), "wb") as file:
            file.write(data)
        os.lseek(given, 0, os.SEEK_SET)
        os.set_blocking(heard, False)
        yield given, heard, said
    finally:
        for fd in (given, heard):
            os.close(fd)


def _home(env: Mapping[str, str]) -> str:
    """Where it runs: a service may have no home folder."""
    home = env.get("HOME", "/")
    return home if os.path.isdir(home) else "/"


def _started(argv: Sequence[str], env: Mapping[str, str], given: int, said: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv), stdin=given, stdout=said, stderr=said, env=env, cwd=_home(env), start_new_session=True
        )
    except (OSError, ValueError) as error:
        os.close(said)
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unavailable(f"{argv[0]} cannot be started: {words}") from error


class _Output:
    """The end of what comes through a pipe."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._kept = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        self._kept = (self._kept + data)[-4 * SAID_BYTES_MAX :]
        if not data:
            self._loop.remove_reader(self._fd)

    def close(self) -> None:
        """Take what is there; who may still write is not waited for."""
        self._read()
        self._loop.remove_reader(self._fd)

    @property
    def text(self) -> str:
        """On one line, without what would draw on a terminal."""
        words = " ".join(self._kept.decode("utf-8", "replace").split())
        return "".join(c for c in words if c.isprintable())[-SAID_BYTES_MAX:]


async def _ended(pid: int) -> None:
    """Wait until the process has ended. It is not reaped by this."""
    loop, pidfd = asyncio.get_running_loop(), os.pidfd_open(pid)
    over: asyncio.Future[None] = loop.create_future()
    done: Callable[[], None] = lambda: None if over.done() else over.set_result(None)  # noqa: E731
    loop.add_reader(pidfd, done)
    try:
        await over
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


async def _killed(process: subprocess.Popen[bytes]) -> None:
    """The whole group, and the program reaped. A child that went to a session of its own is its own master."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await _ended(process.pid)
        process.poll()

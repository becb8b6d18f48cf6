"""The ssh process that carries one link.

It stays in our process group, so that it can ask for a password on the terminal; INT, QUIT and HUP are ignored for it,
since it is the end of its input that ends it, after the last byte has left. It is never waited for in the hot path:
what it says is kept in a sealed memory file, and who has ended is reaped when the next one comes or goes.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket

from hawse.client.ssh_says import explained
from hawse.domain.errors import Broken, Problem, Unavailable
from hawse.wire.errors import Malformed
from hawse.wire.proxy import PROTOCOL, Greeting, GreetingReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.ssh import Place

SAID_BYTES_MAX = 64 * 1024  # of ssh's standard error
EXIT_S_MAX = 5.0  # from the end of ssh's output to its exit code
LEAVING_MAX = 64  # children that have not ended yet; then the oldest is waited for
_TERMINALS = ("/dev/tty", "/dev/pts/", "/dev/console")
_QUIETLY = 'trap "" INT QUIT HUP; exec "$@"'


class Tunnel:
    """One running ssh. socket: our end. greeting: what the far proxy said first, once feed() has seen it."""

    __slots__ = ("_reader", "_said", "greeting", "pid", "place", "socket")

    def __init__(self, place: Place, argv: list[str]) -> None:
        """argv[0]: an absolute path. Raises Unavailable."""
        self.place = place
        self.greeting: Greeting | None = None
        self._reader = GreetingReader()
        self._said = -1
        ours, theirs = socket.socketpair()
        try:
            self._said = _sealed_file()
            actions = [
                (os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate((theirs.fileno(), theirs.fileno(), self._said))
            ]
            words = ["sh", "-c", _QUIETLY, "hawse-ssh", *argv]
            self.pid = os.posix_spawn(
                "/bin/sh", words, os.environb, file_actions=actions, setsigmask=[], setsigdef=[signal.SIGPIPE]
            )
        except OSError as error:
            ours.close()
            self._close_said()
            raise Unavailable(f"ssh could not be started: {error.strerror}") from error
        finally:
            theirs.close()
        self.socket = ours
        _reap()

    def feed(self, data: bytes) -> None:
        """What came. Raises Broken for what is no proxy."""
        try:
            self.greeting = self._reader.feed(data)
        except Malformed as error:
            raise Broken(
                f"what answers on {self.place} is no hawse proxy: {error}",
                next_step=f"ssh {self.place.login} hawse proxy",
            ) from error
        if self.greeting is not None and self.greeting.protocol != PROTOCOL:
            older = self.greeting.protocol < PROTOCOL
            raise Broken(
                f"hawse on {self.place} is version {self.greeting.version} and speaks protocol"
                f" {self.greeting.protocol} over ssh; this one speaks {PROTOCOL}",
                next_step=f"update hawse {'there' if older else 'here'}",
            )

    def expect_another(self) -> None:
        """The next greeting answers what was said since the first."""
        self.greeting = None
        self._reader = GreetingReader()

    @property
    def rest(self) -> bytes:
        """What came behind the greeting."""
        return self._reader.rest

    def failure(self) -> Problem:
        """Why it ended before it greeted. Waits a moment for its exit code."""
        code = _exit_code(self.pid, EXIT_S_MAX)
        return explained(self.place, code, self.said(), self._reader.noise.decode("utf-8", "replace"))

    def said(self) -> str:
        """What ssh, and the far side's standard error, said so far."""
        return (
            os.pread(self._said, SAID_BYTES_MAX, 0).rstrip(b"\0").decode("utf-8", "replace") if self._said >= 0 else ""
        )

    @property
    def asks(self) -> bool:
        """Does ssh, or a program that it started, have the terminal open? Then what is typed is meant for it."""
        return self.pid > 0 and _has_terminal(self.pid)

    def kill(self) -> None:
        """End ssh now: it may be asking somebody for a password that nobody waits for any more."""
        if self.pid > 0 and self.pid not in _ended:
            try:
                os.kill(self.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        self.release()

    def release(self) -> None:
        """Our end is closed: ssh ends by itself, once the last byte has left. Safe to call twice."""
        self._close_said()
        if self.pid > 0:
            pid, self.pid = self.pid, 0
            if _ended.pop(pid, None) is None:
                _leaving.append(pid)
            _reap()

    def _close_said(self) -> None:
        if self._said >= 0:
            os.close(self._said)
            self._said = -1


_leaving: list[int] = []  # children that nobody needs any more, to be reaped when they have ended
_ended: dict[int, int] = {}  # exit codes of those that were reaped while somebody still held their tunnel


def _reap() -> None:
    """Take the exit codes of those that have ended; wait for the oldest when there are too many."""
    for pid in list(_leaving):
        if _exit_code(pid, EXIT_S_MAX if len(_leaving) > LEAVING_MAX else 0.0) is not None:
            _ended.pop(pid, None)
            try:
                _leaving.remove(pid)
            except ValueError:
                pass  # another thread was first


def _exit_code(pid: int, wait_s: float) -> int | None:
    """A child's exit code, minus its signal, or None: it has not ended within wait_s."""
    if pid in _ended:
        return _ended[pid]
    try:
        handle = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(wait_s * 1000):
                return None
        finally:
            os.close(handle)
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
    except (ProcessLookupError, ChildProcessError):
        return _ended.setdefault(pid, -1)  # somebody else took its code
    if found is None:
        return None
    return _ended.setdefault(pid, found.si_status if found.si_code == os.CLD_EXITED else -found.si_status)


def _has_terminal(pid: int) -> bool:
    """Has it, or a child of it, opened a terminal? What cannot be looked into might have. Source: proc(5)."""
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{fd}").startswith(_TERMINALS):
                    return True
            except FileNotFoundError:
                pass  # it was closed meanwhile
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError:
        return True
    return any(map(_has_terminal, children))


def _sealed_file() -> int:
    """A file in memory that cannot grow: what does not fit is lost, and nobody ever waits for a reader."""
    made = os.memfd_create("hawse-ssh", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(made, SAID_BYTES_MAX)
    fcntl.fcntl(made, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return made

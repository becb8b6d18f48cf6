"""The runner's listening socket: how long who comes in may be silent, how many may wait.

Who can connect is the file system's to say (the socket's mode and folder), and who is let in the ticket's.

A connection is an entry until its first frame says what it is. Entries cost little, are few, and go by themselves.
"""

from __future__ import annotations

import os
import socket

from hawse.runner.connection import Connection
from hawse.runner.control import Entry
from hawse.runner.loop import IN
from hawse.wire import terminal
from hawse.wire.errors import Malformed, WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hawse.runner.limits import Limits
    from hawse.runner.loop import Loop, Timer
    from hawse.wire.order import Order

BACKLOG = 128
ACCEPTS_PER_TURN = 32


def listen(path: str) -> socket.socket:
    """A listening Unix socket at `path`, mode 0600, or 0660 where the umask gives files to the folder's group; an older
    one there is replaced. Raises OSError.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    aside = f"{os.path.dirname(path)}/~{os.getpid():x}"  # short: sun_path has 107 bytes
    try:
        try:
            os.unlink(aside)
        except FileNotFoundError:
            pass
        mask = os.umask(0o177)
        if not mask & 0o070:
            os.umask(0o117)
        try:
            sock.bind(aside)
        finally:
            os.umask(mask)
        sock.listen(BACKLOG)
        os.rename(aside, path)
    except OSError:
        sock.close()
        raise
    return sock


class Door:
    """Accepts, waits for the first word, hands over.

    client: called with (connection, HELLO's body). coordinator: called with a connection that proved itself.
    """

    def __init__(
        self, sock: socket.socket, path: str, loop: Loop, limits: Limits, order: Order, *,
        client: Callable[[Connection, bytes], None], coordinator: Callable[[Connection], None],
    ) -> None:  # fmt: skip
        self.sock = sock
        self.path = path
        self.loop = loop
        self.limits = limits
        self.order = order
        self._client = client
        self._coordinator = coordinator
        self._entries: dict[Connection, Timer] = {}
        self._inode = os.stat(path).st_ino
        loop.watch(sock.fileno(), IN, self._accept)

    def _accept(self, events: int) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, _ = self.sock.accept()
            except BlockingIOError:
                return
            except OSError:  # out of descriptors: the oldest silent one gives its own
                if not self._entries:
                    return
                self._cut(next(iter(self._entries)), "busy", "too many connections")
                continue
            self._enter(sock)

    def _enter(self, sock: socket.socket) -> None:
        if len(self._entries) >= self.limits.entries_max:
            self._cut(next(iter(self._entries)), "busy", "too many connections that say nothing; this was the oldest")
        connection = Connection(
            sock, self.loop,
            body_bytes_max=terminal.ENTRY_BODY_BYTES_MAX, queue_bytes_max=int(self.limits.queue_bytes_max),
        )  # fmt: skip
        connection.frames = lambda kind, body: self._first(connection, kind, body)
        connection.lost = lambda error: self._leave(connection, error)
        timer = self.loop.after(
            self.limits.entry_s,
            lambda: self._cut(connection, "silent", f"nothing was said for {self.limits.entry_s:g} s"),
        )
        self._entries[connection] = timer

    def _first(self, connection: Connection, kind: int, body: bytes) -> None:
        if kind == terminal.HELLO:
            self._forget(connection)
            self._client(connection, body)
        elif kind == terminal.CONTROL:
            entry = Entry(connection, self.order, body)
            connection.frames = lambda kind, body: self._second(entry, kind, body)
            connection.say(entry.challenge())
        else:
            raise Malformed("the first frame must be HELLO or CONTROL")

    def _second(self, entry: Entry, kind: int, body: bytes) -> None:
        if kind != terminal.PROOF or not entry.is_proven(body):
            raise Malformed("the proof does not fit: another secret, job or attempt")
        self._forget(entry.connection)
        self._coordinator(entry.connection)

    def _leave(self, connection: Connection, error: Exception | None) -> None:
        if isinstance(error, WireError):
            connection.say(terminal.error(error.code, str(error)))
        self._forget(connection)

    def _cut(self, connection: Connection, code: str, detail: str) -> None:
        connection.say(terminal.error(code, detail))
        self._forget(connection)
        connection.close()

    def _forget(self, connection: Connection) -> None:
        timer = self._entries.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Listen no more; remove the socket's name if it is still ours."""
        self.loop.forget(self.sock.fileno())
        self.sock.close()
        for connection in list(self._entries):
            self._cut(connection, "ended", "the job has ended")
        try:
            if os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        except OSError:
            pass

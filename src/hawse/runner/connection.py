"""One socket of a runner: frames in, frames out, never more than a bounded rest kept.

A Connection knows nothing of what the frames mean: door, attachment and control link do.
"""

from __future__ import annotations

import time

from hawse.runner.loop import HANGUP, IN, OUT
from hawse.wire.errors import WireError
from hawse.wire.frame import FrameReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from hawse.runner.loop import Loop

READ_BYTES = 64 * 1024


class Connection:
    """A non-blocking socket with a frame reader.

    frames: called with each frame (type, body). lost: called once, when the peer is gone or misbehaves, with the error
    or None. more: called when everything said has left; it says what comes next, if anything.
    """

    def __init__(self, sock: socket.socket, loop: Loop, *, body_bytes_max: int, queue_bytes_max: int) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.fd = sock.fileno()
        self.loop = loop
        self.reader = FrameReader(body_bytes_max=body_bytes_max)
        self.queue_bytes_max = queue_bytes_max
        self.frames: Callable[[int, bytes], None] = _ignore
        self.raw: Callable[[bytes], bool] | None = None  # the short way for whole reads; False: parse it
        self.lost: Callable[[Exception | None], None] = _ignore_loss
        self.more: Callable[[], None] | None = None
        self.stuck: Callable[[], None] | None = None  # called when something said has to wait
        self.unsent: memoryview | None = None
        self.queue: list[bytes] = []
        self.queue_bytes = 0
        self.is_open = True
        self.progress_at = 0.0
        self._losing = False
        self._mask = 0
        self._reading = True
        self._writing = False
        self._watch()

    def _watch(self) -> None:
        mask = HANGUP | (IN if self._reading else 0) | (OUT if self._writing else 0)
        if mask != self._mask and self.is_open:
            self._mask = mask
            self.loop.watch(self.fd, mask, self._ready)

    def read_on(self, reading: bool) -> None:
        """Take, or do not take, what the peer says. What it says stays in the kernel, and then in the peer."""
        self._reading = reading
        self._watch()

    def write_on(self, writing: bool) -> None:
        """Tell, or do not tell, when the peer takes more."""
        self._writing = writing
        self._watch()

    def _ready(self, events: int) -> None:
        if events & IN and self._reading:
            self._read()
        elif events & HANGUP:
            self._lose(None)
        if events & OUT and self.is_open:
            self.flush()

    def _read(self) -> None:
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if not data:
            self._lose(None)
            return
        self.received(data)

    def received(self, data: bytes) -> None:
        """What the peer said."""
        raw = self.raw
        if raw is not None and not self.reader.pending_bytes and raw(data):
            return
        try:
            for kind, body in self.reader.feed(data):
                self.frames(kind, body)
                if not self.is_open:
                    return
            if self.reader.error is not None:
                raise self.reader.error
        except WireError as error:
            self._lose(error)

    def say(self, data: bytes) -> None:
        """Send a whole frame now, or keep it. A peer that takes nothing and asks for much is cut."""
        if not self.is_open:
            return
        if self.unsent is None and not self.queue:
            sent = self._send(data)
            if sent < len(data) and self.is_open:
                self.unsent = memoryview(data)[sent:]
                self.write_on(True)
                if self.stuck is not None:
                    self.stuck()
            return
        self.queue.append(data)
        self.queue_bytes += len(data)
        if self.queue_bytes > self.queue_bytes_max:
            self._lose(None)

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._lose(error)
            return 0

    def flush(self) -> None:
        """Send what was kept; then ask for more."""
        while self.is_open:
            if self.unsent is None:
                if not self.queue:
                    break
                data = self.queue.pop(0)
                self.queue_bytes -= len(data)
                self.unsent = memoryview(data)
            sent = self._send(self.unsent)
            if sent < len(self.unsent):
                if self.is_open:
                    self.unsent = self.unsent[sent:]
                    self.write_on(True)
                    self.progressed(sent)
                return
            self.unsent = None
            self.progressed(sent)
        if self.is_open:
            if self.more is not None:
                self.more()
            else:
                self.write_on(False)

    def progressed(self, sent: int) -> None:
        """Note when something went out, for those who watch for stalls."""
        if sent:
            self.progress_at = time.monotonic()

    def _lose(self, error: Exception | None) -> None:
        if self.is_open and not self._losing:
            self._losing = True
            self.lost(error)
            self.close()

    def close(self) -> None:
        """Close the socket. Safe to repeat."""
        if self.is_open:
            self.is_open = False
            self.loop.forget(self.fd)
            self.sock.close()
            self.queue.clear()
            self.unsent = None

    @property
    def is_idle(self) -> bool:
        """Has everything said so far left?"""
        return self.unsent is None and not self.queue


def _ignore(kind: int, body: bytes) -> None:
    return None


def _ignore_loss(error: Exception | None) -> None:
    return None

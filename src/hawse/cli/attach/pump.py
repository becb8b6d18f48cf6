"""The hot loop of an attachment: typed bytes to the runner, output to the terminal, until somebody must decide.

Per keystroke: poll, read, send; poll, receive, write. It knows frames, the detach key and modes; everything else (a new
link, a new size, the job's end) is an event for its owner, who calls run() again. It has no other state than what
stands here, so a compiled twin may replace it.

The socket never blocks it: what the runner does not take waits in `_unsent`, and typing is not read meanwhile. Writing
to the terminal may block (somebody pressed Ctrl-S); a signal handler may then raise to get out.
"""

from __future__ import annotations

import os
import select
import socket
from struct import Struct

from hawse.cli.attach.keys import DETACH, TYPED, Keys
from hawse.cli.attach.modes import Modes
from hawse.wire.frame import HEADER_BYTES
from hawse.wire.terminal import (
    CLIENT_BODY_BYTES_MAX,
    OUTPUT,
    OUTPUT_HEADER_BYTES,
    RESTORE,
    SERVER_BODY_BYTES_MAX,
    STDERR,
    input_frames,
)

RECEIVE_BYTES = 256 * 1024
TYPE_BYTES = 16 * 1024
_IN, _OUT, _GONE = select.POLLIN, select.POLLOUT, select.POLLHUP | select.POLLERR | select.POLLNVAL
_NOBODY = -9
_HEADER = Struct(">IB")
_OFFSET = Struct(">QB")

# Events beyond the frame types of wire.terminal, which are all positive.
LINK_GONE, INPUT_GONE, OUTPUT_GONE, WOKEN, KEY_DETACH, KEY_HELP, NONSENSE, TIMEOUT = -1, -2, -3, -4, -5, -6, -7, -8
_OF_USER = (INPUT_GONE, OUTPUT_GONE, WOKEN, KEY_DETACH, KEY_HELP)  # these outlast a link


class Pump:
    """input_fd: -1 when nothing is typed. wake_fd: readable when a signal came. offset: of the next output byte."""

    __slots__ = (
        "_buffer", "_events", "_has_more", "_listens", "_poll", "_socket_fd", "_unsent", "error_fd",
        "input_fd", "keys", "modes", "offset", "output_fd", "sends_input", "sock", "wake_fd",
    )  # fmt: skip

    def __init__(
        self, *, input_fd: int, output_fd: int, error_fd: int, wake_fd: int, keys: Keys, modes: Modes | None,
        sends_input: bool = True,
    ) -> None:  # fmt: skip
        self.input_fd = input_fd
        self.output_fd = output_fd
        self.error_fd = error_fd
        self.wake_fd = wake_fd
        self.keys = keys
        self.modes = modes
        self.sends_input = sends_input
        self.offset = 0
        self.sock: socket.socket | None = None
        self._socket_fd = -1
        self._buffer = b""
        self._unsent = b""
        self._listens = True
        self._has_more = False
        self._events: list[tuple[int, bytes]] = []
        self._poll = select.poll()

    def link(self, sock: socket.socket | None) -> None:
        """Use this link from now on; None: there is none, only keys and signals count.

        Nothing typed is sent before welcomed(): until then the runner takes no more than a few KiB.
        """
        self.sock = sock
        self._socket_fd = -1 if sock is None else sock.fileno()
        self._buffer = self._unsent = b""
        self._has_more = False
        self._events = [event for event in self._events if event[0] in _OF_USER]
        self._listens = sock is None
        self._watch()

    def welcomed(self) -> None:
        """The runner let us in: what is typed may go to it."""
        self._listens = True
        self._watch()

    def close_input(self) -> None:
        """Nothing more is typed."""
        self.input_fd = -1
        self._watch()

    def _watch(self) -> None:
        """Poll what counts now. While the runner does not take what was typed, nothing more is read."""
        self._poll = select.poll()
        self._poll.register(self.wake_fd, _IN)
        if self._socket_fd >= 0:
            self._poll.register(self._socket_fd, _IN | _OUT if self._unsent else _IN)
        if self.input_fd >= 0 and self._listens and not self._unsent:
            self._poll.register(self.input_fd, _IN)

    def send(self, frames: bytes) -> None:
        """Say something to the runner, in order with what is typed. Without a link it goes nowhere."""
        if self.sock is None:
            return
        if self._unsent:
            self._unsent += frames
            return
        try:
            sent = self.sock.send(frames, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # receiving will tell that the link is gone
        if sent < len(frames):
            self._unsent = frames[sent:]
            self._watch()

    def run(self, timeout_s: float | None = None) -> tuple[int, bytes]:
        """Move bytes until an event: a frame that is not output (type, body), or one of the negative events."""
        timeout_ms = None if timeout_s is None else max(0, int(timeout_s * 1000))
        while True:
            if self._events:
                return self._events.pop(0)
            if self._has_more:
                self._has_more = False
                self._received(self._buffer)
                continue
            for fd, mask in self._poll.poll(timeout_ms) or ((_NOBODY, 0),):
                if fd == self._socket_fd:
                    self._socket_ready(mask)
                elif fd == self.input_fd:
                    self._typed()
                elif fd == self.wake_fd:
                    self._events.append((WOKEN, os.read(fd, 256)))
                else:
                    self._events.append((TIMEOUT, b""))

    # -- from the runner ----------------------------------------------------------------------------------------------

    def _socket_ready(self, mask: int) -> None:
        assert self.sock is not None
        if mask & _OUT and self._unsent:
            frames, self._unsent = self._unsent, b""
            self._watch()
            self.send(frames)
        if not mask & (_IN | _GONE):
            return
        try:
            data = self.sock.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._gone(LINK_GONE)
            return
        self._received(self._buffer + data if self._buffer else data)

    def _received(self, data: bytes) -> None:
        view = memoryview(data)
        at, have = 0, len(data)
        while have - at >= HEADER_BYTES:
            length, kind = _HEADER.unpack_from(data, at)
            if length > SERVER_BODY_BYTES_MAX:
                self._gone(NONSENSE)
                return
            end = at + HEADER_BYTES + length
            if end > have:
                break
            body = view[at + HEADER_BYTES : end]
            at = end
            if kind == OUTPUT and length >= OUTPUT_HEADER_BYTES:
                offset, source = _OFFSET.unpack_from(body)
                self._show(body[OUTPUT_HEADER_BYTES:], self.error_fd if source == STDERR else self.output_fd)
                self.offset = offset + length - OUTPUT_HEADER_BYTES
            elif kind == RESTORE:
                self._show(body, self.output_fd)
            else:  # what comes behind it waits: the owner may change what it means
                self._events.append((kind, bytes(body)))
                self._has_more = True
                break
        self._buffer = data[at:]

    def _show(self, data: memoryview, fd: int) -> None:
        if self.modes is not None:
            self.modes.see(data)
        try:
            done = os.write(fd, data)
            while done < len(data):
                done += os.write(fd, data[done:])
        except OSError:
            self._events.append((OUTPUT_GONE, b""))

    def _gone(self, event: int) -> None:
        self._socket_fd = -1
        self._unsent = b""
        self._watch()
        self._events.append((event, b""))

    # -- from the user ------------------------------------------------------------------------------------------------

    def _typed(self) -> None:
        try:
            data = os.read(self.input_fd, TYPE_BYTES)
        except OSError:  # EIO: the window was closed
            data = b""
        if not data:
            self.close_input()
            self._events.append((INPUT_GONE, b""))
            return
        if self.keys.is_plain(data):
            if self.sends_input:
                self.send(input_frames(data))
            return
        for action, typed in self.keys.feed(data):
            if action == TYPED:
                if self.sends_input:
                    self.send(input_frames(typed))
            else:
                self._events.append((KEY_DETACH if action == DETACH else KEY_HELP, b""))


assert TYPE_BYTES <= CLIENT_BODY_BYTES_MAX

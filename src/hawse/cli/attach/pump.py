"""The hot loop of an attachment: typed bytes to the runner, output to the terminal, until somebody must decide.

Per keystroke: poll, read, send; poll, receive, write. It knows frames, the detach key and modes; everything else (a new
link, a new size, the job's end) is an event for its owner, who calls run() again. It has no other state than what
stands here, so a compiled twin may replace it.

The socket never blocks it: what the runner does not take waits in `_unsent`. Where there is a detach key the terminal
is read on meanwhile, since the key may stand behind a paste: up to `unsent_bytes_max` wait, and what is typed beyond,
until all of them are taken, goes nowhere, is counted in `lost` and told as an event. Where there is none (a pipe)
nothing is read as long as anything waits. Writing to the terminal may block (somebody pressed Ctrl-S); a signal handler
may then raise to get out.
"""

from __future__ import annotations

import os
import select
import socket
from struct import Struct

from hawse.cli.attach.keys import DETACH, HELP, TAKE, TYPED, Keys
from hawse.cli.attach.modes import Modes
from hawse.wire.frame import HEADER_BYTES
from hawse.wire.terminal import (
    CLIENT_BODY_BYTES_MAX,
    INPUT,
    OUTPUT,
    OUTPUT_HEADER_BYTES,
    RESTORE,
    SERVER_BODY_BYTES_MAX,
    STDERR,
    input_frames,
)

RECEIVE_BYTES = 256 * 1024
TYPE_BYTES = 16 * 1024
UNSENT_BYTES_MAX = 4 * 1024 * 1024  # a paste that nobody reads; more than anybody has typed
_IN, _OUT, _GONE = select.POLLIN, select.POLLOUT, select.POLLHUP | select.POLLERR | select.POLLNVAL
_NOBODY = -99
_HEADER = Struct(">IB")
_OFFSET = Struct(">QB")

# Events beyond the frame types of wire.terminal, which are all positive.
LINK_GONE, INPUT_GONE, OUTPUT_GONE, WOKEN, KEY_DETACH, KEY_HELP, NONSENSE, TIMEOUT = -1, -2, -3, -4, -5, -6, -7, -8
INPUT_FULL, INPUT_TAKEN = -9, -10  # what is typed goes nowhere from now on; all that waited is taken, typing counts
KEY_TAKE = -11
_KEYS = {DETACH: KEY_DETACH, TAKE: KEY_TAKE, HELP: KEY_HELP}
_OF_USER = frozenset(
    {INPUT_GONE, OUTPUT_GONE, WOKEN, KEY_DETACH, KEY_TAKE, KEY_HELP, INPUT_FULL, INPUT_TAKEN}
)  # these outlast a link


class Pump:
    """input_fd: -1 when nothing is typed. wake_fd: readable when a signal came. offset: of the next output byte.

    unsent: bytes for the runner that it has not taken. lost: bytes for it that went nowhere; its owner sets it to 0.
    The body of OUTPUT_GONE is the error's number.
    """

    __slots__ = (
        "_buffer", "_events", "_has_more", "_is_full", "_listens", "_poll", "_socket_fd", "_unsent",
        "_unsent_bytes_max", "error_fd", "input_fd", "keys", "lost", "modes", "offset", "output_fd", "sends_input",
        "sock", "wake_fd",
    )  # fmt: skip

    def __init__(
        self, *, input_fd: int, output_fd: int, error_fd: int, wake_fd: int, keys: Keys, modes: Modes | None,
        sends_input: bool = True, unsent_bytes_max: int = UNSENT_BYTES_MAX,
    ) -> None:  # fmt: skip
        self.input_fd = input_fd
        self.output_fd = output_fd
        self.error_fd = error_fd
        self.wake_fd = wake_fd
        self.keys = keys
        self.modes = modes
        self.sends_input = sends_input
        self.offset = 0
        self.lost = 0
        self.sock: socket.socket | None = None
        self._socket_fd = -1
        self._buffer = b""
        self._unsent = bytearray()
        self._unsent_bytes_max = unsent_bytes_max
        self._is_full = False
        self._listens = False
        self._has_more = False
        self._events: list[tuple[int, bytes]] = []
        self._poll = select.poll()

    @property
    def unsent(self) -> int:
        """How many bytes for the runner wait for it to take them."""
        return len(self._unsent)

    def link(self, sock: socket.socket | None) -> None:
        """Use this link from now on; None: there is none, only keys and signals count.

        Nothing typed is sent before welcomed(): until then the runner takes no more than a few KiB. What is typed while
        nobody listens waits for the next one; what waited for one that did listen went with it.
        """
        self.sock = sock
        self._socket_fd = -1 if sock is None else sock.fileno()
        self._buffer = b""
        self._unwelcome()
        self._has_more = False
        self._events = [event for event in self._events if event[0] in _OF_USER]
        self._watch()

    def welcomed(self) -> None:
        """The runner let us in: what is typed may go to it. Without a link it means nothing."""
        self._listens = self._socket_fd >= 0
        self._watch()

    def close_input(self) -> None:
        """Nothing more is typed."""
        self.input_fd = -1
        self._watch()

    def _watch(self) -> None:
        """Poll what counts now. Without a detach key nothing is read while the runner does not take what was typed."""
        self._poll = select.poll()
        self._poll.register(self.wake_fd, _IN)
        if self._socket_fd >= 0:
            self._poll.register(self._socket_fd, _IN | _OUT if self._unsent and self._listens else _IN)
        if self.input_fd >= 0 and (self.keys.key is not None or (self._listens and not self._unsent)):
            self._poll.register(self.input_fd, _IN)

    def send(self, frames: bytes) -> None:
        """Say something to the runner, in order with what is typed. Without a link it goes nowhere."""
        if self._socket_fd < 0:
            return
        if self._unsent:
            self._unsent += frames
        else:
            self._put(frames)

    def _put(self, frames: bytes) -> None:
        assert self.sock is not None
        try:
            sent = self.sock.send(frames, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            if frames[HEADER_BYTES - 1] == INPUT:  # the end of a pipe, a size: nobody typed them
                self.lost += len(frames)
            return  # receiving will tell that the link is gone
        if sent < len(frames):
            self._put_off(frames[sent:])

    def _put_off(self, frames: bytes) -> None:
        was_empty = not self._unsent
        self._unsent += frames
        if was_empty:
            self._watch()

    def _send_unsent(self) -> None:
        assert self.sock is not None
        try:
            del self._unsent[: self.sock.send(self._unsent, socket.MSG_DONTWAIT)]
        except BlockingIOError:
            return
        except OSError:
            self._lose_unsent()
        if not self._unsent:
            if self._is_full:
                self._is_full = False
                self._events.append((INPUT_TAKEN, b""))
            self._watch()

    def _unwelcome(self) -> None:
        if self._listens:
            self._lose_unsent()
        self._listens = False

    def _lose_unsent(self) -> None:
        self.lost += len(self._unsent)
        self._unsent.clear()
        self._is_full = False

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
        if mask & _OUT and self._unsent and self._listens:
            self._send_unsent()
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
        except OSError as error:
            self._events.append((OUTPUT_GONE, b"%d" % (error.errno or 0)))

    def _gone(self, event: int) -> None:
        self._socket_fd = -1
        self._unwelcome()
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
            self._type(data)
            return
        for action, typed in self.keys.feed(data):
            if action == TYPED:
                self._type(typed)
            else:
                self._events.append((_KEYS[action], b""))

    def _type(self, data: bytes) -> None:
        if not self.sends_input:
            return
        if self._is_full:
            self.lost += len(data)
        elif self._listens and not self._unsent:
            self._put(input_frames(data))
        elif len(self._unsent) + len(data) <= self._unsent_bytes_max:
            self._put_off(input_frames(data))
        else:  # from here on nothing, until all is taken: a hole in the middle would make another text of it
            self._is_full = True
            self.lost += len(data)
            self._events.append((INPUT_FULL, b""))


assert TYPE_BYTES <= CLIENT_BODY_BYTES_MAX

"""Bytes between standard input and output and a connected socket, both ways, until either side is done.

Each direction holds at most one piece: while it cannot be written, nothing more of that direction is read, so a slow
reader slows the writer and nothing grows. The end of standard input means that whoever asked is gone: what it said last
is delivered, then all is closed.
"""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

PIECE_BYTES = 256 * 1024
FAREWELL_MS = 2000  # for the last words to a peer that does not read
_IN, _OUT, _GONE = select.POLLIN, select.POLLOUT, select.POLLHUP | select.POLLERR | select.POLLNVAL


def bridge(input_fd: int, output_fd: int, sock: socket.socket) -> None:
    """Until either side has ended. Leaves the descriptors open and non-blocking."""
    peer = sock.fileno()
    for fd in (input_fd, output_fd, peer):
        os.set_blocking(fd, False)
    to_peer = _Way(input_fd, peer)
    from_peer = _Way(peer, output_fd)
    poll = select.poll()
    watched: dict[int, int] = {}
    while not (to_peer.is_over or from_peer.is_over):
        wanted = _wanted(to_peer, from_peer)
        if wanted != watched:
            poll, watched = _polled(wanted), wanted
        for fd, mask in poll.poll():
            for way in (to_peer, from_peer):
                if way.waiting:
                    if fd == way.target and mask & (_OUT | _GONE):
                        way.write()
                elif fd == way.source and mask & (_IN | _GONE):
                    way.read()
            if fd == output_fd and mask & _GONE and not from_peer.waiting:
                from_peer.is_over = True  # nobody reads any more: ssh is gone
    if to_peer.waiting:
        to_peer.deliver()


def _wanted(to_peer: _Way, from_peer: _Way) -> dict[int, int]:
    masks = {from_peer.target: 0}  # told when it goes, asked for or not
    for way in (to_peer, from_peer):
        fd, mask = (way.target, _OUT) if way.waiting else (way.source, _IN)
        masks[fd] = masks.get(fd, 0) | mask
    return masks


def _polled(masks: dict[int, int]) -> select.poll:
    poll = select.poll()
    for fd, mask in masks.items():
        poll.register(fd, mask)
    return poll


class _Way:
    """One direction. waiting: read, and not written yet."""

    __slots__ = ("is_over", "source", "target", "waiting")

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self.target = target
        self.waiting = b""
        self.is_over = False

    def read(self) -> None:
        """One piece, passed on at once."""
        try:
            self.waiting = os.read(self.source, PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self.waiting = b""
        if self.waiting:
            self.write()
        else:
            self.is_over = True

    def write(self) -> None:
        """As much as is taken."""
        try:
            self.waiting = self.waiting[os.write(self.target, self.waiting) :]
        except BlockingIOError:
            pass
        except OSError:
            self.waiting = b""
            self.is_over = True

    def deliver(self) -> None:
        """The last words, at most FAREWELL_MS for each piece that is taken."""
        poll = select.poll()
        poll.register(self.target, _OUT)
        while self.waiting and poll.poll(FAREWELL_MS):
            self.write()

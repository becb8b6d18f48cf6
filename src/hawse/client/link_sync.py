"""A link over a blocking Unix socket. Twin of link_async.py, by hand: same names, same errors."""

from __future__ import annotations

import socket
import time

from hawse.client.link import QUEUE_FULL_S, LinkAbsent, LinkBroken, LinkLate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from hawse.client.tls import TlsTunnel
    from hawse.client.tunnel import Tunnel

    T = TypeVar("T")

now = time.monotonic


class Link:
    """Bytes to and from one peer. Deadlines are in seconds of time.monotonic()."""

    __slots__ = ("socket", "tunnel")

    def __init__(self, connected: socket.socket, tunnel: Tunnel | TlsTunnel | None = None) -> None:
        """tunnel: what is at the other end of a socket pair, ssh or TLS; it goes with the link."""
        connected.setblocking(True)
        self.socket = connected
        self.tunnel = tunnel

    @classmethod
    def connect(cls, path: str, deadline: float) -> Link:
        """Raises LinkAbsent, LinkLate, LinkBroken."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connect_patiently(made, path, deadline)
        except OSError as error:
            made.close()
            raise _translated(error, path) from error
        except BaseException:
            made.close()
            raise
        return cls(made)

    def send(self, data: bytes, deadline: float) -> None:
        """Send everything. Raises LinkBroken, LinkLate; then nobody knows how much was sent."""
        try:
            self.socket.settimeout(_left(deadline))
            self.socket.sendall(data)
        except OSError as error:
            raise _translated(error) from error

    def receive(self, size_max: int, deadline: float) -> bytes:
        """What has come, at most size_max bytes; empty at the end of the stream. Raises LinkBroken, LinkLate."""
        try:
            self.socket.settimeout(_left(deadline))
            return self.socket.recv(size_max)
        except OSError as error:
            raise _translated(error) from error

    def close(self) -> None:
        """Safe to call twice. A thread that waits in `receive` is woken."""
        if self.socket.fileno() < 0:
            return
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other end was first
        self.socket.close()
        if self.tunnel is not None:
            self.tunnel.release()


def connect_patiently(made: socket.socket, path: str, deadline: float) -> None:
    """Connect; wait while the listener's queue is full, which a socket with a time-out is told as EAGAIN: connect(2).

    Raises OSError; TimeoutError after the deadline.
    """
    while True:
        made.settimeout(_left(deadline))
        try:
            made.connect(path)
            return
        except BlockingIOError:
            time.sleep(QUEUE_FULL_S)


def pause(seconds: float) -> None:
    """Wait for a time."""
    time.sleep(seconds)


def off_thread(work: Callable[[], T]) -> T:
    """Do what may block for long."""
    return work()


def _left(deadline: float) -> float:
    left = deadline - now()
    if left <= 0:
        raise TimeoutError("the deadline is over")
    return left


def _translated(error: OSError, path: str = "") -> LinkBroken:
    if isinstance(error, TimeoutError):
        return LinkLate("no answer in time")
    if path and isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return LinkAbsent(f"nobody listens on {path}")
    return LinkBroken(str(error))

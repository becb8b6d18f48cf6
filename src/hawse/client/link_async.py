"""A link over a Unix socket under asyncio. Twin of link_sync.py, by hand: same names, same errors."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from hawse.client.link import QUEUE_FULL_S, LinkAbsent, LinkBroken, LinkLate

if TYPE_CHECKING:
    from hawse.client.tls import TlsTunnel
    from hawse.client.tunnel import Tunnel

T = TypeVar("T")
now = time.monotonic


class Link:
    """Bytes to and from one peer. Deadlines are in seconds of time.monotonic()."""

    __slots__ = ("socket", "tunnel")

    def __init__(self, connected: socket.socket, tunnel: Tunnel | TlsTunnel | None = None) -> None:
        """tunnel: what is at the other end of a socket pair, ssh or TLS; it goes with the link."""
        connected.setblocking(False)
        self.socket = connected
        self.tunnel = tunnel

    @classmethod
    async def connect(cls, path: str, deadline: float) -> Link:
        """Raises LinkAbsent, LinkLate, LinkBroken."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.setblocking(False)
        try:
            async with asyncio.timeout(deadline - now()):
                await _connect_patiently(made, path)
        except OSError as error:
            made.close()
            raise _translated(error, path) from error
        except BaseException:
            made.close()
            raise
        return cls(made)

    async def send(self, data: bytes, deadline: float) -> None:
        """Send everything. Raises LinkBroken, LinkLate; then nobody knows how much was sent."""
        try:
            async with asyncio.timeout(deadline - now()):
                await asyncio.get_running_loop().sock_sendall(self.socket, data)
        except OSError as error:
            raise _translated(error) from error

    async def receive(self, size_max: int, deadline: float) -> bytes:
        """What has come, at most size_max bytes; empty at the end of the stream. Raises LinkBroken, LinkLate."""
        try:
            async with asyncio.timeout(deadline - now()):
                return await asyncio.get_running_loop().sock_recv(self.socket, size_max)
        except OSError as error:
            raise _translated(error) from error

    async def aclose(self) -> None:
        """Safe to call twice. A task that waits in `receive` is woken."""
        if self.socket.fileno() < 0:
            return
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other end was first
        asyncio.get_running_loop().call_soon(self._close)

    def _close(self) -> None:
        self.socket.close()
        if self.tunnel is not None:
            self.tunnel.release()


async def _connect_patiently(made: socket.socket, path: str) -> None:
    """Connect; wait while the listener's queue is full. The loop's own way takes that EAGAIN for a connection."""
    while True:
        try:
            made.connect(path)
            return
        except BlockingIOError:
            await asyncio.sleep(QUEUE_FULL_S)


async def pause(seconds: float) -> None:
    """Wait for a time."""
    await asyncio.sleep(seconds)


async def off_thread(work: Callable[[], T]) -> T:
    """Do what may block for long."""
    return await asyncio.to_thread(work)


def _translated(error: OSError, path: str = "") -> LinkBroken:
    if isinstance(error, TimeoutError):
        return LinkLate("no answer in time")
    if path and isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return LinkAbsent(f"nobody listens on {path}")
    return LinkBroken(str(error))

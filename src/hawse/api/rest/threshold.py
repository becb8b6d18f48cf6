"""TCP connections until their TLS handshake is done: accepted here, counted here, and cut here when they say nothing.

A loop's own server accepts as many as there are descriptors and tells nobody of one that has not shaken hands yet. Here
each is known from its first moment, there are at most `count_max` of them, and the oldest makes room: a client that
means it needs milliseconds. Behind the handshake it is an ordinary connection of the listener.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from hawse.api.rest.limits import SILENT_S

ACCEPTS_PER_TURN = 64
BREATH_S = 0.1  # when there is no descriptor left, and nobody here who could give his
# A peer that vanished is noticed after about 30 s, with and without something on its way to it. Source: tcp(7)
_KEPT_ALIVE = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 15,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 30_000,
    (socket.IPPROTO_TCP, socket.TCP_NODELAY): 1,
}
_log = logging.getLogger(__name__)


class Threshold:
    """Accepts from one listening socket. made: makes the protocol of a connection that has shaken hands."""

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext,
        made: Callable[[], asyncio.Protocol],
        *,
        loop: asyncio.AbstractEventLoop,
        count_max: int,
    ) -> None:
        self._listening = listening
        self._context = context
        self._made = made
        self._loop = loop
        self._count_max = count_max
        self._here: dict[asyncio.Task[None], socket.socket] = {}  # the first has waited longest
        self._breath: asyncio.TimerHandle | None = None
        self._listening.setblocking(False)
        self._go_on()

    def close(self) -> None:
        """Accept no more; who has not shaken hands is cut. Safe to call twice."""
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening.fileno())
            self._listening.close()
        if self._breath is not None:
            self._breath.cancel()
        for task in tuple(self._here):
            task.cancel()

    def _go_on(self) -> None:
        if self._listening.fileno() >= 0:
            self._loop.add_reader(self._listening.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                connection, _address = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._no_room(error)
                return
            if len(self._here) >= self._count_max:
                self._cut_oldest()
            self._welcome(connection)

    def _no_room(self, error: OSError) -> None:
        """No descriptor, no memory: who waits longest here gives his; else nothing is accepted for a moment."""
        if not self._cut_oldest():
            _log.warning("no connection can be accepted: %s", error.strerror)
            self._loop.remove_reader(self._listening.fileno())
            self._breath = self._loop.call_later(BREATH_S, self._go_on)

    def _cut_oldest(self) -> bool:
        task = next(iter(self._here), None)
        if task is None:
            return False
        del self._here[task]
        task.cancel()
        return True

    def _welcome(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            for (level, name), value in _KEPT_ALIVE.items():
                connection.setsockopt(level, name, value)
        except OSError:
            connection.close()
            return
        task = self._loop.create_task(self._shake_hands(connection))
        self._here[task] = connection
        task.add_done_callback(lambda done: self._here.pop(done, None))

    async def _shake_hands(self, connection: socket.socket) -> None:
        """If cancelled, or when the other side does not do its part in SILENT_S, the connection is closed."""
        try:
            await self._loop.connect_accepted_socket(
                self._made, connection, ssl=self._context, ssl_handshake_timeout=SILENT_S
            )
        except (OSError, EOFError, TimeoutError):  # ssl's errors are OSErrors; whose fault it was does not matter
            _shut(connection)
        except asyncio.CancelledError:
            _shut(connection)
            raise


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)  # the transport that has it may still be on its way to close it
    except OSError:
        pass
    connection.close()

"""Serving the REST application on Unix sockets and over TLS: all connections of one coordinator, one bound on them."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from typing import TYPE_CHECKING, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from hawse.api.rest.app import application
from hawse.api.rest.connection import Connection
from hawse.api.rest.desk import Desk
from hawse.api.rest.limits import CONNECTIONS_MAX, DESCRIPTORS_KEPT, STOP_S
from hawse.api.rest.threshold import Threshold

if TYPE_CHECKING:
    from uvicorn._types import ASGIApplication

SWEEP_S = 2.0
BACKLOG = 1024


class Listener:
    """All connections of all sockets. Use `start` and `start_tls`, once for each socket, then `aclose`."""

    def __init__(self, desk: Desk, *, connections_max: int | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.state = ServerState()
        self.config = Config(
            cast("ASGIApplication", application(desk)),
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)  # `Front` and `Connection` say it better
        self.config.load()
        self.connections_max = connections_max or possible_connections()
        self._waiting: dict[Connection, None] = {}  # for which nothing is being done; the first has waited longest
        self._desk = desk
        self._servers: list[asyncio.Server] = []
        self._thresholds: list[Threshold] = []
        self._sweep_at: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()

    async def start(self, listening: socket.socket) -> None:
        """Accept connections from this bound Unix socket."""
        made = await self.loop.create_unix_server(lambda: Connection(self), sock=listening, backlog=BACKLOG)
        self._servers.append(made)

    def start_tls(self, listening: socket.socket, context: ssl.SSLContext) -> None:
        """Accept TLS connections from this bound TCP socket. What the context is told later counts for new ones."""
        listening.listen(BACKLOG)
        made = Threshold(
            listening, context, lambda: Connection(self), loop=self.loop, count_max=max(8, self.connections_max // 8)
        )
        self._thresholds.append(made)

    def admit(self, connection: Connection) -> bool:
        """Is there room for it? When there is none, the one that has waited longest makes room."""
        self._desk.connections += 1
        if self._sweep_at is None:
            self._sweep_at = self.loop.call_later(SWEEP_S, self._sweep)
        if len(self._connections) <= self.connections_max:
            return True
        oldest = next((other for other in self._waiting if other is not connection), None)
        if oldest is None:
            return False
        self.busy(oldest)  # it is leaving
        oldest.transport.abort()
        return True

    def waits(self, connection: Connection) -> None:
        """From now on nothing is being done for it."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def busy(self, connection: Connection) -> None:
        """Something is being done for it."""
        self._waiting.pop(connection, None)

    def lost(self, connection: Connection, *, was_admitted: bool) -> None:
        """A connection is gone. was_admitted: `admit` was asked about it, whatever it said."""
        self.busy(connection)
        self._desk.connections -= was_admitted
        if not self._connections:
            self._emptied.set()

    async def aclose(self) -> None:
        """Stop accepting, end streams and long waits, let requests finish (STOP_S at most). Safe to call twice."""
        for server in self._servers:
            server.close()
        for threshold in self._thresholds:
            threshold.close()
        self._desk.close()
        for connection in tuple(self._connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(STOP_S):
                while self._connections:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            for task in tuple(self.state.tasks):
                task.cancel()
            for connection in tuple(self._connections):
                connection.transport.abort()
        finally:
            if self._sweep_at is not None:
                self._sweep_at.cancel()

    @property
    def _connections(self) -> set[Connection]:
        return cast("set[Connection]", self.state.connections)

    def _sweep(self) -> None:
        """Look at all connections; come again while there are any."""
        now = self.loop.time()
        for connection in tuple(self._connections):
            connection.sweep(now)
        self._sweep_at = self.loop.call_later(SWEEP_S, self._sweep) if self._connections else None


def possible_connections() -> int:
    """How many connections this process may hold beside its other descriptors."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = CONNECTIONS_MAX if soft == resource.RLIM_INFINITY else soft - DESCRIPTORS_KEPT
    return max(32, min(CONNECTIONS_MAX, room))

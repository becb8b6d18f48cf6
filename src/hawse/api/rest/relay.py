"""Bytes between a switched connection and the socket of a job's runner, both ways, until either side is done.

The coordinator knows nothing of what they mean: the ticket in the first frame is the runner's to judge (spec 03). Each
direction holds at most what the transport above its high-water mark was given in one piece: the side that does not
take makes the other one wait.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import cast

from hawse.domain.errors import Broken, NotFound, Unavailable

CONNECT_S = 5.0
WAITING_BYTES_MAX = 256 * 1024  # of each direction, before the other side is made to wait
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid. Source: unix(7), SO_PEERCRED


class Relay(asyncio.Protocol):
    """The runner's side as a protocol, and the client's side as a `Stream`. ended: called once, with the bytes that
    went up (to the runner) and down, and the seconds."""

    def __init__(self, ended: Callable[[int, int, float], None]) -> None:
        self._ended: Callable[[int, int, float], None] | None = ended
        self._runner: asyncio.Transport | None = None
        self._client: asyncio.Transport | None = None
        self._up = self._down = 0
        self._began = time.monotonic()

    @classmethod
    async def to(cls, path: str, uid: int, ended: Callable[[int, int, float], None]) -> Relay:
        """A relay whose runner's side is connected. uid: who must be listening there; anybody else could be reached by
        a link that an owner of the folder put in the runner's place.

        Raises NotFound (nobody listens there), Broken (somebody else does), Unavailable.
        """
        made = cls(ended)
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().create_unix_connection(lambda: made, path)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotFound("nobody listens for this job now", next_step="ask how the job is", noun="runner") from None
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"the job's runner cannot be reached: {str(error) or 'not in time'}") from error
        assert made._runner is not None
        listener = _uid_of(made._runner.get_extra_info("socket"))
        if listener != uid:
            made.abandon()
            raise Broken(f"what listens in the place of the job's runner belongs to uid {listener}, not to {uid}")
        return made

    def begin(self, client: asyncio.Transport) -> None:
        """Both sides are there."""
        self._client = client
        client.set_write_buffer_limits(high=WAITING_BYTES_MAX)
        if self._runner is None or self._runner.is_closing():
            client.close()

    def abandon(self) -> None:
        """The client was never there."""
        self._ended = None
        if self._runner is not None:
            self._runner.abort()

    # -- the runner's side --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._runner = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._runner.set_write_buffer_limits(high=WAITING_BYTES_MAX)

    def data_received(self, data: bytes) -> None:
        if self._client is not None and not self._client.is_closing():
            self._down += len(data)
            self._client.write(data)

    def pause_writing(self) -> None:
        _reading(self._client, False)

    def resume_writing(self) -> None:
        _reading(self._client, True)

    def connection_lost(self, exc: Exception | None) -> None:
        """What it said last is still on its way to the client, and is delivered."""
        self._runner = None
        if self._client is not None:
            self._client.close()

    # -- the client's side --------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        if self._runner is not None and not self._runner.is_closing():
            self._up += len(data)
            self._runner.write(data)

    def hold(self) -> None:
        _reading(self._runner, False)

    def go_on(self) -> None:
        _reading(self._runner, True)

    def gone(self) -> None:
        self._client = None
        if self._runner is not None:
            _reading(self._runner, True)  # so that its end is seen
            self._runner.close()
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended(self._up, self._down, time.monotonic() - self._began)


def _reading(transport: asyncio.Transport | None, is_reading: bool) -> None:
    if transport is not None and not transport.is_closing():
        transport.resume_reading() if is_reading else transport.pause_reading()


def _uid_of(connection: socket.socket) -> int:
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(told)[1])

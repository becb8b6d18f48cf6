"""Who asks: the peer of a Unix socket, as the kernel tells it; and what one request carries with it."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any

from litestar import Request

from hawse.api.rest.desk import Desk
from hawse.services.world import Caller

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid. Source: unix(7), SO_PEERCRED


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end when it connected."""

    pid: int
    uid: int

    @property
    def principal(self) -> str:
        return f"uid:{self.uid}"


def peer_of(connection: socket.socket) -> Peer:
    """The peer of a connected Unix socket. Raises OSError."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _gid = _CREDENTIALS.unpack(told)
    return Peer(pid=pid, uid=uid)


class Visit:
    """One request: the desk it came to, who asks, its id in the coordinator's log, and its body once that was read."""

    __slots__ = ("body", "caller", "desk", "id")

    def __init__(self, desk: Desk, caller: Caller, id: str) -> None:
        self.desk = desk
        self.caller = caller
        self.id = id
        self.body: bytes | None = None


AnyRequest = Request[Any, Any, Any]


def visit_of(request: AnyRequest) -> Visit:
    """The visit that this request is."""
    visit = request.scope["state"]["hawse"]
    assert isinstance(visit, Visit)
    return visit

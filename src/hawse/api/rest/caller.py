"""Who asks: the peer of a Unix socket, as the kernel tells it, or an address; and what one request carries with it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, overload

from litestar import Request

from hawse.api.rest.desk import Desk
from hawse.domain.errors import Denied
from hawse.services.world import NOBODY, Caller

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid. Source: unix(7), SO_PEERCRED


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end when it connected; of one that came over the network only the address is known, as
    "192.0.2.7:40112", and its uid is NOBODY.
    """

    pid: int
    uid: int
    address: str = ""

    @property
    def principal(self) -> str:
        return f"uid:{self.uid}"

    @property
    def where(self) -> str:
        """From where, for people."""
        return self.address or f"pid {self.pid}"

    @property
    def source(self) -> str:
        """What wrong tokens are counted by: the host, or the account."""
        return self.address.rpartition(":")[0] or self.principal


def peer_of(connection: socket.socket) -> Peer:
    """The peer of a connected socket. Raises OSError."""
    if connection.family != socket.AF_UNIX:
        host, port = connection.getpeername()[:2]
        return Peer(pid=0, uid=NOBODY, address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _gid = _CREDENTIALS.unpack(told)
    return Peer(pid=pid, uid=uid)


class Visit:
    """One request: the desk it came to, who asks, its id in the coordinator's log, and its body once that was read.

    headers: the first of each name, names in lower case. denied: what was refused, for the event that tells it.
    """

    __slots__ = ("body", "caller", "denied", "desk", "headers", "id")

    def __init__(self, desk: Desk, caller: Caller, id: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.desk = desk
        self.caller = caller
        self.id = id
        self.headers = dict(reversed([*headers]))
        self.body: bytes | None = None
        self.denied: Denied | None = None

    @overload
    def header(self, name: str) -> str | None: ...
    @overload
    def header(self, name: str, default: str) -> str: ...
    def header(self, name: str, default: str | None = None) -> str | None:
        """A header's text (bytes as Latin-1, as HTTP has them); the default when there is none."""
        value = self.headers.get(name.encode())
        return default if value is None else value.decode("latin-1")

    def concerns(self) -> dict[str, str]:
        """For the log: which request this is, and which session it turned out to be about."""
        session = self.caller.trail.session if self.caller.trail is not None else ""
        return {"request": self.id, "session": session} if session else {"request": self.id}


AnyRequest = Request[Any, Any, Any]


def visit_of(request: AnyRequest) -> Visit:
    """The visit that this request is."""
    visit = request.scope["state"]["hawse"]
    assert isinstance(visit, Visit)
    return visit

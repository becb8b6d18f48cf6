"""The sockets of a site's service: one that several users of this machine share, and one for TLS."""

from __future__ import annotations

import grp
import os
import socket

from hawse.daemons.folders import listening_socket
from hawse.daemons.site import HttpsListener, UnixListener
from hawse.domain.errors import Denied, Invalid, Unavailable


def shared_socket(listener: UnixListener) -> socket.socket:
    """A bound Unix socket with this mode and group. Raises Invalid, Denied, Unavailable."""
    folder = os.path.dirname(listener.path)
    if not os.path.isdir(folder):
        raise Invalid(f"[unix] path: the folder {folder} is not there", next_step=f"mkdir -m 755 {folder}")
    gid = -1 if listener.group is None else group_id(listener.group)
    made = listening_socket(listener.path)
    try:
        os.chown(listener.path, -1, gid)
        os.chmod(listener.path, listener.mode)
    except OSError as error:
        made.close()
        raise Denied(
            f"{listener.path} cannot be given to the group {listener.group}: {error.strerror}",
            next_step=f"put the service's own user into that group: usermod -aG {listener.group} USER",
        ) from error
    return made


def group_id(name: str) -> int:
    """A group's number, by its name or its number. Raises Invalid."""
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise Invalid(f"[unix] group: there is no group {name!r}", next_step=f"groupadd {name}") from None


def tcp_socket(listener: HttpsListener) -> socket.socket:
    """A bound TCP socket. Raises Invalid, Unavailable."""
    try:
        found = socket.getaddrinfo(listener.host, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise Invalid(f"[https] address: {listener.host}: {error.strerror}") from error
    family, kind, number, _, address = found[0]
    made = socket.socket(family, kind, number)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise Unavailable(
            f"nothing can listen on {listener.host}:{listener.port}: {error.strerror}",
            next_step="ss -ltnp tells who does; or choose another port in [https] address",
        ) from error
    made.setblocking(False)
    return made

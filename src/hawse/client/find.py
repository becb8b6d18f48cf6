"""Find the coordinator that is meant: a Unix socket (is it trustworthy, may one be started there?), or another machine
behind ssh (hawse.client.ssh) or TLS (hawse.client.https).

`start`: "auto" looks for a running one, else starts one; "never" only looks; "always" replaces a running one by a new
one (its jobs go on: runners outlive coordinators). Source: requirement S0.2.
"""

from __future__ import annotations

import os
import socket
from struct import Struct

from hawse.client.places import check_runtime, own_places
from hawse.client.token import token_from
from hawse.domain.errors import Denied, Invalid, Unavailable
from hawse.domain.ids import checked_name
from hawse.domain.places import Places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from hawse.client.tls import TlsTunnel
    from hawse.client.tunnel import Tunnel

STARTS = ("auto", "never", "always")
_PEER = Struct("iII")  # struct ucred: unix(7)


class Endpoint:
    """Where a coordinator listens, and how one gets there.

    where: None for an address that is not our own to start at. is_remote: it is on another machine; by_ssh: it is
    reached through SshEndpoint's tunnels, else over TLS (HttpsEndpoint). mend_s_max: how long a broken link is tried
    again. patience_s: how long a login may take. meanwhile: called while a far machine is waited for, several times a
    second; what it raises ends the waiting, and that tunnel. host: what HTTP calls it. token: what is shown there, ""
    for nothing. project: in which names are looked up; "": one's own.
    """

    __slots__ = ("_checked", "_fresh", "meanwhile", "path", "project", "start_mode", "token", "where")
    is_remote = by_ssh = False
    host = "hawse"
    mend_s_max = 60.0  # as long as the coordinator keeps an attachment whose link is away

    def __init__(self, path: str, *, start: str, where: Places | None) -> None:
        if start not in STARTS:
            raise Invalid(f"start {start!r} is none of {', '.join(STARTS)}")
        self.path = path
        self.start_mode = start
        self.where = where
        self.token = ""
        self.project = ""
        self.meanwhile: Callable[[Any], None] | None = None
        self._checked = False
        self._fresh = start == "always"

    @property
    def name(self) -> str:
        """The address, as HAWSE_SERVER would say it."""
        return f"unix:{self.path}"

    @property
    def told(self) -> str:
        """In a sentence."""
        return "the coordinator"

    @property
    def patience_s(self) -> float:
        """Seconds; none where nobody logs in."""
        return 0.0

    def tunnel(self, *, runner: str = "", verb: str = "", batch: bool = False) -> Tunnel:
        """A new way there through ssh; only of an endpoint by_ssh."""
        raise TypeError(f"{self.path} is a socket on this machine: nothing leads through ssh")

    def tls(self, deadline: float) -> TlsTunnel:
        """A new way there over TLS; only of an endpoint that is_remote and not by_ssh."""
        raise TypeError(f"{self.path} is not reached over TLS")

    def go_ahead(self) -> None:
        """Begin with the way to a runner, where it is a long one."""

    def take_ahead(self) -> Tunnel | None:
        """What go_ahead began."""
        return None

    def leave_ahead(self) -> None:
        """What go_ahead began is not needed."""

    def prepare(self) -> bool:
        """Before each connect: is the place ours? With "always", once: a new coordinator. True when one was started.

        Raises Denied, Unavailable.
        """
        if self._fresh:
            self._fresh = False
            self.start(replace=True)
            return True
        if not self._checked and self.where is not None:
            try:
                check_runtime(self.where)
            except FileNotFoundError:
                return False  # nobody was ever there
            self._checked = True
        return False

    def start(self, replace: bool = False) -> None:
        """Start a coordinator and wait until it is ready.

        Raises Unavailable when that is not wanted or did not work.
        """
        if self.where is None or self.start_mode == "never":
            raise Unavailable(
                f"no coordinator is running: nobody listens on {self.path}",
                next_step=(
                    "start one: hawse status --start auto" if self.where else "start it there, or unset HAWSE_SERVER"
                ),
            )
        from hawse.client.start import start_coordinator

        start_coordinator(self.where, replace=replace)

    def check_peer(self, link: socket.socket) -> None:
        """Whoever listens must be us (or root); else somebody else could read our input. Raises Denied."""
        _, uid, _ = peer(link)
        if uid not in (os.getuid(), 0) and self.where is not None:
            raise Denied(f"the coordinator on {self.path} belongs to user {uid}, not to you", next_step="hawse doctor")


def peer(link: socket.socket) -> tuple[int, int, int]:
    """(pid, uid, gid) of the process at the other end, from the kernel."""
    pid, uid, gid = _PEER.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return pid, uid, gid


def endpoint(
    server: str | None = None, *, start: str = "auto", environ: Mapping[str, str] | None = None, batch: bool = False
) -> Endpoint:
    """The endpoint that `server`, else HAWSE_SERVER, else the user's own places name; HAWSE_PROJECT with it.

    batch: nobody is there to type a password. Raises Invalid; Denied, Unavailable (the token cannot be read).
    """
    env = os.environ if environ is None else environ
    found = _endpoint(server or env.get("HAWSE_SERVER") or "", start, env, batch)
    project = env.get("HAWSE_PROJECT", "")
    found.project = checked_name(project, "HAWSE_PROJECT") if project else ""
    return found


def _endpoint(address: str, start: str, env: Mapping[str, str], batch: bool) -> Endpoint:
    if not address:
        where = own_places(env)
        return Endpoint(where.socket, start=start, where=where)
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        if not path.startswith("/"):
            raise Invalid(f"server address {address!r}: the path after unix: must be absolute")
        made = Endpoint(path, start="never", where=None)
        made.token = token_from(env)
        return made
    if address.startswith("ssh:"):
        from hawse.client.ssh import ssh_endpoint

        return ssh_endpoint(address, start=start, environ=env, batch=batch)
    if address.startswith("https:"):
        from hawse.client.https import https_endpoint

        return https_endpoint(address, start=start, environ=env)
    raise Invalid(
        f"server address {address!r} is not valid",
        next_step="use ssh://[user@]host, https://host[:port], or unix:/path/to/coordinator.sock",
    )

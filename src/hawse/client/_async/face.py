"""The two doors of the Python API: connect to a coordinator, open a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hawse.client._async.server import Server
from hawse.client._async.session import Session
from hawse.client.find import endpoint
from hawse.client.names import friendly_name
from hawse.domain.errors import Clash, Invalid, NotFound

TRIES_MAX = 5


async def connect(server: str | None = None, *, start: str = "auto") -> Server:
    """Connect to the user's coordinator; with start="auto" it is started where none runs, with "never" it is not.

    server: "ssh://[user@]host[:port]" or "unix:/path/to/socket"; default HAWSE_SERVER, else the user's own.
    Raises Unavailable, Denied, Broken, Invalid.
    """
    made = Server(endpoint(server, start=start))
    await made.transport.connect()
    return made


async def open_session(
    name: str | None = None,
    *,
    create: bool = True,
    server: str | None = None,
    start: str = "auto",
    lease: str | None = None,
    policies: Mapping[str, Any] | None = None,
    description: str = "",
    labels: Mapping[str, str] | None = None,
) -> Session:
    """The living session with this name; where there is none, a new one (create=False: NotFound).

    name: alias, id, or the unique beginning of an id; None: a new session with a made-up name. lease, policies,
    description, labels: of a new one. Leaving the session's block disconnects; the session lives on.
    """
    if name == "":
        raise Invalid("the session's name is empty", next_step="None makes one up")
    made = await connect(server, start=start)
    try:
        session = await _found_or_made(made, name, create, lease, policies, description, labels)
    except BaseException:
        await made.aclose()
        raise
    session._owns_server = True
    return session


async def _found_or_made(
    server: Server,
    name: str | None,
    create: bool,
    lease: str | None,
    policies: Mapping[str, Any] | None,
    description: str,
    labels: Mapping[str, str] | None,
) -> Session:
    for _ in range(TRIES_MAX):  # another process may create, or end, the same name between two of our steps
        try:
            if name is not None:
                found = await server.session(name)
                if not (create and found.info.is_over):
                    return found
        except NotFound:
            if not create:
                raise
        try:
            return await server.create(
                name or friendly_name(), lease=lease, policies=policies, description=description, labels=labels
            )
        except Clash:
            pass
    raise Clash(f"session {name!r} comes and goes faster than it can be opened")

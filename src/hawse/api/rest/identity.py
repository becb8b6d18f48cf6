"""Who asks: the token that a request shows, else the account at the other end of its socket."""

from __future__ import annotations

from collections.abc import Mapping

from hawse.api.rest.caller import Peer
from hawse.api.rest.groups import Groups
from hawse.domain.errors import Denied, Invalid, Unproven
from hawse.domain.ids import checked_name
from hawse.services import identity as identities
from hawse.services.identity import Identity
from hawse.services.world import NOBODY, Caller, Trail, World

PROJECT = b"hawse-project"  # a header: in which project names are looked up and sessions begin
AUTHORIZATION = b"authorization"
CHALLENGE = (b"www-authenticate", b'Bearer realm="hawse"')  # RFC 6750, section 3
_SCHEME = "bearer "


async def caller_of(
    world: World, peer: Peer, headers: Mapping[bytes, bytes], groups: Groups, trail: Trail | None = None
) -> Caller:
    """Raises Unproven (no token where one is needed, or one that opens nothing), Denied (an account that may not come),
    LimitReached (too many wrong tokens), Invalid (a header that is none), Unavailable.
    """
    identity = await _identity(world, peer, headers.get(AUTHORIZATION))
    uid = identity.uid if identity.uid is not None else NOBODY
    of_host: frozenset[str] = frozenset()
    if uid != NOBODY:
        known = groups.known(uid)
        of_host = await groups.of(uid) if known is None else known
    given = headers.get(PROJECT)
    return Caller(
        principal=identity.principal,
        project=identity.project if given is None else _project(given),
        groups=identity.groups | of_host,
        where=peer.where,
        now=world.clock.now(),
        trail=trail,
        is_admin=identity.is_admin,
        read_only=identity.read_only,
        only_project=identity.only_project,
        project_is_given=given is not None,
        token=identity.token,
        also=identity.also,
    )


async def _identity(world: World, peer: Peer, authorization: bytes | None) -> Identity:
    if authorization is not None and (world.site is not None or peer.uid == NOBODY):  # else only the kernel is asked
        text = authorization.decode("latin-1").strip()
        if not text.lower().startswith(_SCHEME):
            raise Unproven("the Authorization header is no bearer token", next_step="Authorization: Bearer hwt_...")
        return await identities.of_token(world, text[len(_SCHEME) :].strip(), source=peer.source)
    if peer.uid == NOBODY:
        raise Unproven("a token is needed here", next_step="set HAWSE_TOKEN_FILE, or HAWSE_TOKEN: hawse token new")
    found = await identities.of_uid(world, peer.uid)
    if found is None:
        raise Denied(
            f"{peer.principal} is no user of this site, or may not come in now",
            next_step="an admin can add you: hawse user add NAME --uid " + str(peer.uid),
        )
    return found


def _project(given: bytes) -> str:
    try:
        return checked_name(given.decode("ascii"), "the project's name")
    except UnicodeDecodeError as error:
        raise Invalid("the header Hawse-Project is no project's name") from error

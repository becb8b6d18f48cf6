"""Who asks: from a token, or from the uid at the other end of a socket, to a principal with what goes with it.

Nothing is remembered between two requests: a user who is disabled, a token that is revoked or over opens nothing from
the commit on that says so, whichever coordinator is asked.
"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress
from dataclasses import dataclass, replace

from hawse.domain import token as tokens
from hawse.domain import user as users
from hawse.domain.errors import LimitReached, NotFound, Problem, Unproven
from hawse.domain.project import DEFAULT
from hawse.domain.token import USED_STEP_S, Token
from hawse.domain.user import USER, User
from hawse.ports.store import View
from hawse.services.attempt import WINDOW_S
from hawse.services.audit import plain
from hawse.services.world import Caller, World

UID = "uid:"


@dataclass(frozen=True, slots=True)
class Identity:
    """groups: of the site's list; the host's come to it. name: of the user, "" for a bare uid. project: where his
    sessions are unless he says otherwise. uid: on this host, if it is one. read_only, only_project: what his token is
    narrowed to.
    """

    principal: str
    groups: frozenset[str] = frozenset()
    name: str = ""
    project: str = DEFAULT
    is_admin: bool = False
    uid: int | None = None
    read_only: bool = False
    only_project: str | None = None
    token: str = ""
    also: frozenset[str] = frozenset()


async def of_uid(world: World, uid: int) -> Identity | None:
    """Who comes as this account of the host; None: nobody who may. Raises Unavailable.

    On a user's own coordinator: every account by its number, as the file system let it come.
    """
    principal = f"{UID}{uid}"
    site = world.site
    if site is None:
        return Identity(principal, uid=uid, is_admin=bool(world.owner) and principal == world.owner)
    user = await world.store.read(lambda view: view.user_of_uid(uid))
    if user is not None:
        if user.state != users.S.ACTIVE:
            return None
        return replace(_of_user(user, is_admin=uid in site.admins), also=frozenset({principal}), uid=uid)
    if uid in site.admins or site.local_accounts:
        return Identity(principal, uid=uid, is_admin=uid in site.admins)
    return None


async def of_token(world: World, secret: str, *, source: str) -> Identity:
    """Who shows this token. source: from where, for counting those that open nothing.

    Raises Unproven (it opens nothing; why is not told to who has no token), LimitReached (too many of those came from
    there), Unavailable. If cancelled: its last use may not be noted.
    """
    now, shown = world.clock.now(), tokens.parted(secret)
    found: tuple[Token, User] | None = None
    if shown is not None and world.site is not None:
        id, random = shown
        digest = hash_of(random)
        found = await world.store.read(lambda view: _proven(view, id, digest))
    if found is None:
        await _failed(world, source, "no token of ours" if shown is None else f"token {shown[0]}", now)
        raise Unproven("this token opens nothing", next_step="ask an admin, or make a new one: hawse token new")
    token, user = found
    if not tokens.is_good(token, now=now) or user.state != users.S.ACTIVE:
        what = f"user {user.name} is {user.state}" if user.state != users.S.ACTIVE else "the token is revoked or over"
        await _failed(world, source, f"{what}: token {token.id}", now)
        raise Unproven(what, next_step="make a new token: hawse token new" if user.state == users.S.ACTIVE else "")
    if token.used_at is None or not token.used_at <= now < token.used_at + USED_STEP_S:
        with suppress(Problem):  # a full disk keeps nobody out
            await world.store.write(lambda unit: unit.mark_used(token.id, at=now))
    return _of_user(user, token=token)


def hash_of(secret: str) -> bytes:
    """What is kept of a token's secret. It is 256 random bits: nothing slower than SHA-256 is needed."""
    return hashlib.sha256(secret.encode()).digest()


def _proven(view: View, id: str, digest: bytes) -> tuple[Token, User] | None:
    try:
        kept, token = view.secret(id), view.token(id)
        return (token, view.user(token.user)) if hmac.compare_digest(kept, digest) else None
    except NotFound:
        return None


def _of_user(user: User, *, is_admin: bool = False, token: Token | None = None) -> Identity:
    project = token.project if token is not None and token.project is not None else user.project
    return Identity(
        principal=user.principal,
        groups=frozenset(user.groups),
        name=user.name,
        project=project,
        is_admin=(user.is_admin or is_admin) and not (token is not None and (token.read_only or token.project)),
        uid=user.uids[0] if user.uids else None,
        read_only=token is not None and token.read_only,
        only_project=None if token is None else token.project,
        token="" if token is None else token.id,
    )


def check_still(view: View, caller: Caller, *, now: float) -> None:
    """For what lasts longer than a request: may he still come in? Raises Unproven."""
    if not caller.principal.startswith(USER):
        return
    try:
        user = view.user(caller.principal.removeprefix(USER))
        is_good = user.state == users.S.ACTIVE
        is_good = is_good and (not caller.token or tokens.is_good(view.token(caller.token), now=now))
    except NotFound:
        is_good = False
    if not is_good:
        raise Unproven("this user, or this token, may not come in any more")


async def _failed(world: World, source: str, what: str, now: float) -> None:
    """Count it and tell it. Raises LimitReached."""
    is_heard, count = world.attempts.failed(source, now=now), None
    if is_heard:
        count = world.attempts.to_tell(now=now)
    if count is not None:
        with suppress(Problem):
            await world.store.write(
                lambda unit: unit.write_audit(
                    kind="login.failed", noun="token", object=plain(what), by="", where=plain(source),
                    detail={"count": count},
                )
            )  # fmt: skip
    if not is_heard:
        raise LimitReached(
            "too many tokens from there opened nothing", next_step=f"wait {WINDOW_S:.0f} s, then show a good one"
        )


async def uid_of(world: World, principal: str) -> int | None:
    """As which account of this host somebody's jobs run; None: he has none. Raises Unavailable."""
    if principal.startswith(UID):
        return int(principal.removeprefix(UID))
    if not principal.startswith(USER):
        return None
    try:
        user = await world.store.read(lambda view: view.user(principal.removeprefix(USER)))
    except NotFound:
        return None
    return user.uids[0] if user.uids else None

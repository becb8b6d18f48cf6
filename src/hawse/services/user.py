"""The verbs of users: add, change, disable, enable, remove, page. Only for admins; who asks about himself is told.

Who is disabled or removed is out at once: in the same commit every attachment of his is cut, and from that commit on no
token and no uid of his opens anything. His sessions stay, with their jobs, until somebody ends them or gives them to
another user (services/session.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hawse.domain import token as tokens
from hawse.domain import user as users
from hawse.domain.attachment import Attachment, Reason
from hawse.domain.errors import Conflict, Denied, Invalid, NotFound
from hawse.domain.session import Session
from hawse.domain.user import User
from hawse.ports.store import Unit, View
from hawse.services import audit
from hawse.services.control import leave
from hawse.services.gate import check_admin
from hawse.services.place import known
from hawse.services.world import Caller, World, once

PAGE_MAX = 1000
SESSIONS_TOLD_MAX = 1000


@dataclass(frozen=True, slots=True)
class Out:
    """A user who was shut out: which attachments were cut, and which living sessions stay behind."""

    user: User
    attachments: tuple[Attachment, ...] = ()
    sessions: tuple[Session, ...] = ()


def check_site(world: World) -> None:
    """Raises Invalid on a user's own coordinator, which has no others."""
    if world.site is None:
        raise Invalid(
            "this is one user's own coordinator: users and tokens are a site service's",
            next_step="for a service: hawse serve --config FILE; to let somebody in here: hawse share",
        )


async def add(world: World, caller: Caller, name: str, facts: Mapping[str, Any]) -> User:
    """A new user. facts: uids, groups, project, is_admin, about.

    Raises Denied, Invalid, TooLarge, Clash (the name or a uid is somebody's, or was: a name is never given twice),
    NotFound (no such project).
    """
    check_site(world)
    check_admin(caller)
    made = users.created(name=name, by=caller.principal, now=world.clock.now(), **facts)

    def verb(unit: Unit) -> User:
        known(unit, made.project)
        kept = unit.put(None, made)
        assert isinstance(kept, User)
        audit.record(unit, caller, "user.created", "user", made.name, _told(None, made))
        return kept

    return await once(world, caller, verb)


async def get(world: World, caller: Caller, name: str) -> User:
    """One user; everybody may ask about himself. Raises NotFound, Denied."""
    if f"{users.USER}{name}" != caller.principal:
        check_admin(caller)
    return await world.store.read(lambda view: user_named(view, name))


async def page(world: World, caller: Caller, *, after: str, limit: int) -> list[User]:
    """By name; removed ones, too. Raises Denied, Invalid."""
    check_admin(caller)
    return await world.store.read(lambda view: view.users(after=after, limit=limit))


async def change(
    world: World, caller: Caller, name: str, facts: Mapping[str, Any], *, version: int | None = None
) -> User:
    """Other uids, groups, project, words; admin or not. Raises as `add`, and IllegalMove, Conflict."""
    check_site(world)
    check_admin(caller)

    def verb(unit: Unit) -> User:
        before = user_named(unit, name)
        if version is not None and before.version != version:
            raise Conflict(f"user {name} is at version {before.version}, not {version}", version=before.version)
        after = users.changed(before, **facts)
        if before.is_admin and not after.is_admin:
            _check_not_self(before, caller, "take the admin's rights from yourself")
        known(unit, after.project)
        kept = unit.put(before, after)
        assert isinstance(kept, User)
        if after != before:
            audit.record(unit, caller, "user.changed", "user", name, _told(before, after))
        return kept

    return await once(world, caller, verb)


async def disable(world: World, caller: Caller, name: str) -> Out:
    """Shut a user out until he is enabled again. Safe to repeat. Raises NotFound, Denied, IllegalMove."""
    return await _out(world, caller, name, users.disabled, "user.disabled")


async def remove(world: World, caller: Caller, name: str) -> Out:
    """Shut a user out for good: his tokens are revoked, his uids are free, his name stays taken. Safe to repeat.

    Raises NotFound, Denied.
    """
    return await _out(world, caller, name, users.removed, "user.removed")


async def enable(world: World, caller: Caller, name: str) -> User:
    """Let a disabled user in again; his tokens are good again. Raises NotFound, Denied, IllegalMove."""
    check_site(world)
    check_admin(caller)

    def verb(unit: Unit) -> User:
        before = user_named(unit, name)
        after = users.enabled(before)
        kept = unit.put(before, after)
        assert isinstance(kept, User)
        if after != before:
            audit.record(unit, caller, "user.enabled", "user", name)
        return kept

    return await once(world, caller, verb)


async def _out(world: World, caller: Caller, name: str, move: Callable[[User], User], kind: str) -> Out:
    check_site(world)
    check_admin(caller)
    now = world.clock.now()

    def verb(unit: Unit) -> Out:
        before = user_named(unit, name)
        _check_not_self(before, caller, "shut yourself out")
        after = move(before)
        kept = unit.put(before, after)
        assert isinstance(kept, User)
        if after.state == users.S.REMOVED:
            _revoke_tokens(unit, name)
        cut = _cut(unit, after.principal, by=caller.principal, now=now)
        left = unit.sessions_of(
            after.principal, [], project="", now=now, shared=False, living=True, limit=SESSIONS_TOLD_MAX
        )
        if after != before or cut:
            facts = {"attachments": [one.id for one in cut], "sessions": [one.id for one in left][:100]}
            audit.record(unit, caller, kind, "user", name, facts)
        return Out(kept, cut, tuple(left))

    return await once(world, caller, verb)


def _check_not_self(user: User, caller: Caller, what: str) -> None:
    if user.principal == caller.principal:
        raise Invalid(f"you would {what}", next_step="let another admin do it")


def _revoke_tokens(unit: Unit, user: str) -> None:
    for token in unit.tokens(user):
        unit.put(token, tokens.revoked(token))
        unit.drop_secret(token.id)


def _cut(unit: Unit, principal: str, *, by: str, now: float) -> tuple[Attachment, ...]:
    """Detach everything of his; their runners are told, and control of their jobs passes on."""
    found, cut = unit.attachments_of_principal(principal), []
    for session in dict.fromkeys(one.session for one in found):
        his = [one for one in found if one.session == session]
        cut += leave(unit, his, reason=Reason.REVOKED, by=by, now=now)
    return tuple(cut)


def user_named(view: View, name: str) -> User:
    """Raises NotFound, with what to do."""
    try:
        return view.user(name)
    except NotFound as error:
        error.next_step = "hawse user ls lists them"
        raise


def check_self(caller: Caller, name: str) -> None:
    """Is it himself, or an admin? Raises Denied."""
    if caller.principal != f"{users.USER}{name}" and not caller.is_admin:
        raise Denied(f"you are not user {name}, nor an admin of the site")


def _told(before: User | None, after: User) -> dict[str, object]:
    """What is different, for the audit log."""
    names = ("uids", "groups", "project", "is_admin", "about")
    return {
        name: list(value) if isinstance(value := getattr(after, name), tuple) else value
        for name in names
        if before is None or getattr(before, name) != getattr(after, name)
    }

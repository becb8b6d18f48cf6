"""The verbs of tokens: make, renew, revoke, page. Each user for himself; an admin for everybody.

A token's secret is told once, by the answer that made it, and is kept nowhere: not in the answer that a retry gets, not
in an event, not in a log.
"""

from __future__ import annotations

from dataclasses import dataclass

from hawse.domain import token as tokens
from hawse.domain import user as users
from hawse.domain.errors import Denied, Expired, IllegalMove, Invalid, LimitReached, NotFound
from hawse.domain.ids import RANDOM_BYTES, TokenId, is_uuid, uuid7
from hawse.domain.project import is_member
from hawse.domain.token import LIVE_MAX, SECRET_BYTES, Token
from hawse.ports.store import Unit, View
from hawse.services import audit
from hawse.services.gate import check_writes
from hawse.services.identity import hash_of
from hawse.services.place import known
from hawse.services.user import check_self, check_site, user_named
from hawse.services.world import Caller, World, once


@dataclass(frozen=True, slots=True)
class TokenWish:
    """What is wanted. user None: for the caller himself. expires_at: Unix seconds; None: the longest possible."""

    name: str
    user: str | None = None
    expires_at: float | None = None
    project: str | None = None
    read_only: bool = False


async def make(world: World, caller: Caller, wish: TokenWish) -> tuple[Token, str]:
    """A new token, and what to show: it is told only now.

    Raises Denied, Invalid, NotFound (no such user or project), Clash (he has one of that name), LimitReached,
    IllegalMove (the user may not come in). If cancelled: it may have been made; nobody knows its secret then.
    """
    user = whose(world, caller, wish.user)
    now = world.clock.now()
    id = TokenId(uuid7(now, world.clock.random(RANDOM_BYTES)))
    made = tokens.created(
        id=id, user=user, name=wish.name, by=caller.principal, now=now, expires_at=_end(world, wish.expires_at, now),
        project=wish.project, read_only=wish.read_only,
    )  # fmt: skip
    text = tokens.text_of(id, world.clock.random(SECRET_BYTES))

    def verb(unit: Unit) -> Token:
        found = user_named(unit, user)
        if found.state != users.S.ACTIVE:
            raise IllegalMove(f"user {user} is {found.state}; a token of his would open nothing")
        live = [one for one in unit.tokens(user) if tokens.is_good(one, now=now)]
        if len(live) >= LIVE_MAX:
            raise LimitReached(
                f"user {user} has {len(live)} tokens; at most {LIVE_MAX} are possible", next_step="hawse token revoke"
            )
        if made.project is not None and not is_member(known(unit, made.project), {found.principal, *found.groups}):
            raise Invalid(f"user {user} is no member of project {made.project}")
        _drop_expired(unit, user, made.name, now)
        kept = unit.put(None, made)
        assert isinstance(kept, Token)
        unit.keep_secret(id, _digest(text))
        facts = {"user": user, "name": made.name, "expires_at": made.expires_at, "project": made.project,
                 "read_only": made.read_only}  # fmt: skip
        audit.record(unit, caller, "token.created", "token", id, facts)
        return kept

    return await once(world, caller, verb), text


async def renew(world: World, caller: Caller, name: str, *, user: str | None = None) -> tuple[Token, str]:
    """Another secret for a token; the present one opens nothing any more. Raises NotFound, Denied, Expired."""
    owner, now = whose(world, caller, user), world.clock.now()
    random = world.clock.random(SECRET_BYTES)

    def verb(unit: Unit) -> tuple[Token, str]:
        token = token_named(unit, owner, name)
        if not tokens.is_good(token, now=now):
            raise Expired(f"token {token.name} is revoked or over", next_step="make a new one: hawse token new")
        text = tokens.text_of(token.id, random)
        unit.drop_secret(token.id)
        unit.keep_secret(token.id, _digest(text))
        audit.record(unit, caller, "token.renewed", "token", token.id, {"user": owner, "name": token.name})
        return token, text

    return await world.store.write(verb)


async def revoke(world: World, caller: Caller, name: str, *, user: str | None = None) -> Token:
    """A token, by name or id, opens nothing any more. Safe to repeat by id. Raises NotFound, Denied."""
    owner = whose(world, caller, user)

    def verb(unit: Unit) -> Token:
        before = token_named(unit, owner, name)
        after = tokens.revoked(before)
        kept = unit.put(before, after)
        assert isinstance(kept, Token)
        unit.drop_secret(before.id)
        if after != before:
            audit.record(unit, caller, "token.revoked", "token", before.id, {"user": owner, "name": before.name})
        return kept

    return await once(world, caller, verb)


async def page(world: World, caller: Caller, *, user: str | None = None) -> list[Token]:
    """The tokens of one user that open something, by age. Raises NotFound, Denied."""
    check_site(world)
    owner = user or users_name(caller)
    check_self(caller, owner)
    now = world.clock.now()

    def query(view: View) -> list[Token]:
        user_named(view, owner)
        return [one for one in view.tokens(owner) if tokens.is_good(one, now=now)]

    return await world.store.read(query)


def whose(world: World, caller: Caller, user: str | None) -> str:
    """Whose tokens the caller means, if he may change them. Raises Invalid, Denied."""
    check_site(world)
    check_writes(caller)
    if caller.only_project is not None:
        raise Denied(f"this token is for project {caller.only_project} only; it makes and ends none")
    owner = user or users_name(caller)
    check_self(caller, owner)
    return owner


def users_name(caller: Caller) -> str:
    """The caller's name as a user. Raises Invalid: he is none."""
    if not caller.principal.startswith(users.USER):
        raise Invalid(
            f"{caller.principal} is no user of this site, and only a user has tokens",
            next_step="say whose: --user NAME; an admin makes users: hawse user add",
        )
    return caller.principal.removeprefix(users.USER)


def token_named(view: View, user: str, name: str) -> Token:
    """A user's token by id, or the live one of this name. Raises NotFound."""
    found = [one for one in view.tokens(user) if one.id == name or (one.name == name and one.state == tokens.S.LIVE)]
    if not found:
        what = "" if is_uuid(name) else f" {name[:60]!r}"
        raise NotFound(f"user {user} has no live token{what}", next_step="hawse token ls")
    return found[0]


def _digest(text: str) -> bytes:
    shown = tokens.parted(text)
    assert shown is not None
    return hash_of(shown[1])


def _end(world: World, expires_at: float | None, now: float) -> float | None:
    most = None if world.site is None or world.site.token_s_max is None else now + world.site.token_s_max
    if most is not None and expires_at is not None and expires_at > most:
        raise Invalid(
            f"a token is good for {(most - now) / 86400:g} days at most here", next_step="give an earlier --until"
        )
    return most if expires_at is None else expires_at


def _drop_expired(unit: Unit, user: str, name: str, now: float) -> None:
    """A token whose time is over gives its name free."""
    for one in unit.tokens(user):
        if one.name == name and one.state == tokens.S.LIVE and not tokens.is_good(one, now=now):
            unit.put(one, tokens.revoked(one))
            unit.drop_secret(one.id)

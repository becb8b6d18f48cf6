"""The verbs of grants and links: share, unshare, link, redeem, page; and what happens when their time is over.

What is taken back cuts, in the same commit, every attachment that it had admitted; the runner refuses the tickets that
were given out for them (`CutAttachment`).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hawse.domain import attachment as attachments
from hawse.domain import grant as grants
from hawse.domain.attachment import Attachment, Mode, Reason
from hawse.domain.effect import CheckClock, Effect, Later
from hawse.domain.errors import Clash, Denied, Expired, Invalid, LimitReached, NotFound
from hawse.domain.grant import Capability, Grant, Role
from hawse.domain.ids import RANDOM_BYTES, GrantId, is_uuid, uuid7
from hawse.domain.session import Session
from hawse.ports.store import Unit, View
from hawse.services import audit
from hawse.services.clock import watch_others
from hawse.services.gate import check_writes, denied, is_permitted, session_of
from hawse.services.world import Caller, World, once

GRANTS_MAX = 1000  # live ones of one session, links with them
SECRET_BYTES = 32
SECRET_LENGTH_MAX = 200
CLOCK = "grant"  # of CheckClock: a grant's time may be over
REDEEM = "link:redeem"  # what a refused link is told as; no role has it, since everybody may try
BY = "hawse"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be given. can: narrows the role. expires_at: Unix seconds. uses_max: of a link; None: no bound."""

    role: str = Role.OBSERVER
    can: tuple[str, ...] = ()
    expires_at: float | None = None
    uses_max: int | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken back: grants (links too), and the attachments that were cut with them."""

    grants: tuple[Grant, ...] = ()
    attachments: tuple[Attachment, ...] = ()


async def share(world: World, caller: Caller, session_name: str, principal: str, wish: Wish) -> Grant:
    """Give somebody a role in a session, or change the one that he has there. What he may no longer do is cut at once.

    Raises NotFound, Denied (also: more than the caller has himself), Invalid, TooLarge, LimitReached.
    If cancelled: it may or may not have been done; asking again gives the same.
    """
    now, fresh = world.clock.now(), _fresh(world)
    grants.checked_principal(principal)

    def verb(unit: Unit) -> Grant:
        session = session_of(unit, caller, session_name, Capability.SESSION_SHARE)
        if principal == session.owner:
            raise Invalid(f"{principal} is the owner of session {session.name} and may do everything already")
        wanted = grants.created(
            id=fresh, session=session.id, principal=principal, role=_role(wish), by=caller.principal, now=now,
            can=wish.can, expires_at=wish.expires_at, uses_max=wish.uses_max,
        )  # fmt: skip
        _check_giver(unit, caller, session, wanted, now)
        made = _given(unit, session, wanted, by=caller.principal, request=caller.request_id, now=now)
        audit.record(unit, caller, "grant.created", "grant", made.id, _told(made))
        return made

    return await once(world, caller, verb)


async def link(world: World, caller: Caller, session_name: str, wish: Wish) -> Grant:
    """Make a link: whoever shows its secret gets a grant of his own. `new_secret` gives the secret.

    Raises NotFound, Denied (also: more than the caller has himself), Invalid, TooLarge, LimitReached.
    If cancelled: it may have been made; nobody has its secret then.
    """
    now, fresh = world.clock.now(), _fresh(world)

    def verb(unit: Unit) -> Grant:
        session = session_of(unit, caller, session_name, Capability.SESSION_SHARE)
        wanted = grants.created(
            id=fresh, session=session.id, principal=None, role=_role(wish), by=caller.principal, now=now,
            can=wish.can, expires_at=wish.expires_at, uses_max=wish.uses_max,
        )  # fmt: skip
        _check_giver(unit, caller, session, wanted, now)
        made = _kept(unit, None, wanted, "grant.created", caller.principal, _clock(wanted), caller.request_id)
        audit.record(unit, caller, "link.made", "grant", made.id, _told(made))
        return made

    return await once(world, caller, verb)


async def new_secret(world: World, caller: Caller, link_id: str) -> str:
    """The secret of a link, made now and told once; an older one opens nothing any more.

    Raises NotFound, Denied (only who made the link), Expired.
    """
    random = urlsafe_b64encode(world.clock.random(SECRET_BYTES)).rstrip(b"=").decode()
    kept_hash = _hash(world, link_id, random)

    def verb(unit: Unit) -> None:
        found = unit.grant(link_id)
        if not found.is_link or found.created_by != caller.principal:
            raise Denied(f"link {link_id} was made by somebody else", session=found.session, capability=REDEEM)
        if found.state not in grants.LIVING:
            raise Expired(f"this link is {found.state}", next_step="make a new one")
        unit.drop_secret(link_id)
        unit.keep_secret(link_id, kept_hash)

    await world.store.write(verb)
    return f"{link_id}.{random}"


async def redeem(world: World, caller: Caller, secret: str) -> Grant:
    """Turn a link's secret into a grant for the caller, which ends when the link does.

    Who has a grant from this link already gets that one, and no use is counted.
    Raises Invalid (no link's form), Denied (not the secret of any link), Expired, Clash (a grant that is not part of
    it), LimitReached.
    """
    link_id, _, random = secret.partition(".")
    if len(secret) > SECRET_LENGTH_MAX or not is_uuid(link_id) or not random.isascii():
        raise Invalid("this is not a link of hawse", next_step="copy it whole, as hawse share --link printed it")
    shown = _hash(world, link_id, random)
    now, fresh = world.clock.now(), _fresh(world)

    def verb(unit: Unit) -> Grant:
        found, session = _proven(unit, link_id, shown)
        caller.about(session.id)
        check_writes(caller)
        if caller.only_project not in (None, session.project):
            raise Denied(f"this token is for project {caller.only_project} only", next_step="use another of yours")
        if caller.principal == session.owner:
            raise Invalid(f"session {session.name} is yours already; the link was not used")
        present = _live(unit, session, caller.principal)
        is_over = found.state == grants.S.REVOKED or grants.is_expired(found, now=now)
        if present is not None and present.via == found.id and not is_over:
            return present
        used = grants.redeemed(found, now=now)
        wanted = grants.created(
            id=fresh, session=session.id, principal=caller.principal, role=found.role, by=found.created_by, now=now,
            can=found.can, expires_at=found.expires_at, via=found.id,
        )  # fmt: skip
        if present is not None:
            if grants.lacking([present], wanted, now=now) is None:
                return present  # it gives no more than he has
            if grants.lacking([wanted], present, now=now) is not None:
                raise Clash(
                    f"you are {present.role} of session {session.name} with rights that this link does not give",
                    next_step="ask for a grant that has both",
                )
        _kept(unit, found, used, "grant.redeemed", caller.principal)
        made = _given(unit, session, wanted, by=caller.principal, request="", now=now)
        audit.record(unit, caller, "link.redeemed", "grant", made.id, _told(made))
        return made

    return await world.store.write(verb)


async def unshare(world: World, caller: Caller, session_name: str, whom: str) -> Taken:
    """Take back what a principal, a grant or a link (by id) has, with all that was made from a link; cut at once.

    Everybody may give back his own. Safe to repeat: what is gone is not found. Raises NotFound, Denied, Invalid.
    """
    now = world.clock.now()

    def verb(unit: Unit) -> Taken:
        session = session_of(unit, caller, session_name)
        found = _named(unit, session, whom)
        check_writes(caller)
        own = all(grant.principal == caller.principal for grant in found) and bool(found)
        if not own and not is_permitted(unit, caller, session, Capability.SESSION_SHARE):
            raise denied(unit, caller, session, Capability.SESSION_SHARE)
        if whom == session.owner:
            raise Invalid(f"{whom} is the owner of session {session.name}; nobody can shut him out")
        if not found:
            raise NotFound(
                f"session {session.name} is not shared with {whom[:80]}", next_step=f"hawse share {session.name} lists"
            )
        ids = {grant.id for grant in found if grant.is_link}
        found += [grant for grant in unit.grants(session.id) if grant.via in ids and grant not in found]
        gone = tuple(
            _kept(unit, one, grants.revoked(one), "grant.revoked", caller.principal, request=caller.request_id)
            for one in found
        )
        for one in gone:
            unit.drop_secret(one.id)
        cut = _cut(unit, session, gone, by=caller.principal, now=now)
        for one in gone:
            audit.record(unit, caller, "grant.revoked", "grant", one.id, _told(one))
        return Taken(gone, cut)

    return await once(world, caller, verb)


async def page(world: World, caller: Caller, session_name: str) -> list[Grant]:
    """The live grants and links of a session, by age; who may not share it sees his own. Raises NotFound, Denied."""

    def query(view: View) -> list[Grant]:
        session = session_of(view, caller, session_name)
        found = [one for one in view.grants(session.id) if not grants.is_expired(one, now=caller.now)]
        if is_permitted(view, caller, session, Capability.SESSION_SHARE):
            return found
        return [one for one in found if one.principal in caller.principals]

    return await world.store.read(query)


async def expire(world: World, session_id: str) -> None:
    """End the grants whose time is over, and what they admitted. Safe to repeat; a session that is gone is no error."""
    now = world.clock.now()

    def verb(unit: Unit) -> None:
        try:
            session = unit.session(session_id)
        except NotFound:
            return
        timed = [one for one in unit.grants(session_id) if one.expires_at is not None]
        over = [one for one in timed if grants.is_expired(one, now=now)]
        gone = [_kept(unit, one, grants.expired(one), "grant.expired", BY) for one in over]
        _cut(unit, session, gone, by=BY, now=now)
        if timed and not over:  # the clock was set back meanwhile
            unit.add_effects(session_id, _clock(min(timed, key=lambda one: one.expires_at or 0.0)))

    await world.store.write(verb)


# -- what the verbs are made of ---------------------------------------------------------------------------------------


def _told(grant: Grant) -> dict[str, object]:
    """For the audit log."""
    return {
        "session": grant.session, "principal": grant.principal, "role": grant.role, "can": list(grant.can),
        "expires_at": grant.expires_at,
    }  # fmt: skip


def _fresh(world: World) -> GrantId:
    return GrantId(uuid7(world.clock.now(), world.clock.random(RANDOM_BYTES)))


def _role(wish: Wish) -> Role:
    try:
        return Role(wish.role)
    except ValueError:
        raise Invalid(f"there is no role {wish.role[:40]!r}", next_step=f"roles: {', '.join(Role)}") from None


def _check_giver(unit: Unit, caller: Caller, session: Session, wanted: Grant, now: float) -> None:
    """Nobody gives more than he has. Raises Denied, LimitReached."""
    live = unit.grants(session.id)
    if len(live) >= GRANTS_MAX:
        raise LimitReached(f"session {session.name} has {len(live)} grants; at most {GRANTS_MAX} are possible")
    if session.owner == caller.principal:
        return
    mine = [one for one in live if one.principal in caller.principals]
    missing = grants.lacking(mine, wanted, now=now)
    if missing is not None:
        raise Denied(
            f"you cannot give {missing} in session {session.name}: you do not have it so yourself",
            next_step="give less, for a shorter time, or ask the owner",
            session=session.id,
            capability=missing.value,
        )


def _given(unit: Unit, session: Session, wanted: Grant, *, by: str, request: str, now: float) -> Grant:
    """Make the grant, or change the live one of its principal; cut what that one admitted and this does not."""
    assert wanted.principal is not None
    present = _live(unit, session, wanted.principal)
    if present is not None and present.via != wanted.via:  # it would end with another link: a new one takes its place
        gone = _kept(unit, present, grants.revoked(present), "grant.revoked", by, request=request)
        kept = _kept(unit, None, wanted, "grant.created", by, _clock(wanted), request)
        _cut(unit, session, (gone,), by=by, now=now, unless=kept)
        return kept
    if present is None:
        return _kept(unit, None, wanted, "grant.created", by, _clock(wanted), request)
    if grants.is_expired(present, now=now):  # nobody has looked yet
        gone = _kept(unit, present, grants.expired(present), "grant.expired", BY)
        _cut(unit, session, (gone,), by=BY, now=now)
        return _kept(unit, None, wanted, "grant.created", by, _clock(wanted), request)
    after = grants.narrowed(present, role=wanted.role, can=wanted.can, expires_at=wanted.expires_at, now=now)
    if after == present:
        return present
    changed = _kept(unit, present, after, "grant.changed", by, _clock(after), request)
    _cut(unit, session, (changed,), by=by, now=now, unless=changed)
    return changed


def _live(view: View, session: Session, principal: str) -> Grant | None:
    return next((one for one in view.grants(session.id) if one.principal == principal), None)


def _named(view: View, session: Session, whom: str) -> list[Grant]:
    """The live or used grants that a principal or an id means."""
    if is_uuid(whom):
        every = view.grants(session.id, live=False)
        return [one for one in every if one.id == whom and one.state not in grants.FINAL]
    grants.checked_principal(whom)
    return [one for one in view.grants(session.id) if one.principal == whom]


def _clock(grant: Grant) -> Sequence[Effect | Later]:
    at = grant.expires_at
    return () if at is None else (Later(CheckClock(grant.session, CLOCK, at), at),)


def _kept(
    unit: Unit,
    before: Grant | None,
    after: Grant,
    kind: str,
    by: str,
    effects: Sequence[Effect | Later] = (),
    request: str = "",
) -> Grant:
    kept = unit.change(before, after, kind=kind, by=by, effects=effects, request=request)
    assert isinstance(kept, Grant)
    return kept


def _cut(
    unit: Unit, session: Session, gone: Iterable[Grant], *, by: str, now: float, unless: Grant | None = None
) -> tuple[Attachment, ...]:
    """Detach what these grants admitted; `unless` this one allows it as it is now."""
    ids = {grant.id for grant in gone}
    cut = []
    names = {job.id: job.name for job in unit.jobs(session.id)} if unless is not None else {}
    for one in unit.attachments(session.id) if ids else ():
        if one.via not in ids:
            continue
        if unless is not None and unless.id == one.via and _admits(unless, one.mode, names[one.job], now):
            continue
        after, effects = attachments.detached(one, reason=Reason.REVOKED, now=now)
        kept = unit.change(one, after, kind="attachment.detached", by=by, effects=effects)
        assert isinstance(kept, Attachment)
        cut.append(kept)
    if cut:
        watch_others(unit, session.id, now=now)
    return tuple(cut)


def _admits(grant: Grant, mode: Mode, job: str, now: float) -> bool:
    if mode == Mode.CONTROL:
        return grants.allows(grant, Capability.JOB_CONTROL, now=now, job=job)
    may_read = grants.allows(grant, Capability.JOB_READ, now=now, job=job)
    return may_read and grants.allows(grant, Capability.JOB_WATCH, now=now, job=job)  # a reader is kept as watching


def _hash(world: World, link_id: str, random: str) -> bytes:
    return hmac.digest(world.key, f"link\n{link_id}\n{random}".encode(), hashlib.sha256)


def _proven(unit: Unit, link_id: str, shown: bytes) -> tuple[Grant, Session]:
    """The link whose secret this is. A wrong secret and no such link sound alike. Raises Denied."""
    try:
        found, kept = unit.grant(link_id), unit.secret(link_id)
    except NotFound:
        found, kept = None, bytes(len(shown))
    if not hmac.compare_digest(kept, shown) or found is None or not found.is_link:
        facts = {"session": found.session, "capability": REDEEM} if found is not None else {}
        raise Denied("this link opens nothing: it is wrong, or was taken back", next_step="ask for a new one", **facts)
    return found, unit.session(found.session)

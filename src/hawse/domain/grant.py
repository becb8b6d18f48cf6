"""A grant: what somebody who is not the owner may do in a session, until when.

A role is a set of capabilities; `ROLES` is the whole authorization table. A grant may be narrowed to some capabilities,
and each of them to one job: `job:control@build`. A grant for a principal says who; a link says how often: whoever shows
its secret gets a grant of his own, made from the link. A stolen id gives nothing: who is not granted is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from hawse.domain.errors import Expired, Invalid, TooLarge
from hawse.domain.ids import NAME_LENGTH_MAX, GrantId, SessionId, checked_name
from hawse.domain.table import moved

CAPABILITIES_MAX = 64
USES_MAX = 10_000
GROUP = "group:"
_PRINCIPAL = re.compile(r"uid:(0|[1-9][0-9]{0,9})|(user|group):[A-Za-z0-9_][A-Za-z0-9._@+-]*")


class Role(StrEnum):
    OBSERVER = "observer"
    OPERATOR = "operator"
    OWNER = "owner"


class Capability(StrEnum):
    """One verb on one kind of object. What concerns a job can be granted for one job alone."""

    SESSION_SEE = "session:see"
    SESSION_DESCRIBE = "session:describe"
    SESSION_EXTEND = "session:extend"
    SESSION_POLICY = "session:policy"
    SESSION_SHARE = "session:share"
    SESSION_END = "session:end"
    EVENT_READ = "event:read"
    JOB_RUN = "job:run"
    JOB_READ = "job:read"
    JOB_WATCH = "job:watch"
    JOB_CONTROL = "job:control"
    JOB_SIGNAL = "job:signal"
    JOB_STOP = "job:stop"
    ATTACHMENT_DETACH = "attachment:detach"  # somebody else's; one's own is always one's own


OF_JOBS = frozenset(capability for capability in Capability if capability.startswith("job:")) - {Capability.JOB_RUN}
_SEES = frozenset({Capability.SESSION_SEE, Capability.EVENT_READ, Capability.JOB_READ, Capability.JOB_WATCH})
_WORKS = _SEES | {
    Capability.SESSION_DESCRIBE,
    Capability.SESSION_EXTEND,
    Capability.JOB_RUN,
    Capability.JOB_CONTROL,
    Capability.JOB_SIGNAL,
    Capability.JOB_STOP,
}
ROLES: Mapping[Role, frozenset[Capability]] = {
    Role.OBSERVER: _SEES,
    Role.OPERATOR: _WORKS,
    Role.OWNER: frozenset(Capability),
}


class S(StrEnum):
    LIVE = "live"
    USED = "used"  # a link whose last use is over
    REVOKED = "revoked"
    EXPIRED = "expired"


class E(StrEnum):
    NARROWED = "narrowed"  # role, capabilities or expiry changed
    REDEEMED = "redeemed"
    USED_UP = "used_up"
    REVOKED = "revoked"
    EXPIRED = "expired"


GRANT: Mapping[tuple[S, E], S] = {
    (S.LIVE, E.NARROWED): S.LIVE,
    (S.LIVE, E.REDEEMED): S.LIVE,
    (S.LIVE, E.USED_UP): S.USED,
    (S.LIVE, E.REVOKED): S.REVOKED,
    (S.LIVE, E.EXPIRED): S.EXPIRED,
    (S.USED, E.REVOKED): S.REVOKED,
    (S.REVOKED, E.REVOKED): S.REVOKED,
    (S.EXPIRED, E.REVOKED): S.EXPIRED,
}
START, FINAL = S.LIVE, frozenset({S.REVOKED, S.EXPIRED})
LIVING = frozenset({S.LIVE})


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody's right in one session.

    principal: "uid:1000", "user:alice", "group:staff"; None: a link. can: narrows the role to these capabilities, each
    "noun:verb" or "noun:verb@job"; empty: all of the role. expires_at: Unix seconds; None: as long as the session.
    uses, uses_max: of a link (None: no bound). via: the link that this grant was made from.
    """

    id: GrantId
    session: SessionId
    principal: str | None
    role: Role
    state: S
    created_at: float
    created_by: str
    can: tuple[str, ...] = ()
    version: int = 1
    expires_at: float | None = None
    uses: int = 0
    uses_max: int | None = None
    via: GrantId | None = None

    @property
    def is_link(self) -> bool:
        return self.principal is None


def created(
    *,
    id: GrantId,
    session: SessionId,
    principal: str | None,
    role: Role,
    by: str,
    now: float,
    can: Iterable[str] = (),
    expires_at: float | None = None,
    uses_max: int | None = None,
    via: GrantId | None = None,
) -> Grant:
    """Raises Invalid (a principal, capability, time or count that is none), TooLarge."""
    if principal is not None:
        checked_principal(principal)
    if expires_at is not None and expires_at <= now:
        raise Invalid("the grant would be over before it begins", next_step="give a time in the future")
    if uses_max is not None and (principal is not None or not 1 <= uses_max <= USES_MAX):
        raise Invalid(f"a link is good for 1 to {USES_MAX} uses; a grant for somebody has none")
    return Grant(
        id=id,
        session=session,
        principal=principal,
        role=role,
        state=START,
        created_at=now,
        created_by=by,
        can=checked_capabilities(can, role),
        expires_at=expires_at,
        uses_max=uses_max,
        via=via,
    )


def checked_principal(text: str) -> str:
    """The text, if it can name somebody. Raises Invalid."""
    if len(text) > NAME_LENGTH_MAX or not _PRINCIPAL.fullmatch(text):
        raise Invalid(f"{text[:NAME_LENGTH_MAX]!r} is no principal: uid:1000, user:alice, group:staff")
    return text


def checked_capabilities(can: Iterable[str], role: Role) -> tuple[str, ...]:
    """The capabilities in their order, if the role has them. Raises Invalid, TooLarge."""
    found = tuple(dict.fromkeys(can))
    if len(found) > CAPABILITIES_MAX:
        raise TooLarge(f"{len(found)} capabilities are too many; at most {CAPABILITIES_MAX} are allowed")
    for text in found:
        name, at, job = text.partition("@")
        if name not in frozenset(Capability):
            raise Invalid(f"there is no capability {name[:60]!r}", next_step="hawse policy roles lists them")
        if Capability(name) not in ROLES[role]:
            raise Invalid(f"the role {role} has no {name}; a grant can be narrowed, not widened")
        if at and Capability(name) not in OF_JOBS:
            raise Invalid(f"{name} does not concern one job, so {text!r} says nothing")
        if at:
            checked_name(job, "the job's name")
    return found


def allows(grant: Grant, capability: Capability, *, now: float, job: str | None = None) -> bool:
    """Does this grant allow the verb (on the job of this name)? job None: on some job at least.

    To see a session is part of every grant in it.
    """
    if grant.state != S.LIVE or grant.is_link or is_expired(grant, now=now):
        return False
    if capability == Capability.SESSION_SEE:
        return True
    if capability not in ROLES[grant.role]:
        return False
    if not grant.can:
        return True
    for text in grant.can:
        name, _, only = text.partition("@")
        if name == capability and (not only or job is None or only == job):
            return True
    return False


def given(grant: Grant) -> Iterator[tuple[Capability, str | None]]:
    """What it gives, as (capability, the only job or None), whatever its state: for a link what its users will get."""
    yield Capability.SESSION_SEE, None
    for text in grant.can or sorted(ROLES[grant.role]):
        name, _, job = text.partition("@")
        yield Capability(name), job or None


def lacking(own: Iterable[Grant], wanted: Grant, *, now: float) -> Capability | None:
    """What somebody who has only `own` cannot give, of what `wanted` gives; None: he may give it all.

    Nobody gives more than he has, nor for longer, nor for more jobs.
    """
    able = [
        grant
        for grant in own
        if grant.expires_at is None or (wanted.expires_at is not None and wanted.expires_at <= grant.expires_at)
    ]
    for capability, job in given(wanted):
        if not any(_gives(grant, capability, job, now=now) for grant in able):
            return capability
    return None


def _gives(grant: Grant, capability: Capability, job: str | None, *, now: float) -> bool:
    """As `allows`; job None: on every job."""
    if job is not None or not grant.can or capability not in OF_JOBS:
        return allows(grant, capability, now=now, job=job)
    return capability.value in grant.can and allows(grant, capability, now=now)


def is_expired(grant: Grant, *, now: float) -> bool:
    """Is its time over, whatever its state says yet?"""
    return grant.expires_at is not None and now >= grant.expires_at


def redeemed(link: Grant, *, now: float) -> Grant:
    """One use of a link. Raises Expired (it is over, used up or revoked), Invalid (no link)."""
    if not link.is_link:
        raise Invalid(f"grant {link.id} is not a link")
    if link.state != S.LIVE or is_expired(link, now=now):
        why = S.EXPIRED if link.state == S.LIVE else link.state
        raise Expired(f"this link is {why}", next_step="ask for a new one")
    uses = link.uses + 1
    event = E.USED_UP if link.uses_max is not None and uses >= link.uses_max else E.REDEEMED
    return replace(link, state=moved(GRANT, link.state, event, f"link {link.id}"), uses=uses)


def narrowed(grant: Grant, *, role: Role, can: Iterable[str], expires_at: float | None, now: float) -> Grant:
    """Another role, other capabilities, another expiry for the same principal. Raises Invalid, IllegalMove."""
    if expires_at is not None and expires_at <= now:
        raise Invalid("the grant would be over at once", next_step="hawse unshare takes it back")
    state = moved(GRANT, grant.state, E.NARROWED, f"grant {grant.id}")
    return replace(grant, state=state, role=role, can=checked_capabilities(can, role), expires_at=expires_at)


def revoked(grant: Grant) -> Grant:
    """Taken back. Safe to repeat; an expired one stays expired."""
    return replace(grant, state=moved(GRANT, grant.state, E.REVOKED, f"grant {grant.id}"))


def expired(grant: Grant) -> Grant:
    """Its time is over."""
    return replace(grant, state=moved(GRANT, grant.state, E.EXPIRED, f"grant {grant.id}"))

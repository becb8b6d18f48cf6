"""A session: named distributed work that outlives everyone who looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from hawse.domain.errors import Expired, Invalid, TooLarge
from hawse.domain.ids import SessionId, checked_name, checked_text
from hawse.domain.policy import SECONDS_MAX, STARTING_CLOCKS, check_names, checked
from hawse.domain.table import moved

DESCRIPTION_LENGTH_MAX = 1000
LABELS_MAX = 32
LABEL_LENGTH_MAX = 256


class S(StrEnum):
    NEW = "new"
    WAITING = "waiting"
    ACTIVE = "active"
    DRAINING = "draining"
    ENDED = "ended"


class E(StrEnum):
    NODES_ASKED = "nodes_asked"
    ACTIVATED = "activated"
    DESCRIBED = "described"
    LEASE_SET = "lease_set"
    POLICY_SET = "policy_set"
    GIVEN = "given"
    END_ASKED = "end_asked"
    DRAINED = "drained"


SESSION: Mapping[tuple[S, E], S] = {
    (S.NEW, E.NODES_ASKED): S.WAITING,
    (S.NEW, E.ACTIVATED): S.ACTIVE,
    (S.NEW, E.END_ASKED): S.DRAINING,
    (S.WAITING, E.ACTIVATED): S.ACTIVE,
    (S.WAITING, E.DESCRIBED): S.WAITING,
    (S.WAITING, E.LEASE_SET): S.WAITING,
    (S.WAITING, E.POLICY_SET): S.WAITING,
    (S.WAITING, E.GIVEN): S.WAITING,
    (S.WAITING, E.END_ASKED): S.DRAINING,
    (S.ACTIVE, E.DESCRIBED): S.ACTIVE,
    (S.ACTIVE, E.LEASE_SET): S.ACTIVE,
    (S.ACTIVE, E.POLICY_SET): S.ACTIVE,
    (S.ACTIVE, E.GIVEN): S.ACTIVE,
    (S.ACTIVE, E.END_ASKED): S.DRAINING,
    (S.DRAINING, E.DESCRIBED): S.DRAINING,
    (S.DRAINING, E.GIVEN): S.DRAINING,
    (S.DRAINING, E.END_ASKED): S.DRAINING,  # ending twice is harmless
    (S.DRAINING, E.DRAINED): S.ENDED,
    (S.ENDED, E.DRAINED): S.ENDED,
}
START, FINAL = S.NEW, frozenset({S.ENDED})
LIVING = frozenset(S) - FINAL
CLOCKED = frozenset({S.NEW, S.WAITING, S.ACTIVE})  # its clocks run; one that drains is over soon anyway


class Lease(StrEnum):
    """When a session ends by itself."""

    NEVER = "never"  # only an explicit end
    JOBS = "jobs"  # with its last job (the command line's default: like a terminal window)
    UNTIL = "until"  # at a time


@dataclass(frozen=True, slots=True)
class Session:
    """Named work with everything that belongs to it.

    id: UUIDv7. alias: unique among a project's living sessions. Times are Unix seconds. epoch: raised when holders are
    fenced. ended_by, end_reason: who asked for the end first, and why. policies: see domain/policy.py. lease_until:
    when it ends (lease "until"; None otherwise). policies_at: when a policy that starts a clock was last changed, if
    ever; such a clock never counts time from before.
    """

    id: SessionId
    project: str
    alias: str | None
    owner: str
    state: S
    created_at: float
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, Any] = field(default_factory=dict)
    lease: Lease = Lease.NEVER
    epoch: int = 1
    version: int = 1
    ended_at: float | None = None
    end_reason: str = ""
    ended_by: str = ""
    lease_until: float | None = None
    policies_at: float | None = None

    @property
    def name(self) -> str:
        """What a person types: the alias, or the id when there is none."""
        return self.alias or self.id


def created(
    *,
    id: SessionId,
    project: str,
    alias: str | None,
    owner: str,
    now: float,
    description: str = "",
    labels: Mapping[str, str] | None = None,
    policies: Mapping[str, Any] | None = None,
    lease: Lease = Lease.NEVER,
    lease_until: float | None = None,
    lease_s_max: float | None = None,
) -> Session:
    """A session that needs no nodes is active at once. See `leased` for the lease. Raises Invalid, TooLarge."""
    session = Session(
        id=id,
        project=project,
        alias=None if alias is None else checked_name(alias, "the alias"),
        owner=owner,
        state=moved(SESSION, START, E.ACTIVATED, "the session"),
        created_at=now,
        policies=checked(policies or {}),
    )
    session = leased(session, lease, until=lease_until, now=now, lease_s_max=lease_s_max)
    return described(session, description=description, labels=labels or {})


def described(session: Session, *, description: str | None = None, labels: Mapping[str, str] | None = None) -> Session:
    """Change what people read about a session. None leaves a field as it is. Raises Invalid, TooLarge, IllegalMove."""
    state = moved(SESSION, session.state, E.DESCRIBED, f"session {session.name}")
    if description is not None and len(description) > DESCRIPTION_LENGTH_MAX:
        raise TooLarge(
            f"the description has {len(description)} characters; at most {DESCRIPTION_LENGTH_MAX} are allowed"
        )
    checked_text(description or "", "the description")
    if labels is not None and len(labels) > LABELS_MAX:
        raise TooLarge(f"{len(labels)} labels are too many; at most {LABELS_MAX} are allowed")
    for key, value in (labels or {}).items():
        checked_name(key, "the label")
        if len(value) > LABEL_LENGTH_MAX:
            raise TooLarge(f"label {key!r} has {len(value)} characters; at most {LABEL_LENGTH_MAX} are allowed")
        checked_text(value, f"the label {key!r}")
    return replace(
        session,
        state=state,
        description=session.description if description is None else description,
        labels=session.labels if labels is None else dict(labels),
    )


def renamed(session: Session, alias: str | None) -> Session:
    """Give a living session another alias. Whether it is free is the store's to say (Clash)."""
    state = moved(SESSION, session.state, E.DESCRIBED, f"session {session.name}")
    return replace(session, state=state, alias=None if alias is None else checked_name(alias, "the alias"))


def leased(
    session: Session, lease: Lease, *, until: float | None = None, now: float, lease_s_max: float | None = None
) -> Session:
    """Set when a living session ends by itself. until: with lease "until" only, Unix seconds.

    lease_s_max: how long the project lets a session live, seconds from its creation; None: any lease is possible.
    Raises Invalid, IllegalMove, Expired (its lease is over already; it is being ended).
    """
    state = moved(SESSION, session.state, E.LEASE_SET, f"session {session.name}")
    if session.lease_until is not None and session.lease_until <= now:
        raise Expired(f"the lease of session {session.name} is over; it is being ended", next_step="hawse new")
    if (until is not None) != (lease == Lease.UNTIL):
        raise Invalid(f"lease {lease}: " + ("a time is needed" if until is None else "a time is only for until"))
    until_max = None if lease_s_max is None else session.created_at + lease_s_max
    if until is None:
        if until_max is not None:
            raise Invalid(
                f"lease {lease} is not possible: sessions of project {session.project} live {lease_s_max:g} s at most",
                next_step=f"give it a time: --time {lease_s_max:.0f}s or less",
                lease_until_max=until_max,
            )
    elif until <= now:
        raise Invalid(f"the lease would have ended {now - until:.0f} s ago", next_step="give a time to come")
    elif until > now + SECONDS_MAX:
        raise Invalid(
            f"a lease of {(until - now) / 86400:.0f} days is not possible: at most {SECONDS_MAX / 86400:.0f} days",
            next_step="a session that shall not end by itself: --never, or --lease never",
        )
    elif until_max is not None and until > until_max:
        raise Invalid(
            f"the lease would end {until - until_max:.0f} s too late: in project {session.project} a session lives at"
            f" most {lease_s_max:g} s",
            next_step=f"{max(0.0, until_max - now):.0f} s from now is the latest end",
            lease_until_max=until_max,
        )
    return replace(session, state=state, lease=lease, lease_until=until)


def extended(session: Session, *, by_s: float, now: float, lease_s_max: float | None = None) -> Session:
    """Push the end of a lease that has one by so many seconds. Raises as `leased`."""
    if session.lease != Lease.UNTIL or session.lease_until is None:
        ends = "does not end by itself" if session.lease == Lease.NEVER else "ends with its last job, at no set time"
        raise Invalid(
            f"session {session.name} {ends}; there is nothing to extend",
            next_step=f"hawse extend {session.name} --until TIME sets an end",
        )
    if not 0 < by_s <= SECONDS_MAX:
        raise Invalid(f"an extension of {by_s:g} s is not possible: more than 0, at most {SECONDS_MAX:g} s")
    return leased(session, Lease.UNTIL, until=session.lease_until + by_s, now=now, lease_s_max=lease_s_max)


def governed(session: Session, policies: Mapping[str, Any], *, now: float) -> Session:
    """Set policies of a living session; the value None takes one away. Raises Invalid, IllegalMove."""
    state = moved(SESSION, session.state, E.POLICY_SET, f"session {session.name}")
    check_names(policies)
    kept = {name: value for name, value in session.policies.items() if name not in policies}
    kept |= checked({name: value for name, value in policies.items() if value is not None})
    if kept == session.policies:
        return session
    started = any(kept.get(name) != session.policies.get(name) for name in STARTING_CLOCKS)
    return replace(session, state=state, policies=kept, policies_at=now if started else session.policies_at)


def given(session: Session, *, owner: str) -> Session:
    """Give a living session to another owner. Raises IllegalMove when it has ended."""
    return replace(session, state=moved(SESSION, session.state, E.GIVEN, f"session {session.name}"), owner=owner)


def end_asked(session: Session, *, by: str, reason: str) -> Session:
    """Begin to end. The first one who asked, and why, is kept. Raises IllegalMove when it has ended."""
    if len(reason) > DESCRIPTION_LENGTH_MAX:
        raise Invalid(f"the reason has {len(reason)} characters; at most {DESCRIPTION_LENGTH_MAX} are allowed")
    checked_text(reason, "the reason")
    after = moved(SESSION, session.state, E.END_ASKED, f"session {session.name}")
    if session.state == S.DRAINING:
        return session
    return replace(session, state=after, ended_by=by, end_reason=reason)


def drained(session: Session, *, now: float) -> Session:
    """All it held is released: it has ended."""
    after = moved(SESSION, session.state, E.DRAINED, f"session {session.name}")
    return session if session.state == S.ENDED else replace(session, state=after, ended_at=now)

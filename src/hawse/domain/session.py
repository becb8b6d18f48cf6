"""A session: named distributed work that outlives everyone who looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from hawse.domain.errors import Invalid, TooLarge
from hawse.domain.ids import SessionId, checked_name, checked_text
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
    END_ASKED = "end_asked"
    DRAINED = "drained"


SESSION: Mapping[tuple[S, E], S] = {
    (S.NEW, E.NODES_ASKED): S.WAITING,
    (S.NEW, E.ACTIVATED): S.ACTIVE,
    (S.NEW, E.END_ASKED): S.DRAINING,
    (S.WAITING, E.ACTIVATED): S.ACTIVE,
    (S.WAITING, E.DESCRIBED): S.WAITING,
    (S.WAITING, E.END_ASKED): S.DRAINING,
    (S.ACTIVE, E.DESCRIBED): S.ACTIVE,
    (S.ACTIVE, E.END_ASKED): S.DRAINING,
    (S.DRAINING, E.DESCRIBED): S.DRAINING,
    (S.DRAINING, E.END_ASKED): S.DRAINING,  # ending twice is harmless
    (S.DRAINING, E.DRAINED): S.ENDED,
    (S.ENDED, E.DRAINED): S.ENDED,
}
START, FINAL = S.NEW, frozenset({S.ENDED})
LIVING = frozenset(S) - FINAL


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
    when it ends (lease "until"; None otherwise).
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
) -> Session:
    """A session that needs no nodes is active at once. Raises Invalid, TooLarge."""
    session = Session(
        id=id,
        project=project,
        alias=None if alias is None else checked_name(alias, "the alias"),
        owner=owner,
        state=moved(SESSION, START, E.ACTIVATED, "the session"),
        created_at=now,
        lease=lease,
        policies=dict(policies or {}),
    )
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

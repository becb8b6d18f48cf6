"""Watching the clocks of sessions: the checks that the outbox holds for them.

Theory of operation. For each clock that runs out, the outbox holds one `CheckClock(session, clock, at)`, due at the
clock's next milestone `at` (a warning, or its deadline). Whatever starts, stops or moves a clock calls `watch` in its
own transaction, which makes the stored checks those that are needed. What a check does is in `services/deadline.py`:
one transaction, too, which takes the check away, decides from what is stored then, and stores the next one. So a
warning is told exactly once, whatever dies: either that transaction is there with all of it, or the check still is.
"""

from __future__ import annotations

from collections.abc import Collection

from hawse.domain import clock as clocks
from hawse.domain.attachment import Attachment
from hawse.domain.clock import Clock, Facts, Name, Then
from hawse.domain.effect import CheckClock, Later
from hawse.domain.job import Job
from hawse.domain.policy import OnDisconnect, Setting, effective
from hawse.domain.session import Lease, Session
from hawse.ports.store import Unit, View
from hawse.services.place import stored

OF_OTHERS = frozenset({Name.CONNECT_BY, Name.DESERTED})  # what jobs and attachments move


def policies_of(view: View, session: Session) -> dict[str, Setting]:
    """All policies of a session, each with the value that counts and where it was set."""
    return effective(session=session.policies, project=stored(view, session.project).policies)


def facts_of(
    view: View, session: Session, jobs: Collection[Job] | None = None, attachments: Collection[Attachment] | None = None
) -> Facts:
    """What the clocks of a session are derived from. jobs (all), attachments (living): when they are known already."""
    policies = policies_of(view, session)
    return Facts(
        session=session,
        jobs=tuple(view.jobs(session.id) if jobs is None else jobs),
        attachments=tuple(view.attachments(session.id) if attachments is None else attachments),
        detached_at=view.last_detached_at(session.id) if _others_run(policies) else None,
        policies=policies,
    )


def may_run_out(view: View, session: Session) -> bool:
    """Is there any clock to watch? Most sessions have none, and what happens to them costs no more than before."""
    return session.lease == Lease.UNTIL or _others_run(policies_of(view, session))


def _others_run(policies: dict[str, Setting]) -> bool:
    return bool(policies["connect_by_s"].value) or policies["on_disconnect"].value != OnDisconnect.KEEP


def watch(
    unit: Unit, session: Session, *, now: float, names: Collection[Name] = clocks.DEADLINED, fresh: bool = False
) -> None:
    """Make the stored checks of these clocks those that they need.

    fresh: the lease or a policy was changed, so that a clock which runs may have other milestones than before.
    """
    if not fresh and not may_run_out(unit, session):
        return
    facts = facts_of(unit, session)
    stored = unit.clock_checks(session.id)
    for name in names:
        clock, kept = clocks.CLOCKS[name](facts), False
        wanted = _wanted(clock, now)
        for pending in stored:
            check = pending.effect
            if not isinstance(check, CheckClock) or check.clock != name:
                continue
            is_due_or_next = check.at == wanted or check.at <= now or not fresh
            if not kept and is_due_or_next and check.at in clock.milestones:
                kept = True
            else:
                unit.effect_done(pending.id)
        if wanted is not None and not kept:
            unit.add_effects(session.id, [Later(CheckClock(session.id, name, wanted), wanted)])


def _wanted(clock: Clock, now: float) -> float | None:
    """The next milestone. A signal that was due before is not sent again by what happens later."""
    at = clocks.next_milestone(clock, after=now)
    is_past = at is not None and at <= now and clock.since is not None and clock.since < now
    return None if is_past and clock.then == Then.SIGNAL else at


def watch_others(unit: Unit, session: str, *, now: float) -> None:
    """After a job or an attachment of this session came or went."""
    found = unit.session(session)
    if _others_run(policies_of(unit, found)):
        watch(unit, found, now=now, names=OF_OTHERS)

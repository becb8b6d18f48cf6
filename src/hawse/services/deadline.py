"""What the check of a clock does when its time has come: warn, end, signal, or look again later.

A check whose clock was moved meanwhile finds nothing due and only stores what is needed now. One that comes before its
time (the clock was set back between two looks) is stored again. One that comes late (no coordinator ran) tells the last
warning that was missed, not each of them. So nothing happens early, nothing twice, and everything in the end.
"""

from __future__ import annotations

from datetime import UTC, datetime

from hawse.domain import clock as clocks
from hawse.domain import job as jobs
from hawse.domain.clock import Clock, Facts, Name, Then
from hawse.domain.effect import CheckClock, Later, SignalJob
from hawse.domain.errors import NotFound
from hawse.domain.session import CLOCKED
from hawse.ports.store import Unit
from hawse.services import activity
from hawse.services.clock import facts_of, watch
from hawse.services.job import signal_number
from hawse.services.session import drain
from hawse.services.world import World

BY = "hawse"


async def check(world: World, id: int, due: CheckClock) -> None:
    """Do the check that is stored as effect `id`, and take it away, in one transaction.

    One that somebody else has done, or whose session is gone or ending, does nothing. Raises Unavailable (try again).
    """
    if due.clock in clocks.ASKED:
        await activity.check(world, id, due)
        return
    now = world.clock.now()

    def verb(unit: Unit) -> None:
        if not unit.effect_done(id):
            return
        try:
            session = unit.session(due.session)
        except NotFound:
            return  # its history was removed meanwhile
        name = Name(due.clock)
        facts = facts_of(unit, session)
        clock = clocks.CLOCKS[name](facts)
        if session.state not in CLOCKED or due.at not in clock.milestones:
            watch(unit, session, now=now, names={name})
        elif now < due.at:
            unit.add_effects(session.id, [Later(due, due.at)])
        elif clocks.is_over(clock, now=now):
            _ran_out(unit, facts, clock, now)
        else:
            _warn(unit, facts, clock, now)
            at = clocks.next_milestone(clock, after=now)
            assert at is not None
            unit.add_effects(session.id, [Later(CheckClock(session.id, name, at), at)])

    await world.store.write(verb)


def _warn(unit: Unit, facts: Facts, clock: Clock, now: float) -> None:
    """Tell how long it is to the deadline, and what to type."""
    session, deadline = facts.session, clock.deadline or now
    command = {
        Name.LEASE: f"hawse extend {session.name} {clocks.EXTENSION}",
        Name.CONNECT_BY: f"hawse attach {session.name}",
    }[clock.name]
    detail = {
        "clock": clock.name, "deadline": deadline, "left_s": round(deadline - now, 3), "then": clock.then,
        "jobs": list(clock.of), "command": command,
    }  # fmt: skip
    unit.note(session.id, kind="session.warned", noun="session", object=session.id, by=BY, detail=detail)


def _ran_out(unit: Unit, facts: Facts, clock: Clock, now: float) -> None:
    session = facts.session
    match clock.name:
        case Name.LEASE:
            reason = f"its lease ended at {_moment(clock.deadline or now)}"
        case Name.CONNECT_BY:
            allowed = facts.value("connect_by_s")
            reason = f"nobody attached within {allowed:g} s of the start of job {clock.of[0]} (policy connect_by_s)"
        case _:
            allowed = facts.value("on_disconnect_s")
            reason = f"nobody was attached for {allowed:g} s (policy on_disconnect)"
    if clock.then == Then.END:
        drain(unit, session, by=BY, reason=reason, grace_s=None, now=now)
        return
    signal = facts.value("on_disconnect_signal")
    running = [job for job in facts.jobs if job.state == jobs.S.RUNNING]
    detail = {"clock": clock.name, "reason": reason, "signal": signal, "jobs": [job.name for job in running]}
    unit.note(
        session.id, kind="session.signalled", noun="session", object=session.id, by=BY, detail=detail,
        effects=[SignalJob(job.id, job.attempt, signal_number(signal)) for job in running],
    )  # fmt: skip


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

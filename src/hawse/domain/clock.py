"""The clocks of a session, each derived from what is stored: when it runs out, which warnings it has, what follows.

    link          does anybody's link live?                            nothing follows
    control       who may type, and who waits for a silent one?        control passes (domain/attachment.py)
    idle          whose attachment has been quiet for long?            it is detached
    lease         when does the session end by itself?                 it ends
    connect_by    must somebody attach soon after a job's start?       it ends
    deserted      how long may it go on when nobody is attached?       it ends, or its jobs get a signal
    allocation    when does a scheduler take its nodes?                none yet: this machine has no limit

Separate and visible: none is derived from another. Nothing here waits. What is due is decided from stored times and the
time given, so that a restart, a late wake-up or a clock that was set back changes nothing but when one looks.

Two clocks run by what people do, which only the runners know: `control` and `idle`. What is stored of that is a lower
bound. So their deadlines here are the earliest possible ones, and a check asks the runner before it decides.

A clock's milestones are its warnings and its deadline. The store holds one check for the next milestone; a check that
was kept past its time (nobody was there to do it) tells the last warning that it missed, not each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hawse.domain import attachment as attachments
from hawse.domain import job as jobs
from hawse.domain.attachment import Attachment, Mode
from hawse.domain.job import Job
from hawse.domain.policy import OnDisconnect, Setting, Source
from hawse.domain.session import CLOCKED, Lease, Session

EXTENSION = "1h"  # what a warning suggests


class Name(StrEnum):
    """The clocks, in the order in which they are shown."""

    LINK = "link"
    CONTROL = "control"
    LEASE = "lease"
    CONNECT_BY = "connect_by"
    DESERTED = "deserted"
    IDLE = "idle"
    ALLOCATION = "allocation"


class Then(StrEnum):
    """What follows when a clock has run out."""

    NOTHING = ""
    END = "end"  # the session
    SIGNAL = "signal"  # its jobs
    PASS = "pass"  # control, to who waits for it
    DETACH = "detach"  # attachments that are idle


@dataclass(frozen=True, slots=True)
class Facts:
    """What the clocks are derived from.

    jobs: all, by age. attachments: the living ones. detached_at: when the last one that had been linked was detached.
    policies: the values that count (domain/policy.py).
    """

    session: Session
    jobs: tuple[Job, ...]
    attachments: tuple[Attachment, ...]
    detached_at: float | None
    policies: Mapping[str, Setting]

    def value(self, policy: str) -> Any:
        return self.policies[policy].value


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock. Times are Unix seconds.

    since: from when it runs. deadline: when it runs out; None: it does not run. warnings: when a warning is due,
    ascending. then: what follows. source: where its policy was set, None where there is none. of: names of the jobs
    that it is about. holders: who has the link or the control, as their clients say from where.
    """

    name: Name
    since: float | None = None
    deadline: float | None = None
    warnings: tuple[float, ...] = ()
    then: Then = Then.NOTHING
    source: Source | None = None
    of: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()

    @property
    def milestones(self) -> tuple[float, ...]:
        """All times at which something is due, ascending."""
        return () if self.deadline is None else (*self.warnings, self.deadline)


def link(facts: Facts) -> Clock:
    """Whose link lives, and since when."""
    linked = [one for one in facts.attachments if one.state == attachments.S.ATTACHED]
    since = min((one.link_at for one in linked), default=facts.detached_at)
    return Clock(Name.LINK, since=since, holders=tuple(one.where or one.who for one in linked))


def control(facts: Facts) -> Clock:
    """Who may type. It runs while somebody waits for control: from when the holder last typed, as far as is known."""
    setting = facts.policies["control_idle_s"]
    holding = [one for one in facts.attachments if one.holds]
    holders = tuple(one.where or one.who for one in holding)
    contested = contested_jobs(facts)
    silent = [(silent_since(facts, one), one) for one in holding if one.job in contested]
    if facts.session.state not in CLOCKED or not setting.value or not silent:
        return Clock(Name.CONTROL, source=setting.source, holders=holders)
    since, first = min(silent, key=lambda pair: (pair[0], pair[1].id))
    of = tuple(job.name for job in facts.jobs if job.id == first.job)
    return Clock(Name.CONTROL, since, since + setting.value, (), Then.PASS, setting.source, of, holders)


def contested_jobs(facts: Facts) -> frozenset[str]:
    """Jobs in which somebody waits for control that another one holds."""
    return frozenset(
        one.job
        for one in facts.attachments
        if one.mode == Mode.CONTROL and not one.holds and one.state == attachments.S.ATTACHED
    )


def silent_since(facts: Facts, one: Attachment) -> float:
    """When the silence of a holder began, as far as is known."""
    return _not_before(facts.session, attachments.last_typed_at(one))


def idle(facts: Facts) -> Clock:
    """Runs while somebody is linked: from when the one that has been quiet longest was active, as far as is known."""
    setting = facts.policies["idle_s"]
    quiet = [quiet_since(facts, one) for one in facts.attachments if one.state == attachments.S.ATTACHED]
    if facts.session.state not in CLOCKED or not setting.value or not quiet:
        return Clock(Name.IDLE, source=setting.source)
    return Clock(Name.IDLE, min(quiet), min(quiet) + setting.value, (), Then.DETACH, setting.source)


def quiet_since(facts: Facts, one: Attachment) -> float:
    """When an attachment was last active, as far as is known."""
    return _not_before(facts.session, attachments.last_active_at(one))


def lease(facts: Facts) -> Clock:
    """The session's own end; only a lease until a time runs."""
    session = facts.session
    if session.lease != Lease.UNTIL or session.lease_until is None or session.state not in CLOCKED:
        return Clock(Name.LEASE, source=Source.SESSION)
    warnings = _warnings(session.created_at, session.lease_until, facts.value("lease_warnings_s"))
    return Clock(Name.LEASE, session.created_at, session.lease_until, warnings, Then.END, Source.SESSION)


def connect_by(facts: Facts) -> Clock:
    """Runs from the start of a job until somebody attaches, to whichever job, and stops with the job."""
    setting = facts.policies["connect_by_s"]
    alone = () if facts.session.state not in CLOCKED or not setting.value or _anybody(facts) else _unseen(facts)
    if not alone:
        return Clock(Name.CONNECT_BY, source=setting.source)
    first = min(alone, key=lambda job: (job.started_at or 0.0, job.id))
    since = _not_before(facts.session, first.started_at or 0.0)
    deadline = since + setting.value
    warnings = _warnings(since, deadline, facts.value("connect_by_warnings_s"))
    return Clock(Name.CONNECT_BY, since, deadline, warnings, Then.END, setting.source, (first.name,))


def deserted(facts: Facts) -> Clock:
    """Runs while nobody is attached any more: after somebody was, and while nobody is on the way back.

    A broken link may come back for a minute (attachment.STALE_S); only then it counts as gone.
    """
    setting = facts.policies["on_disconnect"]
    is_running = facts.session.state in CLOCKED and not facts.attachments and facts.detached_at is not None
    if setting.value == OnDisconnect.KEEP or not is_running:
        return Clock(Name.DESERTED, source=setting.source)
    since = _not_before(facts.session, facts.detached_at or 0.0)
    then = Then.END if setting.value == OnDisconnect.END else Then.SIGNAL
    of = tuple(job.name for job in facts.jobs if job.state == jobs.S.RUNNING)
    return Clock(Name.DESERTED, since, since + facts.value("on_disconnect_s"), (), then, setting.source, of)


def allocation(facts: Facts) -> Clock:
    """Jobs run on this machine; no scheduler takes it away."""
    return Clock(Name.ALLOCATION)


CLOCKS: Mapping[Name, Callable[[Facts], Clock]] = {
    Name.LINK: link,
    Name.CONTROL: control,
    Name.LEASE: lease,
    Name.CONNECT_BY: connect_by,
    Name.DESERTED: deserted,
    Name.IDLE: idle,
    Name.ALLOCATION: allocation,
}
STORED = frozenset({Name.LEASE, Name.CONNECT_BY, Name.DESERTED})  # they run out by what is stored alone
ASKED = frozenset({Name.CONTROL, Name.IDLE})  # they run out when the runners say so
DEADLINED = STORED | ASKED  # the ones that run out


def clocks(facts: Facts) -> tuple[Clock, ...]:
    """All of them, in the order of `Name`."""
    return tuple(derive(facts) for derive in CLOCKS.values())


def next_milestone(clock: Clock, *, after: float) -> float | None:
    """The next time at which something is due; a deadline that has passed is still due. None: nothing ever is."""
    if clock.deadline is None:
        return None
    return next((time for time in clock.milestones if time > after), clock.deadline)


def is_over(clock: Clock, *, now: float) -> bool:
    """Has it run out?"""
    return clock.deadline is not None and now >= clock.deadline


def _anybody(facts: Facts) -> bool:
    return any(one.state == attachments.S.ATTACHED or one.link_at > one.created_at for one in facts.attachments)


def _unseen(facts: Facts) -> list[Job]:
    """The running jobs in whose time nobody was attached."""
    last = facts.detached_at
    running = [job for job in facts.jobs if job.state == jobs.S.RUNNING and job.started_at is not None]
    return [job for job in running if last is None or last < (job.started_at or 0.0)]


def _not_before(session: Session, time: float) -> float:
    """Whoever sets a policy starts its clock then, at the earliest: nothing ends at the stroke of a key."""
    return time if session.policies_at is None else max(time, session.policies_at)


def _warnings(since: float, deadline: float, before_s: list[float]) -> tuple[float, ...]:
    return tuple(sorted({deadline - one for one in before_s if deadline - one > since and one > 0}))

"""The verbs of jobs: run, get, wait, stop, signal."""

from __future__ import annotations

import signal as signals
from typing import NamedTuple

from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.effect import SignalJob
from hawse.domain.errors import Clash, IllegalMove, Invalid, LimitReached, NotFound
from hawse.domain.grant import Capability
from hawse.domain.ids import RANDOM_BYTES, JobId, uuid7
from hawse.domain.job import Job
from hawse.domain.session import Session
from hawse.ports.store import Unit, View
from hawse.services import order as orders
from hawse.services import place
from hawse.services.gate import job_at, session_of, visible
from hawse.services.order import JobSpec, checked
from hawse.services.world import Caller, World, once

JOBS_MAX = 10_000  # of one session, over its life
WAIT_S_MAX = 60.0  # of one request; a client asks again
INCARNATION_BYTES = 16
SECRET_BYTES = 32


class Fresh(NamedTuple):
    """Made outside the transaction: a new job's id, incarnation and secret."""

    id: JobId
    incarnation: str
    secret: str


def fresh_ids(world: World) -> Fresh:
    id = JobId(uuid7(world.clock.now(), world.clock.random(RANDOM_BYTES)))
    return Fresh(id, world.clock.random(INCARNATION_BYTES).hex(), world.clock.random(SECRET_BYTES).hex())


async def run(world: World, caller: Caller, session_name: str, spec: JobSpec) -> Job:
    """Add a job to a living session and start it.

    Raises NotFound, Denied, Invalid, IllegalMove (the session ends or has ended), Clash (a job has the name),
    LimitReached. If cancelled: it may or may not have been added; asking again with the same request id gives the
    first answer.
    """
    spec = checked(spec)
    fresh, now = fresh_ids(world), world.clock.now()

    def verb(unit: Unit) -> Job:
        session = session_of(unit, caller, session_name, Capability.JOB_RUN)
        if session.state not in (sessions.S.ACTIVE, sessions.S.WAITING):
            raise IllegalMove(
                f"session {session.name} is {session.state}; it takes no more jobs",
                next_step="hawse new starts another session",
            )
        place.make_room(unit, place.stored(unit, session.project), jobs=1)
        return add(unit, caller, session, spec, fresh, now)

    return await once(world, caller, verb)


def add(unit: Unit, caller: Caller, session: Session, spec: JobSpec, fresh: Fresh, now: float) -> Job:
    """Insert the job, keep its private order, and store its start as an effect."""
    job, effects = jobs.created(
        id=fresh.id,
        session=session.id,
        name=_free_name(unit, session, spec),
        command=orders.shown(spec),
        tty=spec.tty,
        now=now,
        incarnation=fresh.incarnation,
        on_lost=spec.on_lost,
        grace_s=spec.grace_s,
        on_error=spec.on_error,
        retries_max=spec.retries_max,
    )
    kept = unit.change(None, job, kind="job.created", by=caller.principal, effects=effects, request=caller.request_id)
    assert isinstance(kept, Job)
    unit.keep_order(
        job.id, orders.made(spec, session=session.id, session_name=session.name, job=job.id, secret=fresh.secret)
    )
    return kept


def _free_name(unit: Unit, session: Session, spec: JobSpec) -> str:
    taken = {job.name for job in unit.jobs(session.id)}
    if len(taken) >= JOBS_MAX:
        raise LimitReached(f"session {session.name} has had {len(taken)} jobs; at most {JOBS_MAX} are possible")
    if spec.name is not None:
        if spec.name in taken:
            raise Clash(f"session {session.name} has a job {spec.name} already", next_step="choose another --name")
        return spec.name
    base = orders.base_name(spec)
    return next(name for name in (base, *(f"{base}-{n}" for n in range(2, JOBS_MAX + 2))) if name not in taken)


async def get(world: World, caller: Caller, session_name: str, name: str) -> Job:
    """One job. Raises NotFound, Denied."""
    return await world.store.read(lambda view: job_at(view, caller, session_name, name, Capability.JOB_READ)[1])


async def page(world: World, caller: Caller, session_name: str) -> list[Job]:
    """The jobs of a session that the caller may know of, by age (at most JOBS_MAX)."""

    def query(view: View) -> list[Job]:
        session = session_of(view, caller, session_name)
        return list(filter(visible(view, caller, session), view.jobs(session.id)))

    return await world.store.read(query)


async def wait(world: World, caller: Caller, session_name: str, name: str, *, until: str, timeout_s: float) -> Job:
    """Wait until the job has started or ended; the job as it is then, or when the time is over.

    until: "started" | "ended". timeout_s: 0 to WAIT_S_MAX. Raises NotFound, Denied, Invalid.
    If cancelled, nothing is left behind.
    """
    if until not in ("started", "ended"):
        raise Invalid(f"until {until!r} is neither started nor ended")
    if not 0 <= timeout_s <= WAIT_S_MAX:
        raise Invalid(f"a wait of {timeout_s:g} s is not possible: 0 to {WAIT_S_MAX:g} s at a time")
    deadline = world.clock.monotonic() + timeout_s
    while True:

        def query(view: View) -> tuple[Job, int]:
            _, job = job_at(view, caller, session_name, name, Capability.JOB_READ)
            return job, view.last_seq(job.session)

        job, seq = await world.store.read(query)
        done = job.state == jobs.S.ENDED or (until == "started" and job.pid is not None)
        left = deadline - world.clock.monotonic()
        if done or left <= 0:
            return job
        await world.store.wait_event(job.session, after=seq, timeout_s=left)


async def stop(
    world: World, caller: Caller, session_name: str, name: str, *, grace_s: float | None = None, reason: str = "asked"
) -> Job:
    """SIGTERM, grace, SIGKILL of everything the job started. Safe to repeat. Raises NotFound, Denied, Invalid."""
    from hawse.services.session import over, settle  # it needs this module to make a session with its first job

    now = world.clock.now()

    def verb(unit: Unit) -> Job:
        _, job = job_at(unit, caller, session_name, name, Capability.JOB_STOP)
        after, effects = jobs.stop_asked(job, grace_s=grace_s, reason=reason, now=now)
        if after is job:
            return job
        kept = unit.change(
            job, after, kind="job.stop_asked", by=caller.principal, effects=effects, request=caller.request_id
        )
        assert isinstance(kept, Job)
        if kept.state == jobs.S.ENDED:
            over(unit, kept, now=now)
            settle(unit, unit.session(kept.session), now=now)
        return kept

    return await once(world, caller, verb)


async def signal(world: World, caller: Caller, session_name: str, name: str, signal_name: str) -> Job:
    """Send a signal ("INT", "SIGUSR1", "10") to the job's process group.

    Raises NotFound, Denied, Invalid, IllegalMove, Unavailable.
    """
    number = signal_number(signal_name)
    job = await world.store.read(lambda view: job_at(view, caller, session_name, name, Capability.JOB_SIGNAL)[1])
    if job.state not in (jobs.S.RUNNING, jobs.S.STOPPING):
        raise IllegalMove(f"job {job.name} is {job.state}; it can't be signalled")
    if not world.lead.is_ours:  # another coordinator has the link to its runner
        await world.store.write(lambda unit: unit.add_effects(job.session, [SignalJob(job.id, job.attempt, number)]))
        return job
    try:
        await world.launcher.signal(job.id, number)
    except NotFound as error:
        raise IllegalMove(f"job {job.name} has no runner now; it can't be signalled") from error
    return job


def signal_number(name: str) -> int:
    """The number of a signal by name, with or without SIG, or by number. Raises Invalid."""
    text = name.upper()
    try:
        found = (
            signals.Signals(int(text))
            if text.isdecimal()
            else signals.Signals[text if text.startswith("SIG") else f"SIG{text}"]
        )
    except (KeyError, ValueError):
        raise Invalid(f"there is no signal {name[:40]!r}", next_step="kill -l lists the names") from None
    return int(found)

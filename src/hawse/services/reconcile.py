"""What makes the world fit the store: adoption, effects, reports, deadlines.

Nothing here is remembered between two runs. A coordinator that is killed at any step leaves stored effects, which are
done again, and runners, which are adopted again; reports that were not committed were not acknowledged and come again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

from hawse.domain import attachment as attachments
from hawse.domain import job as jobs
from hawse.domain.attachment import STALE_S, Reason
from hawse.domain.clock import DEADLINED
from hawse.domain.effect import (
    NAMES,
    CheckClock,
    CutAttachment,
    ForgetRunner,
    RemoveHistory,
    SignalJob,
    StartJob,
    StopJob,
    SweepJob,
)
from hawse.domain.errors import Broken, Fenced, NotFound, Problem, Unavailable
from hawse.domain.job import Job
from hawse.domain.session import Session
from hawse.ports.launcher import Start
from hawse.ports.store import Order, Pending, Unit, View
from hawse.services import deadline
from hawse.services import grant as grants
from hawse.services import refusal as refusals
from hawse.services import report as reports
from hawse.services.clock import watch_others
from hawse.services.session import settle
from hawse.services.world import World

T = TypeVar("T")
log = logging.getLogger("hawse.reconcile")

EFFECTS_AT_ONCE = 256
EFFECTS_BEFORE_ADOPTION = 4096  # read; only checks of clocks are done
EFFECTS_PER_JOB = 8  # more are seldom stored for one job; a longer queue is read in parts
JOBS_AT_ONCE = 32
CLOCKS_FIRST = 32  # so many due at once go before all else: stopping jobs takes seconds, a clock is exact to one
CLOCKS = "clocks"  # the key of all checks of clocks together; the others' keys are ids
BACK_OFF_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # quick first: most trouble is a parent that just starts
HOUSEKEEPING_S = 3600.0
RETENTION_S = 30 * 86400.0  # requirements, "Defaults to ship": log retention 30 days
ANSWERS_KEPT_S = 86400.0
AUDIT_KEPT_S = 366 * 86400.0  # what a yearly review needs
STALE_BATCH = 500


class Reconciler:
    """One per coordinator that leads. `run` returns only when cancelled."""

    def __init__(self, world: World, *, retention_s: float = RETENTION_S) -> None:
        self.world = world
        self.retention_s = retention_s
        self.adopted = asyncio.Event()  # each runner was looked for
        self._missing: set[str] | None = None  # jobs whose runners are still looked for; None: not known yet which
        self._nudge = asyncio.Event()  # an effect may be due, or may be done now

    async def run(self) -> None:
        """Reconcile until cancelled. If cancelled, what was under way is done again by the next run."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reports())
            group.create_task(self._adoption())
            group.create_task(self._effects())
            group.create_task(self._deadlines())

    # -- adoption
    # -----------------------------------------------------------------------------------------------------------

    async def _adoption(self) -> None:
        """Find every runner again; what became of jobs without one comes as a report.

        One that lives and does not answer is looked for as long as we live; what is to be done for its job waits.
        """
        found = await self._reading(lambda view: view.living_jobs())
        self._missing = {job.id for job in found}
        self._nudge.set()
        silent: list[Job] = []

        async def look(job: Job) -> None:
            if not await self._is_found(job):
                silent.append(job)

        await self._each(found, look)
        await self._settle_all()
        self.adopted.set()
        async with asyncio.TaskGroup() as group:
            for job in silent:
                group.create_task(self._look_on(job))

    async def _look_on(self, job: Job) -> None:
        pause = iter(BACK_OFF_S)
        while True:
            await self.world.clock.sleep(next(pause, BACK_OFF_S[-1]))
            if await self._is_found(job):
                return

    async def _is_found(self, job: Job) -> bool:
        try:
            await self._find_again(job.id)
        except (Unavailable, Broken) as problem:
            log.warning("adopting job %s failed, trying again: %s", job.id, problem, extra=_concerns(job))
            return False
        assert self._missing is not None
        self._missing.discard(job.id)
        self._nudge.set()
        return True

    async def _find_again(self, id: str) -> None:
        try:
            job, order, owner = await self.world.store.read(lambda view: _whole(view, id))
        except NotFound:
            return  # it ended meanwhile: its order is gone
        if job.state == jobs.S.PENDING:  # a stored effect starts it when its time has come
            return
        if job.state == jobs.S.LOST:  # an earlier coordinator's sweep ended with it
            await self.world.launcher.sweep(job.id, job.attempt, grace_s=job.grace_s)
            return
        if job.state == jobs.S.STARTING:
            await self.world.launcher.start(_start(job, order, owner))  # its claim knows whether that was done before
            return
        await self.world.launcher.adopt(_start(job, order, owner))
        if job.state == jobs.S.STOPPING:  # the stop may not have reached its runner
            await self.world.launcher.stop(job.id, job.attempt, grace_s=job.grace_s)

    async def _settle_all(self) -> None:
        """A session whose last job ended in the very commit before a crash is settled already;

        this is for restored backups.
        """

        def verb(unit: Unit) -> None:
            now = self.world.clock.now()
            after = ""
            while page := unit.sessions(living=True, after=after, limit=1000):
                after = page[-1].id
                for session in page:
                    settle(unit, session, now=now)

        await self._writing(verb)

    # -- effects
    # ------------------------------------------------------------------------------------------------------------

    async def _effects(self) -> None:
        """Do what is due, in order per job, all jobs side by side: one that hangs holds up nobody else.

        For a job whose runner is still looked for nothing is done: it waits for that one alone.
        """
        busy: set[str] = set()
        nudge, room = self._nudge, asyncio.Semaphore(JOBS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._nudge_on_effects(nudge))
            while True:
                nudge.clear()
                now = self.world.clock.now()
                due, next_at = await self._due(now, busy)
                for key, queue in due.items():
                    busy.add(key)
                    group.create_task(self._queue(key, queue, busy, nudge, room))
                until = now + HOUSEKEEPING_S if next_at is None else min(next_at, now + HOUSEKEEPING_S)
                timer = group.create_task(self._nudge_at(until, nudge))
                await nudge.wait()
                timer.cancel()

    async def _due(self, now: float, busy: set[str]) -> tuple[dict[str, list[Pending]], float | None]:
        """The due effects of jobs that nothing is being done for, by job; and when the next one after now is due.

        Where many clocks are due, they alone: what they ask for comes after the last of them.
        """

        is_begun, held = self._missing is not None, busy | (self._missing or set())
        limit = EFFECTS_AT_ONCE + EFFECTS_PER_JOB * len(held) if is_begun else EFFECTS_BEFORE_ADOPTION

        def query(view: View) -> tuple[list[Pending], float | None]:
            return view.effects_due(now, limit), view.next_effect_at(now)

        found, next_at = await self._reading(query)
        by_job: dict[str, list[Pending]] = {}
        clocks = [pending for pending in found if isinstance(pending.effect, CheckClock)]
        for pending in clocks if len(clocks) > CLOCKS_FIRST or not is_begun else found:
            key = CLOCKS if isinstance(pending.effect, CheckClock) else getattr(pending.effect, "job", pending.session)
            if key not in held:
                by_job.setdefault(key, []).append(pending)
        return by_job, next_at

    async def _nudge_on_effects(self, nudge: asyncio.Event) -> None:
        while True:
            await self.world.store.wait_effect(timeout_s=HOUSEKEEPING_S)
            nudge.set()

    async def _nudge_at(self, time: float, nudge: asyncio.Event) -> None:
        """At this time, or when the clock was set: a time of day that comes sooner than it seemed is not missed."""
        await self.world.clock.wait_until(time)
        nudge.set()

    async def _queue(
        self, key: str, queue: list[Pending], busy: set[str], nudge: asyncio.Event, room: asyncio.Semaphore
    ) -> None:
        try:
            if key == CLOCKS:  # they wait for nothing but the store, which commits many at once
                await self._each(queue, lambda pending: self._in_order([pending]))
                return
            async with room:
                await self._in_order(queue)
        finally:
            busy.discard(key)
            nudge.set()

    async def _in_order(self, queue: list[Pending]) -> None:
        """The effects on one job, one after the other; a failure puts off the rest with it."""
        for number, pending in enumerate(queue):
            try:
                await self._do(pending)
            except Problem as problem:
                self.world.effect_meter(NAMES[type(pending.effect)]).put_off += 1
                level = logging.WARNING if isinstance(problem, (Unavailable, Broken)) else logging.ERROR
                log.log(
                    level,
                    "effect %s of session %s put off: %s",
                    type(pending.effect).__name__,
                    pending.session,
                    problem,
                    extra={"session": pending.session, "job": getattr(pending.effect, "job", None)},
                )
                await self._put_off([p.id for p in queue[number:]], pending.attempts)
                return
            self.world.effect_meter(NAMES[type(pending.effect)]).lag_s.observe(
                max(0.0, self.world.clock.now() - pending.due_at)
            )
            if getattr(pending.effect, "clock", None) not in DEADLINED:  # such a check is done in its own transaction
                await self._done(pending.id)

    async def _done(self, id: int) -> None:
        await self._writing(lambda unit: unit.effect_done(id))

    async def _put_off(self, ids: list[int], attempts: int) -> None:
        due_at = self.world.clock.now() + BACK_OFF_S[min(attempts, len(BACK_OFF_S) - 1)]

        def verb(unit: Unit) -> None:
            for id in ids:
                unit.effect_failed(id, due_at=due_at)

        await self._writing(verb)

    async def _do(self, pending: Pending) -> None:
        launcher = self.world.launcher
        match pending.effect:
            case StartJob(job=id, attempt=attempt):
                await self._start(id, attempt)
            case StopJob(job=id, attempt=attempt, grace_s=grace_s):
                await launcher.stop(id, attempt, grace_s=grace_s)
            case SweepJob(job=id, attempt=attempt):
                await self._sweep(id, attempt)
            case CutAttachment(job=id, attachment=attachment, reason=reason):
                await launcher.cut(id, attachment, reason=reason, message="")
            case ForgetRunner(job=id, attempt=attempt):
                await launcher.forget(id, attempt)
            case CheckClock(session=session, clock=grants.CLOCK):
                await grants.expire(self.world, session)
            case CheckClock(session=session, clock=refusals.CLOCK):
                await self.world.refusals.flush(self.world.store, session, now=self.world.clock.now())
            case CheckClock() as due:
                await deadline.check(self.world, pending.id, due)
            case SignalJob(job=id, attempt=attempt, signal=signal):
                await self._signal(id, attempt, signal)
            case RemoveHistory(session=session):
                await self._remove(session)

    async def _start(self, id: str, attempt: int) -> None:
        try:
            job, order, owner = await self.world.store.read(lambda view: _whole(view, id))
        except NotFound:
            return  # it ended meanwhile: its order is gone
        if job.attempt == attempt and job.state == jobs.S.PENDING:
            job = await self._writing(lambda unit: _begun(unit, id, attempt))
        if job.attempt != attempt or job.state not in jobs.WITH_RUNNER:
            return
        start = _start(job, order, owner)
        if job.state == jobs.S.STARTING:
            await self.world.launcher.start(start)
        else:  # its stop was asked before its start was done: find out whether it runs, never start it now
            await self.world.launcher.adopt(start)

    async def _signal(self, id: str, attempt: int, signal: int) -> None:
        try:
            job = await self.world.store.read(lambda view: view.job(id))
            if job.attempt == attempt and job.state == jobs.S.RUNNING:
                await self.world.launcher.signal(id, signal)
        except NotFound:
            return  # it has ended meanwhile

    async def _sweep(self, id: str, attempt: int) -> None:
        try:
            job = await self.world.store.read(lambda view: view.job(id))
        except NotFound:
            return
        if job.attempt == attempt and job.state == jobs.S.LOST:
            await self.world.launcher.sweep(id, attempt, grace_s=job.grace_s)

    # -- reports
    # ------------------------------------------------------------------------------------------------------------

    async def _reports(self) -> None:
        async for report in self.world.launcher.reports():
            for words in (report, reports.plain(report)):
                try:
                    await self._until_available(partial(reports.take, self.world, words))
                    break
                except Fenced:
                    raise  # it is for the new leader, and comes to him again
                except Problem:
                    kind = type(report).__name__
                    log.exception("report %s of job %s cannot be taken", kind, report.job, extra={"job": report.job})

    # -- deadlines
    # ----------------------------------------------------------------------------------------------------------

    async def _deadlines(self) -> None:
        """Links that stayed away, old answers, history whose retention is over. Each is decided from stored times."""
        count = 0
        while True:
            now = self.world.clock.now()
            next_at = min(now + HOUSEKEEPING_S, await self._drop_stale(now))
            await self._remove_old(now)
            count = await self.world.store.wait_event("*", after=count, timeout_s=max(0.05, next_at - now))
            await self.world.clock.sleep(1.0)  # under load once a second is often enough

    async def _drop_stale(self, now: float) -> float:
        """Detach what is overdue; the time when the next one will be."""

        def verb(unit: Unit) -> float:
            for attachment in unit.stale_attachments(STALE_BATCH):
                if not attachments.is_overdue(attachment, now=now):
                    return attachment.link_at + STALE_S
                gone, effects = attachments.detached(attachment, reason=Reason.LOST, now=now)
                unit.change(attachment, gone, kind="attachment.detached", by="hawse", effects=effects)
                watch_others(unit, attachment.session, now=now)
            return now + HOUSEKEEPING_S

        stale = await self._reading(lambda view: view.stale_attachments(1))
        if not stale:
            return now + HOUSEKEEPING_S
        if not attachments.is_overdue(stale[0], now=now):
            return stale[0].link_at + STALE_S
        return await self._writing(verb)

    async def _remove_old(self, now: float) -> None:
        old = await self._reading(lambda view: view.session_ids_ended_before(now - self.retention_s, 100))
        for session in old:
            await self._remove(session)
        if old:
            await self._writing(lambda unit: unit.drop_answers_before(now - ANSWERS_KEPT_S))
        if await self._reading(lambda view: any(one.time < now - AUDIT_KEPT_S for one in view.audit(limit=1))):
            await self._writing(lambda unit: unit.drop_audit_before(now - AUDIT_KEPT_S))

    async def _remove(self, session: str) -> None:
        """Logs first: a crash between the two leaves a session that is removed again, never files without a session."""
        try:
            found: tuple[Session, list[Job]] = await self.world.store.read(
                lambda view: (view.session(session), view.jobs(session))
            )
        except NotFound:
            return
        for job in found[1]:
            await self.world.launcher.remove(job.id)
        await self._writing(lambda unit: unit.remove_session(session))

    # -- help
    # ---------------------------------------------------------------------------------------------------------------

    async def _each(self, items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
        """Do the work for each item, JOBS_AT_ONCE at a time."""
        room = asyncio.Semaphore(JOBS_AT_ONCE)

        async def one(item: T) -> None:
            async with room:
                await work(item)

        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(one(item))

    async def _reading(self, query: Callable[[View], T]) -> T:
        return await self._until_available(lambda: self.world.store.read(query))

    async def _writing(self, verb: Callable[[Unit], T]) -> T:
        return await self._until_available(lambda: self.world.store.write(verb))

    async def _until_available(self, work: Callable[[], Awaitable[T]]) -> T:
        """The store may be away for a while (full disk, restart of a database): wait for it, saying so.

        Raises Problem when trying again would not help.
        """
        pause, waiter = iter(BACK_OFF_S), object()
        try:
            while True:
                try:
                    return await work()
                except Problem as problem:
                    if not problem.retry:
                        raise
                    log.warning("the store is not available, trying again: %s", problem)
                    self.world.troubles.note(waiter, problem.detail, self.world.clock)
                await self.world.clock.sleep(next(pause, BACK_OFF_S[-1]))
        finally:
            self.world.troubles.over(waiter)


def _concerns(job: Job) -> dict[str, str]:
    """For the log: whose line this is."""
    return {"session": job.session, "job": job.id}


def _begun(unit: Unit, id: str, attempt: int) -> Job:
    """A pending job whose time has come begins to start."""
    job = unit.job(id)
    if job.attempt != attempt or job.state != jobs.S.PENDING:
        return job
    kept = unit.change(job, jobs.start_asked(job), kind="job.start_asked", by="hawse")
    assert isinstance(kept, Job)
    return kept


def _whole(view: View, id: str) -> tuple[Job, Order, str]:
    """A job, its order, and whose session it is in."""
    job = view.job(id)
    return job, view.order(id), view.session(job.session).owner


def _start(job: Job, order: Order, owner: str) -> Start:
    return Start(
        session=job.session,
        job=job.id,
        attempt=job.attempt,
        incarnation=job.incarnation,
        order=order,
        tty=job.tty,
        grace_s=job.grace_s,
        owner=owner,
    )

"""What makes the world fit the store: effects, reports; adoption and housekeeping stand in files of their own.

Nothing here is remembered between two runs. A coordinator that is killed at any step leaves stored effects, which are
done again, and runners, which are adopted again; reports that were not committed were not acknowledged and come again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from hawse.domain import job as jobs
from hawse.domain.clock import ASKED, DEADLINED
from hawse.domain.effect import (
    NAMES,
    CheckClock,
    CutAttachment,
    ForgetRunner,
    RemoveHistory,
    SendNotice,
    SetControl,
    SignalJob,
    StartJob,
    StopJob,
    SweepJob,
)
from hawse.domain.errors import Broken, Fenced, NotFound, Problem, Unavailable
from hawse.domain.job import Job
from hawse.ports.store import Pending, Unit, View
from hawse.services import control, deadline
from hawse.services import grant as grants
from hawse.services import notice as notices
from hawse.services import refusal as refusals
from hawse.services import report as reports
from hawse.services.adoption import JOBS_AT_ONCE, Adoption, each, start_of
from hawse.services.courier import Courier
from hawse.services.housekeeping import HOUSEKEEPING_S, RETENTION_S, Housekeeping, remove
from hawse.services.patience import BACK_OFF_S, until_available
from hawse.services.world import World

T = TypeVar("T")
log = logging.getLogger("hawse.reconcile")

EFFECTS_AT_ONCE = 256
EFFECTS_BEFORE_ADOPTION = 4096  # read; only checks of clocks are done
EFFECTS_PER_JOB = 8  # more are seldom stored for one job; a longer queue is read in parts
CLOCKS_FIRST = 32  # so many due at once go before all else: stopping jobs takes seconds, a clock is exact to one
CLOCKS = "clocks"  # the key of all checks that wait for nothing but the store; the others' keys are ids
EVENTS_AT_ONCE = 64  # whose notices are made in one transaction
NOTICES = "notices"  # the key of all events that are to be told


class Reconciler:
    """One per coordinator that leads. `run` returns only when cancelled."""

    def __init__(self, world: World, *, retention_s: float = RETENTION_S) -> None:
        self.world = world
        self.courier = Courier(world)
        self.housekeeping = Housekeeping(world, retention_s=retention_s)
        self._nudge = asyncio.Event()  # an effect may be due, or may be done now
        self.adoption = Adoption(world, self._nudge)

    @property
    def adopted(self) -> asyncio.Event:
        """Each runner was looked for."""
        return self.adoption.done

    async def run(self) -> None:
        """Reconcile until cancelled. If cancelled, what was under way is done again by the next run."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reports())
            group.create_task(self._adoption())
            group.create_task(self._effects())
            group.create_task(self.courier.run())
            group.create_task(self.housekeeping.run())

    async def _adoption(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.adoption.run())
            await self.adopted.wait()
            await self.courier.watch(None)

    # -- effects
    # ------------------------------------------------------------------------------------------------------------

    async def _effects(self) -> None:
        """Do what is due, in order per job, all jobs side by side: one that hangs holds up nobody else.

        For a job whose runner is still looked for nothing is done: it waits for that one alone. Clocks are checked and
        people told from the first moment.
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

        is_begun, held = self.adoption.missing is not None, busy | (self.adoption.missing or set())
        limit = EFFECTS_AT_ONCE + EFFECTS_PER_JOB * len(held) if is_begun else EFFECTS_BEFORE_ADOPTION

        def query(view: View) -> tuple[list[Pending], float | None]:
            return view.effects_due(now, limit), view.next_effect_at(now)

        found, next_at = await self._reading(query)
        by_job: dict[str, list[Pending]] = {}
        clocks = [pending for pending in found if _key(pending) == CLOCKS]
        for pending in clocks if len(clocks) > CLOCKS_FIRST else found:
            key = _key(pending)
            if key not in held and (is_begun or key in (CLOCKS, NOTICES)):
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
                await each(queue, lambda pending: self._in_order([pending]))
                return
            if key == NOTICES:
                for at in range(0, len(queue), EVENTS_AT_ONCE):
                    await self._tell(queue[at : at + EVENTS_AT_ONCE])
                return
            async with room:
                await self._in_order(queue)
        finally:
            busy.discard(key)
            nudge.set()

    async def _tell(self, queue: list[Pending]) -> None:
        """Make the notices of these events; the courier sends them."""
        try:
            look = await self._until_available(lambda: notices.make(self.world, queue))
        except Problem as problem:
            if len(queue) > 1:  # one event that cannot be told must not hold up the others
                for pending in queue:
                    await self._tell([pending])
                return
            self.world.effect_meter(NAMES[SendNotice]).put_off += 1
            log.error("the notices of session %s put off: %s", queue[0].session, problem)
            await self._put_off([queue[0].id], queue[0].attempts)
            return
        for pending in queue:
            self.world.effect_meter(NAMES[SendNotice]).lag_s.observe(
                max(0.0, self.world.clock.now() - pending.due_at)
            )
        self.courier.wake()
        if self.adopted.is_set() and (look is None or look):
            await self.courier.watch(look)

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
            case CutAttachment(job=id, attachment=attachment, reason=reason, message=message):
                await launcher.cut(id, attachment, reason=reason, message=message)
            case SetControl() as given:
                await self._set_control(given)
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
                await remove(self.world, session)

    async def _start(self, id: str, attempt: int) -> None:
        try:
            job = await self.world.store.read(lambda view: view.job(id))
            if job.attempt == attempt and job.state == jobs.S.PENDING:
                job = await self._writing(lambda unit: _begun(unit, id, attempt))
            if job.attempt != attempt or job.state not in jobs.WITH_RUNNER:
                return
            start = await self.world.store.read(lambda view: start_of(view, job))
        except NotFound:
            return  # it ended meanwhile: its order is gone
        if job.state == jobs.S.STARTING:
            await self.world.launcher.start(start)
        else:  # its stop was asked before its start was done: find out whether it runs, never start it now
            await self.world.launcher.adopt(start)

    async def _set_control(self, given: SetControl) -> None:
        """A holder that is gone by now is told all the same: what counts is that the one before has lost control."""
        id = given.attachment
        try:
            holder = None if id is None else await self.world.store.read(lambda view: view.attachment(id))
        except NotFound:
            return  # the history was removed meanwhile
        who = "" if holder is None else control.label(holder)
        message = given.words or (f"{who} has control now" if who else "")
        await self.world.launcher.control(given.job, id or "", fence=given.fence, who=who, message=message)

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

    # -- help
    # ---------------------------------------------------------------------------------------------------------------

    async def _reading(self, query: Callable[[View], T]) -> T:
        return await self._until_available(lambda: self.world.store.read(query))

    async def _writing(self, verb: Callable[[Unit], T]) -> T:
        return await self._until_available(lambda: self.world.store.write(verb))

    async def _until_available(self, work: Callable[[], Awaitable[T]]) -> T:
        """See services/patience.py. Raises Problem when trying again would not help."""
        return await until_available(self.world, work)


def _begun(unit: Unit, id: str, attempt: int) -> Job:
    """A pending job whose time has come begins to start."""
    job = unit.job(id)
    if job.attempt != attempt or job.state != jobs.S.PENDING:
        return job
    kept = unit.change(job, jobs.start_asked(job), kind="job.start_asked", by="hawse")
    assert isinstance(kept, Job)
    return kept


def _key(pending: Pending) -> str:
    """What is done one after the other has one key: a job's id, a session's, or that of what needs only the store."""
    if isinstance(pending.effect, SendNotice):
        return NOTICES
    if isinstance(pending.effect, CheckClock) and pending.effect.clock not in ASKED:
        return CLOCKS
    return getattr(pending.effect, "job", pending.session)

"""Finding the runners again that an earlier coordinator, or an earlier leader, started."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from hawse.domain import job as jobs
from hawse.domain.errors import Broken, NotFound, Unavailable
from hawse.domain.job import Job
from hawse.ports.launcher import Start
from hawse.ports.store import Unit, View
from hawse.services import control
from hawse.services.patience import BACK_OFF_S, until_available
from hawse.services.session import settle
from hawse.services.world import World

T = TypeVar("T")
log = logging.getLogger("hawse.reconcile")
JOBS_AT_ONCE = 32


class Adoption:
    """missing: jobs whose runners are still looked for; None: not known yet which. done: each was looked for. nudge: is
    set when one was found.
    """

    def __init__(self, world: World, nudge: asyncio.Event) -> None:
        self.world = world
        self.missing: set[str] | None = None
        self.done = asyncio.Event()
        self._nudge = nudge

    async def run(self) -> None:
        """Find every runner again; what became of jobs without one comes as a report.

        One that lives and does not answer is looked for as long as we live; what is to be done for its job waits.
        """
        living = await until_available(self.world, lambda: self.world.store.read(lambda view: view.living_jobs()))
        self.missing = {job.id for job in living}
        self._nudge.set()
        silent: list[Job] = []

        async def look(job: Job) -> None:
            if not await self._is_found(job):
                silent.append(job)

        await each(living, look)
        await self._settle_all()
        self.done.set()
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
        assert self.missing is not None
        self.missing.discard(job.id)
        self._nudge.set()
        return True

    async def _find_again(self, id: str) -> None:
        try:
            job, start = await self.world.store.read(lambda view: found(view, id))
        except NotFound:
            return  # it ended meanwhile: its order is gone
        if job.state == jobs.S.PENDING:  # a stored effect starts it when its time has come
            return
        if job.state == jobs.S.LOST:  # an earlier coordinator's sweep ended with it
            await self.world.launcher.sweep(job.id, job.attempt, grace_s=job.grace_s)
            return
        if job.state == jobs.S.STARTING:
            await self.world.launcher.start(start)  # its claim knows whether that was done before
            return
        await self.world.launcher.adopt(start)
        if job.state == jobs.S.STOPPING:  # the stop may not have reached its runner
            await self.world.launcher.stop(job.id, job.attempt, grace_s=job.grace_s)

    async def _settle_all(self) -> None:
        """A session whose last job ended in the commit before a crash is settled already: this is for backups."""

        def verb(unit: Unit) -> None:
            now = self.world.clock.now()
            after = ""
            while page := unit.sessions(living=True, after=after, limit=1000):
                after = page[-1].id
                for session in page:
                    settle(unit, session, now=now)

        await until_available(self.world, lambda: self.world.store.write(verb))


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do the work for each item, JOBS_AT_ONCE at a time."""
    room = asyncio.Semaphore(JOBS_AT_ONCE)

    async def one(item: T) -> None:
        async with room:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))


def _concerns(job: Job) -> dict[str, str]:
    """For the log: whose line this is."""
    return {"session": job.session, "job": job.id}


def found(view: View, id: str) -> tuple[Job, Start]:
    """Raises NotFound: it has ended, its order is gone."""
    job = view.job(id)
    return job, start_of(view, job)


def start_of(view: View, job: Job) -> Start:
    """What its runner needs. Raises NotFound: it has ended, its order is gone."""
    order, holder = view.order(job.id), control.holder_of(view, job.id)
    return Start(
        session=job.session,
        job=job.id,
        attempt=job.attempt,
        incarnation=job.incarnation,
        order=order,
        tty=job.tty,
        grace_s=job.grace_s,
        holder="" if holder is None else holder.id,
        fence=view.last_fence(job.id),
        owner=view.session(job.session).owner,
    )

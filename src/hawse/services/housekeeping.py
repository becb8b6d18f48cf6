"""What time makes old: links that stayed away, history, answers, the audit log. Each is decided from stored times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from hawse.domain import attachment as attachments
from hawse.domain.attachment import STALE_S, Reason
from hawse.domain.errors import NotFound
from hawse.domain.job import Job
from hawse.ports.store import Unit, View
from hawse.services import control
from hawse.services.patience import until_available
from hawse.services.world import World

T = TypeVar("T")
HOUSEKEEPING_S = 3600.0
RETENTION_S = 30 * 86400.0  # requirements, "Defaults to ship": log retention 30 days
ANSWERS_KEPT_S = 86400.0
AUDIT_KEPT_S = 366 * 86400.0  # what a yearly review needs
STALE_BATCH = 500


class Housekeeping:
    """retention_s: how long the history of an ended session is kept."""

    def __init__(self, world: World, *, retention_s: float = RETENTION_S) -> None:
        self.world = world
        self.retention_s = retention_s

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deadlines())
            group.create_task(self._drop_answers())

    async def _deadlines(self) -> None:
        """Links that stayed away, history whose retention is over. Each is decided from stored times."""
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
                control.leave(unit, [attachment], reason=Reason.LOST, by="hawse", now=now)
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
            await remove(self.world, session)

    async def _drop_answers(self) -> None:
        """First answers to request ids that are too old to be asked for again; what the audit log keeps no longer."""

        def verb(unit: Unit) -> None:
            now = self.world.clock.now()
            unit.drop_answers_before(now - ANSWERS_KEPT_S)
            if any(one.time < now - AUDIT_KEPT_S for one in unit.audit(limit=1)):
                unit.drop_audit_before(now - AUDIT_KEPT_S)

        while True:
            await self._writing(verb)
            await self.world.clock.sleep(HOUSEKEEPING_S)

    async def _reading(self, query: Callable[[View], T]) -> T:
        return await until_available(self.world, lambda: self.world.store.read(query))

    async def _writing(self, verb: Callable[[Unit], T]) -> T:
        return await until_available(self.world, lambda: self.world.store.write(verb))


async def remove(world: World, session: str) -> None:
    """A session's history, logs first: a crash between the two leaves a session that is removed again, never files
    without a session. Safe to repeat.
    """

    def query(view: View) -> list[Job]:
        view.session(session)
        return view.jobs(session)

    try:
        of_it = await world.store.read(query)
    except NotFound:
        return
    for job in of_it:
        await world.launcher.remove(job.id)
    await until_available(world, lambda: world.store.write(lambda unit: unit.remove_session(session)))

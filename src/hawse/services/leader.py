"""Leading: the reconcilers of one store are run by one coordinator at a time, and by the next when that one is gone.

Every coordinator serves REST. What only one may do (effects, deadlines, following the runners) is a `Reconciler`, made
anew for each term. Each of its transactions asks for the term's fence, so what an old leader has still under way is
never committed beside the new one's; what it has under way outside, a start or a stop, is harmless when done twice (the
runner's claim, spec 04). When a term is over the links to the runners are dropped: each has room for one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from hawse.domain.errors import Fenced, Problem
from hawse.ports.meter import StoreMeter
from hawse.ports.store import STEP_DOWN_S, Store, Term, Unit, View
from hawse.services.reconcile import Reconciler
from hawse.services.world import World

T = TypeVar("T")
log = logging.getLogger("hawse.leader")
AGAIN_S = 1.0


class FencedStore:
    """A store whose changes are those of one term: once somebody else leads, each raises Fenced."""

    def __init__(self, store: Store, fence: int) -> None:
        self._store = store
        self._fence = fence

    @property
    def meter(self) -> StoreMeter:
        return self._store.meter

    async def write(self, verb: Callable[[Unit], T]) -> T:
        """See Store.write. Raises Fenced."""

        def fenced(unit: Unit) -> T:
            unit.check_fence(self._fence)
            return verb(unit)

        return await self._store.write(fenced)

    async def read(self, query: Callable[[View], T]) -> T:
        return await self._store.read(query)

    async def wait_event(self, session: str, *, after: int, timeout_s: float) -> int:
        return await self._store.wait_event(session, after=after, timeout_s=timeout_s)

    async def wait_effect(self, *, timeout_s: float) -> None:
        await self._store.wait_effect(timeout_s=timeout_s)

    async def lead(self) -> Term:
        return await self._store.lead()

    async def aclose(self) -> None:
        """The store is others', too."""


class Leader:
    """One per coordinator. `run` returns only when cancelled."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.lead.is_ours = False
        self._reconciler: Reconciler | None = None

    @property
    def not_ready(self) -> str:
        """Why nobody should be sent here yet; "" when all is as it should be. Who does not lead serves as well."""
        if self._reconciler is None or self._reconciler.adopted.is_set():
            return ""
        return "the jobs that run are being found again"

    async def run(self) -> None:
        """Lead whenever nobody else does, until cancelled."""
        while True:
            term = await self._term()
            try:
                await self._serve(term)
            except asyncio.CancelledError:
                await self.world.launcher.aclose()  # before the next one may begin
                raise
            finally:
                self._reconciler, self.world.lead.is_ours = None, False
                await self.world.launcher.let_go()
                await term.aclose()
            log.warning("this coordinator does not lead any more; it goes on serving")

    async def _term(self) -> Term:
        while True:
            try:
                return await self.world.store.lead()
            except Problem as problem:
                if not problem.retry:
                    raise
                log.warning("the lead cannot be asked for, trying again: %s", problem)
                await self.world.clock.sleep(AGAIN_S)

    async def _serve(self, term: Term) -> None:
        """Reconcile until the term is over."""
        store: Store = self.world.store if term.fence == 0 else FencedStore(self.world.store, term.fence)
        self._reconciler = Reconciler(replace(self.world, store=store))
        self.world.lead.is_ours = True
        if term.fence:
            log.info("this coordinator leads (term %d)", term.fence)
        work = asyncio.ensure_future(self._reconciler.run())
        over = asyncio.ensure_future(term.wait_over())
        try:
            await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            await _stopped(work)


async def _stopped(work: asyncio.Future[None]) -> None:
    """Cancel it and wait for its end, STEP_DOWN_S at most: what is under way then is fenced.

    Raises what it raised, but for Fenced.
    """
    work.cancel()
    done, _ = await asyncio.wait({work}, timeout=STEP_DOWN_S)
    if not done or work.cancelled():
        return
    error = work.exception()
    rest = error.split(Fenced)[1] if isinstance(error, BaseExceptionGroup) else error
    if rest is not None and not isinstance(rest, Fenced):
        raise rest

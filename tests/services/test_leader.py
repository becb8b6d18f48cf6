"""Leading: one reconciles, the next goes on; what an old leader has under way is fenced. In virtual time."""

import asyncio
import random
from dataclasses import replace

import pytest
from tests.services.conftest import spec
from tests.services.test_session import long_lived

from hawse.domain import job as jobs
from hawse.domain.errors import Fenced
from hawse.services import job as job_verbs
from hawse.services import session as session_verbs
from hawse.services.leader import FencedStore, Leader
from hawse.services.world import Caller, Lead, World
from hawse.testing.memory_store import MemoryDisk, MemoryStore
from hawse.testing.sim import NoLogs
from hawse.testing.sim_host import SimHost
from hawse.testing.sim_launcher import SimLauncher
from hawse.testing.sim_loop import SimClock, run_virtually

ME = Caller("uid:1000")


class Two:
    """Two coordinators on one store and one host."""

    def __init__(self):
        self.clock, self.host, disk = SimClock(1), SimHost(2), MemoryDisk()
        self.worlds = []
        for number in (0, 1):
            launcher = SimLauncher(self.host, random.Random(number), trouble=0.0)
            self.worlds.append(World(MemoryStore(self.clock, disk), launcher, self.clock, NoLogs()))
            self.worlds[-1].lead.is_ours = False
        long_lived(self)
        self.tasks = {}

    def start(self, number):
        self.tasks[number] = asyncio.ensure_future(Leader(self.worlds[number]).run())

    async def stop(self, number):
        self.tasks[number].cancel()
        await asyncio.gather(self.tasks[number], return_exceptions=True)

    @property
    def leading(self):
        return [number for number, world in enumerate(self.worlds) if world.lead.is_ours]

    async def until(self, condition):
        async with asyncio.timeout(600):
            while not condition():  # noqa: ASYNC110 - in virtual time
                await asyncio.sleep(0.01)

    async def aclose(self):
        for number in self.tasks:
            await self.stop(number)
        for world in self.worlds:
            await world.launcher.aclose()
        await self.host.aclose()


def in_two(test):
    async def main():
        two = Two()
        try:
            await test(two)
        finally:
            await two.aclose()

    run_virtually(main())


async def running(world, name):
    return await job_verbs.wait(world, ME, name, "work", until="started", timeout_s=60)


def test_one_leads_the_other_serves_and_takes_over():
    async def test(two):
        two.start(0)
        two.start(1)
        await two.until(lambda: two.leading)
        (first,) = two.leading
        other = two.worlds[1 - first]
        await session_verbs.create(other, ME, session_verbs.NewSession(alias="a", job=spec()))
        assert (await running(other, "a")).state == jobs.S.RUNNING
        await two.stop(first)
        await two.until(lambda: two.leading == [1 - first])
        await session_verbs.create(other, ME, session_verbs.NewSession(alias="b", job=spec()))
        assert (await running(other, "b")).state == jobs.S.RUNNING
        assert len(two.host.started) == len(set(two.host.started)) == 2

    in_two(test)


def test_a_term_that_is_over_stops_the_reconciler_and_the_next_begins():
    """The lease was lost, the process lives: it lets go of the runners and waits for the lead like everybody."""

    async def test(two):
        two.start(0)
        await two.until(lambda: two.leading == [0])
        two.start(1)
        await session_verbs.create(two.worlds[0], ME, session_verbs.NewSession(alias="a", job=spec()))
        await running(two.worlds[0], "a")
        await two.worlds[0].store._term.aclose()
        await two.until(lambda: two.leading == [1])
        await session_verbs.end(two.worlds[0], ME, "a")
        ended = await job_verbs.wait(two.worlds[0], ME, "a", "work", until="ended", timeout_s=60)
        assert ended.state == jobs.S.ENDED

    in_two(test)


def test_what_an_old_leader_writes_is_refused():
    async def test(two):
        store = two.worlds[0].store
        term = await store.lead()
        fenced = FencedStore(store, term.fence)
        assert await fenced.write(lambda unit: unit.fence()) == term.fence
        await term.aclose()
        await two.worlds[1].store.lead()
        with pytest.raises(Fenced):
            await fenced.write(lambda unit: unit.add_effects("s", ()))
        assert await fenced.read(lambda view: view.fence()) == term.fence + 1

    in_two(test)


def test_a_report_to_an_old_leader_is_not_acknowledged():
    """It is raised out of the reconciler, so that the runner tells it again: to the new leader."""

    async def test(two):
        two.start(0)
        await two.until(lambda: two.leading == [0])
        await session_verbs.create(two.worlds[0], ME, session_verbs.NewSession(alias="a", job=spec()))
        job = await running(two.worlds[0], "a")
        term = two.worlds[0].store._term
        disk = two.worlds[0].store.disk
        disk.site.leader, disk.site.fence = None, disk.site.fence + 1  # somebody took over and is gone again
        await session_verbs.end(two.worlds[0], ME, "a")
        await two.until(lambda: term.fence != two.worlds[0].store._term.fence)
        ended = await job_verbs.wait(two.worlds[0], ME, "a", "work", until="ended", timeout_s=60)
        assert ended.state == jobs.S.ENDED
        assert ended.id == job.id
        assert len(two.host.started) == 1

    in_two(test)


def test_a_signal_where_nobody_leads_is_stored_for_who_will():
    async def test(two):
        two.start(0)
        await two.until(lambda: two.leading == [0])
        await session_verbs.create(two.worlds[0], ME, session_verbs.NewSession(alias="a", job=spec()))
        await running(two.worlds[0], "a")
        follower = replace(two.worlds[1], lead=Lead())
        follower.lead.is_ours = False
        await two.stop(0)
        await job_verbs.signal(follower, ME, "a", "work", "TERM")
        stored = await follower.store.read(lambda view: view.effects_due(float("inf"), 10))
        assert [type(one.effect).__name__ for one in stored] == ["SignalJob"]

    in_two(test)

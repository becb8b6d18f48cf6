"""What only the reconciler does: retention, and going on where a dead coordinator stopped."""

import asyncio
import random
from dataclasses import replace

import pytest
from tests.services.conftest import ME, Lab, spec
from tests.services.test_session import long_lived

from hawse.adapters.launch.said import reports
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.errors import Clash, NotFound, Unavailable
from hawse.domain.job import LogState, OnLost, Outcome, OutcomeKind
from hawse.domain.session import Lease
from hawse.ports.launcher import Ended, LogChanged, Start
from hawse.services import job as job_verbs
from hawse.services import session as session_verbs
from hawse.services.housekeeping import RETENTION_S
from hawse.services.reconcile import Reconciler
from hawse.services.session import NewSession
from hawse.services.world import Answered, Request, World
from hawse.testing.memory_store import MemoryStore
from hawse.testing.sim import NoLogs
from hawse.testing.sim_host import SimHost
from hawse.testing.sim_launcher import SimLauncher
from hawse.testing.sim_loop import SimClock, run_virtually


def test_history_is_kept_for_its_time_and_then_removed_with_its_logs(in_lab) -> None:
    async def test(lab: Lab) -> None:
        removed = []

        async def remove(job: str) -> None:
            removed.append(job)

        lab.launcher.remove = remove
        long_lived(lab)
        view = await session_verbs.create(lab.world, ME, NewSession(alias="a", job=spec()))
        await session_verbs.end(lab.world, ME, "a", grace_s=0)
        await asyncio.sleep(RETENTION_S - 3600)
        assert (await session_verbs.get(lab.world, ME, "a")).session.state == sessions.S.ENDED
        assert removed == []
        await asyncio.sleep(3 * 3600)
        with pytest.raises(NotFound):
            await session_verbs.get(lab.world, ME, view.session.id)
        assert removed == [view.jobs[0].id]

    in_lab(test)


def test_first_answers_are_kept_for_a_day_also_where_no_history_is_old(in_lab) -> None:
    """They would else grow without bound for as long as no session was removed, which is 30 days at least."""

    async def test(lab: Lab) -> None:
        long_lived(lab)
        me = replace(ME, request=Request(id="one", digest="d", encode=lambda made: (201, b"made")))
        await session_verbs.create(lab.world, me, NewSession(alias="a", job=spec()))

        async def answered() -> int:
            try:
                await session_verbs.create(lab.world, me, NewSession(alias="a", job=spec()))
            except Answered as answer:
                return answer.answer.status
            except Clash:
                return 0
            return 1

        await asyncio.sleep(20 * 3600)
        assert await answered() == 201
        await asyncio.sleep(6 * 3600)
        assert await answered() == 0, "it is a new request now, and the name is taken"

    in_lab(test)


@pytest.mark.requirement("L3.3", "S2.6")
@pytest.mark.parametrize("on_lost", list(OnLost))
def test_a_coordinator_that_dies_within_a_sweep_is_followed_by_one_that_ends_it(on_lost: OnLost) -> None:
    """Lost is told at once, what was left once, and no attempt runs beside what an earlier one left."""

    async def main() -> None:
        clock, host = SimClock(1), SimHost(2)
        store = MemoryStore(clock)

        def life(seed: int) -> tuple[World, SimLauncher, asyncio.Task[None]]:
            launcher = SimLauncher(host, random.Random(seed), trouble=0.0)
            world = World(store, launcher, clock, NoLogs())
            return world, launcher, asyncio.create_task(Reconciler(world).run())

        async def die(launcher: SimLauncher, task: asyncio.Task[None]) -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await launcher.aclose()

        world, *first = life(3)
        long_lived(Lab(world, host, first[0]))
        await session_verbs.create(world, ME, NewSession(alias="a", job=spec(on_lost=on_lost, grace_s=30)))
        job = await job_verbs.wait(world, ME, "a", "work", until="started", timeout_s=60)
        host.runners[job.id, 1].leftover_s = 20.0
        host.kill_runner((job.id, 1))
        await asyncio.sleep(3)
        found = await job_verbs.get(world, ME, "a", "work")
        assert (found.state, found.left_behind) == (jobs.S.LOST, ({"pid": job.pid, "command": "deaf"},))
        await asyncio.sleep(10)
        await die(*first)
        assert host.leftovers(job.id)
        world, *second = life(4)
        await asyncio.sleep(15)
        assert (await job_verbs.get(world, ME, "a", "work")).state == jobs.S.LOST
        assert host.started == [(job.id, 1)]
        await asyncio.sleep(10)
        found = await job_verbs.get(world, ME, "a", "work")
        assert not host.leftovers(job.id)
        events = await store.read(lambda view: view.events(job.session, limit=100))
        told = [event.kind for event in events if event.kind in ("job.lost", "job.ended", "job.restarted")]
        if on_lost == OnLost.REPORT:
            assert (found.state, told) == (jobs.S.ENDED, ["job.lost", "job.ended"])
        else:
            assert (found.attempt, told[:2]) == (2, ["job.lost", "job.restarted"])
        assert next(event.kind for event in events if event.after.get("left_behind")) == "job.lost"
        await die(*second)
        await host.aclose()

    run_virtually(main())


@pytest.mark.requirement("S2.6")
@pytest.mark.parametrize("stop_too", [False, True])
def test_a_stored_start_is_done_by_the_next_coordinator(stop_too: bool) -> None:
    """The coordinator died between commit and start: the job is started once, or not at all if it was stopped."""

    async def main() -> None:
        clock, host = SimClock(1), SimHost(2)
        store = MemoryStore(clock)
        first = World(store, SimLauncher(host, random.Random(3), trouble=0.0), clock, NoLogs())
        view = await session_verbs.create(first, ME, NewSession(alias="a", job=spec()))
        assert host.started == []
        if stop_too:
            await job_verbs.stop(first, ME, "a", "work")
        launcher = SimLauncher(host, random.Random(4), trouble=0.0)
        task = asyncio.create_task(Reconciler(World(store, launcher, clock, NoLogs())).run())
        await asyncio.sleep(10)
        job = await job_verbs.get(first, ME, "a", "work")
        assert host.started == ([] if stop_too else [(view.jobs[0].id, 1)])
        assert (job.state == jobs.S.ENDED) == (stop_too or job.outcome is not None)
        assert not stop_too or job.outcome == jobs.STOPPED_BEFORE_START
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await launcher.aclose()
        await host.aclose()

    run_virtually(main())


def test_the_end_of_a_job_is_stored_even_when_its_words_cannot_be(in_lab) -> None:
    """A report that no store takes would otherwise leave a job that lives for ever."""

    async def test(lab: Lab) -> None:
        long_lived(lab)
        await session_verbs.create(lab.world, ME, NewSession(alias="a", job=spec()))
        job = await job_verbs.wait(lab.world, ME, "a", "work", until="started", timeout_s=60)
        behind = ({"pid": 7, "command": "\udcff"},)
        report = Ended(job.id, 1, Outcome(OutcomeKind.FAILED, code=127, cause="pr\udce9sent"), left_behind=behind)
        lab.host.runners[job.id, 1].report(report)
        after = await job_verbs.wait(lab.world, ME, "a", "work", until="ended", timeout_s=60)
        assert (after.state, after.outcome.exit_code, after.left_behind) == (jobs.S.ENDED, 127, ())
        assert "cannot be stored" in after.outcome.cause

    in_lab(test)


def test_what_cannot_be_stored_now_is_told_meanwhile(in_lab, monkeypatch) -> None:
    """A full disk: the report waits, and who looks is told since when and why; when there is room, it is over."""

    async def test(lab: Lab) -> None:
        long_lived(lab)
        await session_verbs.create(lab.world, ME, NewSession(alias="a", job=spec()))
        job = await job_verbs.wait(lab.world, ME, "a", "work", until="started", timeout_s=60)
        assert lab.world.troubles.present is None

        async def full(verb: object) -> None:
            raise Unavailable("the disk is full")

        began = lab.world.clock.now()
        with monkeypatch.context() as patch:
            patch.setattr(lab.world.store, "write", full)
            log = LogState("blocked", "no room", since=began)
            lab.host.runners[job.id, 1].report(LogChanged(job.id, 1, log))
            await asyncio.sleep(100)
            trouble = lab.world.troubles.present
            assert trouble is not None
            assert (trouble.cause, trouble.since) == ("the disk is full", pytest.approx(began, abs=1))
        await asyncio.sleep(100)
        assert lab.world.troubles.present is None
        assert (await job_verbs.get(lab.world, ME, "a", "work")).log == log

    in_lab(test)


def test_a_log_that_could_not_be_made_durable_is_told_once(in_lab) -> None:
    """Its bytes are there now, and may be gone after a power failure."""

    async def test(lab: Lab) -> None:
        long_lived(lab)
        await session_verbs.create(lab.world, ME, NewSession(alias="a", job=spec()))
        job = await job_verbs.wait(lab.world, ME, "a", "work", until="started", timeout_s=60)
        start = lab.host.runners[job.id, 1].start
        words = {"kind": "log", "state": "ok", "end": 9, "cause": "making it durable failed: Input/output error"}
        state = {"kind": "state", "log": {"state": "ok", "end": 9, "cause": "Success"}}
        for said in (words, words, state):
            for report in reports(start, said, now=lab.world.clock.now()):
                lab.host.runners[job.id, 1].report(report)
            await asyncio.sleep(10)
        after = await job_verbs.get(lab.world, ME, "a", "work")
        assert (after.log.state, after.log.cause) == ("ok", words["cause"])
        events = await lab.world.store.read(lambda view: view.events(job.session, limit=100))
        assert [event.kind for event in events].count("job.log_changed") == 1

    in_lab(test)


@pytest.mark.requirement("S1.7")
def test_of_many_leases_that_end_together_each_is_asked_before_any_job_is_stopped(in_lab) -> None:
    """Stopping a thousand jobs takes seconds; a clock is exact to one."""
    count = 400  # more than are read at once

    async def test(lab: Lab) -> None:
        long_lived(lab)
        until = lab.world.clock.now() + 3600
        for number in range(count):
            new = NewSession(alias=f"s{number}", lease=Lease.UNTIL, lease_until=until, job=spec())
            await session_verbs.create(lab.world, ME, new)
        asked = []
        stop = lab.launcher.stop

        async def stopped(job: str, attempt: int, *, grace_s: float) -> None:
            found = await lab.world.store.read(lambda view: view.sessions(living=True, after="", limit=1000))
            asked.append(sum(one.state == sessions.S.DRAINING for one in found))
            await stop(job, attempt, grace_s=grace_s)

        lab.launcher.stop = stopped
        await asyncio.sleep(3700)
        assert len(asked) >= count
        assert asked[0] == count

    in_lab(test)


@pytest.mark.requirement("S2.6", "S4.3")
def test_a_runner_that_does_not_answer_a_new_coordinator_holds_up_nobody_else_and_is_never_given_up() -> None:
    """It is stopped, or its disk hangs: for an hour nobody reaches it. Then it is found, and its stop is done."""

    async def main() -> None:
        clock, host = SimClock(1), SimHost(2, lives_s=1e9)
        store = MemoryStore(clock)
        launcher = SimLauncher(host, random.Random(3), trouble=0.0)
        world = World(store, launcher, clock, NoLogs())
        task = asyncio.create_task(Reconciler(world).run())
        long_lived(Lab(world, host, launcher))
        await session_verbs.create(world, ME, NewSession(alias="hangs", job=spec()))
        await session_verbs.create(world, ME, NewSession(alias="lives", job=spec()))
        hung = await job_verbs.wait(world, ME, "hangs", "work", until="started", timeout_s=60)
        await job_verbs.wait(world, ME, "lives", "work", until="started", timeout_s=60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await launcher.aclose()

        launcher = SimLauncher(host, random.Random(4), trouble=0.0)
        adopt, answers_at = launcher.adopt, clock.now() + 3600

        async def patiently(start: Start) -> None:
            if start.job == hung.id and clock.now() < answers_at:
                await asyncio.sleep(30)
                raise Unavailable("the runner does not answer")
            await adopt(start)

        launcher.adopt = patiently
        world = World(store, launcher, clock, NoLogs())
        reconciler = Reconciler(world)
        task = asyncio.create_task(reconciler.run())
        await session_verbs.create(world, ME, NewSession(alias="new", job=spec()))
        await job_verbs.stop(world, ME, "lives", "work", grace_s=0)
        await job_verbs.stop(world, ME, "hangs", "work", grace_s=0)
        assert (await job_verbs.wait(world, ME, "new", "work", until="started", timeout_s=5)).state == jobs.S.RUNNING
        assert (await job_verbs.wait(world, ME, "lives", "work", until="ended", timeout_s=5)).state == jobs.S.ENDED
        await asyncio.sleep(60)
        assert reconciler.adopted.is_set(), "each was looked for"
        await asyncio.sleep(3700)
        assert (await job_verbs.get(world, ME, "hangs", "work")).state == jobs.S.ENDED
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await launcher.aclose()
        await host.aclose()

    run_virtually(main())


def test_a_job_that_is_stopped_while_its_runner_is_looked_for_is_not_started() -> None:
    """Its start was under way when the coordinator died, and the next one can't do it at once."""

    async def main() -> None:
        clock, host = SimClock(1), SimHost(2, lives_s=1e9)
        store = MemoryStore(clock)

        class Busy(SimLauncher):
            async def start(self, start: Start) -> None:
                if clock.now() < works_at:
                    raise Unavailable("no parent")
                await super().start(start)

        works_at = clock.now() + 1e9
        launcher = Busy(host, random.Random(3), trouble=0.0)
        world = World(store, launcher, clock, NoLogs())
        await session_verbs.create(world, ME, NewSession(alias="a", job=spec()))
        task = asyncio.create_task(Reconciler(world).run())
        await asyncio.sleep(1)
        works_at = clock.now() + 1
        await job_verbs.stop(world, ME, "a", "work")
        await asyncio.sleep(600)
        assert host.started == []
        assert (await job_verbs.get(world, ME, "a", "work")).outcome == jobs.STOPPED_BEFORE_START
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await launcher.aclose()
        await host.aclose()

    run_virtually(main())

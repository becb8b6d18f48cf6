"""Clocks in virtual time: warned and ended to the second, exactly once, across restarts and clocks that are set."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from tests.services.conftest import ME, OTHER, Lab, spec
from tests.services.test_session import long_lived

from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.errors import Denied, Expired, Invalid
from hawse.domain.event import Event
from hawse.domain.job import OnError
from hawse.domain.session import Lease
from hawse.services import attachment as attachment_verbs
from hawse.services import job as job_verbs
from hawse.services import session as session_verbs
from hawse.services.reconcile import Reconciler
from hawse.services.session import NewSession
from hawse.services.world import World
from hawse.testing.memory_store import MemoryStore
from hawse.testing.sim import NoLogs
from hawse.testing.sim_host import SimHost
from hawse.testing.sim_launcher import SimLauncher
from hawse.testing.sim_loop import SimClock, run_virtually


async def events(lab: Lab, name: str, *kinds: str) -> list[Event]:
    view = await session_verbs.get(lab.world, ME, name)
    found = await lab.world.store.read(lambda v: v.events(view.session.id, limit=1000))
    return [event for event in found if event.kind in kinds]


async def leased(lab: Lab, left_s: float, **more: object) -> float:
    """A session with a long job and a lease; when that ends."""
    long_lived(lab)
    until = lab.world.clock.now() + left_s
    new = NewSession(alias="train", lease=Lease.UNTIL, lease_until=until, job=spec(), **more)  # type: ignore[arg-type]
    await session_verbs.create(lab.world, ME, new)
    return until


@pytest.mark.requirement("L4.15")
def test_a_lease_warns_three_times_and_ends_to_the_second(in_lab) -> None:
    async def test(lab: Lab) -> None:
        until = await leased(lab, 4000)
        await asyncio.sleep(4100)
        told = await events(lab, "train", "session.warned")
        assert [round(until - event.time) for event in told] == [1800, 600, 120]
        assert [event.detail["command"] for event in told] == ["hawse extend train 1h"] * 3
        (ended,) = await events(lab, "train", "session.end_asked")
        assert 0 <= ended.time - until < 1
        assert ended.after["ended_by"] == "hawse"
        assert ended.after["end_reason"].startswith("its lease ended at ")
        assert (await session_verbs.get(lab.world, ME, "train")).session.state == sessions.S.ENDED

    in_lab(test)


@pytest.mark.requirement("L4.15")
def test_an_extension_moves_the_end_and_its_warnings(in_lab) -> None:
    async def test(lab: Lab) -> None:
        until = await leased(lab, 700)
        await asyncio.sleep(650)  # warned at 10 and 2 minutes
        view = await session_verbs.extend(lab.world, ME, "train", by_s=3600)
        assert view.session.lease_until == until + 3600
        checks = await lab.world.store.read(lambda v: v.clock_checks(view.session.id))
        assert [check.due_at for check in checks] == [until + 3600 - 1800]
        await asyncio.sleep(3500)
        assert (await session_verbs.get(lab.world, ME, "train")).session.state == sessions.S.ACTIVE
        told = await events(lab, "train", "session.warned")
        assert [event.detail["deadline"] - until for event in told] == [0, 0, 3600, 3600]
        await session_verbs.describe(lab.world, ME, "train", lease=(Lease.NEVER, None))
        assert not await lab.world.store.read(lambda v: v.clock_checks(view.session.id))
        await asyncio.sleep(86400)
        assert (await session_verbs.get(lab.world, ME, "train")).session.state == sessions.S.ACTIVE

    in_lab(test)


def test_whoever_may_not_extend_is_refused_and_an_end_that_is_over_stays(in_lab) -> None:
    async def test(lab: Lab) -> None:
        until = await leased(lab, 700)
        with pytest.raises(Denied):
            await session_verbs.extend(lab.world, OTHER, "train", by_s=60)
        with pytest.raises(Denied):
            await session_verbs.describe(lab.world, OTHER, "train", policies={"connect_by_s": 1})
        lab.world.clock.skew_s = until - lab.world.clock.now()  # it is over; nobody has looked yet
        with pytest.raises(Expired):
            await session_verbs.extend(lab.world, ME, "train", by_s=60)
        with pytest.raises(Invalid):
            await session_verbs.create(lab.world, ME, NewSession(lease=Lease.UNTIL))

    in_lab(test)


@pytest.mark.requirement("L4.15")
def test_a_clock_that_is_set_forward_ends_at_once_and_backward_late_by_the_jump(in_lab) -> None:
    async def test(lab: Lab) -> None:
        until = await leased(lab, 3000)
        clock = lab.world.clock
        assert isinstance(clock, SimClock)
        await asyncio.sleep(2950)
        clock.skew_s = -1000
        await asyncio.sleep(1040)
        assert (await session_verbs.get(lab.world, ME, "train")).session.state == sessions.S.ACTIVE
        told = await events(lab, "train", "session.warned")
        assert [event.detail["deadline"] - round(event.detail["left_s"]) for event in told] == [
            until - 1800, until - 600, until - 120,
        ]  # fmt: skip
        await asyncio.sleep(12)
        (ended,) = await events(lab, "train", "session.end_asked")
        assert 0 <= ended.time - until < 1
        await session_verbs.create(
            lab.world, ME, NewSession(alias="next", lease=Lease.UNTIL, lease_until=clock.now() + 9000, job=spec())
        )
        clock.skew_s += 9000
        await asyncio.sleep(0.5)
        assert await events(lab, "next", "session.end_asked")

    in_lab(test)


@pytest.mark.requirement("S2.8")
def test_nobody_who_comes_in_time_ends_the_session_and_the_warning_says_what_to_type(in_lab) -> None:
    async def test(lab: Lab) -> None:
        long_lived(lab)
        for name in ("alone", "seen"):
            new = NewSession(alias=name, policies={"connect_by_s": 300}, job=spec(tty=True))
            await session_verbs.create(lab.world, ME, new)
        await asyncio.sleep(100)
        admission = await attachment_verbs.attach(lab.world, ME, "seen", job=None, mode="control", where="pts/1")
        await asyncio.sleep(0.1)
        assert lab.host.link(admission.job.id, admission.attachment.id)
        await asyncio.sleep(100)
        (told,) = await events(lab, "alone", "session.warned")
        assert (told.detail["clock"], told.detail["command"]) == ("connect_by", "hawse attach alone")
        lab.host.unlink(admission.job.id, admission.attachment.id, "asked")
        await asyncio.sleep(200)
        assert (await session_verbs.get(lab.world, ME, "alone")).session.end_reason == (
            "nobody attached within 300 s of the start of job work (policy connect_by_s)"
        )
        assert (await session_verbs.get(lab.world, ME, "seen")).session.state == sessions.S.ACTIVE
        assert not await events(lab, "seen", "session.warned")

    in_lab(test)


async def come_and_go(lab: Lab, name: str, reason: str) -> None:
    await asyncio.sleep(2)  # its job has started
    admission = await attachment_verbs.attach(lab.world, ME, name, job=None, mode="control", where="pts/1")
    await asyncio.sleep(0.1)
    assert lab.host.link(admission.job.id, admission.attachment.id)
    await asyncio.sleep(5)
    lab.host.unlink(admission.job.id, admission.attachment.id, reason)


@pytest.mark.requirement("S1.7")
def test_an_ephemeral_session_ends_when_its_last_attachment_is_gone_and_no_other_does(in_lab) -> None:
    async def test(lab: Lab) -> None:
        long_lived(lab)
        ephemeral = {"on_disconnect": "end", "on_disconnect_s": 600}
        for name, policies in (("kept", {}), ("short", ephemeral), ("never seen", ephemeral)):
            new = NewSession(alias=name.replace(" ", "-"), policies=policies, job=spec())
            await session_verbs.create(lab.world, ME, new)
        for name in ("kept", "short"):
            await come_and_go(lab, name, "lost")
        await asyncio.sleep(65)  # a broken link may come back for a minute
        await come_and_go(lab, "short", "asked")  # and somebody does
        await asyncio.sleep(590)
        assert (await session_verbs.get(lab.world, ME, "short")).session.state == sessions.S.ACTIVE
        await asyncio.sleep(15)
        ended = (await session_verbs.get(lab.world, ME, "short")).session
        assert ended.end_reason == "nobody was attached for 600 s (policy on_disconnect)"
        await asyncio.sleep(86400)
        for name in ("kept", "never-seen"):
            assert (await session_verbs.get(lab.world, ME, name)).session.state == sessions.S.ACTIVE

    in_lab(test)


def test_jobs_get_the_signal_once_for_each_time_that_they_are_left(in_lab) -> None:
    async def test(lab: Lab) -> None:
        long_lived(lab)
        sent = []

        async def signal(job: str, number: int) -> None:
            sent.append(number)

        lab.launcher.signal = signal
        policies = {"on_disconnect": "signal", "on_disconnect_signal": "USR1", "on_disconnect_s": 60}
        await session_verbs.create(lab.world, ME, NewSession(alias="a", policies=policies, job=spec()))
        await job_verbs.run(lab.world, ME, "a", spec(name="other"))
        await come_and_go(lab, "a", "asked")
        await asyncio.sleep(70)
        assert sent == [10, 10]
        await job_verbs.stop(lab.world, ME, "a", "other")
        await asyncio.sleep(3600)
        assert sent == [10, 10]
        await come_and_go(lab, "a", "asked")
        await asyncio.sleep(70)
        assert sent == [10, 10, 10]
        assert len(await events(lab, "a", "session.signalled")) == 2

    in_lab(test)


@pytest.mark.requirement("L3.4", "L3.5", "L3.15")
def test_a_job_that_fails_is_tried_again_with_pauses_and_its_session_may_end_with_it(in_lab) -> None:
    async def test(lab: Lab) -> None:
        lab.host._random.choice = lambda options: 0.01
        lab.host._random.random = lambda: 0.9
        lab.host._pids = iter([1] * 100)  # its exit code is pid % 3
        new = NewSession(alias="a", policies={"on_error": "restart", "on_error_retries": 2}, job=spec())
        await session_verbs.create(lab.world, ME, new)
        await asyncio.sleep(0.5)
        job = await job_verbs.get(lab.world, ME, "a", "work")
        assert (job.state, job.attempt, job.outcome.code) == (jobs.S.PENDING, 2, 1)
        await asyncio.sleep(30)
        job = await job_verbs.get(lab.world, ME, "a", "work")
        assert (job.state, job.attempt, [attempt for _, attempt in lab.host.started]) == (jobs.S.ENDED, 3, [1, 2, 3])
        told = await events(lab, "a", "job.retried", "job.start_asked", "job.ended")
        assert [event.kind.split(".")[1] for event in told] == ["retried", "start_asked"] * 2 + ["ended"]
        await session_verbs.describe(lab.world, ME, "a", policies={"on_error": "end"})
        await job_verbs.run(lab.world, ME, "a", spec(name="own", on_error=OnError.REPORT))
        await asyncio.sleep(30)
        assert (await session_verbs.get(lab.world, ME, "a")).session.state == sessions.S.ACTIVE
        await job_verbs.run(lab.world, ME, "a", spec(name="fatal"))
        await asyncio.sleep(30)
        assert (await session_verbs.get(lab.world, ME, "a")).session.end_reason == (
            "job fatal failed: exit code 1 (policy on_error)"
        )

    in_lab(test)


def test_a_pending_job_is_stopped_and_takes_a_session_that_is_bound_to_it_along(in_lab) -> None:
    async def test(lab: Lab) -> None:
        lab.host._random.choice = lambda options: 0.01
        lab.host._random.random = lambda: 0.9
        lab.host._pids = iter([1] * 100)
        job = spec(on_error=OnError.RESTART, retries_max=9)
        await session_verbs.create(lab.world, ME, NewSession(alias="a", lease=Lease.JOBS, job=job))
        await asyncio.sleep(0.5)
        assert (await job_verbs.stop(lab.world, ME, "a", "work")).state == jobs.S.ENDED
        assert (await session_verbs.get(lab.world, ME, "a")).session.state == sessions.S.ENDED
        await asyncio.sleep(600)
        assert lab.host.started == [((await job_verbs.get(lab.world, ME, "a", "work")).id, 1)]

    in_lab(test)


def between_lives(test: Callable[[Callable[[], Awaitable[World]], Callable[[], Awaitable[None]]], Awaitable[None]]):
    """Run a test that begins and ends lives of a coordinator."""

    async def main() -> None:
        clock, host = SimClock(1), SimHost(2)
        store = MemoryStore(clock)
        host._random.choice = lambda options: 1e9
        host._random.random = lambda: 0.9
        living: list[tuple[SimLauncher, asyncio.Task[None]]] = []

        async def live() -> World:
            launcher = SimLauncher(host, random.Random(3), trouble=0.0)
            world = World(store, launcher, clock, NoLogs())
            living.append((launcher, asyncio.create_task(Reconciler(world).run())))
            return world

        async def die() -> None:
            launcher, task = living.pop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await launcher.aclose()

        await test(live, die)
        await host.aclose()

    run_virtually(main())


@pytest.mark.requirement("S2.6", "L4.15")
def test_what_came_due_while_no_coordinator_ran_is_made_up_for_once() -> None:
    async def test(live: Callable[[], Awaitable[World]], die: Callable[[], Awaitable[None]]) -> None:
        world = await live()
        until = world.clock.now() + 4000
        new = NewSession(alias="a", lease=Lease.UNTIL, lease_until=until, job=spec())
        id = (await session_verbs.create(world, ME, new)).session.id
        await asyncio.sleep(10)
        await die()
        await asyncio.sleep(3500)  # two warnings pass
        world = await live()
        await asyncio.sleep(1)
        found = await world.store.read(lambda view: view.events(id, limit=100))
        told = [event for event in found if event.kind == "session.warned"]
        assert [round(until - event.time) for event in told] == [490]
        await die()
        await asyncio.sleep(3600)  # the last warning and the end pass
        world = await live()
        await asyncio.sleep(20)
        found = await world.store.read(lambda view: view.events(id, limit=100))
        assert [event.kind for event in found if event.kind.startswith("session.")][-3:] == [
            "session.warned", "session.end_asked", "session.ended",
        ]  # fmt: skip
        assert not await world.store.read(lambda view: view.effects_due(float("inf"), 10))
        await die()

    between_lives(test)


@pytest.mark.requirement("L4.15")
def test_a_thousand_leases_that_end_in_the_same_second_end_in_it() -> None:
    async def test(live: Callable[[], Awaitable[World]], die: Callable[[], Awaitable[None]]) -> None:
        world = await live()
        until = world.clock.now() + 100
        for number in range(1000):
            await session_verbs.create(world, ME, NewSession(alias=f"s{number}", lease=Lease.UNTIL, lease_until=until))
        await asyncio.sleep(101)
        view = await session_verbs.page(world, ME, living=None, after="", limit=1000)
        assert {one.session.state for one in view} == {sessions.S.ENDED}
        assert all(0 <= one.session.ended_at - until < 1 for one in view)
        await die()

    between_lives(test)

import asyncio
import signal

import pytest
from tests.services.conftest import ME, Lab, spec
from tests.services.test_session import long_lived

from hawse.domain import job as jobs
from hawse.domain.errors import Clash, IllegalMove, Invalid
from hawse.domain.job import OnLost, OutcomeKind
from hawse.services import job as job_verbs
from hawse.services import session as session_verbs
from hawse.services.session import NewSession


async def running(lab: Lab, **changes) -> jobs.Job:
    long_lived(lab)
    view = await session_verbs.create(lab.world, ME, NewSession(alias="a", job=spec(**changes)))
    return await job_verbs.wait(lab.world, ME, "a", view.jobs[0].id, until="started", timeout_s=60)


@pytest.mark.requirement("S3.1")
def test_waiting_ends_with_the_start_and_with_the_end(in_lab) -> None:
    async def test(lab: Lab) -> None:
        job = await running(lab)
        assert (job.state, job.pid is not None) == (jobs.S.RUNNING, True)
        before = lab.world.clock.monotonic()
        assert (await job_verbs.wait(lab.world, ME, "a", "work", until="ended", timeout_s=30)).state == jobs.S.RUNNING
        assert lab.world.clock.monotonic() - before == pytest.approx(30, abs=1)
        await job_verbs.stop(lab.world, ME, "a", "work")
        ended = await job_verbs.wait(lab.world, ME, "a", "work", until="ended", timeout_s=60)
        assert (ended.state, ended.outcome.kind) == (jobs.S.ENDED, OutcomeKind.SIGNALLED)

    in_lab(test)


@pytest.mark.parametrize(("until", "timeout_s"), [("later", 1), ("ended", -1), ("ended", 61), ("ended", float("nan"))])
def test_waits_have_bounds(in_lab, until, timeout_s) -> None:
    async def test(lab: Lab) -> None:
        await running(lab)
        with pytest.raises(Invalid):
            await job_verbs.wait(lab.world, ME, "a", "work", until=until, timeout_s=timeout_s)

    in_lab(test)


def test_names_are_unique_in_a_session_and_made_up_when_not_given(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await running(lab)
        names = [(await job_verbs.run(lab.world, ME, "a", spec())).name for _ in range(3)]
        assert names == ["work-2", "work-3", "work-4"]
        with pytest.raises(Clash, match="has a job work already"):
            await job_verbs.run(lab.world, ME, "a", spec(name="work"))

    in_lab(test)


@pytest.mark.parametrize("name", ["INT", "sigint", "2"])
def test_signals_by_name_and_number(name) -> None:
    assert job_verbs.signal_number(name) == signal.SIGINT


@pytest.mark.parametrize("name", ["", "NOPE", "0", "9999", "-9", "SIG"])
def test_unknown_signals_are_told(name) -> None:
    with pytest.raises(Invalid, match="there is no signal"):
        job_verbs.signal_number(name)


def test_a_job_that_is_over_takes_no_signal(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await running(lab)
        await job_verbs.signal(lab.world, ME, "a", "work", "USR1")
        await job_verbs.stop(lab.world, ME, "a", "work")
        await asyncio.sleep(60)
        with pytest.raises(IllegalMove, match="can't be signalled"):
            await job_verbs.signal(lab.world, ME, "a", "work", "USR1")

    in_lab(test)


def test_a_killed_runner_is_told_with_its_cause(in_lab) -> None:
    async def test(lab: Lab) -> None:
        job = await running(lab)
        lab.host.runners[job.id, 1].leftover_s = 0
        lab.host.kill_runner((job.id, 1))
        await asyncio.sleep(1)
        lost = await job_verbs.get(lab.world, ME, "a", "work")
        assert (lost.state, lost.outcome.kind) == (jobs.S.ENDED, OutcomeKind.LOST)
        assert "killed" in lost.outcome.cause

    in_lab(test)


def test_a_marked_job_is_started_again_when_its_host_rebooted(in_lab) -> None:
    async def test(lab: Lab) -> None:
        job = await running(lab, on_lost=OnLost.RESTART)
        lab.host.reboot()
        await asyncio.sleep(5)
        again = await job_verbs.get(lab.world, ME, "a", "work")
        assert (again.state, again.attempt, again.incarnation != job.incarnation) == (jobs.S.RUNNING, 2, True)
        assert again.outcome.cause == "the host was rebooted"
        assert lab.host.started == [(job.id, 1), (job.id, 2)]

    in_lab(test)

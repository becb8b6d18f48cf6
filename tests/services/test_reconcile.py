"""What only the reconciler does: retention, and going on where a dead coordinator stopped."""

import asyncio
import random

import pytest
from tests.services.conftest import ME, Lab, spec
from tests.services.test_session import long_lived

from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.errors import NotFound
from hawse.services import job as job_verbs
from hawse.services import session as session_verbs
from hawse.services.reconcile import RETENTION_S, Reconciler
from hawse.services.session import NewSession
from hawse.services.world import World
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
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await launcher.aclose()
        await host.aclose()

    run_virtually(main())

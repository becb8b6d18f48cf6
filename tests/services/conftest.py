"""A world in virtual time: the real services and reconciler on a memory store and a simulated host."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hawse.services.order import JobSpec
from hawse.services.reconcile import Reconciler
from hawse.services.world import Caller, World
from hawse.testing.memory_store import MemoryStore
from hawse.testing.sim import NoLogs
from hawse.testing.sim_host import SimHost
from hawse.testing.sim_launcher import SimLauncher
from hawse.testing.sim_loop import SimClock, run_virtually

ME, OTHER = Caller("uid:1000"), Caller("uid:1001")


@dataclass
class Lab:
    """One coordinator's life; `again` begins another on the same store and host."""

    world: World
    host: SimHost
    launcher: SimLauncher

    def reconciler(self) -> Reconciler:
        return Reconciler(self.world)


def spec(**changes: Any) -> JobSpec:
    fields: dict[str, Any] = {"argv": ("work", "hard"), "env": {"LANG": "C"}, "cwd": "/", "umask": 0o22} | changes
    return JobSpec(**fields)


@pytest.fixture
def in_lab() -> Callable[[Callable[[Lab], Awaitable[None]]], None]:
    """Run a coroutine function in a lab, in virtual time, beside a running reconciler."""
    import asyncio
    import random

    def run(test: Callable[[Lab], Awaitable[None]]) -> None:
        async def main() -> None:
            clock, host = SimClock(1), SimHost(2)
            launcher = SimLauncher(host, random.Random(3), trouble=0.0)
            lab = Lab(World(MemoryStore(clock), launcher, clock, NoLogs()), host, launcher)
            task = asyncio.get_running_loop().create_task(lab.reconciler().run())
            try:
                await test(lab)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await launcher.aclose()
                await host.aclose()

        run_virtually(main())

    return run

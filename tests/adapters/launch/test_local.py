"""The launcher of this host with real runners: what it keeps of jobs that are over."""

import asyncio
import os
from typing import Any

from hawse.adapters.clock import SystemClock
from hawse.adapters.launch import local
from hawse.adapters.launch.parent import Parent
from hawse.ports.launcher import Ended, Start
from hawse.ports.store import Order


def test_nothing_is_kept_of_a_job_that_is_over(places: Any) -> None:
    """A coordinator lives for months and starts a million jobs."""
    for name in ("jobs", "r"):
        (places.base / name).mkdir()
    order = Order(argv=("/bin/true",), env=(), cwd="/", umask=0o022, encoding="utf-8", secret="ab" * 32)

    async def main() -> None:
        parent = Parent(
            socket=str(places.base / "parent.sock"), jobs=str(places.base / "jobs"), runners=str(places.base / "r"),
            log=str(places.base / "log"), environment=dict(os.environ),
        )  # fmt: skip
        launcher = local.LocalLauncher(parent, SystemClock())
        ended: set[str] = set()
        try:
            async with asyncio.timeout(60):
                before = size(launcher)
                for number in range(3):
                    await launcher.start(Start("s", f"job{number}", 1, f"{number:032x}", order, tty=False, grace_s=1))
                async for report in launcher.reports():
                    if isinstance(report, Ended):
                        ended.add(report.job)
                        await launcher.forget(report.job, 1)
                    if len(ended) == 3:
                        break
                tasks = asyncio.all_tasks() - {asyncio.current_task()}
                await asyncio.wait(tasks, timeout=20)  # who followed a runner is done when that is gone
                assert size(launcher) == before
        finally:
            await launcher.aclose()

    def size(launcher: local.LocalLauncher) -> int:
        """Entries in all its own collections."""
        return sum(len(value) for value in vars(launcher).values() if isinstance(value, (dict, set, list)))

    asyncio.run(main())

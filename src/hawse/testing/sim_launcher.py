"""The port `Launcher` on a simulated host, with a line to each runner that may fail. One per life of a coordinator."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

from hawse.domain.errors import NotFound, Unavailable
from hawse.domain.job import NEVER_STARTED, Outcome, OutcomeKind
from hawse.ports.launcher import Ended, Links, Report, Start, Swept
from hawse.testing.sim_host import SimHost, SimRunner


class SimLauncher:
    """trouble: probability (0 to 1) that a call fails, before or after it had its effect."""

    def __init__(self, host: SimHost, rng: random.Random, *, trouble: float) -> None:
        self.host = host
        self._random = rng
        self.trouble = trouble
        self._followed: dict[tuple[str, int], SimRunner] = {}
        self._lost: list[Report] = []
        self._sweeping: set[tuple[str, int]] = set()
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def _line(self) -> None:
        """The way to the runner: takes time, sometimes breaks."""
        await asyncio.sleep(self._random.choice([0.0, 0.001, 0.5]))
        if self._random.random() < self.trouble:
            raise Unavailable("simulated trouble on the line")

    async def start(self, start: Start) -> None:
        await self._line()
        runner = self.host.spawn(start)
        await self._line()
        self._follow(runner)

    async def adopt(self, start: Start) -> None:
        await self._line()
        runner = self.host.runners.get((start.job, start.attempt))
        if runner is None:
            self._lose(start, NEVER_STARTED.cause)
        else:
            self._follow(runner)

    def _follow(self, runner: SimRunner) -> None:
        key = runner.start.job, runner.start.attempt
        if key in self._followed:
            return
        if not runner.alive:
            self._buried(runner)
            return
        self._followed[key] = runner
        if runner.exit is None:
            runner.unacknowledged.insert(0, Links(runner.start.job, dict(runner.links)))
        task = asyncio.get_running_loop().create_task(self._watch(runner))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, runner: SimRunner) -> None:
        while runner.alive:
            runner.told.clear()
            self._news.set()
            await runner.told.wait()
        self._buried(runner)

    def _buried(self, runner: SimRunner) -> None:
        """Its runner is dead: its recorded end is the truth, else it is lost."""
        if runner.exit is not None:
            self._lost.append(runner.exit)
        else:
            cause = "its runner was killed" if runner.boot == self.host.boot else "the host was rebooted"
            self._lose(runner.start, cause)
        self._news.set()

    def _lose(self, start: Start, cause: str) -> None:
        outcome = Outcome(OutcomeKind.LOST, cause=cause)
        left = self._left(start.job, start.attempt)
        self._lost.append(Ended(start.job, start.attempt, outcome, left_behind=left, is_swept=not left))
        self._news.set()

    def _left(self, job: str, attempt: int) -> tuple[dict[str, Any], ...]:
        runner = self.host.runners.get((job, attempt))
        return ({"pid": runner.pid, "command": "deaf"},) if runner is not None and runner.has_leftover else ()

    async def sweep(self, job: str, attempt: int, *, grace_s: float) -> None:
        await self._line()
        if (job, attempt) not in self._sweeping:
            self._sweeping.add((job, attempt))
            task = asyncio.get_running_loop().create_task(self._sweep(job, attempt, grace_s))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _sweep(self, job: str, attempt: int, grace_s: float) -> None:
        runner = self.host.runners[job, attempt]
        await asyncio.sleep(min(runner.leftover_s, grace_s + 5.0))
        survived = self._left(job, attempt) if runner.leftover_s > grace_s + 5.0 else ()
        runner.has_leftover = False  # ended, or given up and told
        self._lost.append(Swept(job, attempt, survived))
        self._news.set()
        self._sweeping.discard((job, attempt))

    async def stop(self, job: str, attempt: int, *, grace_s: float) -> None:
        await self._line()
        runner = self.host.runners.get((job, attempt))
        if runner is not None and runner.alive:
            runner.grace_s = grace_s
            runner.stopping.set()

    async def signal(self, job: str, signal: int) -> None:
        await self._line()
        if self.host.living(job) is None:
            raise NotFound(f"job {job} has no runner")

    async def cut(self, job: str, attachment: str, *, reason: str, message: str) -> None:
        await self._line()
        self.host.unlink(job, attachment, reason)

    async def forget(self, job: str, attempt: int) -> None:
        await self._line()

    def listener_uid(self, job: str) -> int:
        return 0

    def address(self, job: str) -> str:
        return f"sim:{job}"

    async def reports(self) -> AsyncIterator[Report]:
        while True:
            self._news.clear()
            ready = [r for r in self._followed.values() if r.alive and r.unacknowledged]
            if self._lost:
                yield self._lost[0]
                self._lost.pop(0)
            elif ready:
                runner = self._random.choice(ready)
                report = runner.unacknowledged[0]
                yield report
                if runner.unacknowledged and runner.unacknowledged[0] is report:
                    runner.unacknowledged.pop(0)
            else:
                await self._news.wait()

    async def remove(self, job: str) -> None:
        await self._line()

    async def let_go(self) -> None:
        await self.aclose()
        self._followed.clear()
        self._lost.clear()
        self._sweeping.clear()

    async def aclose(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

"""A simulated host: runners and their jobs, which no crash of a coordinator touches.

It remembers every start of a command, so that a test can count them. What a real runner keeps on disk (claim, exit) is
kept here across the runner's death; what it keeps in memory is not.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from hawse.domain.job import Outcome, OutcomeKind
from hawse.ports.launcher import Ended, Linked, Quiet, Report, Start, Started, Unlinked
from hawse.runner.token import Token


@dataclass(slots=True)
class SimRunner:
    """One attempt. lives_s: how long its job runs if nobody stops it. exit: its recorded end."""

    start: Start
    lives_s: float
    ignores_term: bool
    boot: int
    pid: int
    alive: bool = True
    unacknowledged: list[Report] = field(default_factory=list)
    links: dict[str, int] = field(default_factory=dict)
    exit: Ended | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    grace_s: float = 0.0
    told: asyncio.Event = field(default_factory=asyncio.Event)
    leftover_s: float = 0.0  # how long what it leaves when it is killed defies a sweep; 0: it leaves nothing
    has_leftover: bool = False
    token: Token = field(default_factory=Token)
    active: dict[str, float] = field(default_factory=dict)  # when each one with a link was last active, monotonic
    typed: dict[str, float] = field(default_factory=dict)

    def quiet(self, attachment: str) -> Quiet:
        """As a real runner tells it."""
        now = asyncio.get_running_loop().time()
        typed = self.typed.get(attachment)
        return Quiet(now - self.active.get(attachment, now), None if typed is None else now - typed)

    def report(self, report: Report) -> None:
        self.unacknowledged.append(report)
        self.told.set()


class SimHost:
    """Where jobs run. seed: decides how each ends, and how long it runs where lives_s does not say."""

    def __init__(self, seed: int, *, lives_s: float | None = None) -> None:
        self._lives_s = lives_s
        self._random = random.Random(seed)
        self.runners: dict[tuple[str, int], SimRunner] = {}  # by (job, attempt): the claims
        self.started: list[tuple[str, int]] = []  # every time a command was executed
        self.boot = 1
        self._pids = iter(range(1000, 10**9))
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, start: Start) -> SimRunner:
        """Claim and start an attempt, or give back the runner of the claim."""
        key = start.job, start.attempt
        if key not in self.runners:
            life = self._random.choice([0.0, 0.01, self._random.uniform(0.1, 60), self._random.uniform(60, 1e5), 1e9])
            life = life if self._lives_s is None else self._lives_s
            runner = SimRunner(start, life, self._random.random() < 0.2, self.boot, next(self._pids))
            runner.token.change(start.holder, start.fence, "")
            runner.leftover_s = self._random.choice([0.0, 0.0, 0.2, 20.0, 1e9])
            assert not self.leftovers(start.job), "an attempt was started beside what an earlier one left"
            self.runners[key] = runner
            self.started.append(key)
            runner.report(Started(start.job, start.attempt, runner.pid))
            task = asyncio.get_running_loop().create_task(self._life(runner))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self.runners[key]

    async def _life(self, runner: SimRunner) -> None:
        try:
            async with asyncio.timeout(runner.lives_s):
                await runner.stopping.wait()
            if runner.ignores_term:
                await asyncio.sleep(runner.grace_s)
            outcome = Outcome(OutcomeKind.SIGNALLED, signal=9 if runner.ignores_term else 15)
        except TimeoutError:
            outcome = Outcome(OutcomeKind.EXITED, code=runner.pid % 3)
        if runner.alive:
            runner.exit = Ended(runner.start.job, runner.start.attempt, outcome, log_end=runner.pid)
            runner.links.clear()
            runner.report(runner.exit)

    def kill_runner(self, key: tuple[str, int]) -> None:
        """SIGKILL: its memory is gone, its job too but for what defies a hangup; claim and exit stay."""
        runner = self.runners[key]
        runner.alive = False
        runner.has_leftover = runner.exit is None and runner.leftover_s > 0
        runner.links.clear()
        runner.unacknowledged.clear()
        runner.told.set()

    def reboot(self) -> None:
        """All processes are gone; what was on disk stays."""
        self.boot += 1
        for key, runner in self.runners.items():
            if runner.alive:
                self.kill_runner(key)
            runner.has_leftover = False

    def leftovers(self, job: str) -> list[SimRunner]:
        """The dead runners of a job that left something which still lives and was not given up."""
        return [r for (j, _), r in self.runners.items() if j == job and r.has_leftover]

    def link(self, job: str, attachment: str, fence: int = 0) -> bool:
        """A client with a good ticket comes to the job's runner. fence: its ticket's. False: nobody is there."""
        runner = self.living(job)
        if runner is None:
            return False
        runner.links[attachment] = 0
        runner.active[attachment] = asyncio.get_running_loop().time()
        runner.typed.pop(attachment, None)
        runner.token.change(attachment, fence, attachment)
        runner.report(Linked(job, attachment))
        return True

    def unlink(self, job: str, attachment: str, reason: str) -> None:
        runner = self.living(job)
        if runner is not None and runner.links.pop(attachment, None) is not None:
            runner.report(Unlinked(job, attachment, reason, cursor=7, quiet=runner.quiet(attachment)))

    def type(self, job: str, attachment: str) -> bool:
        """Somebody types. Does it reach the job?"""
        runner = self.living(job)
        if runner is None or attachment not in runner.links:
            return False
        runner.active[attachment] = runner.typed[attachment] = asyncio.get_running_loop().time()
        return runner.token.holder == attachment

    def print(self, job: str) -> None:
        """The job prints, and everybody's terminal takes it."""
        runner = self.living(job)
        if runner is not None:
            runner.active.update(dict.fromkeys(runner.links, asyncio.get_running_loop().time()))

    def living(self, job: str) -> SimRunner | None:
        """The job's runner whose command still runs."""
        found = [r for (j, _), r in self.runners.items() if j == job and r.alive and r.exit is None]
        return found[-1] if found else None

    async def aclose(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

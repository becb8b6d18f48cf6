"""The launcher of this host: runners forked from a warm parent, found again by claim and proof.

One task per runner follows its link. When a link ends, the files decide what became of the job: a recorded end is the
truth; a living runner is reached again; else the job is lost, and told so at once, with the cause and with what it left
behind. That is ended when the loss is committed (`sweep`), by a task of its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal as signals
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from hawse.adapters.launch import remains, said
from hawse.adapters.launch.link import Link
from hawse.adapters.launch.remains import Remains
from hawse.adapters.launch.sweep import Sweep
from hawse.domain.errors import Broken, Invalid, NotFound, Unavailable
from hawse.domain.job import Outcome, OutcomeKind
from hawse.ports.clock import Clock
from hawse.ports.launcher import Ended, Quiet, Report, Start, Swept
from hawse.runner import claim
from hawse.wire.order import Spawned

log = logging.getLogger("hawse.launch")

REPORTS_MAX = 4096  # waiting for the store; then the runners wait
REACH_S = (0.0, 0.02, 0.1, 0.3, 1.0, 3.0)  # between tries to reach a runner that lives but does not answer
FORGET_S = 2.0
LOOK_AGAIN_S = 0.02  # a process that executes a program at this moment can't be recognised
DYING_S = 0.1  # what a hangup or a broken pipe ends at this moment is not left behind


class RunnersParent(Protocol):
    """What runners are had from: one parent, or one for each owner. jobs, runners: the folders of logs and sockets."""

    jobs: str
    runners: str

    async def spawn(self, start: Start) -> Spawned: ...
    async def keep(self) -> None: ...
    def let_go(self) -> None: ...
    async def end(self) -> None: ...


class Said(NamedTuple):
    """One report on its way; `link` hears of its commit as `seq` when it is the last of its REPORT."""

    report: Report
    link: Link | None
    seq: int


class Follower(NamedTuple):
    """Who follows an attempt's runner, until that is gone."""

    attempt: int
    task: asyncio.Task[None]


class LocalLauncher:
    """The port `Launcher` on this host. Cancelling a call leaves at most a started runner, which is found again."""

    def __init__(self, parent: RunnersParent, clock: Clock) -> None:
        self.parent = parent
        self.clock = clock
        self._links: dict[str, Link] = {}
        self._followers: dict[str, Follower] = {}
        self._sweeps: dict[tuple[str, int], tuple[Sweep, asyncio.Task[None]]] = {}
        self._reports: asyncio.Queue[Said] = asyncio.Queue(REPORTS_MAX)
        self._watched: dict[str, float] = {}  # jobs, and after how many quiet seconds they are looked at
        self._is_in_use = False

    # -- starting and finding -----------------------------------------------------------------------------------------

    async def start(self, start: Start) -> None:
        self._is_in_use = True
        if self._is_followed(start.job):
            if self._followers[start.job].attempt != start.attempt:
                raise Unavailable(f"the runner of job {start.job}'s attempt before has not gone yet")
            return
        try:
            answer = await self.parent.spawn(start)
        except Invalid as problem:
            await self._tell(
                Ended(start.job, start.attempt, Outcome(OutcomeKind.FAILED, code=126, cause=problem.detail))
            )
            return
        if answer.incarnation != start.incarnation:
            raise Broken(f"attempt {start.attempt} of job {start.job} is claimed by another incarnation")
        await self._reach_and_follow(start)

    async def adopt(self, start: Start) -> None:
        if not self._is_followed(start.job):
            await self._reach_and_follow(start)

    def _is_followed(self, job: str) -> bool:
        follower = self._followers.get(job)
        return follower is not None and not follower.task.done()

    async def _reach_and_follow(self, start: Start) -> None:
        link = await self._reach(start)
        if link is not None and not self._is_followed(start.job):
            task = asyncio.get_running_loop().create_task(self._follow(start, link))
            self._followers[start.job] = Follower(start.attempt, task)
            task.add_done_callback(lambda task: self._left(start.job, task))
        elif link is not None:
            await link.aclose()

    def _left(self, job: str, task: asyncio.Task[None]) -> None:
        """A coordinator lives for months: nothing stays of a job that is over."""
        if job in self._followers and self._followers[job].task is task:
            del self._followers[job]

    async def _reach(self, start: Start) -> Link | None:
        """A link to the attempt's runner; None when there is none any more, which has been reported then.

        Raises Unavailable when it lives and can't be reached.
        """
        problem: Exception = Unavailable(f"the runner of job {start.job} does not answer")
        for pause in REACH_S:
            await self.clock.sleep(pause)
            try:
                link = await Link.open(self.address(start.job), start, uid=self.listener_uid(start.job))
            except (Unavailable, Broken) as error:
                problem = error
            else:
                self._links[start.job] = link
                return link
            if await self._conclude(start):
                return None
        raise problem

    async def _conclude(self, start: Start) -> bool:
        """Report the end of an attempt whose runner is gone. False: its runner lives, as far as can be seen."""
        claimed = await self._record(start, claim.CLAIM)
        if claimed is not None and await asyncio.to_thread(remains.runner_lives, claimed):
            return False
        if claimed is not None:  # a runner that was killed left its socket
            await asyncio.to_thread(remains.remove_socket, self.address(start.job))
        exited = await self._record(start, claim.EXIT)
        if exited is not None and exited.get("incarnation") == start.incarnation:
            await self._tell(said.ended(start, exited))
            return True
        behind = await self._left_behind(start)
        outcome = Outcome(OutcomeKind.LOST, cause=remains.cause_of_loss(claimed))
        is_swept = start.order.leftovers == "keep" or not behind
        await self._tell(Ended(start.job, start.attempt, outcome, left_behind=behind, is_swept=is_swept))
        return True

    async def _left_behind(self, start: Start) -> tuple[dict[str, Any], ...]:
        left = await asyncio.to_thread(self._remains, start.job, start.attempt)
        try:
            await self.clock.sleep(DYING_S if await asyncio.to_thread(left.present) else LOOK_AGAIN_S)
            found = await asyncio.to_thread(left.present)
            if not found:
                await asyncio.to_thread(left.clean)
        except OSError as error:
            raise Unavailable(f"what job {start.job} left behind cannot be seen: {error}") from error
        return remains.told(found)

    def _remains(self, job: str, attempt: int) -> Remains:
        """Blocking."""
        return Remains(job, self._folder(job), attempt)

    async def _record(self, start: Start, name: str) -> dict[str, Any] | None:
        return await asyncio.to_thread(remains.record, self._folder(start.job), start.attempt, name)

    # -- following ----------------------------------------------------------------------------------------------------

    async def _follow(self, start: Start, first: Link) -> None:
        link: Link | None = first
        while link is not None:
            await link.run(self._heard)
            if self._links.get(start.job) is link:
                del self._links[start.job]
            link = await self._reach_patiently(start)

    async def _reach_patiently(self, start: Start) -> Link | None:
        while True:
            try:
                return await self._reach(start)
            except (Unavailable, Broken) as problem:
                log.warning("%s; trying again", problem, extra={"session": start.session, "job": start.job})
                await self.clock.sleep(REACH_S[-1])

    async def _heard(self, link: Link, seq: int, value: dict[str, Any]) -> None:
        if value.get("kind") == "state" and link.start.job in self._watched:  # the first word on each connection
            link.tell("watch", quiet_s=self._watched[link.start.job])
        reports = said.reports(link.start, value, now=self.clock.now())
        if not reports:
            link.acknowledge(seq)
        for number, report in enumerate(reports, 1):
            await self._reports.put(Said(report, link if number == len(reports) else None, seq))

    async def _tell(self, report: Report) -> None:
        await self._reports.put(Said(report, None, 0))

    async def reports(self) -> AsyncIterator[Report]:
        self._is_in_use = True
        await self.parent.keep()  # an earlier coordinator's: from now on it is ours
        while True:
            item = await self._reports.get()
            yield item.report
            if item.link is not None:
                item.link.acknowledge(item.seq)

    # -- asking -------------------------------------------------------------------------------------------------------

    async def stop(self, job: str, attempt: int, *, grace_s: float) -> None:
        link, sweeping = self._links.get(job), self._sweeps.get((job, attempt))
        if sweeping is not None:
            sweeping[0].hurry(grace_s)
        elif link is not None and link.start.attempt == attempt:
            await link.command("stop", grace_s=grace_s)
        elif self._is_followed(job):
            raise Unavailable(f"the runner of job {job} is not reached just now")

    async def sweep(self, job: str, attempt: int, *, grace_s: float) -> None:
        key = job, attempt
        if key in self._sweeps:
            return
        left = await asyncio.to_thread(self._remains, job, attempt)
        if key not in self._sweeps:
            sweep = Sweep(left, self.clock, grace_s=grace_s)
            self._sweeps[key] = sweep, asyncio.get_running_loop().create_task(self._sweep(key, sweep))

    async def _sweep(self, key: tuple[str, int], sweep: Sweep) -> None:
        while True:
            try:
                survived = await sweep.run()
                break
            except OSError as error:  # no descriptor to look with: a job must not stay lost for ever
                log.warning("sweeping what job %s left behind failed, trying again: %s", key[0], error)
                await self.clock.sleep(REACH_S[-1])
        await self._tell(Swept(*key, survived=remains.told(survived)))
        del self._sweeps[key]

    async def signal(self, job: str, signal: int) -> None:
        link = self._links.get(job)
        if link is None:
            raise NotFound(f"job {job} has no runner now")
        await link.command("signal", signal=signals.Signals(signal).name)

    async def cut(self, job: str, attachment: str, *, reason: str, message: str) -> None:
        link = self._links.get(job)
        if link is not None:
            with suppress(NotFound):
                await link.command("detach", attachment=attachment, reason=reason, message=message)
        else:
            self._check_gone(job)

    async def control(self, job: str, attachment: str, *, fence: int, who: str, message: str) -> None:
        link = self._links.get(job)
        if link is None:
            self._check_gone(job)
            return
        with suppress(NotFound):  # a runner of an earlier version does not know of control
            await link.command("control", attachment=attachment, fence=fence, who=who, message=message)

    async def activity(self, job: str) -> Mapping[str, Quiet]:
        link = self._links.get(job)
        if link is None:
            self._check_gone(job)
            return {}
        try:
            return said.quiet(await link.command("activity"))
        except NotFound:  # as above
            return {}

    def _check_gone(self, job: str) -> None:
        if self._is_followed(job):
            raise Unavailable(f"the runner of job {job} is not reached just now")

    async def watch(self, job: str, *, quiet_s: float) -> None:
        if self._watched.get(job, 0.0) == quiet_s:
            return
        if quiet_s:
            self._watched[job] = quiet_s
        else:
            del self._watched[job]
        if link := self._links.get(job):
            link.tell("watch", quiet_s=quiet_s)

    async def forget(self, job: str, attempt: int) -> None:
        self._watched.pop(job, None)  # a next attempt is asked for anew when it has started
        link = self._links.get(job)
        if link is None or link.start.attempt != attempt:
            return
        with suppress(NotFound, Unavailable):  # it goes by itself a little later
            async with asyncio.timeout(FORGET_S):
                await link.command("forget")

    def address(self, job: str) -> str:
        return f"{self.parent.runners}/{job}"

    def listener_uid(self, job: str) -> int:
        return os.getuid()

    async def remove(self, job: str) -> None:
        await asyncio.to_thread(remains.remove, self._folder(job))

    def _folder(self, job: str) -> str:
        return f"{self.parent.jobs}/{job}"

    async def let_go(self) -> None:
        await self._leave_runners()
        self.parent.let_go()
        self._is_in_use = False

    async def _leave_runners(self) -> None:
        tasks = [*(one.task for one in self._followers.values()), *(task for _, task in self._sweeps.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in list(self._links.values()):
            await link.aclose()
        self._links.clear()
        self._followers.clear()
        self._sweeps.clear()
        self._reports = asyncio.Queue(REPORTS_MAX)  # what was not taken was not acknowledged, and is told again

    async def aclose(self) -> None:
        await self._leave_runners()
        if self._is_in_use:  # else it is another coordinator's
            await self.parent.end()  # runners do not need it, and the next coordinator starts one of its own version

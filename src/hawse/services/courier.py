"""Sending notices: each when it is due, one at a time over a channel, many channels side by side.

Theory of operation. Waiting notices are rows with a due time. The courier takes the longest due one of a channel that
nothing is being sent over, writes down that a try begins, tries once under a deadline, and writes down how it went. A
channel whose try failed rests for a moment, so that one that is down does not take a place again and again; a person's
channels together have a part of the places. A receiver is given the notice's id, the same at each try.

What a crash leaves: a try that began is written down with the time of the next one. Did the receiver take it and we
died before we could write that, it comes again with the same id: at least once, and the receiver can tell. Nothing is
lost, and nothing is tried for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from hawse.domain import channel as channels
from hawse.domain import job as jobs
from hawse.domain import notice as notices
from hawse.domain.channel import Channel
from hawse.domain.errors import Invalid, NotFound, Unavailable
from hawse.domain.grant import is_expired
from hawse.domain.job import Job
from hawse.domain.notice import Kind, Notice
from hawse.ports.notifier import Parcel
from hawse.ports.store import Unit, View
from hawse.services.channel import may_have
from hawse.services.identity import groups_of
from hawse.services.notice import document, may_know
from hawse.services.patience import until_available
from hawse.services.world import Caller, World

T = TypeVar("T")
log = logging.getLogger("hawse.notice")

SEND_S = 30.0  # one try, from its first packet to the receiver's answer
PLACES = 16  # tries at a time
PLACES_OF_ONE = 4  # of one principal: who has a channel that hangs takes nobody else's place
REST_S_MAX = 60.0  # of a channel whose last try failed, before another of its notices is tried
PAGE = 64
LOOK_S = 3600.0  # a notice whose time was computed from a clock that was set is looked for this often


@dataclass(frozen=True, slots=True)
class _Ready:
    """A notice that may be sent, with what is needed for it."""

    notice: Notice
    channel: Channel
    secret: bytes | None


class Courier:
    """One per coordinator that leads. `run` returns only when cancelled."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._nudge = asyncio.Event()
        self._busy: set[str] = set()  # channels that something is being sent over
        self._rests: dict[str, float] = {}  # channels, until when
        self._places: Counter[str] = Counter()  # by principal

    def wake(self) -> None:
        """Something may be due."""
        self._nudge.set()

    async def run(self) -> None:
        """Send until cancelled. If cancelled, tries under way are cut short, and made again by the next run."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._nudge.clear()
                until = await self._begin(group)
                timer = group.create_task(self._nudge_at(until))
                await self._nudge.wait()
                timer.cancel()

    async def _nudge_at(self, time: float) -> None:
        await self.world.clock.wait_until(time)
        self._nudge.set()

    async def _begin(self, group: asyncio.TaskGroup) -> float:
        """Begin what is due and has a place; the time when to look again."""
        now = self.world.clock.now()
        self._rests = {channel: until for channel, until in self._rests.items() if now < until <= now + REST_S_MAX}
        crowded: set[str] = set()  # channels whose principal has no place left
        while self._places.total() < PLACES:
            found = await self._due(now, crowded)
            if not found:
                break
            for notice in found:
                if self._places[notice.principal] >= PLACES_OF_ONE:
                    crowded.add(notice.channel)
                elif notice.channel not in self._busy and self._places.total() < PLACES:
                    self._busy.add(notice.channel)
                    self._places[notice.principal] += 1
                    group.create_task(self._deliver(notice))
        next_at = await self._reading(lambda view: view.next_notice_at(now))
        return min([now + LOOK_S, *self._rests.values(), *([] if next_at is None else [next_at])])

    async def _due(self, now: float, crowded: set[str]) -> list[Notice]:
        without = sorted(self._busy | self._rests.keys() | crowded)
        return await self._reading(lambda view: view.notices_due(now, PAGE, without=without))

    async def _deliver(self, due: Notice) -> None:
        try:
            await self._try(due)
        finally:
            self._busy.discard(due.channel)
            self._places[due.principal] -= 1
            self._nudge.set()

    # -- one try ------------------------------------------------------------------------------------------------------

    async def _try(self, due: Notice) -> None:
        groups = await groups_of(self.world, due.principal)
        now = self.world.clock.now()
        ready = await self._writing(lambda unit: _ready(unit, self.world, due.id, groups, now))
        if ready is None:
            return
        cause, forever = await self._sent(ready, now)
        now = self.world.clock.now()
        if cause is None:
            await self._writing(partial(_was_sent, id=due.id, now=now))
            return
        self._rests[due.channel] = now + min(REST_S_MAX, notices.pause_s(ready.notice.attempts))
        after = await self._writing(partial(_has_failed, id=due.id, cause=cause, now=now, forever=forever))
        log.log(
            logging.WARNING if after is not None and after.state == notices.S.FAILED else logging.INFO,
            "notice %s over channel %s (%s) failed, try %d, %s: %s",
            due.id, ready.channel.name, ready.channel.means, ready.notice.attempts,
            "given up" if after is not None and after.state == notices.S.FAILED else "tried again later", cause,
            extra={"session": due.session},
        )  # fmt: skip

    async def _sent(self, ready: _Ready, now: float) -> tuple[str | None, bool]:
        """Why it failed (None: it was taken), and whether for ever."""
        channel, notice = ready.channel, ready.notice
        notifier = self.world.notifiers.get(channel.means)
        if notifier is None:
            return f"this coordinator sends nothing over a {channel.means}", True
        told = document(notice, channel, self.world.host)
        parcel = Parcel(notice, channel.settings, told, self.world.host, now, ready.secret)
        try:
            async with asyncio.timeout(SEND_S):
                await notifier.send(parcel)
        except TimeoutError:
            return f"no answer within {SEND_S:g} s", False
        except Unavailable as problem:
            return problem.detail, False
        except Invalid as problem:
            return problem.detail, True
        except Exception as error:  # a notifier's bug must not end the coordinator
            log.exception("channel %s (%s) broke", channel.name, channel.means)
            return f"hawse made a mistake ({type(error).__name__}); coordinator.log tells more", False
        return None, False

    # -- who waits for somebody ---------------------------------------------------------------------------------------

    async def watch(self, sessions: Iterable[str] | None) -> None:
        """Tell the runners of these sessions' jobs (None: of all) whether anybody wants to know that a job waits."""
        chosen, now = None if sessions is None else sorted(sessions), self.world.clock.now()
        found = await self._reading(lambda view: _watched(view, chosen, now))
        for job, is_wanted in found.items():
            await self.world.launcher.watch(job, quiet_s=self.world.quiet_s if is_wanted else 0.0)

    async def _reading(self, query: Callable[[View], T]) -> T:
        return await until_available(self.world, lambda: self.world.store.read(query))

    async def _writing(self, verb: Callable[[Unit], T]) -> T:
        return await until_available(self.world, lambda: self.world.store.write(verb))


def _ready(unit: Unit, world: World, id: str, groups: frozenset[str] | None, now: float) -> _Ready | None:
    """Look once more whether it may be sent, and write down that a try begins. None: it is not to be sent now."""
    try:
        notice = unit.notice(id)
        channel = unit.channel(notice.channel)
    except NotFound:
        return None  # its channel was removed meanwhile
    if notice.state != notices.S.WAITING or notice.due_at > now:
        return None
    obstacle = _obstacle(unit, world, notice, channel, groups, now)
    if obstacle:
        unit.save_notice(notice, notices.withdrawn(notice, cause=obstacle))
        return None
    try:
        secret = unit.secret(channel.id)
    except NotFound:
        secret = None
    return _Ready(unit.save_notice(notice, notices.tried(notice, now=now)), channel, secret)


def _obstacle(
    view: View, world: World, notice: Notice, channel: Channel, groups: frozenset[str] | None, now: float
) -> str:
    """Why this must not be sent any more; "": nothing is in the way."""
    if groups is None:
        return f"there is no user {notice.principal} any more"
    if channel.state != channels.S.ON:
        return "the channel is off"
    if not may_have(world, channel.principal, channel.means, channel.settings):
        return f"a channel of kind {channel.means} is not possible here any more"
    if not notice.session:
        return ""
    try:
        session = view.session(notice.session)
        name = notice.body.get("job")
        job = view.job_named(session.id, name) if name else None
    except NotFound:
        return "what it is about was removed"
    caller = Caller(notice.principal, groups=groups, now=now)
    if not may_know(view, caller, session, notice.kind, job):
        return "you may not see this session any more"
    return ""


def _was_sent(unit: Unit, *, id: str, now: float) -> None:
    """Safe to repeat; a notice that was removed meanwhile is no error."""
    try:
        notice = unit.notice(id)
    except NotFound:
        return
    if notice.state == notices.S.WAITING:
        unit.save_notice(notice, notices.sent(notice, now=now))


def _has_failed(unit: Unit, *, id: str, cause: str, now: float, forever: bool) -> Notice | None:
    try:
        notice = unit.notice(id)
    except NotFound:
        return None
    if notice.state != notices.S.WAITING:
        return notice
    return unit.save_notice(notice, notices.failed(notice, cause=cause, now=now, forever=forever))


def _watched(view: View, sessions: list[str] | None, now: float) -> dict[str, bool]:
    """By living job that has a terminal: does anybody who is told of its session want to know that it waits?"""
    wanting = {one.principal for one in view.channels_on() if Kind.JOB_WAITS in one.kinds}
    found: dict[str, bool] = {}
    of_session: dict[str, bool] = {}
    for job in _living(view, sessions):
        if job.session not in of_session:
            of_session[job.session] = bool(wanting) and _is_wanted(view, job.session, wanting, now)
        found[job.id] = of_session[job.session]
    return found


def _living(view: View, sessions: list[str] | None) -> list[Job]:
    if sessions is None:
        every = view.living_jobs()
    else:
        every = [job for some in view.jobs_of(sessions).values() for job in some]
    return [job for job in every if job.tty and job.state in jobs.WITH_RUNNER]


def _is_wanted(view: View, session: str, wanting: set[str], now: float) -> bool:
    """A group's members are not known here: where one is told, the job is watched for any that wants to know."""
    principals = {view.session(session).owner}
    principals |= {one.principal for one in view.grants(session) if one.principal and not is_expired(one, now=now)}
    return not principals.isdisjoint(wanting) or any(one.startswith("group:") for one in principals)

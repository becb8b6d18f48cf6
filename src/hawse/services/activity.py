"""Who is active: asked of the runners, when somebody looks and when a clock may have run out.

Typing makes no event and no write. What is stored of it (`active_at`, `typed_at`) is a lower bound; so a clock that
runs by it (control, idle) has a check at the earliest time at which it can run out. The check asks the runners, notes
what they say of those whose time seemed over, decides, and stores the next check, in one transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress

from hawse.domain import attachment as attachments
from hawse.domain import clock as clocks
from hawse.domain.attachment import Attachment, Reason
from hawse.domain.clock import Facts, Name
from hawse.domain.effect import CheckClock
from hawse.domain.errors import NotFound, Unavailable
from hawse.domain.session import CLOCKED
from hawse.ports.launcher import Quiet
from hawse.ports.store import Unit, View
from hawse.services import control
from hawse.services.clock import facts_of, watch_asked
from hawse.services.world import World

AGAIN_S = 5.0  # a runner that does not name one that we think is linked is about to tell why
LIVE_S = 2.0  # for who asks now; runners of this host answer in a millisecond
BY = "hawse"


async def live(world: World, found: list[Attachment]) -> list[Attachment]:
    """The same attachments as their runners see them now, as far as these answer in time."""

    async def ask(job: str) -> Mapping[str, Quiet]:
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(LIVE_S):
                return await world.launcher.activity(job)
        return {}

    told = _merged(await asyncio.gather(*map(ask, _linked_jobs(found))))
    now = world.clock.now()
    return [seen(one, told.get(one.id), now=now) for one in found]


def seen(attachment: Attachment, quiet: Quiet | None, *, now: float) -> Attachment:
    """With what a runner told of it."""
    if quiet is None:
        return attachment
    typed_at = None if quiet.typed_s is None else now - quiet.typed_s
    return attachments.seen_active(attachment, active_at=now - quiet.active_s, typed_at=typed_at)


async def check(world: World, id: int, due: CheckClock) -> None:
    """Do the check of a clock that runs by what people do, stored as effect `id`. See `services/deadline.py`.

    Raises Unavailable (a runner lives and cannot be asked: try again).
    """

    def query(view: View) -> list[Attachment]:
        return view.attachments(due.session)

    told = _merged([await world.launcher.activity(job) for job in _linked_jobs(await world.store.read(query))])
    now = world.clock.now()

    def verb(unit: Unit) -> None:
        if not unit.effect_done(id):
            return
        try:
            session = unit.session(due.session)
        except NotFound:
            return
        if session.state in CLOCKED:
            facts = facts_of(unit, session, jobs=())
            decide = _pass_silent if due.clock == Name.CONTROL else _detach_idle
            decide(unit, facts, told, now)
            watch_asked(unit, session, now=now, not_before=now + AGAIN_S)

    await world.store.write(verb)


def _pass_silent(unit: Unit, facts: Facts, told: Mapping[str, Quiet], now: float) -> None:
    allowed_s = facts.value("control_idle_s")
    contested = clocks.contested_jobs(facts)
    for one in facts.attachments:
        if not one.holds or one.job not in contested or not allowed_s:
            continue
        if now - clocks.silent_since(facts, one) < allowed_s:
            continue
        noted = _noted(unit, one, told.get(one.id), now)
        is_known = one.id in told or one.state != attachments.S.ATTACHED
        if is_known and now - clocks.silent_since(facts, noted) >= allowed_s:
            control.pass_on(unit, one.job, now=now, words=f"nothing was typed here for {_span(allowed_s)}")


def _detach_idle(unit: Unit, facts: Facts, told: Mapping[str, Quiet], now: float) -> None:
    allowed_s = facts.value("idle_s")
    idle = []
    for one in facts.attachments:
        is_linked = one.state == attachments.S.ATTACHED and one.id in told
        if not allowed_s or not is_linked or now - clocks.quiet_since(facts, one) < allowed_s:
            continue
        noted = _noted(unit, one, told[one.id], now)
        if now - clocks.quiet_since(facts, noted) >= allowed_s:
            idle.append(noted)
    message = f"nothing was typed or shown for {_span(allowed_s)}; the work goes on"
    control.leave(unit, idle, reason=Reason.IDLE, by=BY, now=now, message=message)


def _noted(unit: Unit, one: Attachment, quiet: Quiet | None, now: float) -> Attachment:
    after = seen(one, quiet, now=now)
    if after == one:
        return one
    kept = unit.change(one, after, kind="attachment.seen_active", by=BY)
    assert isinstance(kept, Attachment)
    return kept


def _linked_jobs(found: Iterable[Attachment]) -> list[str]:
    return sorted({one.job for one in found if one.state == attachments.S.ATTACHED})


def _merged(parts: Iterable[Mapping[str, Quiet]]) -> dict[str, Quiet]:
    return {id: quiet for part in parts for id, quiet in part.items()}


def _span(seconds: float) -> str:
    """12 h, 10 min, 3 s."""
    for size_s, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size_s and seconds % size_s == 0:
            return f"{seconds / size_s:g} {unit}"
    return f"{seconds:g} s"

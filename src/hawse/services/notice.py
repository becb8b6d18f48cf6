"""Notices: made of events in one transaction, read and sent again by hand.

An event that is told stores an effect beside itself (ports/store_notices.py). Doing it makes a notice for every channel
that wants one and whose principal may know of the event now, and takes the effect away: exactly once, whatever dies.
Whether he still may is asked again before each try (services/courier.py).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from hawse.domain import channel as channels
from hawse.domain import notice as notices
from hawse.domain.channel import Channel
from hawse.domain.effect import SendNotice
from hawse.domain.errors import Invalid, LimitReached, NotFound
from hawse.domain.event import Event
from hawse.domain.grant import GROUP, Capability
from hawse.domain.ids import is_uuid
from hawse.domain.job import Job
from hawse.domain.notice import Kind, Notice
from hawse.domain.notice_words import Facts, Words, words_of
from hawse.domain.session import Session
from hawse.ports.store import Pending, Unit, View
from hawse.services.channel import channel_of
from hawse.services.gate import is_permitted, visible
from hawse.services.identity import groups_of
from hawse.services.world import Caller, World, once

log = logging.getLogger("hawse.notice")

PAGE_MAX = 1000
WAIT_S_MAX = 60.0  # of one request; a client asks again
LOOK_S = 0.1  # while somebody waits for a test
FULL = f"{notices.WAITING_MAX} notices wait in this channel already"
WATCHED = frozenset({"job.started", "grant.created", "grant.changed", "grant.revoked", "grant.expired"})


# -- made of events ---------------------------------------------------------------------------------------------------


async def make(world: World, batch: Sequence[Pending]) -> set[str] | None:
    """Make the notices of these stored effects, and take the effects away, in one transaction.

    Returns the sessions whose jobs should be looked at again, whether they are to be watched for waiting; None: all.
    Raises Unavailable (nothing was done; try again).
    """
    asked = await world.store.read(lambda view: _in_groups(view, batch))
    groups = {principal: await groups_of(world, principal) or frozenset() for principal in sorted(asked)}
    now = world.clock.now()

    def verb(unit: Unit) -> set[str] | None:
        look: set[str] | None = set()
        for pending in batch:
            assert isinstance(pending.effect, SendNotice)
            if not unit.effect_done(pending.id):
                continue
            if not pending.effect.seq:
                look = None
                continue
            try:
                kind = _make(unit, pending.effect, groups, now)
            except NotFound:
                continue  # its session's history was removed meanwhile
            if look is not None and kind in WATCHED:
                look.add(pending.effect.session)
        return look

    return await world.store.write(verb)


def _in_groups(view: View, batch: Sequence[Pending]) -> set[str]:
    """Whose groups matter: where a session is shared with a group, anybody's who has a channel."""
    for session in {pending.effect.session for pending in batch if isinstance(pending.effect, SendNotice)}:
        if session and any((grant.principal or "").startswith(GROUP) for grant in view.grants(session)):
            return {channel.principal for channel in view.channels_on()}
    return set()


def _make(unit: Unit, effect: SendNotice, groups: Mapping[str, frozenset[str]], now: float) -> str:
    """The notices of one event; its kind."""
    session = unit.session(effect.session)
    event = next(iter(unit.events(session.id, after=effect.seq - 1, limit=1)), None)
    if event is None:
        raise NotFound(f"session {session.id} has no event {effect.seq}")
    facts = _facts(unit, event, session)
    words = _said(facts)
    if words is None:
        return event.kind
    for channel in _candidates(unit, session, groups):
        caller = Caller(channel.principal, groups=groups.get(channel.principal, frozenset()), now=now)
        if channels.wants(channel, words.kind, session) and _is_for(unit, caller, session, facts.job, words):
            _add(unit, channel, facts, words, now)
    return event.kind


def _facts(view: View, event: Event, session: Session) -> Facts:
    """What the event is about, as it is now; what is gone is left out."""
    try:
        match event.noun:
            case "job":
                return Facts(event, session, job=view.job(event.object))
            case "attachment":
                attachment = view.attachment(event.object)
                return Facts(event, session, job=view.job(attachment.job), attachment=attachment)
            case "grant":
                return Facts(event, session, grant=view.grant(event.object))
    except NotFound:
        pass
    return Facts(event, session)


def _said(facts: Facts) -> Words | None:
    try:
        return words_of(facts)
    except (AttributeError, LookupError, TypeError, ValueError):  # an event of another version: others must not wait
        log.exception("event %d of session %s cannot be told", facts.event.seq, facts.session.id)
        return None


def _candidates(view: View, session: Session, groups: Mapping[str, frozenset[str]]) -> list[Channel]:
    if groups:
        return view.channels_on()
    granted = (grant.principal for grant in view.grants(session.id) if grant.principal is not None)
    return view.channels_on({session.owner, *granted})


def _is_for(view: View, caller: Caller, session: Session, job: Job | None, words: Words) -> bool:
    if words.whom and words.whom not in caller.principals:
        return False
    return may_know(view, caller, session, words.kind, job if words.job else None)


def may_know(view: View, caller: Caller, session: Session, kind: Kind, job: Job | None) -> bool:
    """May this person be told of such a thing now? job: the one that it is about."""
    if kind == Kind.REFUSED:
        return session.owner == caller.principal
    if not is_permitted(view, caller, session, Capability.SESSION_SEE):
        return False
    return job is None or visible(view, caller, session)(job)


def _add(unit: Unit, channel: Channel, facts: Facts, words: Words, now: float) -> None:
    event, session = facts.event, facts.session
    is_full = unit.notice_counts(channel.id)
    notice = Notice(
        id=notices.notice_id(channel.id, session.id, event.seq, time=event.time),
        channel=channel.id,
        principal=channel.principal,
        kind=words.kind,
        session=session.id,
        seq=event.seq,
        state=notices.START,
        created_at=now,
        due_at=now,
        since=now,
        subject=words.subject,
        text=words.text,
        command=words.command,
        body=_body(facts, words),
    )
    if is_full.get(notices.S.WAITING, 0) >= notices.WAITING_MAX:
        notice = notices.failed(notice, cause=FULL, now=now, forever=True)
    unit.add_notice(notice)
    if sum(is_full.values()) >= notices.KEPT_MAX:
        unit.forget_notices(channel.id, keep=notices.KEPT_MAX)


def _body(facts: Facts, words: Words) -> dict[str, Any]:
    event, session = facts.event, facts.session
    return {
        "session": {"id": session.id, "name": session.name},
        "job": words.job or None,
        "event": {"seq": event.seq, "kind": event.kind, "time": event.time, "by": event.by},
        "detail": dict(words.detail),
    }


def document(notice: Notice, channel: Channel, host: str) -> dict[str, Any]:
    """What programs get. Source: spec 10, section 4."""
    return {
        "id": notice.id,
        "kind": notice.kind.value,
        "subject": notice.subject,
        "text": notice.text,
        "command": notice.command,
        "time": (notice.body.get("event") or {}).get("time", notice.created_at),
        "host": host,
        "channel": channel.name,
        "attempt": notice.attempts,
        **{name: notice.body.get(name) for name in ("session", "job", "event", "detail")},
    }


# -- read and sent again ----------------------------------------------------------------------------------------------


async def page(
    world: World, caller: Caller, *, channel: str | None = None, state: str | None = None, before: str = "", limit: int
) -> list[Notice]:
    """One's notices, the newest first, with ids less than `before`. Raises NotFound (the channel), Invalid."""
    if not 1 <= limit <= PAGE_MAX:
        raise Invalid(f"limit {limit} is not within 1 to {PAGE_MAX}")
    if state is not None and state not in frozenset(notices.S):
        raise Invalid(f"state {state[:40]!r} is none of {', '.join(notices.S)}")

    def query(view: View) -> list[Notice]:
        id = None if channel is None else channel_of(view, caller, channel).id
        return view.notices(principal=caller.principal, channel=id, state=state, before=before, limit=limit)

    return await world.store.read(query)


def _own(view: View, caller: Caller, id: str) -> Notice:
    try:
        if not is_uuid(id):
            raise NotFound
        found = view.notice(id)
    except NotFound as error:
        raise NotFound(f"you have no notice {id!r}", next_step="hawse notify log lists yours") from error
    if found.principal != caller.principal:
        raise NotFound(f"you have no notice {id!r}", next_step="hawse notify log lists yours")
    return found


async def get(world: World, caller: Caller, id: str) -> Notice:
    """One of one's notices. Raises NotFound."""
    return await world.store.read(lambda view: _own(view, caller, id))


async def wait(world: World, caller: Caller, id: str, *, tries: int = 0, timeout_s: float) -> Notice:
    """One of one's notices, when it is over or was put off after more than so many tries, or as it is after the time.

    Raises NotFound, Invalid. If cancelled, nothing is left behind.
    """
    if not 0 <= timeout_s <= WAIT_S_MAX:
        raise Invalid(f"a wait of {timeout_s:g} s is not possible: 0 to {WAIT_S_MAX:g} s at a time")
    deadline = world.clock.monotonic() + timeout_s
    while True:
        found = await get(world, caller, id)
        was_tried = found.state != notices.S.WAITING or (found.attempts > tries and found.cause != notices.CUT_SHORT)
        left = deadline - world.clock.monotonic()
        if was_tried or left <= 0:
            return found
        await world.clock.sleep(min(left, LOOK_S))  # a change of a notice is no event that could be waited for


async def send_again(world: World, caller: Caller, id: str) -> Notice:
    """Let a notice that failed, was withdrawn, or waits for its next try be sent now, with the same id.

    Raises NotFound, IllegalMove (it was sent), LimitReached (too much waits).
    """
    now = world.clock.now()

    def verb(unit: Unit) -> Notice:
        notice = _own(unit, caller, id)
        after = notices.asked_again(notice, now=now)
        waiting = unit.notice_counts(notice.channel).get(notices.S.WAITING, 0)
        if notice.state != notices.S.WAITING and waiting >= notices.WAITING_MAX:
            raise LimitReached(FULL)
        kept = unit.save_notice(notice, after)
        unit.add_effects("", [SendNotice("")])
        return kept

    return await once(world, caller, verb)

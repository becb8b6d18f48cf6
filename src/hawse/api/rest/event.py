"""`/v1/sessions/{session}/events`: a page, a long poll, or server-sent events, all from a cursor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from litestar import Response, get

from hawse.api.rest import fields
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.desk import Desk
from hawse.api.rest.feed import HEARTBEAT
from hawse.api.rest.limits import PAGE_DEFAULT
from hawse.api.rest.response import Made, answered
from hawse.domain.errors import Denied, Invalid, NotFound, Problem
from hawse.domain.event import Event
from hawse.services import event as events
from hawse.services.world import Caller

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

ASKING = (b"\nevent: grant.", b"\nevent: attachment.detached")  # a right may have been taken back with these
STREAM_TYPE = "text/event-stream"
ASK_S = 1.0  # between two looks, under load, at whether a follower on a site may still come in
_encode = msgspec.json.Encoder().encode
_STREAM_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]


class EventPage(msgspec.Struct):
    """next: what to ask for as `from` to go on; null when the session has ended and these were its last events."""

    items: list[Event]
    next: int | None


@get("/v1/sessions/{session:str}/events", operation_id="list_events", tags=["events"])
async def page(
    request: AnyRequest,
    session: fields.SessionName,
    first: fields.FirstSeq = 1,
    limit: fields.Limit = PAGE_DEFAULT,
    wait_s: fields.WaitS = 0.0,
) -> Response[EventPage]:
    """Events from a number on. With `Accept: text/event-stream`: a feed that goes on until the session has ended.

    wait_s: when there is none yet, wait for one. A feed resumes after `Last-Event-ID`, which wins over `from` and is an
    event that there has been; `from` may be one that is still to come.
    """
    visit = visit_of(request)
    world, caller = visit.desk.world, visit.caller
    after = max(0, first - 1)
    if STREAM_TYPE in visit.header("accept", ""):
        seen = _last_seen(request)
        id, last = await events.followed(world, caller, session)
        if seen is not None and seen > last:
            raise Invalid(f"Last-Event-ID {seen} was never sent: the session's last event is {last}", last_seq=last)
        return EventStream(visit.desk, caller, id, after if seen is None else seen)
    items, more = await events.page(world, caller, session, after=after, limit=limit)
    if wait_s and more and not items:
        with visit.desk.waiting():
            await events.wait(world, caller, session, after=after, timeout_s=wait_s)
        items, more = await events.page(world, caller, session, after=after, limit=limit)
    following = (items[-1].seq if items else after) + 1
    return answered(_encode({"items": items, "next": following if more else None}))


def _last_seen(request: AnyRequest) -> int | None:
    given = visit_of(request).header("last-event-id", "")
    if not given:
        return None
    if not given.isascii() or not given.isdecimal() or len(given) > 16:
        raise Invalid("Last-Event-ID is the number of an event")
    return int(given)


class EventStream(Made):
    """A feed as response; one follower for as long as it listens, and as it may.

    Whether it still may is asked with each change of a grant, which is an event itself, and with each heartbeat.
    """

    def __init__(self, desk: Desk, caller: Caller, session: str, after: int) -> None:
        self.desk = desk
        self.caller = caller
        self.session = session
        self.after = after
        self._asked_at = desk.world.clock.monotonic()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
        async with asyncio.TaskGroup() as both:
            writer = both.create_task(self._write(send))
            listener = both.create_task(_gone(receive))
            listener.add_done_callback(lambda _: writer.cancel())
            writer.add_done_callback(lambda _: listener.cancel())

    async def _write(self, send: Send) -> None:
        feed = self.desk.feeds.follow(self.session, after=self.after)
        try:
            async for data in feed:
                asks = data == HEARTBEAT or any(one in data for one in ASKING) or self._is_time()
                if asks and not await self._may(data):
                    break
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await feed.aclose()

    def _is_time(self) -> bool:
        """On a site users come and go, which is no event of a session."""
        now = self.desk.world.clock.monotonic()
        if self.desk.world.site is None or now - self._asked_at < ASK_S:
            return False
        self._asked_at = now
        return True

    async def _may(self, data: bytes) -> bool:
        """May it be sent this? Where the store is away nobody knows: a sign of life tells nothing to who may not."""
        try:
            await events.followed(self.desk.world, self.caller, self.session)
        except (Denied, NotFound):
            return False
        except Problem as problem:
            return problem.retry and data == HEARTBEAT
        return True


async def _gone(receive: Receive) -> None:
    """Returns when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


HANDLERS = [page]

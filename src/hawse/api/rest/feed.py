"""The event feed: one reader of the store per followed session, whoever and however many follow it.

Theory of operation. A `Feed` has one task that waits for a session's next event, reads what is new, encodes each event
once, and keeps the last of them in a ring that is bounded by count and bytes. A follower has a cursor (the last number
it was sent) and nothing else: what it takes from the ring, or from the store when it is behind the ring, is exactly
what follows its cursor. So there is no queue per follower, a slow one costs no memory, and nothing can be skipped or
repeated.

Under load a feed looks at most every GATHER_S: a hundred followers get one write each for many events instead of many
writes each. The first event after a quiet time is sent at once.

Followers that are behind the ring read the store one after another, a small page at a time, and everybody else has a
turn in between: neither a hundred of them at once nor one whose client has gone holds up the coordinator.

Followers are woken by one shared event per feed. One heartbeat for all followers wakes them when nothing happens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from itertools import islice

import msgspec

from hawse.api.rest.limits import HEARTBEAT_S
from hawse.domain.errors import NotFound, Unavailable
from hawse.domain.event import Event
from hawse.domain.session import LIVING
from hawse.ports.store import Store, View

GATHER_S = 0.1  # at most 10 writes a second to each follower
PAGE = 500
OLD_PAGE = 100  # for one that is behind the ring: a few milliseconds of the loop
RING_EVENTS_MAX = 2000
RING_BYTES_MAX = 1024 * 1024
BATCH_BYTES_MAX = 256 * 1024
WAIT_S = 300.0  # a store's wait is renewed after this; nothing depends on it
AGAIN_S = 1.0  # after the store could not be read

HEARTBEAT = b": still here\n\n"
_encode = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


def encoded(event: Event) -> bytes:
    """One event as server-sent event: id = its number, event = its kind, data = its JSON.

    Source: WHATWG HTML, 9.2 (kinds have no line ends; JSON has none either).
    """
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.kind.encode(), _encode(event))


def last_word(last_seq: int) -> bytes:
    """What is sent when a session has ended and all its events were sent. It has no id: the cursor stays."""
    return b'event: end\ndata: {"last_seq":%d}\n\n' % last_seq


class Feed:
    """The newest events of one session. `first`: number of the ring's first event; the ring has no holes."""

    def __init__(self, session: str, last: int) -> None:
        self.session = session
        self.first = last + 1
        self.is_over = False
        self.is_broken = False
        self.followers = 0
        self.task: asyncio.Task[None] | None = None
        self._ring: list[bytes] = []
        self._bytes = 0
        self._news = asyncio.Event()
        self._batches: dict[int, tuple[bytes, int]] = {}

    @property
    def last(self) -> int:
        """Number of the newest event that is known."""
        return self.first + len(self._ring) - 1

    def add(self, events: list[Event]) -> None:
        """Append what follows `last`, and forget the oldest beyond the bounds."""
        new = [encoded(event) for event in events]
        self._ring += new
        self._bytes += sum(map(len, new))
        self._batches.clear()
        gone = max(0, len(self._ring) - RING_EVENTS_MAX)
        self._bytes -= sum(map(len, self._ring[:gone]))
        while self._bytes > RING_BYTES_MAX and gone < len(self._ring) - 1:
            self._bytes -= len(self._ring[gone])
            gone += 1
        del self._ring[:gone]
        self.first += gone

    def after(self, cursor: int) -> tuple[bytes, int]:
        """The events behind the cursor, bounded, and the new cursor. The cursor is not before the ring."""
        if cursor >= self.last:
            return b"", cursor
        batch = self._batches.get(cursor)
        if batch is None:
            batch = self._batches[cursor] = bounded(islice(self._ring, cursor + 1 - self.first, None), cursor)
        return batch

    def wake(self) -> None:
        """Let every follower look again."""
        self._news.set()
        self._news = asyncio.Event()

    async def news(self) -> None:
        await self._news.wait()


def bounded(parts: islice[bytes] | map[bytes], cursor: int) -> tuple[bytes, int]:
    """As many parts as fit one write (at least one), joined; and the cursor behind them."""
    taken, size = [], 0
    for part in parts:
        taken.append(part)
        size += len(part)
        if size >= BATCH_BYTES_MAX:
            break
    return b"".join(taken), cursor + len(taken)


class Feeds:
    """All feeds of one coordinator. Feeds come with their first follower and go with the last."""

    def __init__(self, store: Store, tasks: asyncio.TaskGroup) -> None:
        """tasks: the block that the feeds' own tasks live in; it ends them."""
        self._store = store
        self._tasks = tasks
        self._feeds: dict[str, Feed] = {}
        self._heart: asyncio.Task[None] | None = None
        self._reading_old = asyncio.Lock()
        self._is_closed = False

    async def follow(self, session: str, *, after: int) -> AsyncGenerator[bytes, None]:
        """What to send to one follower: events with seq > after, heartbeats, a last word when the session has ended.

        Ends silently when the feeds are closed or the session's records are gone. If cancelled, nothing is left behind.
        """
        feed = await self._joined(session)
        try:
            cursor, quiet = after, True
            while not self._is_closed and not feed.is_broken:
                if cursor + 1 < feed.first:
                    data, cursor = await self._from_store(session, cursor)
                    if not data:
                        return
                else:
                    data, cursor = feed.after(cursor)
                if data:
                    quiet = False
                    yield data
                elif feed.is_over:
                    yield last_word(feed.last)
                    return
                elif quiet:
                    yield HEARTBEAT
                    quiet = False
                else:
                    quiet = True
                    await feed.news()
        finally:
            self._left(feed)

    @property
    def followers(self) -> int:
        """How many there are now."""
        return sum(feed.followers for feed in self._feeds.values())

    def close(self) -> None:
        """End all streams; safe to call twice."""
        self._is_closed = True
        for feed in self._feeds.values():
            feed.wake()
            if feed.task is not None:
                feed.task.cancel()
        if self._heart is not None:
            self._heart.cancel()
            self._heart = None

    async def _from_store(self, session: str, cursor: int) -> tuple[bytes, int]:
        """One page behind the cursor, for a follower that is behind the ring. Empty: the records are gone."""
        while not self._is_closed:
            try:
                async with self._reading_old:
                    await asyncio.sleep(0)  # a short read gives nobody else a turn, nor does sending to who has gone
                    events = await self._store.read(lambda view: view.events(session, after=cursor, limit=OLD_PAGE))
            except NotFound:
                return b"", cursor
            except Unavailable:
                await asyncio.sleep(AGAIN_S)
                continue
            return bounded(map(encoded, events), cursor)
        return b"", cursor

    async def _joined(self, session: str) -> Feed:
        feed = self._feeds.get(session)
        if feed is None:
            last = await self._store.read(lambda view: view.last_seq(session))
            feed = self._feeds.get(session)  # somebody may have been faster
            if feed is None:
                feed = self._feeds[session] = Feed(session, last)
                feed.task = self._tasks.create_task(self._kept(feed), name=f"feed {session}")
        feed.followers += 1
        if self._heart is None and not self._is_closed:
            self._heart = self._tasks.create_task(self._beat(), name="heartbeat")
        return feed

    def _left(self, feed: Feed) -> None:
        feed.followers -= 1
        if feed.followers == 0:
            if self._feeds.get(feed.session) is feed:
                del self._feeds[feed.session]
            if feed.task is not None:
                feed.task.cancel()
        if not self._feeds and self._heart is not None:
            self._heart.cancel()
            self._heart = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for feed in tuple(self._feeds.values()):
                feed.wake()

    async def _kept(self, feed: Feed) -> None:
        """Root of a feed's task: our own mistake ends this feed's streams (followers come again) and nothing else."""
        try:
            await self._pump(feed)
        except Exception:
            _log.exception("the feed of session %s broke", feed.session, extra={"session": feed.session})
            feed.is_broken = True
            if self._feeds.get(feed.session) is feed:
                del self._feeds[feed.session]
            feed.wake()

    async def _pump(self, feed: Feed) -> None:
        """Keep the ring at the store's end until the session has ended."""

        def query(view: View) -> tuple[list[Event], bool]:
            return view.events(feed.session, after=feed.last, limit=PAGE), view.session(feed.session).state in LIVING

        while True:
            try:
                events, lives = await self._store.read(query)
                is_all = len(events) < PAGE
                feed.add(events)
                feed.is_over = is_all and not lives
                if events or feed.is_over:
                    feed.wake()
                if feed.is_over:
                    return
                if not events:
                    await self._store.wait_event(feed.session, after=feed.last, timeout_s=WAIT_S)
                elif is_all:
                    await asyncio.sleep(GATHER_S)  # then look at once: under load nobody waits to be woken
            except NotFound:
                feed.is_over = True
                feed.wake()
                return
            except Unavailable:
                await asyncio.sleep(AGAIN_S)

"""Who waits for a commit, and waking them.

A waiter registers before it looks into the store, so that no commit can slip between its look and its wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

ANY = "*"


class Watch:
    """One waiter. seq: the last event number that it was told of; unsure: something changed, look again."""

    __slots__ = ("_woken", "seq", "unsure")

    def __init__(self) -> None:
        self.seq = 0
        self.unsure = True
        self._woken = asyncio.Event()

    def told(self, seq: int | None) -> None:
        """seq None: the number is not known."""
        if seq is None:
            self.unsure = True
        elif seq > self.seq:
            self.seq = seq
        self._woken.set()

    async def wait(self) -> None:
        await self._woken.wait()
        self._woken.clear()


class Wakeups:
    """The waiters of one store handle, in its event loop."""

    def __init__(self) -> None:
        self.commits = 0
        self._watches: dict[str, set[Watch]] = {}
        self._effect = asyncio.Event()

    @property
    def sessions(self) -> list[str]:
        """The sessions that somebody waits for."""
        return [key for key in self._watches if key != ANY]

    def committed(self, last_seqs: Mapping[str, int | None], *, effects: bool) -> None:
        """Units were committed that left these sessions at these event numbers (None: look)."""
        self.commits += 1
        if effects:
            self._effect.set()
        if self._watches:
            for watch in self._watches.get(ANY, ()):
                watch.told(self.commits)
            for session, seq in last_seqs.items():
                for watch in self._watches.get(session, ()):
                    watch.told(seq)

    def foreign(self, sessions: Iterable[str] | None = None) -> None:
        """Somebody else committed. sessions: which may have moved; None: nobody knows."""
        moved = self.sessions if sessions is None else sessions
        self.committed(dict.fromkeys(moved), effects=True)

    @contextmanager
    def watching(self, key: str) -> Iterator[Watch]:
        watch = Watch()
        watches = self._watches.setdefault(key, set())
        watches.add(watch)
        try:
            yield watch
        finally:
            watches.discard(watch)
            if not watches:
                self._watches.pop(key, None)

    async def wait_event(
        self, session: str, *, after: int, timeout_s: float, last_seq: Callable[[str], Awaitable[int]]
    ) -> int:
        """See Store.wait_event. last_seq: read it from the store."""
        with self.watching(session) as watch, suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    if session == ANY:
                        watch.seq = self.commits
                    elif watch.unsure:
                        watch.unsure = False
                        found = await last_seq(session)
                        watch.seq = max(watch.seq, found)  # it may have been told of a later one meanwhile
                    if watch.seq > after:
                        return watch.seq
                    await watch.wait()
        return after

    async def wait_effect(self, *, timeout_s: float) -> None:
        """See Store.wait_effect. An effect that was stored since the last wait ends this one at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._effect.wait()
        self._effect.clear()

"""Threads for what must not block the event loop, and getting them their turn.

A thread that comes back from the disk needs the interpreter's lock to say so. A loop that never rests gives the lock
up only for moments too short for another thread to wake in: measured with a busy loop, a commit that took 0.3 ms was
told after 500 ms. So the loop looks after work that it gave away: if it has not come back after a moment, the loop
lets go of the lock, until the work is done or for NUDGE_S at most, then again after twice the time (decision 0002).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from hawse.domain.errors import LimitReached, Unavailable

T = TypeVar("T")
NUDGE_S = 0.0005
PAUSE_S_MIN = 0.001  # uvloop's timers count in milliseconds
PAUSE_S_MAX = 0.008  # then at most 6 % of a busy loop's time goes to waiting for a slow disk
WAITING_MAX = 4096


class _Errand(Generic[T]):
    """One piece of work on its way through a thread. done: held until the thread is through with it."""

    __slots__ = ("_loop", "_work", "done", "future")

    def __init__(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[T] = loop.create_future()
        self._work = work
        self._loop = loop
        self.done = threading.Lock()
        self.done.acquire()

    def run(self) -> None:
        """In the thread."""
        result: T | None = None
        error: BaseException | None = None
        try:
            if not self.future.cancelled():
                result = self._work()
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, result, error)
        self.done.release()

    def _settle(self, result: T | None, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)  # type: ignore[arg-type]
        else:
            self.future.set_exception(error)


class Workers:
    """A few threads that take work in order. at_end: what each does last."""

    def __init__(self, name: str, count: int = 1, at_end: Callable[[], None] = lambda: None) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Errand[Any] | None] = SimpleQueue()
        self._under_way: deque[_Errand[Any]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._at_end = at_end
        self._ended = [self._loop.create_future() for _ in range(count)]
        for number, ended in enumerate(self._ended):
            threading.Thread(target=self._run, args=(ended,), name=f"{name}-{number}", daemon=True).start()

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Have it done; cancelling the future before its turn undoes that. Raises LimitReached, Unavailable."""
        if self._closed:
            raise Unavailable("the store is closed")
        if len(self._under_way) >= WAITING_MAX:
            raise LimitReached(f"{WAITING_MAX} requests wait for the store already; ask again")
        errand = _Errand(work, self._loop)
        self._under_way.append(errand)
        if self._timer is None:
            self._timer = self._loop.call_later(PAUSE_S_MIN, self._nudge, PAUSE_S_MIN)
        self._queue.put(errand)
        return errand.future

    def _nudge(self, pause_s: float) -> None:
        """Let the threads have the interpreter for a moment, if they have not answered yet."""
        self._timer = None
        while self._under_way and not self._under_way[0].done.locked():
            self._under_way.popleft()
        if not self._under_way:
            return
        oldest = self._under_way[0].done
        if oldest.acquire(timeout=NUDGE_S):
            oldest.release()
            pause_s = PAUSE_S_MIN
        else:
            pause_s = min(pause_s * 2, PAUSE_S_MAX)
        self._timer = self._loop.call_later(pause_s, self._nudge, pause_s)

    def _run(self, ended: asyncio.Future[None]) -> None:
        while (errand := self._queue.get()) is not None:
            errand.run()
            del errand
        self._at_end()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(ended.set_result, None)

    async def aclose(self) -> None:
        """Finish what is waiting and end the threads. Safe to call twice."""
        if not self._closed:
            self._closed = True
            for _ in self._ended:
                self._queue.put(None)
        await asyncio.gather(*map(asyncio.shield, self._ended))
        if self._timer is not None:
            self._timer.cancel()

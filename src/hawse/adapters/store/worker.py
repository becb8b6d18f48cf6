"""A thread for what must not block the event loop, and getting it its turn.

A thread that comes back from the disk needs the interpreter's lock to say so. A loop that never rests gives the lock
up only for moments too short for another thread to wake in: measured with a busy loop, a commit that took 0.3 ms was
told after 500 ms. So the loop looks after work that it gave away: if it has not come back after a moment, the loop
lets go of the lock, until the work is done or for NUDGE_S at most, then again after twice the time (decision 0002).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from hawse.domain.errors import LimitReached, Unavailable

T = TypeVar("T")
NUDGE_S = 0.0005
NUDGE_PAUSE_S = 0.001  # uvloop's timers count in milliseconds
NUDGE_PAUSE_S_MAX = 0.008  # then at most 6 % of a busy loop's time goes to waiting for a slow disk
WAITING_MAX = 1024


class _Errand(Generic[T]):
    """One piece of work on its way through the thread."""

    __slots__ = ("_done", "_loop", "_pause_s", "_timer", "_work", "future")

    def __init__(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[T] = loop.create_future()
        self._work = work
        self._loop = loop
        self._done = threading.Lock()
        self._done.acquire()
        self._pause_s = NUDGE_PAUSE_S
        self._timer = loop.call_later(NUDGE_PAUSE_S, self._nudge)

    def run(self) -> None:
        """In the thread."""
        result: T | None = None
        error: BaseException | None = None
        try:
            result = self._work()
        except BaseException as raised:
            error = raised
        try:
            self._loop.call_soon_threadsafe(self._settle, result, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            pass
        finally:
            self._done.release()

    def _settle(self, result: T | None, error: BaseException | None) -> None:
        self._timer.cancel()
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)  # type: ignore[arg-type]
        else:
            self.future.set_exception(error)

    def _nudge(self) -> None:
        if not self._done.acquire(timeout=NUDGE_S):
            self._pause_s = min(self._pause_s * 2, NUDGE_PAUSE_S_MAX)
            self._timer = self._loop.call_later(self._pause_s, self._nudge)


class Worker:
    """One thread, one thing at a time, in order."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._errands: SimpleQueue[_Errand[object] | None] = SimpleQueue()
        self.closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Have it done; raises LimitReached when too much is waiting."""
        if self.closed:
            raise Unavailable("the store is closed")
        if self._errands.qsize() >= WAITING_MAX:
            raise LimitReached(f"{WAITING_MAX} requests wait for the store already; ask again")
        errand = _Errand(work, self._loop)
        self._errands.put(errand)  # type: ignore[arg-type]
        return errand.future

    @property
    def waiting(self) -> int:
        """How much is waiting for its turn."""
        return self._errands.qsize()

    def _run(self) -> None:
        while (errand := self._errands.get()) is not None:
            errand.run()

    async def aclose(self) -> None:
        """Finish what is waiting and end the thread. Safe to call twice."""
        if not self.closed:
            last = self.submit(lambda: None)
            self.closed = True
            self._errands.put(None)
            await last

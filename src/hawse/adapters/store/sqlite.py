"""The store in a SQLite file: one coordinator, any number of readers.

Theory of operation. Units run in the event loop's own thread, on a connection that only writes: a statement takes
microseconds, while each hand-over of the interpreter's lock between two busy threads may take milliseconds. What waits
for the disk, the COMMIT, runs in a thread of its own; units that arrive meanwhile wait and share the next one (group
commit). Each unit has a savepoint, so that one which fails leaves the others alone; nobody is answered before the
COMMIT has returned.

Reads run in the loop, too, on their own connection and snapshot, as long as they are small. A query or a unit that
turns out to need more than ROWS_AT_ONCE_MAX rows is stopped, rolled back, and run again in a thread; so is everything
when another process holds the write lock. That is why both must have no effect but through what they are given.
Decision 0002 has the measurements.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from hawse.adapters.store.file_watch import FileWatch
from hawse.adapters.store.sqlite_connection import prepare
from hawse.adapters.store.sqlite_units import Batch, Elsewhere, Reader, Waiting, Writer
from hawse.adapters.store.wakeups import Wakeups
from hawse.adapters.store.worker import Workers
from hawse.domain.errors import LimitReached, Unavailable
from hawse.ports.clock import Clock
from hawse.ports.meter import StoreMeter
from hawse.ports.store import Unit, View

T = TypeVar("T")
QUEUE_MAX = 4096
READERS = 2
LOOK_S_MIN, LOOK_S_MAX = 0.001, 8.0  # other processes' commits are looked for, until a slow disk has had its time
LOOK_S_UNTOLD = 1.0  # ... and this often where the kernel does not tell that somebody wrote


class Always:
    """The lead of the only one who can have it. See Term of ports/store.py."""

    fence = 0

    async def wait_over(self) -> None:
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        """Nobody waits for it."""


class SqliteStore:
    """See ports/store.py. Made by `open`."""

    def __init__(self, path: str, connection: sqlite3.Connection, clock: Clock, thread: Workers) -> None:
        self.meter = StoreMeter()
        self._path = path
        self._writer = Writer(connection, path, clock.now)
        self._thread = thread
        self._reader = Reader(path)
        self._slow_reader = Reader(path)
        self._reading_threads = Workers("store-read", READERS, at_end=self._slow_reader.close)
        self._queue: deque[Waiting] = deque()
        self._work = asyncio.Event()
        self._wakeups = Wakeups()
        self._closing = False
        self._writing = False
        self._loop = asyncio.get_running_loop()
        self._look: asyncio.TimerHandle | None = None
        self._look_s = 0.0  # how long after the one before
        self._watch = self._watched()
        if self._watch is None:
            self._look_after(LOOK_S_UNTOLD)
        self._task = self._loop.create_task(self._write_batches(), name="store-write")

    @classmethod
    async def open(cls, path: str | Path, clock: Clock) -> SqliteStore:
        """Open or make the store in this file. Raises Unavailable, Broken, NewerStore."""
        at_end = ExitStack()
        thread = Workers("store-write", at_end=at_end.close)
        try:
            connection = await thread.submit(partial(prepare, str(path)))
            at_end.callback(connection.close)
            return cls(str(path), connection, clock, thread)
        except BaseException:
            await thread.aclose()
            raise

    # -- writing ----------------------------------------------------------------------------------------------------

    async def write(self, verb: Callable[[Unit], T]) -> T:
        self._check_open()
        if len(self._queue) >= QUEUE_MAX:
            raise LimitReached(f"{QUEUE_MAX} changes wait for the disk already; ask again")
        waiting = Waiting(verb, self._loop.create_future())
        self._queue.append(waiting)
        self._work.set()
        result: T = await waiting.future
        return result

    async def _write_batches(self) -> None:
        while True:
            while not self._queue:
                if self._closing:
                    return
                self._work.clear()
                await self._work.wait()
            began = time.perf_counter()
            batch = await self._write_batch()
            if batch.failed is not None:
                self.meter.was_refused(batch.failed)
            elif batch.wrote:
                self.meter.committed(batch.events, time.perf_counter() - began)
            batch.settle()
            if batch.wrote and batch.failed is None:
                self._wakeups.committed(batch.last_seqs, effects=batch.effects)

    async def _write_batch(self) -> Batch:
        if self._queue[0].slow:
            return await self._with_writer(partial(self._writer.run_slowly, self._queue.popleft()))
        batch = self._writer.run(self._queue)
        if batch.wrote and batch.failed is None:
            await self._with_writer(partial(self._writer.commit, batch))
        else:
            await asyncio.sleep(0)
        return batch

    async def _with_writer(self, work: Callable[[], T]) -> T:
        self._writing = True
        try:
            return await self._thread.submit(work)
        finally:
            self._writing = False

    # -- reading ----------------------------------------------------------------------------------------------------

    async def read(self, query: Callable[[View], T]) -> T:
        self._check_open()
        began = time.perf_counter()
        try:
            return self._reader.run(query)
        except Elsewhere:
            return await self._reading_threads.submit(partial(self._slow_reader.run_slowly, query))
        finally:
            self.meter.read_s.observe(time.perf_counter() - began)

    def _check_open(self) -> None:
        if self._closing:
            raise Unavailable("the store is closed")

    # -- waiting ----------------------------------------------------------------------------------------------------

    async def wait_event(self, session: str, *, after: int, timeout_s: float) -> int:
        self._check_open()
        return await self._wakeups.wait_event(session, after=after, timeout_s=timeout_s, last_seq=self._last_seq)

    async def _last_seq(self, session: str) -> int:
        return await self.read(lambda view: view.last_seq(session))

    async def wait_effect(self, *, timeout_s: float) -> None:
        self._check_open()
        await self._wakeups.wait_effect(timeout_s=timeout_s)

    async def lead(self) -> Always:
        self._check_open()
        return Always()

    def _watched(self) -> FileWatch | None:
        with suppress(OSError):
            return FileWatch(f"{self._path}-wal", self._log_was_written)
        return None

    def _log_was_written(self) -> None:
        """By whom is not said, and its commit is only seen once it has reached the disk: look now and again."""
        if self._look is None or self._look_s > LOOK_S_MIN:
            self._look_after(LOOK_S_MIN)

    def _look_after(self, seconds: float) -> None:
        if self._look is not None:
            self._look.cancel()
        self._look_s = seconds
        self._look = None if self._closing else self._loop.call_later(seconds, self._look_for_others, seconds)

    def _look_for_others(self, waited_s: float) -> None:
        if not self._writing:
            with suppress(sqlite3.Error):
                if self._writer.others_committed():
                    self._wakeups.foreign()
        self._look = None
        if self._watch is None:
            self._look_after(LOOK_S_UNTOLD)
        elif waited_s < LOOK_S_MAX:
            self._look_after(waited_s * 2)

    # -- closing ----------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        self._closing = True
        self._work.set()
        await asyncio.shield(self._task)
        self._wakeups.foreign()
        if self._watch is not None:
            self._watch.close()
        if self._look is not None:
            self._look.cancel()
        await self._reading_threads.aclose()
        self._reader.close()
        await self._thread.aclose()

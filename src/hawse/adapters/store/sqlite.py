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
import inspect
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hawse.adapters.store.file_watch import FileWatch
from hawse.adapters.store.rows import Columns, Parameters
from hawse.adapters.store.sqlite_connection import BUSY_S, connect, is_busy, prepare, translated
from hawse.adapters.store.statements import Statement, statements
from hawse.adapters.store.unit import SqlUnit, SqlView
from hawse.adapters.store.wakeups import Wakeups
from hawse.adapters.store.worker import Workers
from hawse.domain.errors import InternalError, Invalid, LimitReached, Unavailable
from hawse.ports.clock import Clock
from hawse.ports.store import Unit, View

T = TypeVar("T")
STATEMENTS = {name: Statement.of(text, "?") for name, text in statements("sqlite").items()}
ROWS_AT_ONCE_MAX = 500  # about 4 ms of the loop's time
UNITS_PER_COMMIT_MAX = 128
UNITS_S_MAX = 0.005  # then the loop gets its turn
QUEUE_MAX = 4096
READERS = 2
LOOK_S_MIN, LOOK_S_MAX = 0.001, 8.0  # other processes' commits are looked for, until a slow disk has had its time
LOOK_S_UNTOLD = 1.0  # ... and this often where the kernel does not tell that somebody wrote


class _Elsewhere(BaseException):
    """This is too much for the event loop: run it again in a thread. Not an Exception, so that no verb catches it."""


class _SqliteView(SqlView):
    """Reads on one connection. rows_left: how many rows it may still touch; None: any number."""

    def __init__(self, connection: sqlite3.Connection, path: str, rows_left: int | None) -> None:
        self._connection = connection
        self._path = path
        self.rows_left = rows_left

    def _all(self, name: str, parameters: Parameters) -> list[Columns]:
        try:
            statement = STATEMENTS[name]
            cursor = self._connection.execute(statement.text, statement.places(parameters))
            if self.rows_left is None:
                return cursor.fetchall()
            found = cursor.fetchmany(self.rows_left + 1)
        except sqlite3.Error as error:
            raise self._problem(error) from error
        except UnicodeEncodeError as error:
            raise Invalid(f"not storable: {error}") from error
        self.rows_left -= len(found)
        if self.rows_left < 0:
            raise _Elsewhere
        return found

    def _one(self, name: str, parameters: Parameters) -> Columns | None:
        try:
            statement = STATEMENTS[name]
            row: Columns | None = self._connection.execute(statement.text, statement.places(parameters)).fetchone()
        except sqlite3.Error as error:
            raise self._problem(error) from error
        except UnicodeEncodeError as error:
            raise Invalid(f"not storable: {error}") from error
        if self.rows_left is not None:
            self.rows_left -= 1
            if self.rows_left < 0:
                raise _Elsewhere
        return row

    def _problem(self, error: sqlite3.Error) -> BaseException:
        if self.rows_left is not None and is_busy(error):
            return _Elsewhere()
        return translated(error, self._path)


class _SqliteUnit(_SqliteView, SqlUnit):
    """Writes in a savepoint, which is set before the first. failed: what the database refused."""

    def __init__(
        self, connection: sqlite3.Connection, path: str, rows_left: int | None, now: Callable[[], float]
    ) -> None:
        _SqliteView.__init__(self, connection, path, rows_left)
        SqlUnit.__init__(self, now)
        self.wrote = False
        self.failed: BaseException | None = None

    def _problem(self, error: sqlite3.Error) -> BaseException:
        self.failed = super()._problem(error)
        return self.failed

    def _run(self, name: str, parameters: Parameters) -> int:
        try:
            if not self.wrote:
                self._connection.execute("SAVEPOINT unit")
                self.wrote = True
            statement = STATEMENTS[name]
            return self._connection.execute(statement.text, statement.places(parameters)).rowcount
        except sqlite3.Error as error:
            raise self._problem(error) from error
        except UnicodeEncodeError as error:
            raise Invalid(f"not storable: {error}") from error

    def _take(self, name: str, parameters: Parameters, session: str) -> int | None:
        if not self._run(name, parameters):  # RETURNING needs SQLite 3.35; RHEL 9 has 3.34
            return None
        return self.last_seq(session)

    def _spend(self, count: int) -> None:
        if self.rows_left is not None:
            self.rows_left -= count
            if self.rows_left < 0:
                raise _Elsewhere

    def end(self, *, good: bool) -> None:
        """Keep or undo what it wrote. Raises sqlite3.Error."""
        if self.wrote:
            if not good:
                self._connection.execute("ROLLBACK TO unit")
            self._connection.execute("RELEASE unit")


@dataclass(slots=True)
class _Waiting:
    """A unit that waits for its turn, then for its commit. slow: it runs in the thread."""

    verb: Callable[[Unit], Any]
    future: asyncio.Future[Any]
    slow: bool = False
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Batch:
    """Units that share one commit. failed: why there was none."""

    done: list[_Waiting] = field(default_factory=list)
    last_seqs: dict[str, int | None] = field(default_factory=dict)
    wrote: bool = False
    effects: bool = False
    failed: BaseException | None = None

    def settle(self) -> None:
        for waiting in self.done:
            error = self.failed or waiting.error
            if waiting.future.done():
                continue
            if error is None:
                waiting.future.set_result(waiting.result)
            else:
                waiting.future.set_exception(error)


class _Writer:
    """The connection that writes. Used by the loop or by the thread, never by both at once."""

    def __init__(self, connection: sqlite3.Connection, path: str, now: Callable[[], float]) -> None:
        self.connection = connection
        self._path = path
        self._now = now
        self._seen = self._data_version()
        connection.execute("PRAGMA busy_timeout = 0")

    def run(self, queue: deque[_Waiting]) -> _Batch:
        """In the loop: run waiting units until it is enough for one commit."""
        batch = _Batch()
        until = time.monotonic() + UNITS_S_MAX
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if is_busy(error):
                queue[0].slow = True
            else:
                batch.done.append(queue.popleft())
                batch.failed = translated(error, self._path)
            return batch
        while queue and not queue[0].slow and batch.failed is None and len(batch.done) < UNITS_PER_COMMIT_MAX:
            waiting = queue.popleft()
            if waiting.future.cancelled():
                continue
            if not self._run_unit(waiting, batch, ROWS_AT_ONCE_MAX):
                waiting.slow = True
                queue.appendleft(waiting)
            if time.monotonic() > until:
                break
        if batch.failed is not None or not batch.wrote:
            self._roll_back()
        return batch

    def run_slowly(self, waiting: _Waiting) -> _Batch:
        """In the thread: one unit, as long as it takes, and its commit."""
        batch = _Batch()
        try:
            self.connection.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
            self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            batch.done.append(waiting)
            batch.failed = translated(error, self._path)
            return batch
        finally:
            with suppress(sqlite3.Error):
                self.connection.execute("PRAGMA busy_timeout = 0")
        self._run_unit(waiting, batch, None)
        if batch.failed is None and batch.wrote:
            self.commit(batch)
        else:
            self._roll_back()
        return batch

    def _run_unit(self, waiting: _Waiting, batch: _Batch, rows_left: int | None) -> bool:
        """Run one unit into the batch. False: it needs the thread, nothing of it is left."""
        unit = _SqliteUnit(self.connection, self._path, rows_left, self._now)
        try:
            try:
                result = waiting.verb(unit)
                if unit.failed is not None:
                    raise unit.failed
                if inspect.iscoroutine(result):
                    result.close()
                    raise InternalError("a unit is a plain function; it cannot await")
                waiting.result = result
                unit.end(good=True)
            except _Elsewhere:
                unit.end(good=False)
                return False
            except Exception as error:
                waiting.error = error
                if self.connection.in_transaction:
                    unit.end(good=False)
        except sqlite3.Error as error:
            batch.failed = translated(error, self._path)
        batch.done.append(waiting)
        if not self.connection.in_transaction and batch.failed is None:
            batch.failed = unit.failed or InternalError("a unit ended the transaction")  # SQLite rolled all back
        if waiting.error is None and unit.wrote:
            batch.wrote = True
            batch.last_seqs.update(unit.last_seqs)
            batch.effects = batch.effects or unit.effects
        return True

    def commit(self, batch: _Batch) -> None:
        """In the thread: make it durable."""
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            batch.failed = translated(error, self._path)
            self._roll_back()

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            with suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")

    def _data_version(self) -> int:
        version: int = self.connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    def others_committed(self) -> bool:
        """Has another connection, so another process, committed since the last look?"""
        seen, self._seen = self._seen, self._data_version()
        return seen != self._seen


class _Reader(threading.local):
    """A connection that reads, one for each thread, opened when it is first needed."""

    _connection: sqlite3.Connection | None = None

    def __init__(self, path: str) -> None:
        self._path = path

    def run(self, query: Callable[[View], T], rows_left: int | None) -> T:
        """Run the query on a snapshot. Raises _Elsewhere."""
        try:
            connection = self._connection = self._connection or connect(self._path, read_only=True)
            connection.execute("BEGIN")
            try:
                result = query(_SqliteView(connection, self._path, rows_left))
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise translated(error, self._path) from error
        if inspect.iscoroutine(result):
            result.close()
            raise InternalError("a query is a plain function; it cannot await")
        return result

    def close(self) -> None:
        """This thread's connection."""
        if self._connection is not None:
            self._connection.close()


class SqliteStore:
    """See ports/store.py. Made by `open`."""

    def __init__(self, path: str, connection: sqlite3.Connection, clock: Clock, thread: Workers) -> None:
        self._path = path
        self._writer = _Writer(connection, path, clock.now)
        self._thread = thread
        self._reader = _Reader(path)
        self._slow_reader = _Reader(path)
        self._reading_threads = Workers("store-read", READERS, at_end=self._slow_reader.close)
        self._queue: deque[_Waiting] = deque()
        self._work = asyncio.Event()
        self._wakeups = Wakeups()
        self._closing = False
        self._writing = False
        self._loop = asyncio.get_running_loop()
        self._look: asyncio.TimerHandle | None = None
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
        waiting = _Waiting(verb, self._loop.create_future())
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
            batch = await self._write_batch()
            batch.settle()
            if batch.wrote and batch.failed is None:
                self._wakeups.committed(batch.last_seqs, effects=batch.effects)

    async def _write_batch(self) -> _Batch:
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
        try:
            return self._reader.run(query, ROWS_AT_ONCE_MAX)
        except _Elsewhere:
            return await self._reading_threads.submit(partial(self._slow_reader.run, query, None))

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

    def _watched(self) -> FileWatch | None:
        with suppress(OSError):
            return FileWatch(f"{self._path}-wal", self._log_was_written)
        return None

    def _log_was_written(self) -> None:
        """By whom is not said, and its commit is only seen once it has reached the disk: look now and again."""
        self._look_after(LOOK_S_MIN)

    def _look_after(self, seconds: float) -> None:
        if self._look is not None:
            self._look.cancel()
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

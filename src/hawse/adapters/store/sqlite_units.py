"""Units and queries on SQLite connections, and the batches that share a commit. See `sqlite` for the theory."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hawse.adapters.store.rows import Columns, Parameters
from hawse.adapters.store.sqlite_connection import BUSY_S, connect, is_busy, translated
from hawse.adapters.store.statements import Statement, statements
from hawse.adapters.store.unit import SqlUnit, SqlView
from hawse.domain.errors import InternalError, Invalid
from hawse.ports.store import Unit, View

T = TypeVar("T")
STATEMENTS = {name: Statement.of(text, "?") for name, text in statements("sqlite").items()}
ROWS_AT_ONCE_MAX = 500  # about 4 ms of the loop's time
UNITS_PER_COMMIT_MAX = 128
UNITS_S_MAX = 0.005  # then the loop gets its turn


class Elsewhere(BaseException):
    """This is too much for the event loop: run it again in a thread. Not an Exception, so that no verb catches it."""


class SqliteView(SqlView):
    """Reads on one connection. rows_left: how many rows it may still touch; None: any number.

    One cursor for all statements: each is read to its end before the next.
    """

    def __init__(self, connection: sqlite3.Connection, path: str, rows_left: int | None) -> None:
        self._cursor = connection.cursor()
        self._path = path
        self.rows_left = rows_left

    def _all(self, name: str, parameters: Parameters) -> list[Columns]:
        try:
            statement = STATEMENTS[name]
            cursor = self._cursor.execute(statement.text, statement.places(parameters))
            if self.rows_left is None:
                return cursor.fetchall()
            found = cursor.fetchmany(self.rows_left + 1)
        except sqlite3.Error as error:
            raise self._problem(error) from error
        except UnicodeEncodeError as error:
            raise Invalid(f"not storable: {error}") from error
        self.rows_left -= len(found)
        if self.rows_left < 0:
            raise Elsewhere
        return found

    def _one(self, name: str, parameters: Parameters) -> Columns | None:
        try:
            statement = STATEMENTS[name]
            row: Columns | None = self._cursor.execute(statement.text, statement.places(parameters)).fetchone()
        except sqlite3.Error as error:
            raise self._problem(error) from error
        except UnicodeEncodeError as error:
            raise Invalid(f"not storable: {error}") from error
        if self.rows_left is not None:
            self.rows_left -= 1
            if self.rows_left < 0:
                raise Elsewhere
        return row

    def _problem(self, error: sqlite3.Error) -> BaseException:
        if self.rows_left is not None and is_busy(error):
            return Elsewhere()
        return translated(error, self._path)


class SqliteUnit(SqliteView, SqlUnit):
    """Writes in a savepoint, which is set before the first. failed: what the database refused."""

    def __init__(
        self, connection: sqlite3.Connection, path: str, rows_left: int | None, now: Callable[[], float]
    ) -> None:
        SqliteView.__init__(self, connection, path, rows_left)
        SqlUnit.__init__(self, now)
        self.wrote = False
        self.failed: BaseException | None = None

    def _problem(self, error: sqlite3.Error) -> BaseException:
        self.failed = super()._problem(error)
        return self.failed

    def _run(self, name: str, parameters: Parameters) -> int:
        try:
            if not self.wrote:
                self._cursor.execute("SAVEPOINT unit")
                self.wrote = True
            statement = STATEMENTS[name]
            return self._cursor.execute(statement.text, statement.places(parameters)).rowcount
        except sqlite3.Error as error:
            raise self._problem(error) from error
        except UnicodeEncodeError as error:
            raise Invalid(f"not storable: {error}") from error

    def _take(self, name: str, parameters: Parameters, session: str) -> int | None:
        if not self._run(name, parameters):  # RETURNING needs SQLite 3.35; RHEL 9 has 3.34
            return None
        known = self.last_seqs.get(session)
        return SqlView.last_seq(self, session) if known is None else known + 1

    def _spend(self, count: int) -> None:
        if self.rows_left is not None:
            self.rows_left -= count
            if self.rows_left < 0:
                raise Elsewhere

    def end(self, *, good: bool) -> None:
        """Keep or undo what it wrote. Raises sqlite3.Error."""
        if self.wrote:
            if not good:
                self._cursor.execute("ROLLBACK TO unit")
            self._cursor.execute("RELEASE unit")


@dataclass(slots=True)
class Waiting:
    """A unit that waits for its turn, then for its commit. slow: it runs in the thread."""

    verb: Callable[[Unit], Any]
    future: asyncio.Future[Any]
    slow: bool = False
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class Batch:
    """Units that share one commit. events: how many they append. failed: why there was none."""

    done: list[Waiting] = field(default_factory=list)
    last_seqs: dict[str, int | None] = field(default_factory=dict)
    wrote: bool = False
    effects: bool = False
    events: int = 0
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


class Writer:
    """The connection that writes. Used by the loop or by the thread, never by both at once."""

    def __init__(self, connection: sqlite3.Connection, path: str, now: Callable[[], float]) -> None:
        self.connection = connection
        self._path = path
        self._now = now
        self._seen = self._data_version()
        connection.execute("PRAGMA busy_timeout = 0")

    def run(self, queue: deque[Waiting]) -> Batch:
        """In the loop: run waiting units until it is enough for one commit."""
        batch = Batch()
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

    def run_slowly(self, waiting: Waiting) -> Batch:
        """In the thread: one unit, as long as it takes, and its commit."""
        batch = Batch()
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

    def _run_unit(self, waiting: Waiting, batch: Batch, rows_left: int | None) -> bool:
        """Run one unit into the batch. False: it needs the thread, nothing of it is left."""
        unit = SqliteUnit(self.connection, self._path, rows_left, self._now)
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
            except Elsewhere:
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
            batch.events += unit.events_written
        return True

    def commit(self, batch: Batch) -> None:
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


class Reader(threading.local):
    """A connection that reads, one for each thread, opened when it is first needed."""

    _connection: sqlite3.Connection | None = None

    def __init__(self, path: str) -> None:
        self._path = path

    def run(self, query: Callable[[View], T]) -> T:
        """In the loop: run the query on a snapshot. Raises Elsewhere when it is long."""
        return self._run(query, ROWS_AT_ONCE_MAX)

    def run_slowly(self, query: Callable[[View], T]) -> T:
        """In a thread."""
        return self._run(query, None)

    def _run(self, query: Callable[[View], T], rows_left: int | None) -> T:
        try:
            connection = self._connection = self._connection or connect(self._path, read_only=True)
            connection.execute("BEGIN")
            try:
                result = query(SqliteView(connection, self._path, rows_left))
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

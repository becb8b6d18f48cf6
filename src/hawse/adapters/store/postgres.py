"""The store in a PostgreSQL database: several coordinators, one truth.

Theory of operation. Units run in a few threads, each with a connection of its own, one unit a transaction, at isolation
level REPEATABLE READ. Each change of anything in a session updates the session's row (it takes the next event number
there), so two units that change one session at the same time cannot both commit: the second is rolled back by the
database and run again. That makes event numbers gapless and in the order of commits, and lets a unit rely on what it
read in the session that it changes. What lies in different sessions is kept apart by constraints only.

Who waits is woken by LISTEN/NOTIFY, sent in the unit's own transaction, so a commit and its notice are one; a listener
that lost its connection wakes everybody when it has a new one. Nothing of the truth is in memory.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from hawse.adapters.store.postgres_connection import (
    RETRIED,
    STATEMENTS,
    TAKING,
    Address,
    Connection,
    errors,
    migrate,
    psycopg,
)
from hawse.adapters.store.postgres_leader import FREE, Candidate, PostgresTerm
from hawse.adapters.store.rows import Columns, Parameters
from hawse.adapters.store.statements import Statement
from hawse.adapters.store.unit import SqlUnit, SqlView
from hawse.adapters.store.wakeups import Wakeups
from hawse.adapters.store.worker import Workers
from hawse.domain.errors import InternalError, Invalid, Problem, Unavailable
from hawse.ports.clock import Clock
from hawse.ports.meter import StoreMeter
from hawse.ports.store import Unit, View

T = TypeVar("T")
THREADS = 6
TRIES_MAX = 50
RETRY_PAUSE_S = 0.002
CONNECTS_MAX = 3
RECONNECT_S = (0.05, 0.1, 0.3, 1.0, 3.0)
CHANNEL = "hawse"
NOTICE_BYTES_MAX = 7500  # PostgreSQL's limit is 8000


class _PostgresView(SqlView):
    """Reads in one transaction. failed: what the database refused first; the transaction is dead then."""

    def __init__(self, connection: Connection, address: Address) -> None:
        self._cursor = psycopg.RawCursor(connection)
        self._address = address
        self.failed: psycopg.Error | None = None

    def _execute(self, statement: Statement, parameters: Parameters) -> psycopg.RawCursor[Columns]:
        try:
            return self._cursor.execute(statement.text.encode(), statement.places(parameters))
        except psycopg.Error as error:
            self.failed = self.failed or error
            raise self._address.translated(error) from error
        except UnicodeEncodeError as error:
            raise Invalid(f"not storable: {error}") from error

    def _all(self, name: str, parameters: Parameters) -> list[Columns]:
        return self._execute(STATEMENTS[name], parameters).fetchall()


class _PostgresUnit(_PostgresView, SqlUnit):
    """Writes in one transaction."""

    def __init__(self, connection: Connection, address: Address, now: Callable[[], float]) -> None:
        _PostgresView.__init__(self, connection, address)
        SqlUnit.__init__(self, now)
        self.wrote = False

    def _run(self, name: str, parameters: Parameters) -> int:
        self.wrote = True
        return self._execute(STATEMENTS[name], parameters).rowcount

    def _take(self, name: str, parameters: Parameters, session: str) -> int | None:
        self.wrote = True
        row = self._execute(TAKING[name], parameters).fetchone()
        return None if row is None else int(row[0])


class _Done:
    """A committed unit: its result, and what those who wait must know."""

    __slots__ = ("effects", "events", "last_seqs", "result", "wrote")

    def __init__(self, result: Any, unit: _PostgresUnit) -> None:
        self.result = result
        self.wrote = unit.wrote
        self.last_seqs = unit.last_seqs
        self.effects = unit.effects
        self.events = unit.events_written


class _Lost(Exception):
    """The connection broke before the COMMIT was sent: nothing has happened."""


class _Session(threading.local):
    """One thread's connection, opened when it is first needed and again after it broke."""

    connection: Connection | None = None

    def __init__(self, address: Address, name: str, now: Callable[[], float]) -> None:
        self._address = address
        self._name = name
        self._now = now

    def close(self) -> None:
        if self.connection is not None:
            with suppress(psycopg.Error):
                self.connection.close()
            self.connection = None

    def write(self, verb: Callable[[Unit], Any]) -> _Done:
        """Run one unit until it is committed or can't be."""
        lost = False
        for tries in range(1, TRIES_MAX + 1):
            try:
                return self._write_once(verb)
            except _Lost as error:
                if lost:  # a second time, with a fresh connection
                    raise self._address.translated(error.__cause__) from error.__cause__  # type: ignore[arg-type]
                lost = True
            except RETRIED as error:
                if tries == TRIES_MAX or (isinstance(error, errors.UniqueViolation) and tries > 3):
                    raise self._address.translated(error) from error
                time.sleep(random.random() * RETRY_PAUSE_S * min(tries, 10))
        raise AssertionError("the last try returns or raises")

    def _write_once(self, verb: Callable[[Unit], Any]) -> _Done:
        connection = self._begin("BEGIN ISOLATION LEVEL REPEATABLE READ")
        unit = _PostgresUnit(connection, self._address, self._now)
        try:
            result = _checked(verb(unit))
        except Exception as error:
            self._roll_back(connection)
            if unit.failed is None:
                raise
            raise self._what_failed(unit.failed) from error
        except BaseException:
            self._roll_back(connection)
            raise
        if unit.failed is not None or not unit.wrote:
            self._roll_back(connection)
            if unit.failed is not None:
                raise self._what_failed(unit.failed)
            return _Done(result, unit)
        self._commit(connection, unit)
        return _Done(result, unit)

    def _what_failed(self, error: psycopg.Error) -> BaseException:
        """What to raise for the error that killed a unit: itself when another try may help."""
        if isinstance(error, RETRIED):
            return error
        if self.connection is None or self.connection.closed:
            lost = _Lost()
            lost.__cause__ = error
            return lost
        return self._address.translated(error)

    def read(self, query: Callable[[View], T]) -> T:
        for again in (True, False):
            connection = self._begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            view = _PostgresView(connection, self._address)
            try:
                return _checked(query(view))
            except Problem:
                if again and view.failed is not None and connection.closed:
                    continue
                raise
            finally:
                self._roll_back(connection)
        raise AssertionError("the second try returns or raises")

    def _begin(self, statement: str) -> Connection:
        """A connection may have been cut while nobody looked, and so may the next one."""
        for tries in range(1, CONNECTS_MAX + 1):
            connection = self.connection
            if connection is None or connection.closed:
                connection = self.connection = self._address.connect()
            try:
                connection.execute(statement.encode())
            except psycopg.OperationalError as error:
                self.close()
                if tries == CONNECTS_MAX:
                    raise self._address.translated(error) from error
            else:
                return connection
        raise AssertionError("the last try returns or raises")

    def _roll_back(self, connection: Connection) -> None:
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            self.close()

    def _commit(self, connection: Connection, unit: _PostgresUnit) -> None:
        """The notice and the COMMIT in one message."""
        try:
            connection.execute(f"NOTIFY {CHANNEL}, {_quoted(_notice(self._name, unit))}; COMMIT".encode())
        except RETRIED:
            self._roll_back(connection)
            raise
        except psycopg.Error as error:
            self._roll_back(connection)
            if self.connection is not None:
                raise self._address.translated(error) from error
            raise Unavailable(
                f"the connection to PostgreSQL ({self._address}) was lost while a change was being committed",
                next_step="look whether it is there, or ask again with the same request id",
            ) from error


def _checked(result: T) -> T:
    if inspect.iscoroutine(result):
        result.close()
        raise InternalError("units and queries are plain functions; they cannot await")
    return result


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _notice(name: str, unit: _PostgresUnit) -> str:
    """Who committed, whether there are effects, and the sessions that moved; "*" when they are too many."""
    moved = " ".join(f"{session}:{'' if seq is None else seq}" for session, seq in unit.last_seqs.items())
    if len(moved.encode()) > NOTICE_BYTES_MAX or "\\" in moved:
        moved = "*"
    return f"{name} {'+' if unit.effects else '-'} {moved}".rstrip()


class _Listener:
    """Hears what other coordinators commit, for as long as it is needed."""

    def __init__(self, address: Address, name: str, threads: Workers, wakeups: Wakeups) -> None:
        self._address = address
        self._name = name
        self._threads = threads
        self._wakeups = wakeups
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._made: Connection | None = None
        self._descriptor = -1
        self._lost = asyncio.Event()
        self.listening = asyncio.Event()
        self.lead_is_free = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled: listen; after a loss, connect again and wake everybody."""
        failures = 0
        try:
            while True:
                try:
                    self._connection = await self._threads.submit(self._connect)
                except Problem:
                    await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
                    failures += 1
                    continue
                failures = 0
                self._lost.clear()
                self._descriptor = self._connection.fileno()
                self._loop.add_reader(self._descriptor, self._hear)
                self._wakeups.foreign()
                self.listening.set()
                self._hear()
                await self._lost.wait()
                self._close()
        finally:
            self._close()

    def _connect(self) -> Connection:
        connection = self._address.connect()
        try:
            connection.execute(f"LISTEN {CHANNEL}".encode())
        except psycopg.Error as error:
            connection.close()
            raise self._address.translated(error) from error
        self._made = connection
        return connection

    def close_made(self) -> None:
        """Once the threads have ended: the connection of who was cancelled while he waited for it."""
        if self._made is not None:
            with suppress(psycopg.Error):
                self._made.close()

    def _hear(self) -> None:
        """The socket has something: never waits."""
        assert self._connection is not None
        protocol = self._connection.pgconn
        try:
            protocol.consume_input()
            while (notice := protocol.notifies()) is not None:
                self._heard(notice.extra.decode())
        except psycopg.Error:
            self._loop.remove_reader(self._descriptor)
            self._lost.set()

    def _heard(self, notice: str) -> None:
        name, effects, *moved = notice.split(" ")
        if name == self._name:
            return
        if effects == FREE:
            self.lead_is_free.set()
            return
        if moved == ["*"]:
            self._wakeups.foreign()
            return
        pairs = (pair.rpartition(":") for pair in moved)
        last_seqs = {session: int(seq) if seq else None for session, _, seq in pairs}
        self._wakeups.committed(last_seqs, effects=effects == "+")

    def _close(self) -> None:
        if self._connection is not None:
            self._loop.remove_reader(self._descriptor)
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


class PostgresStore:
    """See ports/store.py. Made by `open`."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self.meter = StoreMeter()
        name = uuid.uuid4().hex[:12]
        session = _Session(address, name, clock.now)
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._threads = Workers("store", THREADS, at_end=session.close)
        self._wakeups = Wakeups()
        self._listener = _Listener(address, name, self._threads, self._wakeups)
        self._listening = self._loop.create_task(self._listener.run(), name="store-listen")
        self._candidate = Candidate(address, name, CHANNEL, self._listener.lead_is_free)
        self._closing = False

    @classmethod
    async def open(cls, dsn: str, clock: Clock) -> PostgresStore:
        """Open the store in this database (a libpq connection string or URL).

        Raises Invalid (the address), Unavailable, Broken, NewerStore.
        """
        address = Address(dsn)
        migrating = Workers("store-migrate")
        try:
            await migrating.submit(partial(migrate, address))
        finally:
            await migrating.aclose()
        store = cls(address, clock)
        try:
            async with asyncio.timeout(30.0):
                await store._listener.listening.wait()
        except BaseException:
            await store.aclose()
            raise
        return store

    async def write(self, verb: Callable[[Unit], T]) -> T:
        self._check_open()
        return await self._threads.submit(partial(self._write, verb))

    def _write(self, verb: Callable[[Unit], T]) -> T:
        """In a thread. Whoever waits is woken from here: the one who asked may have been cancelled."""
        began = time.perf_counter()
        try:
            done = self._session.write(verb)
        except Unavailable as problem:  # perhaps it was committed all the same
            self._loop.call_soon_threadsafe(self._was_refused, problem)
            raise
        if done.wrote:
            self._loop.call_soon_threadsafe(self._committed, done, time.perf_counter() - began)
        result: T = done.result
        return result

    def _committed(self, done: _Done, seconds: float) -> None:
        self.meter.committed(done.events, seconds)
        self._wakeups.committed(done.last_seqs, effects=done.effects)

    def _was_refused(self, problem: Unavailable) -> None:
        self.meter.was_refused(problem)
        self._wakeups.foreign()

    async def read(self, query: Callable[[View], T]) -> T:
        self._check_open()
        began = time.perf_counter()
        try:
            return await self._threads.submit(partial(self._session.read, query))
        finally:
            self.meter.read_s.observe(time.perf_counter() - began)

    def _check_open(self) -> None:
        if self._closing:
            raise Unavailable("the store is closed")

    async def wait_event(self, session: str, *, after: int, timeout_s: float) -> int:
        self._check_open()
        return await self._wakeups.wait_event(session, after=after, timeout_s=timeout_s, last_seq=self._last_seq)

    async def _last_seq(self, session: str) -> int:
        return await self.read(lambda view: view.last_seq(session))

    async def wait_effect(self, *, timeout_s: float) -> None:
        self._check_open()
        await self._wakeups.wait_effect(timeout_s=timeout_s)

    async def lead(self) -> PostgresTerm:
        self._check_open()
        return await self._candidate.lead()

    async def aclose(self) -> None:
        self._closing = True
        await self._candidate.aclose()
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening
        await self._threads.aclose()
        self._listener.close_made()
        self._wakeups.foreign()

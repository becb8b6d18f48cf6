"""Who leads, of several coordinators on one PostgreSQL: a lease with an end, and a fence.

Theory of operation. The leader has a lease of TERM_S by the database's clock and renews it every RENEW_S on its own
connection. When no renewal has succeeded for SAFE_S, counted by its own steady clock from before the renewal was sent,
its term is over: it stops, with STEP_DOWN_S for that, before the lease is. Whoever waits looks when the lease should be
over, or when it is told that it was given up, and takes it with the next fence. So a leader that is killed, stopped or
cut off is replaced TERM_S later, one that stops in order at once, and two never lead at the same time as long as their
steady clocks run at about the same pace.

A leader that was stopped (SIGSTOP, a sleeping machine) and goes on does not know at once. For that there is the fence:
what only a leader may do asks for it in its own transaction (`Unit.check_fence`), which locks the row of the fence. The
next leader's taking waits for such a transaction, and fails each later one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from contextlib import suppress
from functools import partial

from hawse.adapters.store.postgres_connection import STATEMENTS, Address, Connection, psycopg
from hawse.adapters.store.rows import Parameters
from hawse.adapters.store.worker import Workers
from hawse.domain.errors import Problem, Unavailable
from hawse.ports.store import STEP_DOWN_S

TERM_S = 5.0
RENEW_S = 1.0
SAFE_S = TERM_S - STEP_DOWN_S - 0.5  # the half second is for clocks that differ and a machine that is busy
AGAIN_S = 0.5  # after the database could not be asked
FREE = "free"  # the notice that nobody leads
log = logging.getLogger("hawse.leader")


class PostgresTerm:
    """See Term of ports/store.py."""

    def __init__(self, candidate: Candidate, holder: str, fence: int, good_at: float) -> None:
        self.fence = fence
        self.holder = holder
        self._candidate = candidate
        self._good_at = good_at
        self._over = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._renew(), name="store-lead")

    async def wait_over(self) -> None:
        await self._over.wait()

    async def _renew(self) -> None:
        try:
            while True:
                await asyncio.sleep(RENEW_S)
                sent_at = time.monotonic()
                if sent_at - self._good_at > SAFE_S:
                    log.warning("the lead could not be renewed in time; another coordinator may take it")
                    return
                try:
                    async with asyncio.timeout(self._good_at + SAFE_S - sent_at):
                        kept = await self._candidate.ask("leader_renew", {"holder": self.holder, "term_s": TERM_S})
                except (Problem, TimeoutError) as error:
                    log.warning("the lead could not be renewed, trying again: %s", error)
                    continue
                if kept is None:
                    log.warning("another coordinator leads now")
                    return
                self._good_at = sent_at
        finally:
            self._over.set()

    async def aclose(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._over.set()
        with suppress(Problem, TimeoutError):
            async with asyncio.timeout(STEP_DOWN_S):
                await self._candidate.give_up(self.holder)


class Candidate:
    """One handle's way to the lead. free: set when somebody tells that he gave it up."""

    def __init__(self, address: Address, name: str, channel: str, free: asyncio.Event) -> None:
        self._address = address
        self._name = name
        self._channel = channel
        self._free = free
        self._numbers = itertools.count(1)
        self._thread = Workers("store-lead", at_end=self._close)
        self._connection: Connection | None = None
        self._term: PostgresTerm | None = None
        self._closed = asyncio.Event()

    async def lead(self) -> PostgresTerm:
        """See Store.lead. If cancelled while it is being taken, nobody leads for TERM_S at most."""
        while not self._closed.is_set():
            self._free.clear()
            try:
                asked_at = time.monotonic()
                holder = f"{self._name}-{next(self._numbers)}"
                fence = await self.ask("leader_take", {"holder": holder, "term_s": TERM_S})
                if fence is not None:
                    self._term = PostgresTerm(self, holder, int(fence), asked_at)
                    return self._term
                left_s = await self.ask("leader_left", {})
            except Problem as problem:
                if not problem.retry:
                    raise
                left_s = AGAIN_S
            await self._wait(max(0.0, float(left_s or 0.0)))
        raise Unavailable("the store is closed")

    async def _wait(self, seconds: float) -> None:
        waiting = [asyncio.ensure_future(self._free.wait()), asyncio.ensure_future(self._closed.wait())]
        try:
            await asyncio.wait(waiting, timeout=min(seconds, TERM_S) + 0.05, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def give_up(self, holder: str) -> None:
        """Nobody leads; whoever waits is told."""
        await self._thread.submit(partial(self._give_up, holder))

    async def ask(self, name: str, parameters: Parameters) -> float | None:
        """The first column of the first row; None: there is none. Raises Unavailable."""
        return await self._thread.submit(partial(self._ask, name, parameters))

    def _ask(self, name: str, parameters: Parameters) -> float | None:
        """In the thread."""
        try:
            row = self._execute(name, parameters).fetchone()
        except psycopg.Error as error:
            raise self._lost(error) from error
        return None if row is None else row[0]

    def _give_up(self, holder: str) -> None:
        """In the thread."""
        try:
            self._execute("leader_give_up", {"holder": holder})
            assert self._connection is not None
            self._connection.execute(f"NOTIFY {self._channel}, '{self._name} {FREE}'".encode())
        except psycopg.Error as error:
            raise self._lost(error) from error

    def _execute(self, name: str, parameters: Parameters) -> psycopg.RawCursor[tuple[float, ...]]:
        if self._connection is None or self._connection.closed:
            self._connection = self._address.connect()
        statement = STATEMENTS[name]
        cursor: psycopg.RawCursor[tuple[float, ...]] = psycopg.RawCursor(self._connection)
        return cursor.execute(statement.text.encode(), statement.places(parameters))

    def _lost(self, error: psycopg.Error) -> Problem:
        self._close()
        return self._address.translated(error)

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    async def aclose(self) -> None:
        """Give up what is led, and end. Safe to call twice."""
        self._closed.set()
        if self._term is not None:
            await self._term.aclose()
            self._term = None
        await self._thread.aclose()

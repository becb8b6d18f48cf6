"""Stores: durable changes a second from 32 tasks, and what one costs; beside one commit per change through a thread.

A change moves a row (its version compared), appends its event, and stores an effect. SQLite with synchronous FULL;
PostgreSQL with fsync, its own server. The peer does the same statements as most asyncio programs do today: each
statement is an errand to one thread (as in aiosqlite), each change has its own COMMIT, synchronous FULL as well.
Busy: the loop has other work all the time and never rests.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import queue
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from figures import Figure, add_ratios, end_in_order, note, parser, percentile, show

from hawse.adapters.clock import SystemClock
from hawse.domain.effect import RemoveHistory
from hawse.domain.session import Session, created
from hawse.ports.store import Store, Unit, View
from hawse.testing.check_store import check_replay

TASKS = 32
SECTION = "Store, durable"
Change = Callable[[int, int], Awaitable[object]]


# --- hawse -----------------------------------------------------------------------------------------------------------


async def sessions_in(store: Store) -> list[Session]:
    mine = [
        created(id=f"00000000-0000-7000-8000-{n:012d}", project="p", alias=f"s{n}", owner="me", now=1.0)  # type: ignore[arg-type]
        for n in range(TASKS)
    ]
    await store.write(lambda unit: [unit.change(None, one, kind="session.created", by="me") for one in mine])
    return mine


def change_of(store: Store, mine: list[Session]) -> Change:
    async def change(task: int, count: int) -> object:
        id = mine[task].id

        def verb(unit: Unit) -> object:
            before = unit.session(id)
            after = replace(before, description=f"step {count:010d}")
            return unit.change(before, after, kind="session.described", by="me", effects=(RemoveHistory(id),))

        return await store.write(verb)

    return change


def read_of(store: Store, mine: list[Session]) -> Change:
    async def read(task: int, count: int) -> object:
        id = mine[task].id

        def query(view: View) -> object:
            return view.session(id)

        return await store.read(query)

    return read


# --- the peer --------------------------------------------------------------------------------------------------------


class Peer:
    """SQLite behind one thread, one errand for each statement."""

    def __init__(self, path: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.errands: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.lock = asyncio.Lock()
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while errand := self.errands.get():
            statement, parameters, future = errand
            try:
                rows = self.connection.execute(statement, parameters).fetchall()
            except sqlite3.Error as error:
                self.loop.call_soon_threadsafe(future.set_exception, error)
            else:
                self.loop.call_soon_threadsafe(future.set_result, rows)

    async def do(self, statement: str, *parameters: Any) -> list[Any]:
        future = self.loop.create_future()
        self.errands.put((statement, parameters, future))
        rows: list[Any] = await future
        return rows

    async def change(self, task: int, count: int) -> None:
        id = f"00000000-0000-7000-8000-{task:012d}"
        async with self.lock:
            await self.do("BEGIN IMMEDIATE")
            row = (await self.do("SELECT * FROM sessions WHERE id = ?", id))[0]
            await self.do(
                "UPDATE sessions SET description = ?, version = version + 1, last_seq = last_seq + 1"
                " WHERE id = ? AND version = ?",
                f"step {count:010d}", id, row["version"],
            )  # fmt: skip
            await self.do(
                "INSERT INTO events (session, seq, time, kind, noun, object, before, after, \"by\", request, detail)"
                " VALUES (?, ?, ?, 'session.described', 'session', ?, ?, ?, 'me', '', '')",
                id, row["last_seq"] + 1, time.time(), id, '{"description":"before"}', '{"description":"after"}',
            )  # fmt: skip
            await self.do("INSERT INTO outbox VALUES (NULL, ?, 'remove_history', '{}', 0, ?)", id, time.time())
            await self.do("COMMIT")

    async def read(self, task: int, _count: int) -> None:
        await self.do("SELECT * FROM sessions WHERE id = ?", f"00000000-0000-7000-8000-{task:012d}")

    def close(self) -> None:
        self.errands.put(None)
        self.thread.join()
        self.connection.close()


# --- measuring -------------------------------------------------------------------------------------------------------


async def measure(change: Change, seconds: float, *, busy: bool = False, tasks: int = TASKS) -> dict[str, float]:
    """Changes a second, CPU of this process for each, latency."""
    until = time.perf_counter() + seconds
    times: list[float] = []

    async def work(task: int) -> None:
        count = 0
        while (began := time.perf_counter()) < until:
            count += 1
            await change(task, count)
            times.append(time.perf_counter() - began)
            if count % 64 == 0:
                await asyncio.sleep(0)  # what never waits would keep the others from their turn

    async def noise() -> None:
        while (now := time.perf_counter()) < until:
            while time.perf_counter() < now + 0.0001:
                pass
            await asyncio.sleep(0)

    cpu, began = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        if busy:
            group.create_task(noise())
        for task in range(tasks):
            group.create_task(work(task))
    cpu, took = time.process_time() - cpu, time.perf_counter() - began
    return {
        "rate": len(times) / took,
        "cpu_us": cpu / len(times) * 1e6,
        "p50_ms": percentile(times, 0.5) * 1e3,
        "p99_ms": percentile(times, 0.99) * 1e3,
    }


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[tuple[Store, list[Session]]]:
    try:
        yield store, await sessions_in(store)
        await check_replay(store)
    finally:
        await store.aclose()


async def contest(who: str, change: Change, read: Change, seconds: float) -> list[Figure]:
    note(who)
    await measure(change, seconds / 4)  # warm up
    alone = await measure(change, seconds)
    single = await measure(change, seconds / 2, tasks=1)
    busy = await measure(change, seconds, busy=True)
    reads = await measure(read, seconds / 2)
    goal = {"goal": "above the 4,000 asked of REST", "met": alone["rate"] > 4000} if who == "hawse sqlite" else {}
    return [
        Figure(SECTION, f"changes a second, {TASKS} tasks", who, alone["rate"], "/s", **goal),  # type: ignore[arg-type]
        Figure(SECTION, "CPU for one change", who, alone["cpu_us"], "us"),
        Figure(SECTION, "one change, p99", who, alone["p99_ms"], "ms"),
        Figure(SECTION, "one change alone, p50", who, single["p50_ms"], "ms"),
        Figure(SECTION, "changes a second, busy loop", who, busy["rate"], "/s"),
        Figure(SECTION, "one row read", who, reads["cpu_us"], "us CPU"),
    ]


async def sqlite(folder: Path, seconds: float) -> list[Figure]:
    from hawse.adapters.store.sqlite import SqliteStore

    async with opened(await SqliteStore.open(folder / "hawse.db", SystemClock())) as (store, mine):
        return await contest("hawse sqlite", change_of(store, mine), read_of(store, mine), seconds)


async def peer(folder: Path, seconds: float) -> list[Figure]:
    from hawse.adapters.store.sqlite import SqliteStore

    async with opened(await SqliteStore.open(folder / "peer.db", SystemClock())):
        pass
    other = Peer(str(folder / "peer.db"))
    try:
        await other.do("PRAGMA synchronous = FULL")
        return await contest("one commit each", other.change, other.read, seconds)
    finally:
        other.close()


async def postgres(dsn: str, seconds: float) -> list[Figure]:
    from hawse.adapters.store.postgres import PostgresStore

    async with opened(await PostgresStore.open(dsn, SystemClock())) as (store, mine):
        return await contest("hawse postgres", change_of(store, mine), read_of(store, mine), seconds)


def start_postgres(folder: Path) -> tuple[str, Callable[[], None]] | None:
    """A server of our own with fsync; None where there is none to start."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        return None
    as_postgres = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if as_postgres:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)

    def run(program: str, *arguments: str) -> None:
        command = [*as_postgres, str(binaries[-1] / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run("initdb", "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8", "--locale=C")
    options = f"-p 5432 -k {folder} -c listen_addresses="
    run("pg_ctl", "-w", "-s", "-l", str(folder / "log"), "-o", options, "start")
    return f"host={folder} user=postgres dbname=postgres", lambda: run("pg_ctl", "-w", "-s", "-m", "fast", "stop")


def main() -> None:
    end_in_order()
    options = parser(__doc__ or "").parse_args()
    seconds = 0.4 if options.quick else 4.0
    folder = Path(tempfile.mkdtemp(prefix="hwst", dir="/var/tmp"))  # a disk: /tmp may be memory
    folder.chmod(0o755)
    stop: Callable[[], None] = lambda: None  # noqa: E731
    try:
        figures = asyncio.run(peer(folder, seconds)) + asyncio.run(sqlite(folder, seconds))
        (folder / "pg").mkdir()
        if (server := start_postgres(folder / "pg")) is not None:
            dsn, stop = server
            figures += asyncio.run(postgres(dsn, seconds))
        add_ratios(figures, to=("one commit each",))
        order = [one.what for one in figures]
        figures.sort(key=lambda one: order.index(one.what))
        show(figures, as_json=options.json)
    finally:
        with suppress(subprocess.CalledProcessError):
            stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

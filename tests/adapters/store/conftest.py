"""Stores to test: `open_store` gives handles on one fresh database of each kind."""

import asyncio

import pytest

from hawse.adapters.clock import SystemClock
from hawse.testing.memory_store import MemoryDisk, MemoryStore


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def open_store(request, tmp_path):
    """Return a coroutine function: each call opens another handle on the same database, which is empty at first."""
    clock = SystemClock()
    if request.param == "memory":
        disk = MemoryDisk()

        async def open_memory():
            return MemoryStore(clock, disk)

        return open_memory
    if request.param == "sqlite":
        from hawse.adapters.store.sqlite import SqliteStore

        return lambda: SqliteStore.open(tmp_path / "hawse.db", clock)
    from hawse.adapters.store.postgres import PostgresStore

    database = request.getfixturevalue("postgres_database")
    return lambda: PostgresStore.open(database, clock)


@pytest.fixture
def run():
    """Run a coroutine to its end, in debug mode never: a coroutine that is not awaited is an error anyway."""

    def run_(coroutine):
        return asyncio.run(coroutine)

    return run_

"""Every store keeps every promise of the port: the public suite on memory, SQLite and PostgreSQL."""

import asyncio

import pytest
import uvloop

from hawse.adapters.clock import SystemClock
from hawse.adapters.store.sqlite import SqliteStore
from hawse.testing.check_store import CHECKS, check_store
from hawse.testing.memory_store import MemoryDisk, MemoryStore


@pytest.mark.requirement("S2.9", "S3.3")
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_the_store_keeps_its_contract(check, open_store):
    asyncio.run(check(open_store))


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_it_does_so_in_the_loop_that_the_coordinator_uses(check, tmp_path):
    """uvloop counts time in milliseconds and has its own way with file descriptors."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check(lambda: SqliteStore.open(tmp_path / "hawse.db", SystemClock())))


def test_the_suite_runs_as_a_whole_and_names_what_failed(tmp_path):
    """As another store's author would call it; a store that forgets a promise does not pass."""

    async def fresh():
        disk = MemoryDisk()

        async def open_store():
            return Forgetful(SystemClock(), disk)

        return open_store

    with pytest.raises(AssertionError) as caught:
        asyncio.run(check_store(fresh))
    assert any(note.startswith("store check: ") for note in caught.value.__notes__)


class Forgetful(MemoryStore):
    """Tells a little too early when nothing has come."""

    async def wait_event(self, session, *, after, timeout_s):
        return after

"""What only a SQLite file can do or suffer."""

import asyncio
import os
import shutil
import sqlite3
import stat
import threading
import time

import pytest

from hawse.adapters.clock import SystemClock
from hawse.adapters.store import sqlite as module
from hawse.adapters.store import sqlite_units
from hawse.adapters.store.sqlite import SqliteStore
from hawse.domain.errors import Broken, LimitReached, NewerStore, NotFound, Unavailable
from hawse.testing.check_store import check_replay, new_session
from hawse.testing.store_checks.kit import create, put, touch


def opening(path):
    return SqliteStore.open(path, SystemClock())


async def with_store(path, function):
    store = await opening(path)
    try:
        return await function(store)
    finally:
        await store.aclose()


def test_nobody_else_can_read_it(tmp_path):
    path = tmp_path / "hawse.db"

    async def look(store):
        await create(store, new_session())
        return {name: stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in os.listdir(tmp_path)}

    old = os.umask(0)
    try:
        modes = asyncio.run(with_store(path, look))
    finally:
        os.umask(old)
    assert modes.keys() == {"hawse.db", "hawse.db-wal", "hawse.db-shm"}
    assert set(modes.values()) == {0o600}
    path.chmod(0o666)
    assert set(asyncio.run(with_store(path, look)).values()) == {0o600}, "and it is made so again"


def test_commits_reach_the_disk(tmp_path):
    async def look(store):
        connection = store._writer.connection
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode",
                                                                               "foreign_keys")]  # fmt: skip

    assert asyncio.run(with_store(tmp_path / "hawse.db", look)) == [2, "wal", 1]


@pytest.mark.parametrize("content", [b"what is this" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_something_else_is_not_taken_for_a_store(content, tmp_path):
    (tmp_path / "hawse.db").write_bytes(content)
    with pytest.raises(Broken, match=r"hawse\.db is damaged") as caught:
        asyncio.run(opening(tmp_path / "hawse.db"))
    assert "backup" in caught.value.next_step
    assert (tmp_path / "hawse.db").read_bytes() == content


def test_the_database_of_another_program_is_left_alone(tmp_path):
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE recipes (id)")
    connection.close()
    with pytest.raises(Broken, match="not a store of hawse"):
        asyncio.run(opening(tmp_path / "other.db"))
    connection = sqlite3.connect(tmp_path / "other.db")
    assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["recipes"]
    connection.close()


@pytest.mark.parametrize("where", ["no/such/folder/hawse.db", "."])
def test_where_no_file_can_be_it_says_so(where, tmp_path):
    with pytest.raises(Unavailable, match="cannot be opened") as caught:
        asyncio.run(opening(tmp_path / where))
    assert caught.value.next_step


def test_a_newer_store_is_refused_and_unchanged(tmp_path):
    path = tmp_path / "hawse.db"
    asyncio.run(with_store(path, lambda store: create(store, new_session("train"))))
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO schema_version VALUES (98, '98_post_later')")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(NewerStore, match="has version 98; this hawse knows versions up to"):
        asyncio.run(opening(path))
    assert path.read_bytes() == before


def test_a_damaged_page_is_told_and_the_rest_goes_on(tmp_path):
    path = tmp_path / "hawse.db"
    session = new_session("train", description="d" * 500)

    async def fill(store):
        await create(store, session)
        for number in range(200):
            await store.write(lambda unit, n=number: touch(unit, unit.session(session.id), description=f"{n}" * 300))
        root = "SELECT rootpage FROM sqlite_master WHERE name = 'events'"
        return store._writer.connection.execute(root).fetchone()[0]

    page = asyncio.run(with_store(path, fill))
    with open(path, "r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(os.urandom(4096))

    async def look(store):
        with pytest.raises(Broken, match="is damaged") as caught:
            await store.read(lambda view: view.events(session.id))
        assert "backup" in caught.value.next_step
        with pytest.raises(Broken):
            await store.write(lambda unit: touch(unit, unit.session(session.id), description="more"))
        assert (await store.read(lambda view: view.session(session.id))).id == session.id

    asyncio.run(with_store(path, look))


@pytest.mark.requirement("S3.3")
def test_a_full_disk_is_told_and_left_when_there_is_room(tmp_path):
    """SQLite's own limit plays the disk: its errors and its rollbacks are the real ones."""

    async def fill(store):
        connection = store._writer.connection
        session = new_session("train")
        await create(store, session)
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0] + 20}")
        told = []
        for number in range(200):
            try:
                await asyncio.gather(
                    *(create(store, new_session(f"{number}-{n}", description="d" * 1000)) for n in range(3))
                )
            except Unavailable as problem:
                told.append(problem)
        assert told
        assert all("the disk is full" in one.detail and "room" in one.next_step for one in told)
        await check_replay(store)
        assert (await store.read(lambda view: view.session(session.id))) == session, "reading goes on"
        connection.execute("PRAGMA max_page_count = 1000000")
        await create(store, new_session("afterwards", description="d" * 1000))
        await check_replay(store)

    asyncio.run(with_store(tmp_path / "hawse.db", fill))


def test_too_many_waiting_changes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "QUEUE_MAX", 20)

    async def look(store):
        results = await asyncio.gather(*(create(store, new_session()) for _ in range(50)), return_exceptions=True)
        assert results.count(None) == 20
        assert all(isinstance(result, LimitReached) for result in results if result is not None)
        await create(store, new_session())

    asyncio.run(with_store(tmp_path / "hawse.db", look))


def test_another_process_that_writes_is_waited_for_and_the_loop_goes_on(tmp_path):
    path = tmp_path / "hawse.db"

    async def look(store):
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        writing = [asyncio.ensure_future(create(store, new_session(f"s{number}"))) for number in range(5)]
        for _ in range(20):
            await asyncio.sleep(0.005)
            assert not any(one.done() for one in writing)
            assert await store.read(lambda view: view.sessions()) == []
        other.execute("COMMIT")
        other.close()
        await asyncio.gather(*writing)
        await check_replay(store)

    asyncio.run(with_store(path, look))


def test_another_process_that_never_stops_writing_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_units, "BUSY_S", 0.2)
    path = tmp_path / "hawse.db"

    async def look(store):
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="another process is writing"):
            await create(store, new_session())
        other.execute("ROLLBACK")
        other.close()
        await create(store, new_session())

    asyncio.run(with_store(path, look))


def test_many_open_one_new_file_at_once(tmp_path):
    async def look():
        stores = await asyncio.gather(*(opening(tmp_path / "hawse.db") for _ in range(8)))
        await asyncio.gather(*(create(store, new_session(f"s{n}")) for n, store in enumerate(stores)))
        for store in stores:
            assert len(await store.read(lambda view: view.sessions())) == 8
        await asyncio.gather(*(store.aclose() for store in stores))

    asyncio.run(look())


def test_what_is_long_runs_in_a_thread_and_from_the_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_units, "ROWS_AT_ONCE_MAX", 10)
    threads = []

    async def look(store):
        await store.write(lambda unit: put(unit, *(new_session(f"s{number}") for number in range(30))))

        def query(view):
            threads.append(threading.current_thread())
            return [session.alias for session in view.sessions(limit=1000)]

        assert len(await store.read(query)) == 30

        def verb(unit):
            threads.append(threading.current_thread())
            put(unit, new_session("new"))
            return [touch(unit, session, description="x") for session in unit.sessions(limit=1000)]

        assert len(await store.write(verb)) == 31
        await check_replay(store)

    asyncio.run(with_store(tmp_path / "hawse.db", look))
    main = threading.main_thread()
    assert [thread is main for thread in threads] == [True, False, True, False]


def test_a_busy_loop_does_not_starve_a_commit(tmp_path):
    """The loop never rests and hardly lets go of the interpreter: a change must not take seconds."""

    async def look(store):
        done = False

        async def noise():
            while not done:
                until = time.perf_counter() + 0.0001
                while time.perf_counter() < until:
                    pass
                await asyncio.sleep(0)

        making = asyncio.ensure_future(noise())
        began = time.monotonic()
        for number in range(50):
            await create(store, new_session(f"s{number}"))
        took = time.monotonic() - began
        done = True
        await making
        assert took < 20, "without help this takes half a second each"

    asyncio.run(with_store(tmp_path / "hawse.db", look))


@pytest.mark.requirement("S3.3")
def test_a_backup_is_a_store(tmp_path):
    """A copy by SQLite's own means, made while it is written to, opens and is whole: nothing needed is elsewhere."""

    async def fill(store):
        session = new_session("train")
        await create(store, session)
        for number in range(20):
            await store.write(lambda unit, n=number: touch(unit, unit.session(session.id), description=str(n)))
        source, copy = sqlite3.connect(tmp_path / "hawse.db"), sqlite3.connect(tmp_path / "copy.db")
        source.backup(copy)
        source.close()
        copy.close()
        return session

    session = asyncio.run(with_store(tmp_path / "hawse.db", fill))

    async def look(store):
        await check_replay(store)
        await store.write(lambda unit: touch(unit, unit.session(session.id), description="goes on"))
        assert await store.read(lambda view: view.last_seq(session.id)) == 22

    asyncio.run(with_store(tmp_path / "copy.db", look))


def test_a_copy_of_the_three_files_taken_at_rest_is_a_store(tmp_path):
    async def fill(store):
        await create(store, new_session("train"))
        (tmp_path / "copy").mkdir()
        for path in tmp_path.glob("hawse.db*"):
            shutil.copy(path, tmp_path / "copy")

    asyncio.run(with_store(tmp_path / "hawse.db", fill))
    asyncio.run(with_store(tmp_path / "copy" / "hawse.db", check_replay))


def test_without_notices_from_the_kernel_it_looks_itself(tmp_path, monkeypatch):
    def none(*_arguments):
        raise OSError("no room for another watch")

    monkeypatch.setattr(module, "FileWatch", none)
    monkeypatch.setattr(module, "LOOK_S_UNTOLD", 0.02)

    async def look(store):
        session = new_session("train")
        await create(store, session)
        other = await opening(tmp_path / "hawse.db")
        waiting = asyncio.ensure_future(store.wait_event(session.id, after=1, timeout_s=20))
        await asyncio.sleep(0)
        await other.write(lambda unit: touch(unit, unit.session(session.id), description="x"))
        assert await waiting == 2
        await other.aclose()

    asyncio.run(with_store(tmp_path / "hawse.db", look))


def test_who_waits_for_a_removed_session_is_told(tmp_path):
    async def look(store):
        session = new_session("train")
        await create(store, session)
        waiting = asyncio.ensure_future(store.wait_event(session.id, after=9, timeout_s=20))
        await asyncio.sleep(0)
        from hawse.testing.store_checks.kit import ended

        await store.write(lambda unit: unit.change(session, ended(session), kind="session.ended", by="x"))
        await store.write(lambda unit: unit.remove_session(session.id))
        with pytest.raises(NotFound):
            await waiting

    asyncio.run(with_store(tmp_path / "hawse.db", look))

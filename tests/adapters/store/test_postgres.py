"""What only a database server can do or suffer."""

import asyncio
import subprocess
import sys

import psycopg
import pytest

from hawse.adapters.clock import SystemClock
from hawse.adapters.store.postgres import PostgresStore
from hawse.adapters.store.postgres_connection import Address, look
from hawse.adapters.store.statements import migrations
from hawse.domain.errors import Broken, Invalid, NewerStore, Unavailable
from hawse.testing.check_store import check_replay, new_session
from hawse.testing.store_checks.kit import create, touch


def opening(dsn):
    return PostgresStore.open(dsn, SystemClock())


async def with_store(dsn, function):
    store = await opening(dsn)
    try:
        return await function(store)
    finally:
        await store.aclose()


def end_connections(dsn):
    """Cut every connection of hawse, as an administrator may."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'hawse' AND datname = current_database()"
        ).fetchone()[0]
    return ended


def test_a_look_tells_the_version_and_changes_nothing(postgres_database):
    address = Address(postgres_database)
    assert look(address) == look(address) == 0

    async def nothing(store):
        return store

    asyncio.run(with_store(postgres_database, nothing))
    assert look(address) == migrations("postgres")[-1].number
    with psycopg.connect(postgres_database) as connection:
        connection.execute("INSERT INTO schema_version VALUES (999, 'of tomorrow')")
    with pytest.raises(NewerStore):
        look(address)


def test_its_connections_have_a_name_and_limits(postgres_database):
    async def look(store):
        return await store.read(
            lambda view: [
                view._cursor.execute(f"SHOW {name}".encode()).fetchone()[0]
                for name in ("application_name", "statement_timeout", "transaction_isolation")
            ]
        )

    assert asyncio.run(with_store(postgres_database, look)) == ["hawse", "30s", "repeatable read"]


def test_a_cut_connection_is_made_again(postgres_database, eventually):
    """Nobody is told, as long as no COMMIT was under way; who waits still wakes, also for what others do."""

    async def look(store):
        other = await opening(postgres_database)
        session = new_session("train")
        await create(store, session)
        for number in range(5):
            await asyncio.gather(*(store.read(lambda view: view.sessions()) for _ in range(10)))
            waiting = asyncio.ensure_future(other.wait_event(session.id, after=1 + number, timeout_s=30))
            assert await asyncio.to_thread(end_connections, postgres_database) > 1
            await eventually.wait(lambda: not other._listener._lost.is_set())
            await store.write(lambda unit, n=number: touch(unit, unit.session(session.id), description=f"d{n}"))
            while (seq := await waiting) <= 1 + number:
                waiting = asyncio.ensure_future(other.wait_event(session.id, after=1 + number, timeout_s=30))
            assert seq == 2 + number
        await check_replay(store)
        await other.aclose()

    asyncio.run(with_store(postgres_database, look))


@pytest.mark.parametrize("words", ["", "deploy done", "x + s:one", "x"])
def test_a_notice_that_is_not_ours_costs_a_look_and_nothing_else(postgres_database, words):
    """Everybody who may connect to the database may NOTIFY on any channel."""

    async def look(store):
        failures = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
        other = await opening(postgres_database)
        session = new_session("train")
        await create(store, session)
        async with asyncio.timeout(30):
            while await store.wait_event(session.id, after=0, timeout_s=30) < 1:
                pass
            waiting = asyncio.ensure_future(other.wait_event(session.id, after=1, timeout_s=30))
            with psycopg.connect(postgres_database, autocommit=True) as connection:
                connection.execute("SELECT pg_notify('hawse', %s), pg_notify('hawse', %s)", [words, words + " "])
            await store.write(lambda unit: touch(unit, unit.session(session.id), description="d"))
            assert await waiting == 2
        await other.aclose()
        assert failures == []

    asyncio.run(with_store(postgres_database, look))


@pytest.mark.requirement("S3.3")
def test_a_server_that_stops_is_unavailable_until_it_is_back(postgres, postgres_database, eventually):
    async def look(store):
        session = new_session("train")
        await create(store, session)
        await asyncio.to_thread(postgres.stop)
        try:
            with pytest.raises(Unavailable, match="PostgreSQL"):
                await create(store, new_session())
            with pytest.raises(Unavailable, match="PostgreSQL"):
                await store.read(lambda view: view.sessions())
        finally:
            await asyncio.to_thread(postgres.start)

        async def back():
            try:
                await store.write(lambda unit: touch(unit, unit.session(session.id), description="back"))
            except Unavailable:
                return False
            return True

        await eventually.wait(back)
        await check_replay(store)

    asyncio.run(with_store(postgres_database, look))


def test_a_newer_store_is_refused(postgres_database):
    asyncio.run(with_store(postgres_database, lambda store: create(store, new_session())))
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("INSERT INTO schema_version VALUES (98, '98_post_later')")
    with pytest.raises(NewerStore, match="has version 98"):
        asyncio.run(opening(postgres_database))


def test_the_database_of_another_program_is_left_alone(postgres_database):
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE jobs (id int)")
    with pytest.raises(Broken, match="something else made"):
        asyncio.run(opening(postgres_database))
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert found == [("jobs",)]


@pytest.mark.parametrize(
    "address",
    [
        "host=/nowhere password=s3cret dbname=x",
        "postgresql://me:s3cret@127.0.0.1:1/x",
        "host=/nowhere s3cret",
        "postgresql://me:s3cret@[/x",
        "host=127.0.0.1 port=s3cret",
    ],
)
def test_no_error_shows_a_password(address):
    with pytest.raises((Invalid, Unavailable)) as caught:
        asyncio.run(opening(address))
    error = caught.value
    while error is not None:
        if "port=" not in address:
            assert "s3cret" not in f"{error} {getattr(error, 'next_step', '')} {getattr(error, 'facts', '')}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_many_open_one_new_database_at_once(postgres_database):
    async def look():
        stores = await asyncio.gather(*(opening(postgres_database) for _ in range(4)))
        await asyncio.gather(*(create(store, new_session(f"s{n}")) for n, store in enumerate(stores)))
        for store in stores:
            assert len(await store.read(lambda view: view.sessions())) == 4
        await asyncio.gather(*(store.aclose() for store in stores))

    asyncio.run(look())


def test_a_cancelled_write_still_wakes_who_waits(postgres_database):
    async def look(store):
        session = new_session("train")
        await create(store, session)
        for number in range(10):
            seq = await store.read(lambda view: view.last_seq(session.id))
            waiting = asyncio.ensure_future(store.wait_event(session.id, after=seq, timeout_s=30))
            await asyncio.sleep(0)
            text = f"d{number}"
            writing = asyncio.ensure_future(
                store.write(lambda unit, t=text: touch(unit, unit.session(session.id), description=t))
            )
            await asyncio.sleep(0.002 * (number % 3))
            writing.cancel()
            await asyncio.wait([writing])
            await store.write(lambda unit: None)
            if await store.read(lambda view: view.last_seq(session.id)) > seq:
                assert await waiting > seq
            waiting.cancel()

    asyncio.run(with_store(postgres_database, look))


def test_without_psycopg_it_says_what_to_install(tmp_path):
    """In a process of its own, where psycopg cannot be imported."""
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from hawse.domain.errors import Unavailable\n"
        "try:\n    import hawse.adapters.store.postgres\n"
        "except Unavailable as problem:\n    print(problem, '|', problem.next_step)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "needs psycopg" in done.stdout
    assert "pip install 'hawse[pg]'" in done.stdout

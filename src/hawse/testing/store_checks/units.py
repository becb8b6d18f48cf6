"""Units: whole or nothing, alone or among many."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hawse.domain import session as sessions
from hawse.domain.effect import StartJob
from hawse.domain.errors import (
    Clash,
    Conflict,
    InternalError,
    NotFound,
)
from hawse.domain.job import Job
from hawse.domain.session import Session
from hawse.ports.store import Answer, Store, Unit, View
from hawse.testing.store_checks.kit import (
    MOVERS,
    OpenStore,
    check,
    check_handles,
    check_replay,
    create,
    due,
    ended,
    new_job,
    new_order,
    new_session,
    opened,
    put,
    raises,
    touch,
)


@check
async def a_unit_that_fails_leaves_nothing(store: Store) -> None:
    session, other = new_session("train"), new_session("other")
    job = new_job(session)
    await create(store, session, job)

    def verb(unit: Unit) -> None:
        touch(unit, unit.session(session.id), description="gone")
        put(unit, other)
        unit.keep_order(job.id, new_order())
        unit.change(job, replace(job, pid=3), kind="x", by="x", effects=(StartJob(job.id, 1),))
        unit.keep_answer(Answer("me", "r", "d", 201, b"x", 1.0))
        raise ValueError("no")

    await raises(ValueError, store.write(verb))
    rows = await store.read(lambda view: (view.session(session.id), view.job(job.id), view.answer("me", "r")))
    assert rows == (session, job, None)
    assert await due(store) == []
    await raises(NotFound, store.read(lambda view: view.order(job.id)))
    await raises(NotFound, store.read(lambda view: view.session(other.id)))
    assert await store.read(lambda view: view.last_seq(session.id)) == 2
    await check_replay(store)


@check
async def a_unit_sees_its_own_writes_and_nobody_else_does(store: Store) -> None:
    session = new_session("train")
    seen: list[object] = []

    def verb(unit: Unit) -> None:
        put(unit, session)
        seen.append((unit.session(session.id), unit.session_named("p", "train"), unit.last_seq(session.id)))
        seen.append(len(unit.events(session.id)))
        raise LookupError

    await raises(LookupError, store.write(verb))
    assert seen[-2:] == [(session, session, 1), 1]
    assert await store.read(lambda view: view.sessions()) == []


@check
async def one_failing_unit_leaves_its_neighbours_alone(store: Store) -> None:
    """Many at once, so that they may share a commit; every third fails after it has written."""
    session = new_session("train")
    await create(store, session)

    async def one(number: int) -> None:
        def verb(unit: Unit) -> None:
            put(unit, replace(new_job(session), name=f"n{number}"))
            if number % 3 == 0:
                raise KeyError(number)

        await store.write(verb)

    results = await asyncio.gather(*(one(number) for number in range(MOVERS)), return_exceptions=True)
    for number, result in enumerate(results):
        assert isinstance(result, KeyError) if number % 3 == 0 else result is None, result
    names = {job.name for job in await store.read(lambda view: view.jobs(session.id))}
    assert names == {f"n{number}" for number in range(MOVERS) if number % 3}
    await check_replay(store)


@check_handles
async def of_those_who_move_one_row_one_wins_each_version(open_store: OpenStore) -> None:
    """All read the same version; one may move it, the others are told. From two handles at once."""
    async with opened(open_store) as store, opened(open_store) as other:
        session = new_session("train")
        await create(store, session)
        for turn in range(3):
            before = await store.read(lambda view: view.session(session.id))

            async def move(number: int, before: Session = before, turn: int = turn) -> str:
                handle = store if number % 2 else other
                await handle.write(lambda unit: touch(unit, before, description=f"{turn} {number}"))
                return f"{turn} {number}"

            results = await asyncio.gather(*(move(number) for number in range(MOVERS)), return_exceptions=True)
            won = [result for result in results if isinstance(result, str)]
            lost = [result for result in results if isinstance(result, Conflict)]
            assert len(won) == 1, f"{len(won)} moved version {before.version}"
            assert len(won) + len(lost) == MOVERS, results
            assert (await other.read(lambda view: view.session(session.id))).description == won[0]
        await check_replay(store)


@check_handles
async def of_those_who_take_one_alias_one_wins(open_store: OpenStore) -> None:
    async with opened(open_store) as store, opened(open_store) as other:
        taking = [create(store if n % 2 else other, new_session("train")) for n in range(MOVERS)]
        results = await asyncio.gather(*taking, return_exceptions=True)
        assert results.count(None) == 1, results
        assert sum(isinstance(result, Clash) for result in results) == MOVERS - 1, results
        await check_replay(store)


@check_handles
async def numbers_have_no_gaps_under_load(open_store: OpenStore) -> None:
    """Many change different jobs of one session through two handles; readers never see a gap or a number go back."""
    async with opened(open_store) as store, opened(open_store) as other:
        session = new_session("train")
        mine = [replace(new_job(session), name=f"n{number}") for number in range(8)]
        await create(store, session, *mine)
        done = False

        async def move(handle: Store, job: Job) -> None:
            for pid in range(1, 9):
                await handle.write(lambda unit, pid=pid: touch(unit, unit.job(job.id), pid=pid))  # type: ignore[misc]

        async def watch(handle: Store) -> None:
            cursor = 0
            while not done:
                found = await handle.read(lambda view: view.events(session.id, after=cursor))  # noqa: B023
                numbers = [event.seq for event in found]
                assert numbers == list(range(cursor + 1, cursor + 1 + len(numbers))), f"after {cursor}: {numbers}"
                cursor += len(numbers)
                await asyncio.sleep(0.001)

        watching = [asyncio.ensure_future(watch(handle)) for handle in (store, other)]
        await asyncio.gather(*(move(store if n % 2 else other, job) for n, job in enumerate(mine)))
        done = True
        await asyncio.gather(*watching)
        assert await other.read(lambda view: view.last_seq(session.id)) == 9 + 64
        await check_replay(store)


@check_handles
async def a_unit_that_read_a_session_moves_it_as_it_read_it(open_store: OpenStore) -> None:
    """ "No job lives in an ended session": whoever checks it in a unit is not overtaken by another unit."""
    async with opened(open_store) as store, opened(open_store) as other:
        for _ in range(6):
            session = new_session()
            await create(store, session)

            def end(unit: Unit, session: Session = session) -> None:
                now = unit.session(session.id)
                if now.state in sessions.LIVING and not unit.jobs(session.id):
                    unit.change(now, ended(now), kind="session.ended", by="x")

            def add(unit: Unit, session: Session = session) -> None:
                if unit.session(session.id).state in sessions.LIVING:
                    put(unit, new_job(session))

            await asyncio.gather(store.write(end), other.write(add), store.write(end))
            state, inside = await store.read(lambda view: (view.session(session.id).state, view.jobs(session.id)))  # noqa: B023
            assert (state == sessions.S.ENDED) != bool(inside), f"{state} with {len(inside)} jobs"
        await check_replay(store)


@check
async def a_unit_cannot_await(store: Store) -> None:
    session = new_session("train")

    async def verb(unit: Unit) -> None:
        put(unit, session)

    await raises(InternalError, store.write(verb))
    await raises(InternalError, store.read(verb))  # type: ignore[arg-type]
    assert await store.read(lambda view: view.sessions()) == []


@check
async def a_cancelled_write_is_whole_or_nothing(store: Store) -> None:
    session = new_session("train")
    await create(store, session)
    for number in range(20):
        job = replace(new_job(session), name=f"n{number}")
        writing = asyncio.ensure_future(create(store, job))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
    await create(store, replace(new_job(session), name="last"))
    await check_replay(store)


@check
async def a_read_is_one_snapshot(store: Store) -> None:
    """Two rows that always move together are never seen apart, however long a query takes."""
    one, two = new_session("one"), new_session("two")
    await create(store, one, two)
    done = False

    async def move() -> None:
        nonlocal done
        for number in range(40):
            await store.write(
                lambda unit, number=number: [  # type: ignore[misc]
                    touch(unit, unit.session(id), description=str(number)) for id in (one.id, two.id)
                ]
            )
        done = True

    async def look() -> None:
        while not done:

            def query(view: View) -> tuple[str, str]:
                first = view.session(one.id).description
                view.sessions(limit=1000)
                return first, view.session(two.id).description

            first, second = await store.read(query)
            assert first == second, f"{first} and {second} were seen together"
            await asyncio.sleep(0)

    await asyncio.gather(move(), look(), look())

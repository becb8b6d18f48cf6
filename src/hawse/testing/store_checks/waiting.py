"""Waking up, closing, and coming back."""

from __future__ import annotations

import asyncio
import time

from hawse.domain.errors import (
    Problem,
    Unavailable,
)
from hawse.ports.store import Store
from hawse.testing.store_checks.kit import (
    SOON_S,
    OpenStore,
    add_effect,
    check,
    check_handles,
    check_replay,
    create,
    due,
    new_id,
    new_job,
    new_session,
    opened,
    raises,
    touch,
)


@check_handles
async def an_event_wakes_who_waits_for_it(open_store: OpenStore) -> None:
    """On the handle that wrote it and on another one."""
    async with opened(open_store) as store, opened(open_store) as other:
        session, elsewhere = new_session("train"), new_session("other")
        await create(store, session, elsewhere)
        for handle in (store, other):
            seq = await store.read(lambda view: view.last_seq(session.id))
            assert await handle.wait_event(session.id, after=0, timeout_s=SOON_S) == seq, "it is there already"
            assert await handle.wait_event(session.id, after=seq, timeout_s=0.01) == seq, "the time is over"
            waiting = asyncio.ensure_future(_wait_until(handle, session.id, after=seq))
            await asyncio.sleep(0.02)
            assert not waiting.done()
            await store.write(lambda unit: touch(unit, unit.session(elsewhere.id), description=new_id()))
            await store.write(lambda unit: touch(unit, unit.session(session.id), description=new_id()))
            assert await waiting == seq + 1
            await store.write(lambda unit: touch(unit, unit.session(session.id), description="back"))
            assert await _wait_until(handle, session.id, after=seq + 1) == seq + 2
            await store.write(lambda unit: touch(unit, unit.session(session.id), description=""))


async def _wait_until(store: Store, session: str, *, after: int) -> int:
    """May return early: wait until it is there, SOON_S at most."""
    async with asyncio.timeout(SOON_S):
        while (seq := await store.wait_event(session, after=after, timeout_s=SOON_S)) <= after:
            pass
        return seq


@check_handles
async def any_commit_wakes_who_waits_for_all(open_store: OpenStore) -> None:
    async with opened(open_store) as store, opened(open_store) as other:
        session = new_session("train")
        for handle in (store, other):
            count = await handle.wait_event("*", after=0, timeout_s=0.01)
            waiting = asyncio.ensure_future(_wait_until(handle, "*", after=count))
            await asyncio.sleep(0.02)
            if handle is store:
                await create(store, session)
            else:
                await store.write(lambda unit: touch(unit, unit.session(session.id), description="x"))
            assert await waiting > count


@check
async def nobody_misses_an_event_however_fast_they_come(store: Store) -> None:
    """Writers and followers at once: each follower sees each number, and wakes for the last one."""
    session = new_session("train")
    await create(store, session)
    last = 1 + 100

    async def follow() -> list[int]:
        seen: list[int] = []
        while not seen or seen[-1] < last:
            after = seen[-1] if seen else 0
            await _wait_until(store, session.id, after=after)
            seen += [event.seq for event in await store.read(lambda view: view.events(session.id, after=after))]  # noqa: B023
        return seen

    async def move() -> None:
        for _ in range(25):
            await store.write(lambda unit: touch(unit, unit.session(session.id), description=new_id()))

    seen = await asyncio.gather(*(follow() for _ in range(4)), *(move() for _ in range(4)))
    assert all(numbers == list(range(1, last + 1)) for numbers in seen[:4])


@check_handles
async def a_stored_effect_wakes_who_does_effects(open_store: OpenStore) -> None:
    async with opened(open_store) as store, opened(open_store) as other:
        session = new_session("train")
        job = new_job(session)
        await create(store, session, job)
        start = time.monotonic()
        await store.wait_effect(timeout_s=0.01)
        await store.wait_effect(timeout_s=0.01)
        assert time.monotonic() - start < SOON_S
        for handle in (store, other):
            await handle.wait_effect(timeout_s=0.05)
            waiting = asyncio.ensure_future(handle.wait_effect(timeout_s=10 * SOON_S))
            await asyncio.sleep(0.01)
            await add_effect(store, job)
            async with asyncio.timeout(SOON_S):
                await waiting
        await add_effect(store, job)  # nobody waits just now: the next one who does is told
        async with asyncio.timeout(SOON_S):
            await store.wait_effect(timeout_s=10 * SOON_S)


@check
async def waiting_can_be_cancelled(store: Store) -> None:
    session = new_session("train")
    await create(store, session)
    for _ in range(3):
        waiting = [
            asyncio.ensure_future(store.wait_event(session.id, after=99, timeout_s=60.0)),
            asyncio.ensure_future(store.wait_event("*", after=999, timeout_s=60.0)),
            asyncio.ensure_future(store.wait_effect(timeout_s=60.0)),
        ]
        await asyncio.sleep(0.01)
        for one in waiting:
            one.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert isinstance(results[1], asyncio.CancelledError)
    await store.write(lambda unit: touch(unit, unit.session(session.id), description="x"))


@check_handles
async def what_was_answered_is_there_after_reopening(open_store: OpenStore) -> None:
    session = new_session("train")
    job = new_job(session)
    async with opened(open_store) as keeper:  # a memory store lives as long as somebody has it
        async with opened(open_store) as store:
            await create(store, session, job)
            await add_effect(store, job)
        async with opened(open_store) as store:
            assert (await store.read(lambda view: view.session_named("p", "train"))).id == session.id
            assert len(await due(store)) == 1
            await check_replay(store)
            await create(store, new_session("more"))
        await check_replay(keeper)


@check_handles
async def closing_finishes_what_was_queued_and_may_be_done_twice(open_store: OpenStore) -> None:
    async with opened(open_store) as keeper:
        store = await open_store()
        mine = [new_session(f"s{number}") for number in range(10)]
        writing = [asyncio.ensure_future(create(store, session)) for session in mine]
        await asyncio.sleep(0)
        await store.aclose()
        await store.aclose()
        await asyncio.gather(*writing)
        assert await keeper.read(lambda view: view.sessions()) == mine
        await raises(Unavailable, create(store, new_session()))
        await raises(Unavailable, store.read(lambda view: view.sessions()))
        await raises(Unavailable, store.wait_event(mine[0].id, after=0, timeout_s=1.0))


@check_handles
async def closing_ends_every_wait(open_store: OpenStore) -> None:
    store = await open_store()
    session = new_session("train")
    await create(store, session)
    waiting = [
        asyncio.ensure_future(store.wait_event(session.id, after=99, timeout_s=600.0)),
        asyncio.ensure_future(store.wait_effect(timeout_s=600.0)),
    ]
    await asyncio.sleep(0.01)
    await store.aclose()
    async with asyncio.timeout(SOON_S):
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(result is None or isinstance(result, int | Problem) for result in results), results

"""Effects, answers, orders, and the removal of a session."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hawse.domain.effect import CutAttachment, Effect, ForgetRunner, RemoveHistory, StartJob, StopJob
from hawse.domain.errors import (
    Conflict,
    IllegalMove,
    NotFound,
)
from hawse.ports.store import Answer, Store, Unit
from hawse.testing.store_checks.kit import (
    MOVERS,
    OpenStore,
    check,
    check_handles,
    check_replay,
    create,
    due,
    ended,
    new_attachment,
    new_job,
    new_order,
    new_session,
    opened,
    put,
    raises,
)


@check
async def effects_come_in_order_when_they_are_due(store: Store) -> None:
    session = new_session("train")
    job = new_job(session)
    attachment = new_attachment(job)
    await create(store, session, job)
    assert await store.read(lambda view: view.next_effect_at(0.0)) is None
    all_kinds: list[Effect] = [
        StartJob(job.id, 1),
        StopJob(job.id, 1, 2.5),
        CutAttachment(job.id, attachment.id, "asked"),
        ForgetRunner(job.id, 3),
        RemoveHistory(session.id),
    ]
    await store.write(lambda unit: unit.change(job, job, kind="x", by="x", effects=all_kinds[:3]))
    now = await store.read(lambda view: view.job(job.id))
    await store.write(lambda unit: unit.change(now, now, kind="x", by="x", effects=all_kinds[3:]))
    found = await due(store)
    assert [pending.effect for pending in found] == all_kinds
    ids = [pending.id for pending in found]
    assert ids == sorted(set(ids)), "ids rise"
    assert {(pending.session, pending.attempts) for pending in found} == {(session.id, 0)}
    due_at = max(pending.due_at for pending in found)
    assert [p.id for p in await due(store, due_at)] == ids
    assert await due(store, min(p.due_at for p in found) - 1.0) == []
    assert [p.id for p in await due(store, limit=2)] == ids[:2]
    later = due_at + 100.0
    await store.write(lambda unit: unit.effect_failed(ids[0], due_at=later))
    await store.write(lambda unit: unit.effect_failed(ids[0], due_at=later))
    assert [p.id for p in await due(store, due_at)] == ids[1:]
    assert await store.read(lambda view: view.next_effect_at(due_at)) == later
    assert (await store.read(lambda view: view.next_effect_at(0.0)) or 0.0) <= due_at
    first = (await due(store, later))[0]
    assert (first.id, first.attempts, first.due_at) == (ids[0], 2, later)
    for id in ids[1:]:
        await store.write(lambda unit, id=id: unit.effect_done(id))  # type: ignore[misc]
    await store.write(lambda unit: unit.effect_done(ids[1]))  # twice: no error
    await store.write(lambda unit: unit.effect_failed(ids[1], due_at=later))
    assert [p.id for p in await due(store)] == ids[:1]
    assert await store.read(lambda view: view.next_effect_at(later)) is None


@check
async def the_first_answer_is_kept(store: Store) -> None:
    first = Answer("uid:1", "r1", "digest", 201, b"\x00\xff{}", 100.0)
    await store.write(lambda unit: unit.keep_answer(first))
    await store.write(lambda unit: unit.keep_answer(replace(first, principal="uid:2", at=200.0)))
    await raises(Conflict, store.write(lambda unit: unit.keep_answer(replace(first, status=500))))
    assert await store.read(lambda view: view.answer("uid:1", "r1")) == first
    assert await store.read(lambda view: view.answer("uid:1", "r2")) is None
    assert await store.write(lambda unit: unit.drop_answers_before(200.0)) == 1
    assert await store.read(lambda view: view.answer("uid:1", "r1")) is None
    assert await store.read(lambda view: view.answer("uid:2", "r1")) is not None


@check_handles
async def a_request_that_comes_many_times_is_done_once(open_store: OpenStore) -> None:
    async with opened(open_store) as store, opened(open_store) as other:

        def verb(unit: Unit) -> bytes:
            known = unit.answer("me", "r")
            if known is not None:
                return known.body
            session = new_session()
            put(unit, session)
            unit.keep_answer(Answer("me", "r", "d", 201, session.id.encode(), 1.0))
            return session.id.encode()

        answers = await asyncio.gather(*((store if n % 2 else other).write(verb) for n in range(MOVERS)))
        assert len(set(answers)) == 1
        assert len(await store.read(lambda view: view.sessions())) == 1


@check
async def orders_are_private_and_can_be_dropped(store: Store) -> None:
    session = new_session("train")
    job = new_job(session)
    order = new_order()
    await create(store, session, job)
    await store.write(lambda unit: unit.keep_order(job.id, order))
    assert await store.read(lambda view: view.order(job.id)) == order
    changed = replace(order, umask=0o77, encoding="base64")
    await store.write(lambda unit: unit.keep_order(job.id, changed))
    assert await store.read(lambda view: view.order(job.id)) == changed
    assert await store.read(lambda view: view.last_seq(session.id)) == 2
    await store.write(lambda unit: unit.drop_order(job.id))
    await store.write(lambda unit: unit.drop_order(job.id))
    await raises(NotFound, store.read(lambda view: view.order(job.id)))


@check
async def only_an_ended_session_can_be_removed_and_nothing_of_it_stays(store: Store) -> None:
    session, other = new_session("train"), new_session("other")
    job, bystander = new_job(session), new_job(other)
    attachment = new_attachment(job)
    await create(store, session, other, job, bystander, attachment)
    await store.write(lambda unit: unit.keep_order(job.id, new_order()))
    await store.write(lambda unit: unit.keep_order(bystander.id, new_order()))
    await raises(IllegalMove, store.write(lambda unit: unit.remove_session(session.id)))
    over = replace(ended(session), ended_at=50.0)
    await store.write(
        lambda unit: unit.change(session, over, kind="session.ended", by="x", effects=(RemoveHistory(session.id),))
    )
    assert await store.read(lambda view: view.session_ids_ended_before(50.5, 10)) == [session.id]
    assert await store.read(lambda view: view.session_ids_ended_before(50.0, 10)) == []
    await store.write(lambda unit: unit.remove_session(session.id))
    for query in (
        lambda view: view.session(session.id),
        lambda view: view.job(job.id),
        lambda view: view.attachment(attachment.id),
        lambda view: view.order(job.id),
        lambda view: view.last_seq(session.id),
        lambda view: view.session_named("p", "train"),
    ):
        await raises(NotFound, store.read(query))
    assert await store.read(lambda view: (view.events(session.id), view.jobs(session.id))) == ([], [])
    assert [p.effect for p in await due(store)] == [RemoveHistory(session.id)], "an effect outlives its session"
    assert await store.read(lambda view: view.order(bystander.id)) == new_order()
    await check_replay(store)


@check
async def a_long_history_can_be_removed(store: Store) -> None:
    session = new_session("train")
    many = [replace(new_job(session), name=f"n{number}") for number in range(700)]
    await create(store, session, *many)
    await store.write(lambda unit: unit.change(session, ended(session), kind="session.ended", by="x"))
    await store.write(lambda unit: unit.remove_session(session.id))
    assert await store.read(lambda view: (view.sessions(), view.living_jobs())) == ([], [])

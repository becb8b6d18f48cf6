"""Rows, events, versions and names."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hawse.domain import attachment as attachments
from hawse.domain import job as jobs
from hawse.domain.attachment import Mode, Reason
from hawse.domain.effect import StopJob
from hawse.domain.errors import (
    Clash,
    Conflict,
    InternalError,
    Invalid,
    NotFound,
)
from hawse.domain.job import LogState, Outcome, OutcomeKind
from hawse.ports.store import Row, Store, Unit, View
from hawse.testing.rows import fields_of
from hawse.testing.store_checks.kit import (
    check,
    check_replay,
    create,
    due,
    ended,
    new_attachment,
    new_job,
    new_order,
    new_session,
    put,
    raises,
    touch,
)


@check
async def what_is_written_is_read(store: Store) -> None:
    """Every field of every kind of object comes back as it was."""
    session = new_session(
        "train", description="läuft\n\"'\\ \U0001f6a2", labels={"a.b": "", "c": "é"}, policies={"idle": {"s": 1.5}}
    )
    job = new_job(session)
    attachment = new_attachment(job, Mode.WATCH)
    await create(store, session, job, attachment)
    outcome = Outcome(OutcomeKind.LOST, cause="host rebooted")
    left: tuple[dict[str, Any], ...] = ({"pid": 2**31, "command": "sleep ∞"},)

    def verb(unit: Unit) -> tuple[Row, ...]:
        return (
            touch(unit, unit.session(session.id), epoch=2, end_reason="", description="x" * 1000),
            touch(
                unit, unit.job(job.id), state=jobs.S.ENDED, outcome=outcome, left_behind=left, pid=7, grace_s=0.25,
                log=LogState("blocked", "full", 1.5, 2**40), log_end=2**50, started_at=0.1, ended_at=1e9 / 3,
            ),
            touch(
                unit, unit.attachment(attachment.id), state=attachments.S.DETACHED, reason=Reason.SLOW, detached_at=5.5,
                cursor=2**60,
            ),
        )  # fmt: skip

    kept = await store.write(verb)
    found = await store.read(lambda view: (view.session(session.id), view.job(job.id), view.attachment(attachment.id)))
    assert kept == found
    assert [row.version for row in found] == [2, 2, 2]
    assert found[1].outcome == outcome
    assert found[1].left_behind == left
    assert found[1].log.bytes_dropped == 2**40
    assert type(found[1].state) is jobs.S
    assert type(found[1].tty) is bool
    await check_replay(store)


@check
async def events_are_numbered_and_tell_the_difference(store: Store) -> None:
    session = new_session("train")
    before = time.time()
    await create(store, session)
    await store.write(lambda unit: touch(unit, unit.session(session.id), description="now"))
    first, second = await store.read(lambda view: view.events(session.id))
    assert (first.seq, second.seq) == (1, 2)
    assert (first.kind, first.noun, first.object, first.by) == ("thing.created", "session", session.id, "uid:1000")
    assert first.before == {}
    assert first.after == fields_of(session)
    assert second.before == {"description": ""}
    assert second.after == {"description": "now"}
    assert first.time <= second.time, "a later event has an earlier time"
    assert isinstance(first.time, float)
    assert before == before  # the store's clock may be a simulated one: its distance to ours says nothing
    assert await store.read(lambda view: view.last_seq(session.id)) == 2
    assert "version" not in first.after


@check
async def an_unchanged_object_writes_nothing(store: Store) -> None:
    session = new_session("train")
    await create(store, session)
    kept = await store.write(lambda unit: unit.change(session, replace(session), kind="thing.changed", by="x"))
    assert kept == session
    assert await store.read(lambda view: (view.last_seq(session.id), view.session(session.id))) == (1, session)


@check
async def an_unchanged_object_with_effects_is_an_event(store: Store) -> None:
    session = new_session("train")
    job = new_job(session)
    await create(store, session, job)
    stop = StopJob(job.id, 1, 0.5)
    await store.write(lambda unit: unit.change(job, job, kind="job.stop_again", by="x", effects=(stop,), request="r"))
    event = (await store.read(lambda view: view.events(session.id, after=2)))[0]
    assert (event.before, event.after, event.request) == ({}, {}, "r")
    assert [p.effect for p in await due(store)] == [stop]


@check
async def an_old_version_is_a_conflict(store: Store) -> None:
    session = new_session("train")
    job = new_job(session)
    attachment = new_attachment(job)
    await create(store, session, job, attachment)
    news: list[tuple[Row, dict[str, Any]]] = [(session, {"epoch": 5}), (job, {"pid": 5}), (attachment, {"cursor": 5})]
    for row, fields in news:
        await store.write(lambda unit, row=row, fields=fields: touch(unit, row, **fields))  # type: ignore[misc]
        again = {name: value + 1 for name, value in fields.items()}
        await raises(Conflict, store.write(lambda unit, row=row, again=again: touch(unit, row, **again)))  # type: ignore[misc]
    assert await store.read(lambda view: view.last_seq(session.id)) == 6
    await check_replay(store)


@check
async def what_is_not_there_is_not_found(store: Store) -> None:
    session = new_session("train")
    job = new_job(session)
    attachment = new_attachment(job)
    order = new_order()
    queries: list[Callable[[View], object]] = [
        lambda view: view.session(session.id),
        lambda view: view.session_named("p", "train"),
        lambda view: view.job(job.id),
        lambda view: view.job_named(session.id, "main"),
        lambda view: view.order(job.id),
        lambda view: view.attachment(attachment.id),
        lambda view: view.last_seq(session.id),
    ]
    for query in queries:
        await raises(NotFound, store.read(query))
    verbs: list[Callable[[Unit], object]] = [
        lambda unit: put(unit, job),
        lambda unit: touch(unit, session, epoch=2),
        lambda unit: touch(unit, job, pid=2),
        lambda unit: unit.change(attachment, None, kind="thing.removed", by="x"),
        lambda unit: unit.keep_order(job.id, order),
        lambda unit: unit.remove_session(session.id),
    ]
    for verb in verbs:
        await raises(NotFound, store.write(verb))
    await create(store, session)
    await raises(NotFound, store.write(lambda unit: put(unit, attachment)))
    assert await store.read(lambda view: view.jobs_of([session.id, "no"])) == {session.id: [], "no": []}
    assert await store.read(lambda view: view.events("no")) == []
    await check_replay(store)


@check
async def removal_of_an_object_is_an_event(store: Store) -> None:
    session = new_session("train")
    job = new_job(session)
    attachment = new_attachment(job)
    await create(store, session, job, attachment)
    assert await store.write(lambda unit: unit.change(attachment, None, kind="attachment.removed", by="x")) is None
    event = (await store.read(lambda view: view.events(session.id, after=3)))[0]
    assert event.before == fields_of(attachment)
    assert event.after == {}
    await raises(NotFound, store.read(lambda view: view.attachment(attachment.id)))
    await check_replay(store)


@check
async def a_change_keeps_what_must_stay(store: Store) -> None:
    session = new_session("train")
    await create(store, session)
    await raises(InternalError, store.write(lambda unit: unit.change(session, None, kind="x", by="x")))
    await raises(InternalError, store.write(lambda unit: unit.change(None, None, kind="x", by="x")))
    job = new_job(session)
    await create(store, job)
    await raises(InternalError, store.write(lambda unit: touch(unit, job, name="other")))
    await raises(InternalError, store.write(lambda unit: unit.change(session, new_session(), kind="x", by="x")))
    await check_replay(store)


@check
async def an_alias_names_one_living_session_of_a_project(store: Store) -> None:
    first, second, elsewhere = new_session("train"), new_session("train"), new_session("train", project="q")
    nameless, other = [new_session(), new_session()], new_session("other")
    await create(store, first, elsewhere, *nameless, other)
    await raises(Clash, create(store, second))
    await raises(Clash, store.write(lambda unit: touch(unit, other, alias="train")))
    await store.write(lambda unit: unit.change(first, ended(first), kind="session.ended", by="x"))
    await create(store, second)
    assert (await store.read(lambda view: view.session_named("p", "train"))).id == second.id
    assert (await store.read(lambda view: view.session_named("q", "train"))).id == elsewhere.id
    now = await store.read(lambda view: view.session(second.id))
    await store.write(lambda unit: unit.change(now, ended(now), kind="session.ended", by="x"))
    assert (await store.read(lambda view: view.session_named("p", "train"))).id == second.id, "it ended last"
    await store.write(lambda unit: touch(unit, other, alias="train"))
    assert (await store.read(lambda view: view.session_named("p", "train"))).id == other.id
    await check_replay(store)


@check
async def a_job_name_is_unique_in_its_session(store: Store) -> None:
    one, two = new_session("one"), new_session("two")
    first, same, elsewhere = new_job(one), new_job(one), new_job(two)
    await create(store, one, two, first, elsewhere)
    await raises(Clash, create(store, same))
    assert (await store.read(lambda view: view.job_named(two.id, "main"))).id == elsewhere.id
    await check_replay(store)


@check
async def an_id_is_there_once(store: Store) -> None:
    session = new_session("train")
    job = new_job(session)
    await create(store, session, job)
    await raises(Clash, create(store, replace(session, alias="other")))
    await raises(Clash, create(store, replace(job, name="other")))
    await check_replay(store)


@check
async def a_caught_clash_leaves_the_unit_usable(store: Store) -> None:
    """A service may try another name; nothing half-written stays of the first try."""
    session, taken, free = new_session("train"), new_session("train"), new_session("train-2")
    await create(store, session)

    def verb(unit: Unit) -> str:
        try:
            put(unit, taken)
        except Clash:
            put(unit, free)
        try:
            touch(unit, replace(session, version=9), epoch=3)
        except Conflict:
            touch(unit, session, epoch=2)
        return unit.session(free.id).id

    assert await store.write(verb) == free.id
    await raises(NotFound, store.read(lambda view: view.session(taken.id)))
    await check_replay(store)


@check
async def text_that_no_store_can_keep_is_refused(store: Store) -> None:
    session = new_session("train")
    await create(store, session)
    for text in ("nul \0", "half a pair \ud800"):
        await raises(Invalid, store.write(lambda unit, text=text: touch(unit, session, description=text)))  # type: ignore[misc]
    assert await store.read(lambda view: view.last_seq(session.id)) == 1


@check
async def nobody_has_a_name_that_no_store_can_keep(store: Store) -> None:
    """Whoever asks for one gets a clear answer, not a breakdown."""
    for text in ("nul \0", "half a pair \ud800", "x" * 100_000, "'; DROP TABLE jobs; --", "%s :id $1 ?1"):
        queries: list[Callable[[View], object]] = [
            lambda view, text=text: view.session(text),  # type: ignore[misc]
            lambda view, text=text: view.session_named(text, text),  # type: ignore[misc]
            lambda view, text=text: view.job_named(text, text),  # type: ignore[misc]
            lambda view, text=text: view.attachment(text),  # type: ignore[misc]
        ]
        for query in queries:
            try:
                await store.read(query)
            except (NotFound, Invalid):
                continue
            raise AssertionError(f"{text[:40]!r} was found")
    await create(store, new_session("train", description="'; DROP TABLE jobs; -- %s :id $1 ?1"))
    await check_replay(store)

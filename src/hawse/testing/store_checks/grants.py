"""Grants and their secrets, control of a job, events without a change, effects for later."""

from __future__ import annotations

from dataclasses import replace

from hawse.domain import grant as grants
from hawse.domain.effect import CheckClock, Later, SetControl
from hawse.domain.errors import Conflict, NotFound, Problem
from hawse.domain.ids import AttachmentId
from hawse.ports.store import Store, Unit
from hawse.testing.store_checks.kit import (
    check,
    check_replay,
    create,
    due,
    ended,
    new_attachment,
    new_grant,
    new_job,
    new_session,
    raises,
    touch,
)


@check
async def a_grant_is_an_object_like_others(store: Store) -> None:
    session = new_session("train")
    grant, link = new_grant(session, can=("job:watch@main",)), new_grant(session, None, uses_max=2)
    await create(store, session, grant, link)
    assert await store.read(lambda view: view.grants(session.id)) == [grant, link]
    assert await store.read(lambda view: view.grant(link.id)) == link
    await store.write(lambda unit: touch(unit, grant, state=grants.revoked(grant).state))
    assert [one.id for one in await store.read(lambda view: view.grants(session.id))] == [link.id]
    assert len(await store.read(lambda view: view.grants(session.id, live=False))) == 2
    await raises(Conflict, store.write(lambda unit: touch(unit, grant, uses=1)))
    await raises(NotFound, store.read(lambda view: view.grant("nobody")))
    await check_replay(store)


@check
async def one_live_grant_for_a_principal_and_one_holder_of_control(store: Store) -> None:
    """Constraints: a mistake in Python cannot make it true."""
    session = new_session("train")
    job = new_job(session)
    first, second = (replace(new_attachment(job), holds=True, fence=fence) for fence in (1, 2))
    await create(store, session, job, first, new_grant(session))
    await raises(Problem, create(store, second))
    await raises(Problem, create(store, new_grant(session)))
    assert await store.read(lambda view: view.last_fence(job.id)) == 1
    assert await store.read(lambda view: view.attachments_of_job(job.id)) == [first]

    def taken(unit: Unit) -> None:
        touch(unit, first, holds=False)
        unit.change(None, second, kind="attachment.created", by="x", effects=(SetControl(job.id, second.id, 2),))

    await store.write(taken)
    assert await store.read(lambda view: view.last_fence(job.id)) == 2
    assert [p.effect for p in await due(store)] == [SetControl(job.id, AttachmentId(second.id), 2)]
    assert await store.read(lambda view: view.last_fence("nobody")) == 0
    await check_replay(store)


@check
async def secrets_stand_apart_and_go_with_their_session(store: Store) -> None:
    session = new_session("train")
    link = new_grant(session, None)
    await create(store, session, link)
    await store.write(lambda unit: unit.keep_secret(link.id, b"\x00\xff"))
    await store.write(lambda unit: unit.keep_secret("token", b"t"))
    assert await store.read(lambda view: view.secret(link.id)) == b"\x00\xff"
    await raises(Conflict, store.write(lambda unit: unit.keep_secret(link.id, b"other")))
    await store.write(lambda unit: touch(unit, session, **_fields(ended(session))))
    await store.write(lambda unit: unit.remove_session(session.id))
    await raises(NotFound, store.read(lambda view: view.secret(link.id)))
    assert await store.read(lambda view: view.secret("token")) == b"t"
    for _ in range(2):
        await store.write(lambda unit: unit.drop_secret("token"))
    await raises(NotFound, store.read(lambda view: view.secret("token")))


def _fields(session: object) -> dict[str, object]:
    return {name: getattr(session, name) for name in ("state", "ended_at", "end_reason", "ended_by")}


@check
async def an_event_may_tell_what_changed_nothing(store: Store) -> None:
    session = new_session("train")
    await create(store, session)
    detail = {"capability": "job:control", "from": "pts/3"}

    def verb(unit: Unit) -> int:
        return unit.note(
            session.id, kind="session.refused", noun="session", object=session.id, by="user:eve", detail=detail
        )

    assert await store.write(verb) == 2
    event = (await store.read(lambda view: view.events(session.id, after=1)))[0]
    assert (event.seq, event.kind, event.by, event.detail) == (2, "session.refused", "user:eve", detail)
    assert event.before == event.after == {}
    assert (await store.read(lambda view: view.session(session.id))).version == session.version
    await raises(
        NotFound,
        store.write(lambda unit: unit.note("nobody", kind="x", noun="session", object="x", by="x", detail={})),
    )
    await check_replay(store)


@check
async def what_is_for_later_comes_when_it_is_due(store: Store) -> None:
    session = new_session("train")
    await create(store, session)
    at = session.created_at + 1000.0
    last, first = CheckClock(session.id, "lease"), CheckClock(session.id, "idle")
    await store.write(lambda unit: unit.add_effects(session.id, (Later(last, at + 1), Later(first, at))))
    assert await due(store, at - 1) == []
    assert [p.effect for p in await due(store, at)] == [first]
    assert [p.effect for p in await due(store, at + 1)] == [last, first], "in the order of ids"
    assert await store.read(lambda view: view.next_effect_at(session.created_at)) == at

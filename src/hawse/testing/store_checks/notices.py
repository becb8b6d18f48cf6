"""Channels, notices, and the effects that events leave for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from hawse.domain import channel as channels
from hawse.domain import notice as notices
from hawse.domain.channel import Channel, Means
from hawse.domain.effect import SendNotice
from hawse.domain.errors import Clash, Conflict, Invalid, NotFound
from hawse.domain.ids import ChannelId, NoticeId
from hawse.domain.notice import Kind, Notice
from hawse.ports.store import Store, Unit
from hawse.testing.store_checks.kit import (
    OpenStore,
    check,
    check_handles,
    create,
    due,
    ended,
    new_id,
    new_job,
    new_session,
    opened,
    raises,
    touch,
)

ME, OTHER = "uid:1000", "uid:1001"
URL = {"url": "https://hooks.example.org/hawse"}


def new_channel(name: str = "desk", principal: str = ME, **fields: Any) -> Channel:
    fields = {"means": Means.WEBHOOK, "settings": URL, "now": 1.5, "kinds": notices.DEFAULT, **fields}
    return channels.created(id=ChannelId(new_id()), principal=principal, name=name, **fields)


def new_notice(channel: Channel, seq: int = 1, session: str = "s", **fields: Any) -> Notice:
    made = Notice(
        id=NoticeId(new_id()), channel=channel.id, principal=channel.principal, kind=Kind.JOB_FAILED, session=session,
        seq=seq, state=notices.START, created_at=1.25, due_at=10.0, since=1.25, subject="train/main failed: ü",
        text="exit code 3", command="hawse logs train", body={"job": "main", "detail": {"code": 3, "x": None}},
    )  # fmt: skip
    return replace(made, **fields)


async def add(store: Store, *rows: Channel | Notice) -> None:
    def verb(unit: Unit) -> None:
        for row in rows:
            if isinstance(row, Channel):
                unit.add_channel(row)
            else:
                assert unit.add_notice(row)

    await store.write(verb)


@check
async def channels_come_back_as_they_went(store: Store) -> None:
    first = new_channel(sessions=("train*", "team=blue"))
    mail = new_channel(
        "mail", means=Means.MAIL, kinds=("job_failed",),
        settings={"host": "localhost", "security": "none", "recipients": ["a@example.org", "b@example.org"]},
    )  # fmt: skip
    theirs = new_channel("desk", OTHER)
    await add(store, first, mail, theirs)
    found = await store.read(lambda view: view.channels(ME))
    assert [replace(one, settings=dict(one.settings)) for one in found] == [first, mail]
    assert await store.read(lambda view: view.channel_named(OTHER, "desk")) == theirs
    await raises(NotFound, store.read(lambda view: view.channel_named(OTHER, "mail")))
    await raises(NotFound, store.read(lambda view: view.channel("nobody")))
    await raises(Clash, store.write(lambda unit: unit.add_channel(new_channel("mail"))))
    off = await store.write(lambda unit: unit.save_channel(mail, channels.turned(mail, on=False)))
    assert (off.version, off.state) == (2, "off")
    assert await store.read(lambda view: view.channel(mail.id)) == off
    assert await store.read(lambda view: view.channels_on()) == [first, theirs]
    assert await store.read(lambda view: view.channels_on({OTHER, "group:x"})) == [theirs]
    assert await store.read(lambda view: view.channels_on(set())) == []
    await raises(Conflict, store.write(lambda unit: unit.save_channel(mail, channels.turned(mail, on=True))))
    await raises(Clash, store.write(lambda unit: unit.save_channel(off, channels.changed(off, name="desk"))))


@check
async def an_event_is_told_once_over_a_channel(store: Store) -> None:
    desk, mail = new_channel(), new_channel("mail")
    await add(store, desk, mail, new_notice(desk), new_notice(mail), new_notice(desk, 2), new_notice(desk, 1, "t"))
    assert not await store.write(lambda unit: unit.add_notice(new_notice(desk)))
    tests = [new_notice(desk, 0, "", kind=Kind.TEST) for _ in range(2)]
    await add(store, *tests)
    assert (await store.read(lambda view: view.notice_counts(desk.id))) == {"waiting": 5}
    await raises(NotFound, store.write(lambda unit: unit.add_notice(new_notice(replace(desk, id=ChannelId("no"))))))
    kept = await store.read(lambda view: view.notice(tests[0].id))
    assert kept == tests[0]
    sent = await store.write(lambda unit: unit.save_notice(kept, notices.sent(notices.tried(kept, now=11.0), now=12.5)))
    assert (sent.version, sent.sent_at, sent.attempts) == (2, 12.5, 1)
    assert await store.read(lambda view: view.notice(kept.id)) == sent
    await raises(Conflict, store.write(lambda unit: unit.save_notice(kept, notices.tried(kept, now=1.0))))
    assert (await store.read(lambda view: view.notice_counts(desk.id))) == {"waiting": 4, "sent": 1}


@check_handles
async def of_many_that_tell_one_event_at_once_one_does(open_store: OpenStore) -> None:
    async with opened(open_store) as one, opened(open_store) as other:
        desk = new_channel()
        await add(one, desk)
        verbs = [lambda unit: unit.add_notice(new_notice(desk)) for _ in range(10)]
        done = await asyncio.gather(
            *(store.write(verb) for verb, store in zip(verbs, [one, other] * 5, strict=True)), return_exceptions=True
        )
        assert [answer for answer in done if answer is True] == [True], done
        assert await one.read(lambda view: view.notice_counts(desk.id)) == {"waiting": 1}


@check
async def notices_are_found_by_what_is_due_and_newest_first(store: Store) -> None:
    desk, mail, theirs = new_channel(), new_channel("mail"), new_channel("desk", OTHER)
    made = [new_notice(desk, n, due_at=100.0 - n) for n in range(1, 6)]
    others = [new_notice(mail, 1, due_at=50.0), new_notice(theirs, 1, due_at=200.0)]
    await add(store, desk, mail, theirs, *made, *others)

    async def due_ids(now: float, limit: int = 100, without: tuple[str, ...] = ()) -> list[str]:
        found = await store.read(lambda view: view.notices_due(now, limit, without=without))
        return [one.id for one in found]

    assert await due_ids(49.0) == []
    assert await due_ids(97.0) == [others[0].id, *(one.id for one in made[:1:-1])]
    assert await due_ids(300.0, 2) == [others[0].id, made[-1].id]
    assert await due_ids(300.0, without=(desk.id, mail.id)) == [others[1].id]
    assert await store.read(lambda view: view.next_notice_at(0.0)) == 50.0
    assert await store.read(lambda view: view.next_notice_at(99.0)) == 200.0
    assert await store.read(lambda view: view.next_notice_at(200.0)) is None
    mine = await store.read(lambda view: view.notices(principal=ME, limit=3))
    assert [one.id for one in mine] == [others[0].id, made[4].id, made[3].id]
    rest = await store.read(lambda view: view.notices(principal=ME, before=made[3].id))
    assert [one.id for one in rest] == [one.id for one in made[2::-1]]
    gone = await store.write(lambda unit: unit.save_notice(made[0], notices.withdrawn(made[0], cause="off")))
    assert await store.read(lambda view: view.notices(channel=desk.id, state="withdrawn")) == [gone]
    assert await store.read(lambda view: view.notices(principal=ME, state="withdrawn")) == [gone]
    assert made[0].id not in await due_ids(300.0)
    await raises(Invalid, store.read(lambda view: view.notices(principal=ME, limit=0)))


@check
async def what_is_over_is_forgotten_oldest_first_and_all_goes_with_its_channel(store: Store) -> None:
    desk, mail = new_channel(), new_channel("mail")
    made = [new_notice(desk, n) for n in range(1, 8)]
    await add(store, desk, mail, *made, new_notice(mail, 1))
    for notice in made[1:5]:
        after = notices.failed(notices.tried(notice, now=1.0), cause="ü", now=1.0, forever=True)
        await store.write(lambda unit, before=notice, after=after: unit.save_notice(before, after))  # type: ignore[misc]
    assert await store.write(lambda unit: unit.forget_notices(desk.id, keep=4)) == 2, "the waiting one stays"
    left = await store.read(lambda view: view.notices(channel=desk.id))
    assert [one.seq for one in left] == [7, 6, 5, 4, 1]
    await store.write(lambda unit: unit.replace_secret(desk.id, b"\x00\xff"))
    await store.write(lambda unit: unit.replace_secret(desk.id, b"new"))
    assert await store.read(lambda view: view.secret(desk.id)) == b"new"
    changed = await store.write(lambda unit: unit.save_channel(desk, channels.turned(desk, on=False)))
    await raises(Conflict, store.write(lambda unit: unit.remove_channel(desk)))
    await store.write(lambda unit: unit.remove_channel(changed))
    await raises(NotFound, store.read(lambda view: view.channel(desk.id)))
    await raises(NotFound, store.read(lambda view: view.secret(desk.id)))
    assert await store.read(lambda view: view.notices(principal=ME)) != []
    assert await store.read(lambda view: view.notices(channel=desk.id)) == []
    await raises(NotFound, store.write(lambda unit: unit.remove_channel(changed)))


@check
async def an_event_that_is_told_leaves_an_effect_where_anybody_listens(store: Store) -> None:
    session = new_session("train")
    job = new_job(session)
    await create(store, session, job)

    def happens(unit: Unit, kind: str) -> int:
        return unit.note(session.id, kind=kind, noun="job", object=job.id, by="x", detail={})

    await store.write(lambda unit: happens(unit, "job.waits"))
    assert await due(store) == [], "nobody listens"
    desk = new_channel()
    await add(store, desk)
    seq = await store.write(lambda unit: happens(unit, "job.waits"))
    await store.write(lambda unit: happens(unit, "job.created"))
    assert [(p.session, p.effect) for p in await due(store)] == [(session.id, SendNotice(session.id, seq))]
    off = channels.turned(desk, on=False)
    await store.write(lambda unit: unit.save_channel(desk, off))
    await store.write(lambda unit: happens(unit, "job.waits"))
    assert len(await due(store)) == 1, "nobody listens any more"


@check
async def an_effect_for_notices_wakes_who_waits_and_goes_with_its_unit(store: Store) -> None:
    session = new_session("train")
    await create(store, session)
    await add(store, new_channel())
    await store.wait_effect(timeout_s=0.0)

    def fails(unit: Unit) -> None:
        unit.note(session.id, kind="session.ended", noun="session", object=session.id, by="x", detail={})
        raise Invalid("no")

    await raises(Invalid, store.write(fails))
    assert await due(store) == []
    waiting = asyncio.ensure_future(store.wait_effect(timeout_s=60.0))
    await asyncio.sleep(0)
    await store.write(
        lambda unit: unit.note(session.id, kind="session.ended", noun="session", object=session.id, by="x", detail={})
    )
    async with asyncio.timeout(10.0):
        await waiting
    assert len(await due(store)) == 1


@check
async def notices_of_a_session_go_with_it(store: Store) -> None:
    session, other = new_session("train"), new_session("other")
    desk = new_channel()
    await create(store, session, other)
    await add(store, desk, new_notice(desk, 1, session.id), new_notice(desk, 1, other.id))
    over = ended(session)
    fields = {name: getattr(over, name) for name in ("state", "ended_at", "end_reason", "ended_by")}
    await store.write(lambda unit: touch(unit, session, **fields))
    await store.write(lambda unit: unit.remove_session(session.id))
    assert [one.session for one in await store.read(lambda view: view.notices(principal=ME))] == [other.id]

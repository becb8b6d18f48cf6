"""Pages and lists."""

from __future__ import annotations

import time
from dataclasses import replace

from hawse.domain import attachment as attachments
from hawse.domain import grant as grants
from hawse.domain import job as jobs
from hawse.domain.attachment import Reason
from hawse.domain.errors import (
    Invalid,
)
from hawse.ports.store import Store
from hawse.testing.store_checks.kit import (
    check,
    check_replay,
    create,
    ended,
    new_attachment,
    new_grant,
    new_job,
    new_session,
    raises,
    touch,
)


@check
async def sessions_come_in_pages(store: Store) -> None:
    mine = [new_session(f"s{number:02d}", project="p" if number % 3 else "q") for number in range(30)]
    await create(store, *mine)
    for session in mine[::2]:
        await store.write(lambda unit, s=session: unit.change(s, ended(s), kind="session.ended", by="x"))  # type: ignore[misc]
    for project in (None, "p", "q", "none"):
        for living in (None, True, False):
            wanted = [
                session.id
                for number, session in enumerate(mine)
                if project in (None, session.project) and living in (None, bool(number % 2))
            ]
            found: list[str] = []
            while page := await store.read(
                lambda view: view.sessions(
                    project=project,  # noqa: B023
                    living=living,  # noqa: B023
                    after=found[-1] if found else "",  # noqa: B023
                    limit=4,
                )
            ):
                assert len(page) <= 4
                found += [session.id for session in page]
            assert found == sorted(wanted), f"project {project}, living {living}"
    for limit in (0, -1, 1001):
        await raises(Invalid, store.read(lambda view, limit=limit: view.sessions(limit=limit)))  # type: ignore[misc]
        await raises(Invalid, store.read(lambda view, limit=limit: view.events(mine[0].id, limit=limit)))  # type: ignore[misc]


@check
async def what_one_has_and_what_is_shared_comes_in_pages(store: Store) -> None:
    mine = [new_session(f"m{number}") for number in range(6)]
    theirs = [new_session(f"t{number}", owner="user:bob") for number in range(6)]
    elsewhere = new_session("e", project="q")
    await create(store, *mine, *theirs, elsewhere)
    now = time.time()
    over = replace(new_grant(theirs[4], "uid:1000"), state=grants.S.REVOKED)
    await create(
        store, new_grant(theirs[0], "uid:1000"), new_grant(theirs[1], "group:g"), new_grant(theirs[1], "uid:1000"),
        new_grant(theirs[2], "uid:1000", expires_at=now + 1000), new_grant(theirs[3], "group:other"), over,
        new_grant(theirs[5], None), new_grant(mine[0], "uid:1000"),
    )  # fmt: skip
    await store.write(lambda unit: unit.change(mine[0], ended(mine[0]), kind="session.ended", by="x"))
    own = [one.id for one in mine]
    for at, shared in ((now, [one.id for one in theirs[:3]]), (now + 1000, [one.id for one in theirs[:2]])):
        for names, living in ((("mine",), None), (("shared",), None), (("mine", "shared"), None), (("mine",), True)):
            wanted = sorted([*(own if "mine" in names else ()), *(shared if "shared" in names else ())])
            wanted = [id for id in wanted if living is None or id != mine[0].id]
            found: list[str] = []
            while page := await store.read(
                lambda view: view.sessions_of(
                    "uid:1000",
                    ("uid:1000", "group:g", 'group:it\'s "quoted"'),
                    project="p",
                    now=at,  # noqa: B023
                    own="mine" in names,  # noqa: B023
                    shared="shared" in names,  # noqa: B023
                    living=living,  # noqa: B023
                    after=found[-1] if found else "",  # noqa: B023
                    limit=2,
                )
            ):
                found += [session.id for session in page]
            assert found == wanted, f"{names}, living {living}, at {at - now:g}"
    await raises(Invalid, store.read(lambda view: view.sessions_of("uid:1000", (), project="p", now=now, limit=0)))


@check
async def events_come_in_pages(store: Store) -> None:
    session = new_session("train")
    await create(store, session)
    for number in range(11):
        await store.write(lambda unit, n=number: touch(unit, unit.session(session.id), description=str(n)))  # type: ignore[misc]
    for after in (0, 1, 5, 11, 12, 99):
        for limit in (1, 3, 1000):
            page = await store.read(lambda view, a=after, n=limit: view.events(session.id, after=a, limit=n))  # type: ignore[misc]
            assert [event.seq for event in page] == list(range(after + 1, 13))[:limit]


@check
async def long_lists_are_whole(store: Store) -> None:
    """More rows than a store may want to read at once."""
    session = new_session("train")
    many = [replace(new_job(session), name=f"n{number}") for number in range(700)]
    await create(store, session, *many)
    found, of, last = await store.read(
        lambda view: (view.jobs(session.id), view.jobs_of([session.id]), view.last_seq(session.id))
    )
    assert found == many
    assert of == {session.id: many}
    assert last == 701
    moved = await store.write(lambda unit: [touch(unit, job, pid=1) for job in unit.jobs(session.id)])
    assert len(moved) == 700
    assert len(await store.read(lambda view: view.living_jobs())) == 700
    await check_replay(store)


@check
async def what_lives_is_found(store: Store) -> None:
    one, two = new_session("one"), new_session("two")
    first, second, over = new_job(one), new_job(two), replace(new_job(one, "over"), state=jobs.S.ENDED)
    a, b, gone = new_attachment(first), new_attachment(second), new_attachment(first)
    gone = replace(gone, state=attachments.S.DETACHED, detached_at=1.0, reason=Reason.ASKED)
    a = replace(a, link_at=20.0)
    b = replace(b, link_at=10.0)
    await create(store, one, two, first, second, over, a, b, gone)
    assert await store.read(lambda view: view.living_jobs()) == [first, second]
    assert await store.read(lambda view: view.jobs(one.id)) == [first, over]
    assert await store.read(lambda view: view.jobs_of([two.id, one.id])) == {one.id: [first, over], two.id: [second]}
    assert await store.read(lambda view: view.attachments(one.id)) == [a]
    assert await store.read(lambda view: view.attachments(one.id, living=False)) == [a, gone]
    assert await store.read(lambda view: view.attachments_of([one.id, two.id])) == {one.id: [a], two.id: [b]}
    assert await store.read(lambda view: view.attachments_of([])) == {}
    assert await store.read(lambda view: view.jobs_of([])) == {}
    assert await store.read(lambda view: view.stale_attachments(10)) == [b, a], "the longest first"
    assert await store.read(lambda view: view.stale_attachments(1)) == [b]

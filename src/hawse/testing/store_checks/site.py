"""What a site has of its own: users, tokens, projects, the audit log; and who leads."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from hawse.domain import attachment as attachments
from hawse.domain import project as projects
from hawse.domain import token as tokens
from hawse.domain import user as users
from hawse.domain.attachment import Reason
from hawse.domain.errors import Clash, Conflict, Fenced, Invalid, LimitReached, NotFound
from hawse.domain.ids import TokenId
from hawse.domain.job import S as JobState
from hawse.domain.project import Project, Use
from hawse.domain.token import Token
from hawse.domain.user import User
from hawse.ports.store import SiteRow, Store, Unit
from hawse.testing.store_checks.kit import (
    MOVERS,
    SOON_S,
    OpenStore,
    check,
    check_handles,
    create,
    ended,
    new_attachment,
    new_id,
    new_job,
    new_session,
    opened,
    put,
    raises,
    touch,
)

NOW = 1_700_000_000.0


def new_user(name: str, **facts: object) -> User:
    return users.created(name=name, by="uid:0", now=NOW, **facts)  # type: ignore[arg-type]


def new_token(user: str, name: str = "laptop") -> Token:
    return tokens.created(id=TokenId(new_id()), user=user, name=name, by=f"user:{user}", now=NOW)


def new_project(name: str, **facts: object) -> Project:
    return projects.created(name=name, by="uid:0", now=NOW, **facts)


async def keep(store: Store, *rows: SiteRow) -> None:
    await store.write(lambda unit: [unit.put(None, row) for row in rows])


@check
async def site_rows_are_kept_as_they_are(store: Store) -> None:
    ada = new_user("ada", uids=(1001, 1002), groups=("group:staff",), is_admin=True, about="Ada, ü")
    facts = {"sessions_max": 0, "jobs_max": 3, "lease_s": 1.5, "lease_s_max": 2.5}
    ci = new_project("ci", policies={"on_error": "end"}, members=("user:ada", "everyone"), about="x", **facts)
    token = replace(new_token("ada"), expires_at=NOW + 1, project="ci", read_only=True)
    await keep(store, ada, ci, new_project("bare"), token)
    kept = await store.read(lambda view: (view.user("ada"), view.project("ci"), view.token(token.id)))
    assert kept == (ada, ci, token)
    assert await store.read(lambda view: view.user_of_uid(1002)) == ada
    assert await store.read(lambda view: view.user_of_uid(0)) is None
    assert await store.read(lambda view: [one.name for one in view.projects()]) == ["bare", "ci"]
    assert await store.read(lambda view: [one.name for one in view.projects(after="bare", limit=1)]) == ["ci"]
    assert await store.read(lambda view: view.tokens("ada")) == [token]
    for missing in (lambda v: v.user("eve"), lambda v: v.project("x"), lambda v: v.token("x")):
        await raises(NotFound, store.read(missing))
    await raises(Invalid, store.read(lambda view: view.users(limit=0)))


@check
async def a_site_row_moves_once_a_version(store: Store) -> None:
    ada = new_user("ada")
    await keep(store, ada)
    moved = await store.write(lambda unit: unit.put(ada, replace(ada, about="x")))
    assert isinstance(moved, User)
    assert moved.version == 2
    assert await store.read(lambda view: view.user("ada")) == moved
    await raises(Conflict, store.write(lambda unit: unit.put(ada, replace(ada, about="y"))))
    await raises(NotFound, store.write(lambda unit: unit.put(new_user("bob"), replace(new_user("bob"), about="y"))))
    await raises(Clash, keep(store, new_user("ada")))
    await raises(Invalid, keep(store, replace(new_user("nul"), about="\0")))


@check
async def a_uid_is_one_users_and_a_tokens_name_one_tokens(store: Store) -> None:
    ada, bob, token = new_user("ada", uids=(7,)), new_user("bob"), new_token("ada")
    await keep(store, ada, bob, token)
    await raises(Clash, store.write(lambda unit: unit.put(bob, replace(bob, uids=(7,)))))
    await raises(Clash, keep(store, new_token("ada")))
    await raises(NotFound, keep(store, new_token("nobody")))
    await keep(store, new_token("bob"), new_token("ada", "other"))
    await store.write(lambda unit: unit.put(ada, replace(ada, uids=())))
    await store.write(lambda unit: unit.put(bob, replace(bob, uids=(7, 8))))
    found = await store.read(lambda view: (view.user_of_uid(7), view.user_of_uid(8)))
    assert [one and one.name for one in found] == ["bob", "bob"]
    await store.write(lambda unit: unit.put(token, tokens.revoked(token)))
    await keep(store, new_token("ada"))


@check
async def a_use_is_noted_without_a_version(store: Store) -> None:
    token = new_token("ada")
    await keep(store, new_user("ada"), token)
    await store.write(lambda unit: unit.mark_used(token.id, at=NOW + 5))
    await store.write(lambda unit: unit.mark_used("nobody", at=NOW + 5))
    kept = await store.read(lambda view: view.token(token.id))
    assert kept == replace(token, used_at=NOW + 5)
    await store.write(lambda unit: unit.put(token, tokens.revoked(token)))
    assert (await store.read(lambda view: view.token(token.id))).used_at == NOW + 5


@check
async def site_rows_of_a_unit_that_fails_are_gone(store: Store) -> None:
    def verb(unit: Unit) -> None:
        unit.put(None, new_user("ada", uids=(7,)))
        unit.put(None, new_project("ci"))
        unit.write_audit(kind="x", noun="user", object="ada", by="y")
        assert unit.user_of_uid(7) is not None
        raise KeyError

    await raises(KeyError, store.write(verb))
    assert await store.read(lambda view: (view.users(), view.projects(), view.audit(), view.user_of_uid(7))) == (
        [], [], [], None,
    )  # fmt: skip


@check
async def a_projects_use_counts_what_lives(store: Store) -> None:
    one, two, other = new_session("a", "ci"), new_session("b", "ci"), new_session("c", "lab")
    jobs = [new_job(one), new_job(one, "more"), new_job(two), new_job(other)]
    await create(store, one, two, other, *jobs)
    assert await store.read(lambda view: view.use_of("ci")) == Use(2, 3)
    await store.write(lambda unit: touch(unit, jobs[0], state=JobState.ENDED, ended_at=NOW))
    gone = ended(two)
    fields = {name: getattr(gone, name) for name in ("state", "ended_at", "end_reason", "ended_by")}
    await store.write(lambda unit: touch(unit, two, **fields))
    assert await store.read(lambda view: view.use_of("ci")) == Use(1, 1)
    assert await store.read(lambda view: view.use_of("none")) == Use(0, 0)


@check_handles
async def nobody_is_over_a_quota_by_a_race(open_store: OpenStore) -> None:
    """Many create at once through two handles; each looks at the quota in its own unit."""
    async with opened(open_store) as store, opened(open_store) as other:
        ci = new_project("ci", sessions_max=5)
        await keep(store, ci)

        async def begin(number: int) -> None:
            session = new_session(project="ci")

            def verb(unit: Unit) -> None:
                unit.claim_project("ci")
                projects.check_room(unit.project("ci"), unit.use_of("ci"), sessions=1)
                put(unit, session)

            await (store if number % 2 else other).write(verb)

        results = await asyncio.gather(*map(begin, range(MOVERS)), return_exceptions=True)
        assert results.count(None) == 5, results
        assert sum(isinstance(result, LimitReached) for result in results) == MOVERS - 5, results
        assert await other.read(lambda view: view.use_of("ci")) == Use(5, 0)
        assert (await store.read(lambda view: view.project("ci"))).version == ci.version, "claiming is no change"


@check
async def the_audit_log_is_numbered_and_kept_for_a_time(store: Store) -> None:
    assert await store.read(lambda view: (view.audit(), view.last_audit())) == ([], 0)
    began = time.time()

    def verb(unit: Unit) -> list[int]:
        return [
            unit.write_audit(kind="user.created", noun="user", object="ada", by="uid:0", where="pid 1", request="r",
                             detail={"uids": [1], "ü": None}),
            unit.write_audit(kind="b", noun="token", object="t", by=""),
        ]  # fmt: skip

    first, second = await store.write(verb)
    assert 0 < first < second
    found = await store.read(lambda view: view.audit())
    assert [one.seq for one in found] == [first, second]
    assert (found[0].kind, found[0].object, found[0].by, found[0].where, found[0].request, found[0].detail) == (
        "user.created", "ada", "uid:0", "pid 1", "r", {"uids": [1], "ü": None},
    )  # fmt: skip
    assert began - 1 <= found[0].time <= time.time() + 1
    assert await store.read(lambda view: view.audit(after=first)) == found[1:]
    assert await store.read(lambda view: view.last_audit()) == second
    await raises(Invalid, store.read(lambda view: view.audit(limit=0)))
    await raises(Invalid, store.write(lambda unit: unit.write_audit(kind="\0", noun="x", object="x", by="x")))
    assert await store.write(lambda unit: unit.drop_audit_before(began - 10)) == 0
    assert await store.write(lambda unit: unit.drop_audit_before(time.time() + 10)) == 2
    third = await store.write(lambda unit: unit.write_audit(kind="c", noun="x", object="x", by=""))
    assert third > second, "a number is never given twice"


@check_handles
async def who_reads_the_audit_log_from_a_cursor_misses_nothing(open_store: OpenStore) -> None:
    """Entries of many units at once become visible in the order of their numbers."""
    async with opened(open_store) as store, opened(open_store) as other:
        done = False

        async def write(handle: Store, number: int) -> None:
            for turn in range(12):
                await handle.write(
                    lambda unit: unit.write_audit(kind="k", noun="x", object=f"{number} {turn}", by="")  # noqa: B023
                )

        async def read(handle: Store) -> list[str]:
            cursor, seen = 0, list[str]()
            while True:
                last = done
                found = await handle.read(lambda view: view.audit(after=cursor, limit=50))  # noqa: B023
                seen += [entry.object for entry in found]
                cursor = found[-1].seq if found else cursor
                if last and not found:
                    return seen
                await asyncio.sleep(0.001)

        readers = [asyncio.ensure_future(read(handle)) for handle in (store, other)]
        await asyncio.gather(*(write(store if n % 2 else other, n) for n in range(8)))
        done = True
        wanted = sorted(f"{number} {turn}" for number in range(8) for turn in range(12))
        for seen in await asyncio.gather(*readers):
            assert sorted(seen) == wanted, f"{len(seen)} of {len(wanted)} were seen"


@check
async def attachments_of_one_are_found_in_all_sessions(store: Store) -> None:
    one, two = new_session("a"), new_session("b")
    jobs = [new_job(one), new_job(two)]
    mine = [replace(new_attachment(job), who="user:ada") for job in jobs]
    gone = replace(new_attachment(jobs[0]), who="user:ada")
    gone, _ = attachments.detached(gone, reason=Reason.ASKED, now=NOW)
    await create(store, one, two, *jobs, *mine, new_attachment(jobs[0]), gone)
    assert await store.read(lambda view: view.attachments_of_principal("user:ada")) == mine
    assert await store.read(lambda view: view.attachments_of_principal("user:eve")) == []


@check
async def sessions_are_listed_by_project_or_from_all(store: Store) -> None:
    mine = [new_session("a", "ci", owner="user:ada"), new_session("b", "lab", owner="user:ada")]
    await create(store, *mine, new_session("c", "ci"))

    async def listed(project: str) -> list[str | None]:
        found = await store.read(
            lambda view: view.sessions_of("user:ada", ["user:ada"], project=project, now=NOW, living=True)
        )
        return [session.alias for session in found]

    assert await listed("") == ["a", "b"]
    assert await listed("ci") == ["a"]
    assert await listed("none") == []


@check_handles
async def at_most_one_handle_leads(open_store: OpenStore) -> None:
    """A store that only one coordinator can use leads always; of others the second waits, then fences the first off."""
    async with opened(open_store) as store, opened(open_store) as other:
        term = await asyncio.wait_for(store.lead(), SOON_S)
        assert await store.read(lambda view: view.fence()) == term.fence
        await store.write(lambda unit: unit.check_fence(term.fence))
        if term.fence == 0:
            return
        waiting = asyncio.ensure_future(other.lead())
        over = asyncio.ensure_future(term.wait_over())
        await asyncio.wait({waiting, over}, timeout=0.3)
        assert not waiting.done(), "two lead"
        assert not over.done(), "a term ended by itself"
        await term.aclose()
        await asyncio.wait_for(over, SOON_S)
        next_term = await asyncio.wait_for(waiting, SOON_S)
        assert next_term.fence > term.fence
        await raises(Fenced, store.write(lambda unit: unit.check_fence(term.fence)))
        await other.write(lambda unit: unit.check_fence(next_term.fence))
        await next_term.aclose()
        await next_term.aclose()


@check_handles
async def a_handle_that_is_closed_gives_up_the_lead(open_store: OpenStore) -> None:
    async with opened(open_store) as other:
        async with opened(open_store) as store:
            fence = (await asyncio.wait_for(store.lead(), SOON_S)).fence
        term = await asyncio.wait_for(other.lead(), SOON_S)
        assert term.fence > fence or fence == 0
        cancelled = asyncio.ensure_future(other.lead())
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait({cancelled})

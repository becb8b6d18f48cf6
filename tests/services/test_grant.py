"""Sharing: who may what, until when; links; and that what is taken back is gone at once."""

import asyncio
from dataclasses import replace

import pytest
from tests.services.conftest import ME, Lab, spec
from tests.services.test_session import long_lived

from hawse.domain.attachment import Mode, Reason
from hawse.domain.attachment import S as AttachmentState
from hawse.domain.errors import Clash, Denied, Expired, Invalid, LimitReached, NotFound
from hawse.domain.grant import Role, S
from hawse.domain.session import Lease
from hawse.domain.session import S as SessionState
from hawse.services import attachment as attachment_verbs
from hawse.services import event as event_verbs
from hawse.services import grant as verbs
from hawse.services import job as job_verbs
from hawse.services import session as session_verbs
from hawse.services.grant import Wish
from hawse.services.session import NewSession
from hawse.services.world import Caller

ADA, EVE = "uid:1001", "uid:1002"


async def begun(lab: Lab) -> None:
    long_lived(lab)
    await session_verbs.create(lab.world, ME, NewSession(alias="a", job=spec(name="main", tty=True)))
    await asyncio.sleep(1)


def as_(lab: Lab, principal: str, *groups: str) -> Caller:
    return Caller(principal, groups=frozenset(groups), now=lab.world.clock.now())


async def attached(lab: Lab, caller: Caller, mode: str = "control", job: str | None = None):
    admission = await attachment_verbs.attach(lab.world, caller, "a", job=job, mode=mode, where="pts/9")
    assert admission.attachment is not None
    lab.host.link(admission.job.id, admission.attachment.id)
    await asyncio.sleep(1)
    return admission


async def state_of(lab: Lab, id: str):
    return await lab.world.store.read(lambda view: view.attachment(id))


async def kinds(lab: Lab) -> list[str]:
    events, _ = await event_verbs.page(lab.world, ME, "a", after=0, limit=1000)
    return [event.kind for event in events]


@pytest.mark.requirement("S6.1", "S7.1", "S8.3")
def test_an_observer_looks_and_nothing_else(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        with pytest.raises(Denied):
            await session_verbs.get(lab.world, as_(lab, ADA), "a")
        await verbs.share(lab.world, ME, "a", ADA, Wish())
        ada = as_(lab, ADA)
        assert (await session_verbs.get(lab.world, ada, "a")).jobs[0].name == "main"
        assert (await attached(lab, ada, "watch")).attachment.via
        for refused in (
            attachment_verbs.attach(lab.world, ada, "a", job=None, mode="control", where=""),
            job_verbs.run(lab.world, ada, "a", spec()),
            job_verbs.stop(lab.world, ada, "a", "main"),
            job_verbs.signal(lab.world, ada, "a", "main", "INT"),
            session_verbs.end(lab.world, ada, "a"),
            session_verbs.describe(lab.world, ada, "a", description="mine"),
            verbs.share(lab.world, ada, "a", EVE, Wish()),
            verbs.link(lab.world, ada, "a", Wish()),
        ):
            with pytest.raises(Denied):
                await refused

    in_lab(test)


@pytest.mark.requirement("S8.4")
def test_a_grant_for_one_job_shows_that_job_alone(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await job_verbs.run(lab.world, ME, "a", spec(name="other", tty=True))
        await asyncio.sleep(1)
        await attached(lab, ME, "watch", "other")
        can = ("job:control@main", "job:read@main")
        await verbs.share(lab.world, ME, "a", ADA, Wish(Role.OPERATOR, can))
        ada = as_(lab, ADA)
        seen = await session_verbs.get(lab.world, ada, "a")
        assert ([job.name for job in seen.jobs], seen.attachments) == (["main"], ())
        assert [job.name for job in await job_verbs.page(lab.world, ada, "a")] == ["main"]
        assert await attachment_verbs.page(lab.world, ada, "a") == []
        (listed,) = await session_verbs.page(lab.world, ada, living=None, after="", limit=10)
        assert [job.name for job in listed.jobs] == ["main"]
        admission = await attachment_verbs.attach(lab.world, ada, "a", job=None, mode="control", where="")
        assert admission.job.name == "main", "the newest of those that it may control"
        for refused in (
            attachment_verbs.attach(lab.world, ada, "a", job="other", mode="control", where=""),
            attachment_verbs.attach(lab.world, ada, "a", job="main", mode="watch", where=""),
            job_verbs.get(lab.world, ada, "a", "other"),
            event_verbs.page(lab.world, ada, "a", after=0, limit=1),
        ):
            with pytest.raises(Denied):
                await refused

    in_lab(test)


@pytest.mark.requirement("S7.1")
def test_a_group_is_granted_to_its_members(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await verbs.share(lab.world, ME, "a", "group:staff", Wish(Role.OPERATOR))
        member = as_(lab, ADA, "group:staff", "group:users")
        admission = await attached(lab, member)
        with pytest.raises(Denied):
            await session_verbs.get(lab.world, as_(lab, EVE, "group:users"), "a")
        await verbs.unshare(lab.world, ME, "a", "group:staff")
        await asyncio.sleep(1)
        assert (await state_of(lab, admission.attachment.id)).reason == Reason.REVOKED
        assert lab.host.living(admission.job.id).links == {}

    in_lab(test)


@pytest.mark.requirement("S7.2", "S8.3")
def test_unsharing_cuts_who_is_attached_and_his_tickets(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        mine = await attached(lab, ME)
        await verbs.share(lab.world, ME, "a", ADA, Wish(Role.OPERATOR))
        ada = as_(lab, ADA)
        there = [await attached(lab, ada, mode) for mode in ("control", "watch", "read")]
        ticket = await attachment_verbs.attach(lab.world, ada, "a", job=None, mode="control", where="")
        taken = await verbs.unshare(lab.world, ME, "a", ADA)
        assert [one.state for one in taken.grants] == [S.REVOKED]
        assert {one.id for one in taken.attachments} == {one.attachment.id for one in (*there, ticket)}
        await asyncio.sleep(2)
        assert set(lab.host.living(mine.job.id).links) == {mine.attachment.id}
        gone = await state_of(lab, ticket.attachment.id)
        assert (gone.state, gone.reason) == (AttachmentState.DETACHED, Reason.REVOKED)
        lab.host.link(ticket.job.id, ticket.attachment.id)  # a runner that has forgotten
        await asyncio.sleep(2)
        assert set(lab.host.living(mine.job.id).links) == {mine.attachment.id}, "cut again, as soon as it is told of"
        with pytest.raises(NotFound):
            await verbs.unshare(lab.world, ME, "a", ADA)

    in_lab(test)


def test_less_than_before_cuts_what_is_too_much(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await verbs.share(lab.world, ME, "a", ADA, Wish(Role.OPERATOR))
        typing, looking = [await attached(lab, as_(lab, ADA), mode) for mode in ("control", "watch")]
        grant = await verbs.share(lab.world, ME, "a", ADA, Wish(Role.OBSERVER))
        assert (await state_of(lab, typing.attachment.id)).reason == Reason.REVOKED
        assert (await state_of(lab, looking.attachment.id)).state == AttachmentState.ATTACHED
        again = await verbs.share(lab.world, ME, "a", ADA, Wish(Role.OBSERVER))
        assert again == grant, "the same again changes nothing"

    in_lab(test)


@pytest.mark.requirement("S6.2")
def test_a_grant_ends_at_its_time(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        until = lab.world.clock.now() + 100
        await verbs.share(lab.world, ME, "a", ADA, Wish(Role.OPERATOR, expires_at=until))
        there = await attached(lab, as_(lab, ADA))
        await asyncio.sleep(90)
        assert (await state_of(lab, there.attachment.id)).state == AttachmentState.ATTACHED
        await asyncio.sleep(12)
        gone = await state_of(lab, there.attachment.id)
        assert (gone.state, gone.reason) == (AttachmentState.DETACHED, Reason.REVOKED)
        assert abs(gone.detached_at - until) < 1
        assert "grant.expired" in await kinds(lab)
        assert lab.host.living(there.job.id).links == {}
        assert await verbs.page(lab.world, replace(ME, now=lab.world.clock.now()), "a") == []
        again = await verbs.share(lab.world, ME, "a", ADA, Wish())
        assert (again.role, again.state) == (Role.OBSERVER, S.LIVE)

    in_lab(test)


def test_a_clock_that_goes_back_ends_no_grant_for_ever(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        until = lab.world.clock.now() + 100
        await verbs.share(lab.world, ME, "a", ADA, Wish(expires_at=until))
        await asyncio.sleep(99)
        lab.world.clock.skew_s -= 50
        session = (await session_verbs.get(lab.world, ME, "a")).session
        await verbs.expire(lab.world, session.id)
        assert [one.state for one in await verbs.page(lab.world, as_(lab, "uid:1000"), "a")] == [S.LIVE]
        await asyncio.sleep(60)
        assert await lab.world.store.read(lambda view: view.grants(session.id)) == []

    in_lab(test)


def test_nobody_gives_more_than_he_has_and_nobody_shuts_the_owner_out(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        now = lab.world.clock.now()
        can = ("session:share", "job:watch", "job:control@main")
        await verbs.share(lab.world, ME, "a", ADA, Wish(Role.OWNER, can, now + 100))
        ada = as_(lab, ADA)
        for wish in (
            Wish(Role.OBSERVER, (), now + 50),  # with job:read, which she does not have
            Wish(Role.OBSERVER, ("job:watch",), now + 101),
            Wish(Role.OBSERVER, ("job:watch",)),
            Wish(Role.OPERATOR, ("job:control",), now + 50),
            Wish(Role.OPERATOR, ("job:control@other",), now + 50),
        ):
            with pytest.raises(Denied, match="cannot give"):
                await verbs.share(lab.world, ada, "a", EVE, wish)
            with pytest.raises(Denied, match="cannot give"):
                await verbs.link(lab.world, ada, "a", wish)
        await verbs.share(lab.world, ada, "a", EVE, Wish(Role.OPERATOR, ("job:control@main",), now + 50))
        for caller in (ME, ada):
            with pytest.raises(Invalid, match="owner"):
                await verbs.share(lab.world, caller, "a", ME.principal, Wish())
            with pytest.raises(Invalid, match="shut him out"):
                await verbs.unshare(lab.world, caller, "a", ME.principal)
        await verbs.unshare(lab.world, as_(lab, EVE), "a", EVE)  # one's own may be given back
        await verbs.share(lab.world, ME, "a", EVE, Wish())
        with pytest.raises(Denied):
            await verbs.unshare(lab.world, as_(lab, EVE), "a", ADA)
        with pytest.raises(Invalid, match="no principal"):
            await verbs.unshare(lab.world, ME, "a", "ada")
        with pytest.raises(Invalid, match="no role"):
            await verbs.share(lab.world, ME, "a", EVE, Wish("king"))

    in_lab(test)


def test_there_are_not_endlessly_many(in_lab, monkeypatch) -> None:
    monkeypatch.setattr(verbs, "GRANTS_MAX", 3)

    async def test(lab: Lab) -> None:
        await begun(lab)
        for number in range(3):
            await verbs.share(lab.world, ME, "a", f"uid:{number}", Wish())
        with pytest.raises(LimitReached):
            await verbs.link(lab.world, ME, "a", Wish())

    in_lab(test)


async def linked(lab: Lab, **wish) -> tuple[str, str]:
    made = await verbs.link(lab.world, ME, "a", Wish(**wish))
    return made.id, await verbs.new_secret(lab.world, ME, made.id)


@pytest.mark.requirement("S6.2", "S7.2")
def test_a_link_is_good_for_its_uses_and_its_secret_is_kept_nowhere(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        id, secret = await linked(lab, role=Role.OPERATOR, uses_max=1)
        assert len(secret.partition(".")[2]) * 6 >= 128
        for wrong in (secret[:-1] + ("A" if secret[-1] != "A" else "B"), f"{'0' * 8}{secret[8:]}", f"{id}."):
            with pytest.raises(Denied, match="opens nothing"):
                await verbs.redeem(lab.world, as_(lab, ADA), wrong)
        for none in ("", "x", "ü" * 50, "x" * 10_000, f"{id}.ü"):
            with pytest.raises(Invalid):
                await verbs.redeem(lab.world, as_(lab, ADA), none)
        grant = await verbs.redeem(lab.world, as_(lab, ADA), secret)
        assert (grant.principal, grant.role, grant.via) == (ADA, Role.OPERATOR, id)
        assert await verbs.redeem(lab.world, as_(lab, ADA), secret) == grant, "safe to repeat"
        with pytest.raises(Expired, match="used"):
            await verbs.redeem(lab.world, as_(lab, EVE), secret)
        with pytest.raises(Invalid, match="yours already"):
            await verbs.redeem(lab.world, ME, secret)
        disk = repr(lab.world.store.disk) + repr(lab.world)
        assert secret not in disk
        assert secret.partition(".")[2] not in disk

    in_lab(test)


@pytest.mark.requirement("S6.2")
def test_taking_a_link_back_takes_all_that_was_made_from_it(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        id, secret = await linked(lab, role=Role.OPERATOR, uses_max=2)
        there = []
        for who in (ADA, EVE):
            await verbs.redeem(lab.world, as_(lab, who), secret)
            there.append(await attached(lab, as_(lab, who)))
        taken = await verbs.unshare(lab.world, ME, "a", id)
        assert {one.principal for one in taken.grants} == {None, ADA, EVE}
        await asyncio.sleep(2)
        assert lab.host.living(there[0].job.id).links == {}
        with pytest.raises(Denied):
            await session_verbs.get(lab.world, as_(lab, EVE), "a")
        with pytest.raises(Denied, match="opens nothing"):
            await verbs.redeem(lab.world, as_(lab, ADA), secret)

    in_lab(test)


def test_what_a_link_gave_ends_with_its_time_and_a_direct_grant_outlives_it(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        _, secret = await linked(lab, expires_at=lab.world.clock.now() + 100, uses_max=None)
        for who in (ADA, EVE):
            await verbs.redeem(lab.world, as_(lab, who), secret)
        await verbs.share(lab.world, ME, "a", ADA, Wish())
        await asyncio.sleep(101)
        await session_verbs.get(lab.world, as_(lab, ADA), "a")
        with pytest.raises(Denied):
            await session_verbs.get(lab.world, as_(lab, EVE), "a")
        with pytest.raises(Expired):
            await verbs.redeem(lab.world, as_(lab, EVE), secret)

    in_lab(test)


def test_a_link_takes_nothing_away(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        have = await verbs.share(lab.world, ME, "a", ADA, Wish(Role.OPERATOR))
        _, less = await linked(lab, role=Role.OBSERVER)
        assert await verbs.redeem(lab.world, as_(lab, ADA), less) == have
        _, other = await linked(lab, role=Role.OWNER, can=("session:end",))
        with pytest.raises(Clash):
            await verbs.redeem(lab.world, as_(lab, ADA), other)
        _, more = await linked(lab, role=Role.OWNER)
        assert (await verbs.redeem(lab.world, as_(lab, ADA), more)).role == Role.OWNER
        assert len([one for one in await verbs.page(lab.world, as_(lab, ME.principal), "a") if not one.is_link]) == 1

    in_lab(test)


def test_a_new_secret_ends_the_old_one_and_is_its_makers(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        id, first = await linked(lab)
        second = await verbs.new_secret(lab.world, ME, id)
        with pytest.raises(Denied, match="opens nothing"):
            await verbs.redeem(lab.world, as_(lab, ADA), first)
        with pytest.raises(Denied):
            await verbs.new_secret(lab.world, as_(lab, EVE), id)
        await verbs.redeem(lab.world, as_(lab, ADA), second)

    in_lab(test)


@pytest.mark.requirement("S8.1")
def test_lists_show_what_is_shared_in_whole_pages(in_lab) -> None:
    async def test(lab: Lab) -> None:
        long_lived(lab)
        ada = as_(lab, ADA)
        for number in range(12):
            await session_verbs.create(lab.world, ME, NewSession(alias=f"m{number:02}"))
            await session_verbs.create(lab.world, ada, NewSession(alias=f"a{number:02}"))
            if number % 3 == 0:
                await verbs.share(lab.world, ME, f"m{number:02}", ADA, Wish())
            if number % 3 == 1:
                await verbs.share(
                    lab.world, ME, f"m{number:02}", "group:g", Wish(expires_at=lab.world.clock.now() + 50)
                )

        async def listed(caller: Caller, whose: str) -> list[str]:
            names, after = [], ""
            while True:
                page = await session_verbs.page(lab.world, caller, living=None, after=after, limit=3, whose=whose)
                names += [one.session.alias for one in page]
                if len(page) < 3:
                    assert len(set(names)) == len(names)
                    return sorted(names)
                after = page[-1].session.id

        own, mine = [f"a{n:02}" for n in range(12)], [f"m{n:02}" for n in range(12)]
        assert await listed(ada, "mine") == own
        assert await listed(ada, "shared") == mine[::3]
        assert await listed(ada, "all") == sorted([*own, *mine[::3]])
        member = as_(lab, EVE, "group:g")
        assert await listed(member, "all") == mine[1::3]
        await asyncio.sleep(51)
        assert await listed(replace(member, now=lab.world.clock.now()), "all") == []
        assert await listed(ME, "all") == mine

    in_lab(test)


def test_where_jobs_run_as_one_user_only_he_starts_sessions(in_lab) -> None:
    async def test(lab: Lab) -> None:
        world = replace(lab.world, owner=ME.principal)
        await session_verbs.create(world, ME, NewSession(alias="a"))
        with pytest.raises(Denied, match="jobs run as uid:1000"):
            await session_verbs.create(world, as_(lab, ADA), NewSession(alias="b"))

    in_lab(test)


def test_a_reader_who_is_not_the_owner_is_recorded_so_that_he_can_be_cut(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await verbs.share(lab.world, ME, "a", ADA, Wish())
        admission = await attachment_verbs.attach(lab.world, as_(lab, ADA), "a", job=None, mode="read", where="")
        assert admission.attachment.mode == Mode.WATCH

    in_lab(test)


@pytest.mark.requirement("S8.4", "L3.5")
def test_clocks_tell_a_guest_no_more_than_his_jobs(in_lab) -> None:
    async def test(lab: Lab) -> None:
        long_lived(lab)
        policies = {"connect_by_s": 3000, "on_disconnect": "end", "on_disconnect_s": 3000}
        await session_verbs.create(lab.world, ME, NewSession(alias="a", job=spec(name="other"), policies=policies))
        await asyncio.sleep(1)
        await job_verbs.run(lab.world, ME, "a", spec(name="main"))
        await asyncio.sleep(1)
        await verbs.share(lab.world, ME, "a", ADA, Wish(Role.OPERATOR, ("job:watch@main", "job:read@main")))

        async def clocks(caller: Caller):
            seen = await session_verbs.get(lab.world, caller, "a")
            return {clock.name.value: clock for clock in seen.clocks}

        mine, hers = await clocks(ME), await clocks(as_(lab, ADA))
        assert (mine["connect_by"].of, hers["connect_by"].of) == (("other",), ())
        assert hers["connect_by"].deadline == mine["connect_by"].deadline
        await attached(lab, ME, "control", "other")
        mine, hers = await clocks(ME), await clocks(as_(lab, ADA))
        assert (mine["link"].holders, mine["control"].holders) == (("pts/9",), ("pts/9",))
        assert (hers["link"].holders, hers["control"].holders) == ((), ())

    in_lab(test)


@pytest.mark.requirement("L4.15", "S8.3")
def test_leases_and_policies_ask_for_their_own_capability(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await verbs.share(lab.world, ME, "a", ADA, Wish(Role.OPERATOR))
        await verbs.share(lab.world, ME, "a", EVE, Wish(Role.OWNER, ("session:extend", "session:see")))
        ada, eve = as_(lab, ADA), as_(lab, EVE)
        await session_verbs.describe(lab.world, eve, "a", lease=(Lease.UNTIL, lab.world.clock.now() + 600))
        await session_verbs.extend(lab.world, eve, "a", by_s=60)
        for refused in (
            session_verbs.describe(lab.world, eve, "a", description="mine"),
            session_verbs.describe(lab.world, eve, "a"),
            session_verbs.describe(lab.world, eve, "a", lease=(Lease.NEVER, None), description="mine"),
            session_verbs.describe(lab.world, eve, "a", policies={"on_error": "end"}),
            session_verbs.describe(lab.world, ada, "a", policies={"on_error": "end"}),
        ):
            with pytest.raises(Denied):
                await refused
        assert (await session_verbs.get(lab.world, ME, "a")).session.description == ""

    in_lab(test)


@pytest.mark.requirement("L3.5", "S7.2")
def test_who_is_shut_out_leaves_a_deserted_session(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await session_verbs.describe(lab.world, ME, "a", policies={"on_disconnect": "end", "on_disconnect_s": 600})
        await verbs.share(lab.world, ME, "a", ADA, Wish())
        admission = await attachment_verbs.attach(lab.world, as_(lab, ADA), "a", job=None, mode="watch", where="")
        await asyncio.sleep(1)  # who links in the very moment of his admission does not count as having been there
        lab.host.link(admission.job.id, admission.attachment.id)
        await asyncio.sleep(1000)
        await verbs.unshare(lab.world, ME, "a", ADA)
        await asyncio.sleep(590)
        assert (await session_verbs.get(lab.world, ME, "a")).session.state == SessionState.ACTIVE
        await asyncio.sleep(30)
        view = await session_verbs.get(lab.world, ME, "a")
        assert view.session.end_reason == "nobody was attached for 600 s (policy on_disconnect)"

    in_lab(test)


@pytest.mark.requirement("S6.1")
def test_the_checks_of_grants_are_done_once_beside_those_of_clocks(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        now = lab.world.clock.now()
        view = await session_verbs.describe(lab.world, ME, "a", lease=(Lease.UNTIL, now + 5000))
        await verbs.share(lab.world, ME, "a", ADA, Wish(expires_at=now + 100))
        await verbs.share(lab.world, ME, "a", EVE, Wish(expires_at=now + 200))

        async def checks() -> list[str]:
            stored = await lab.world.store.read(lambda v: v.clock_checks(view.session.id))
            return sorted(pending.effect.clock for pending in stored)

        assert await checks() == ["grant", "grant", "lease"]
        await asyncio.sleep(150)
        assert await checks() == ["grant", "lease"]
        await session_verbs.extend(lab.world, ME, "a", by_s=60)
        assert await checks() == ["grant", "lease"]
        await asyncio.sleep(100)
        assert await checks() == ["lease"]
        assert (await kinds(lab)).count("grant.expired") == 2

    in_lab(test)

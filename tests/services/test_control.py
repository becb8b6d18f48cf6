"""Attach policies, control of a job, silence and idleness: the services in virtual time."""

import asyncio
from dataclasses import replace

import pytest
from tests.services.conftest import ME, OTHER, Lab, spec
from tests.services.test_attachment import begun
from tests.services.test_session import long_lived

from hawse.domain.attachment import STALE_S, Mode, Reason, S
from hawse.domain.errors import Denied, Fenced, Held, IllegalMove, Invalid
from hawse.domain.event import replay
from hawse.services import attachment as verbs
from hawse.services import grant as grants
from hawse.services import session as session_verbs
from hawse.services import user as users
from hawse.services.grant import Wish
from hawse.services.world import Caller, Site
from hawse.wire.ticket import unseal

FRIEND = OTHER


async def come(lab: Lab, caller=ME, where="pts/1", mode="control", links=True, **rest):
    """Attach and link, as a client does; the attachment."""
    got = await verbs.attach(lab.world, caller, "a", job=None, mode=mode, where=where, **rest)
    if links:
        lab.host.link(got.job.id, got.attachment.id, got.attachment.fence if got.attachment.holds else 0)
        await asyncio.sleep(0.5)
    return got.attachment


async def every(lab: Lab) -> dict:
    session = (await session_verbs.get(lab.world, ME, "a")).session
    found = await lab.world.store.read(lambda view: view.attachments(session.id, living=False))
    return {one.id: one for one in found}


async def events(lab: Lab) -> list:
    session = (await session_verbs.get(lab.world, ME, "a")).session
    return await lab.world.store.read(lambda view: view.events(session.id))


async def kinds(lab: Lab) -> list[str]:
    return [event.kind for event in await events(lab) if event.noun == "attachment"]


async def policy(lab: Lab, **policies) -> None:
    await session_verbs.describe(lab.world, ME, "a", policies=policies)


def reaches(lab: Lab, attachment) -> bool:
    return lab.host.type(attachment.job, attachment.id)


# -- share ------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S5.1", "S5.4", "S8.5")
def test_share_the_first_has_control_and_the_second_is_told_who(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        first = await come(lab, where="desk")
        got = await verbs.attach(lab.world, ME, "a", job=None, mode="control", where="laptop")
        assert first.holds
        assert not got.attachment.holds
        assert got.holder.id == first.id
        lab.host.link(got.job.id, got.attachment.id)
        await asyncio.sleep(1)
        assert reaches(lab, first)
        assert not reaches(lab, got.attachment)
        order = await lab.world.store.read(lambda view: view.order(got.job.id))
        ticket = unseal(got.ticket, bytes.fromhex(order.secret), now=lab.world.clock.now())
        assert (ticket.fence, ticket.who) == (0, "")

    in_lab(test)


@pytest.mark.requirement("S5.4", "S8.5")
def test_take_gives_control_at_once_and_is_safe_to_repeat(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        first, second = await come(lab), await come(lab, where="pts/2")
        taken = await verbs.take(lab.world, ME, "a", second.id)
        assert taken.attachment.holds
        assert taken.before.id == first.id
        assert taken.attachment.fence > first.fence > 0
        await asyncio.sleep(1)
        assert reaches(lab, second)
        assert not reaches(lab, first)
        before = len(await events(lab))
        assert (await verbs.take(lab.world, ME, "a", second.id)).attachment == taken.attachment
        assert len(await events(lab)) == before
        assert (await kinds(lab))[-2:] == ["attachment.control_lost", "attachment.control_taken"]

    in_lab(test)


def test_only_for_ones_own_that_may_control_and_lives(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await grants.share(lab.world, ME, "a", FRIEND.principal, Wish("operator"))
        mine, watcher = await come(lab), await come(lab, mode="watch")
        theirs = await come(lab, FRIEND)
        with pytest.raises(Denied, match=r"uid:1000's"):
            await verbs.take(lab.world, FRIEND, "a", mine.id)
        with pytest.raises(IllegalMove, match="only watches"):
            await verbs.take(lab.world, ME, "a", watcher.id)
        await verbs.detach(lab.world, ME, "a", theirs.id)
        with pytest.raises(IllegalMove, match="is detached"):
            await verbs.take(lab.world, FRIEND, "a", theirs.id)
        with pytest.raises(Invalid):
            await verbs.take(lab.world, ME, "a", "nonsense")
        await grants.share(lab.world, ME, "a", FRIEND.principal, Wish("observer"))
        looking = await come(lab, FRIEND, mode="watch")
        with pytest.raises(Denied):
            await verbs.take(lab.world, FRIEND, "a", looking.id)

    in_lab(test)


@pytest.mark.requirement("S5.4")
@pytest.mark.parametrize("how", ["asked", "verb", "lost"])
def test_control_passes_on_when_its_holder_goes(in_lab, how) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        first = await come(lab)
        await come(lab, where="never linked", links=False)
        await come(lab, mode="watch")
        second = await come(lab, where="pts/2")
        last = await come(lab, where="pts/3")
        if how == "verb":
            await verbs.detach(lab.world, ME, "a", first.id)
            await asyncio.sleep(3)  # two words to the runner, each half a second on its way at most
        else:
            lab.host.unlink(first.job, first.id, how)
            await asyncio.sleep(1)
            assert (await every(lab))[last.id].holds == (how == "asked"), "a broken link may come back"
            await asyncio.sleep(STALE_S + 2 if how == "lost" else 1)
        found = await every(lab)
        assert found[last.id].holds, "the one that was active last"
        assert not found[second.id].holds
        assert (found[first.id].state, found[first.id].holds) == (S.DETACHED, False)
        assert reaches(lab, last)

    in_lab(test)


def test_nobody_gets_control_of_a_job_that_has_ended(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await come(lab)
        await come(lab, where="pts/2")
        await session_verbs.end(lab.world, ME, "a", grace_s=0)
        await asyncio.sleep(30)
        assert not any(one.holds for one in (await every(lab)).values())
        assert "attachment.control_passed" not in await kinds(lab)

    in_lab(test)


@pytest.mark.requirement("S2.9", "S5.1")
def test_who_comes_from_elsewhere_while_his_own_link_is_broken_may_type(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await grants.share(lab.world, ME, "a", FRIEND.principal, Wish("operator"))
        first = await come(lab)
        lab.host.unlink(first.job, first.id, "lost")
        await asyncio.sleep(1)
        friend = await come(lab, FRIEND)
        assert not friend.holds, "of somebody else it is no more than a short break"
        second = await come(lab, where="elsewhere")
        assert second.holds
        back = await come(lab, resume=first.id)
        assert (back.id, back.holds) == (first.id, False)

    in_lab(test)


# -- steal ------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S5.3")
def test_steal_detaches_those_who_control_and_not_those_who_watch(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await policy(lab, attach="steal")
        first, watcher = await come(lab), await come(lab, mode="watch")
        second = await come(lab, where="pts/2")
        found = await every(lab)
        assert second.holds
        assert (found[first.id].state, found[first.id].reason) == (S.DETACHED, Reason.STOLEN)
        assert found[first.id].detached_by == ME.principal
        assert found[watcher.id].state == S.ATTACHED
        assert first.id not in lab.host.living(first.job).links
        assert reaches(lab, second)

    in_lab(test)


@pytest.mark.requirement("S5.3")
@pytest.mark.parametrize("reason", ["stolen", "asked", "idle", "revoked"])
def test_what_was_detached_on_purpose_does_not_come_back_by_itself(in_lab, reason) -> None:
    """Its client only knows that its link broke, and asks to go on."""

    async def test(lab: Lab) -> None:
        await begun(lab)
        if reason == "idle":
            await policy(lab, idle_s=30)
        caller = FRIEND if reason == "revoked" else ME
        await grants.share(lab.world, ME, "a", FRIEND.principal, Wish("operator"))
        first = await come(lab, caller)
        if reason != "idle":
            lab.host.unlink(first.job, first.id, "lost")
            await asyncio.sleep(1)
        match reason:
            case "stolen":
                await come(lab, policy="steal", where="pts/2")
            case "asked":
                await verbs.detach(lab.world, ME, "a", first.id)
            case "idle":
                await asyncio.sleep(40)
            case "revoked":
                await grants.share(lab.world, ME, "a", FRIEND.principal, Wish("observer"))
                await grants.share(lab.world, ME, "a", FRIEND.principal, Wish("operator"))
        with pytest.raises(Fenced) as told:
            await come(lab, caller, resume=first.id)
        assert told.value.facts["reason"] == reason
        assert told.value.next_step == "hawse attach a"
        assert await come(lab, caller), "a person may"

    in_lab(test)


def test_what_was_lost_comes_back_and_steals_nothing(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await policy(lab, attach="steal")
        first = await come(lab)
        lab.host.unlink(first.job, first.id, "lost")
        await asyncio.sleep(STALE_S + 2)
        second = await come(lab, where="pts/2")
        back = await come(lab, resume=first.id)
        assert back.id != first.id
        assert not back.holds
        assert (await every(lab))[second.id].holds

    in_lab(test)


# -- reject -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S5.2")
def test_reject_tells_who_is_there_from_where_and_since_when(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await policy(lab, attach="reject")
        await grants.share(lab.world, ME, "a", FRIEND.principal, Wish("operator"))
        await come(lab, where="desk")
        await asyncio.sleep(180)
        with pytest.raises(Held) as told:
            await come(lab, where="laptop")
        assert "a/work is attached by uid:1000 (desk) since 3 min" in told.value.detail
        assert "hawse attach a/work --watch" in told.value.next_step
        assert "hawse attach a/work --steal" in told.value.next_step
        assert (told.value.facts["who"], told.value.facts["where"]) == ("uid:1000", "desk")
        with pytest.raises(Held) as told:
            await come(lab, FRIEND)
        assert "--steal" not in told.value.next_step, "he may not"
        assert (await come(lab, mode="watch")).mode == Mode.WATCH
        assert len([one for one in (await every(lab)).values() if one.state != S.DETACHED]) == 2

    in_lab(test)


@pytest.mark.requirement("S5.2", "S5.3", "S5.4")
@pytest.mark.parametrize("of_session", ["share", "steal", "reject"])
@pytest.mark.parametrize("asked", ["share", "steal", "reject"])
@pytest.mark.parametrize("may", [True, False])
def test_each_attach_may_ask_for_less_and_for_more_with_the_right(in_lab, of_session, asked, may) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await policy(lab, attach=of_session)
        await grants.share(lab.world, ME, "a", FRIEND.principal, Wish("owner" if may else "operator"))
        first = await come(lab)
        rank = ["reject", "share", "steal"]
        if rank.index(asked) > rank.index(of_session) and not may:
            with pytest.raises(Denied, match="attachment:detach"):
                await come(lab, FRIEND, policy=asked)
        elif asked == "reject":
            with pytest.raises(Held):
                await come(lab, FRIEND, policy=asked)
        else:
            second = await come(lab, FRIEND, policy=asked)
            assert second.holds == (asked == "steal")
        is_gone = (await every(lab))[first.id].state == S.DETACHED
        assert is_gone == (asked == "steal" and (may or of_session == "steal"))

    in_lab(test)


def test_a_policy_is_for_who_controls_and_is_one_of_three(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        with pytest.raises(Invalid, match="with control"):
            await come(lab, mode="watch", policy="steal")
        with pytest.raises(Invalid, match="none of reject, share, steal"):
            await come(lab, policy="grab")
        with pytest.raises(Invalid):
            await policy(lab, attach="grab")

    in_lab(test)


# -- silence ----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S5.4")
def test_a_silent_holder_gives_control_to_who_waits_to_the_second(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        first = await come(lab)
        second = await come(lab, where="pts/2")
        await asyncio.sleep(300)
        assert reaches(lab, first)
        typed_at = lab.world.clock.now()
        lab.host.print(first.job)
        while not (await every(lab))[second.id].holds:
            assert lab.world.clock.now() < typed_at + 602, "it never came"
            await asyncio.sleep(0.25)
        assert lab.world.clock.now() >= typed_at + 600, "it came early"
        await asyncio.sleep(1)  # for the word to its runner
        assert reaches(lab, second)
        assert not reaches(lab, first)
        assert (await kinds(lab)).count("attachment.control_passed") == 1

    in_lab(test)


@pytest.mark.requirement("S5.4")
def test_a_silent_holder_keeps_control_where_nobody_waits_and_loses_it_to_the_first_who_comes(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        first = await come(lab)
        await come(lab, mode="watch")
        await asyncio.sleep(7200)
        assert (await every(lab))[first.id].holds
        second = await come(lab, where="home")
        await asyncio.sleep(1)
        assert (await every(lab))[second.id].holds

    in_lab(test)


def test_typing_makes_no_event_and_a_check_asks_and_looks_again(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        first = await come(lab)
        await come(lab, where="pts/2")
        before = len(await events(lab))
        for _ in range(700):
            await asyncio.sleep(1)
            assert reaches(lab, first)
        found = (await every(lab))[first.id]
        assert found.holds
        assert len(await events(lab)) - before <= 2, "one for each check at most"
        assert lab.world.clock.now() - found.typed_at < 610

    in_lab(test)


def test_control_idle_0_is_never(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await policy(lab, control_idle_s=0)
        first = await come(lab)
        await come(lab, where="pts/2")
        await asyncio.sleep(40_000)
        assert (await every(lab))[first.id].holds

    in_lab(test)


def test_a_policy_that_is_set_counts_from_then_on(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await policy(lab, control_idle_s=0)
        first, second = await come(lab), await come(lab, where="pts/2")
        await asyncio.sleep(1000)
        await policy(lab, control_idle_s=60)
        await asyncio.sleep(59)
        assert (await every(lab))[first.id].holds
        await asyncio.sleep(2)
        assert (await every(lab))[second.id].holds

    in_lab(test)


@pytest.mark.requirement("S5.5", "L4.16")
def test_an_idle_attachment_is_detached_to_the_second_and_the_work_goes_on(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        first = await come(lab)
        began = lab.world.clock.now()
        while (await every(lab))[first.id].state != S.DETACHED:
            await asyncio.sleep(0.5 if lab.world.clock.now() > began + 43_190 else 60)
            assert lab.world.clock.now() < began + 43_202
        assert lab.world.clock.now() >= began + 43_199
        assert (await every(lab))[first.id].reason == Reason.IDLE
        assert lab.host.living(first.job) is not None
        assert lab.host.living(first.job).links == {}

    in_lab(test)


@pytest.mark.requirement("S5.5", "L4.16")
@pytest.mark.parametrize("what", ["typed", "printed"])
def test_who_types_or_is_shown_something_is_not_idle(in_lab, what) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await policy(lab, idle_s=60)
        first = await come(lab, mode="watch" if what == "printed" else "control")
        other = await come(lab, where="pts/2")
        for _ in range(10):
            await asyncio.sleep(30)
            lab.host.type(first.job, first.id) if what == "typed" else lab.host.print(first.job)
        found = await every(lab)
        assert found[first.id].state == S.ATTACHED
        assert (found[other.id].state == S.ATTACHED) == (what == "printed")

    in_lab(test)


@pytest.mark.requirement("S5.5", "L4.16")
def test_idle_0_is_never(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await policy(lab, idle_s=0)
        first = await come(lab)
        await asyncio.sleep(10 * 86400)
        assert (await every(lab))[first.id].state == S.ATTACHED

    in_lab(test)


def test_a_restarted_coordinator_checks_once_and_in_time(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await policy(lab, idle_s=100)
        first = await come(lab)
        second = lab.reconciler()
        task = asyncio.get_running_loop().create_task(second.run())  # a second one, as after a change of leader
        await asyncio.sleep(98)
        assert (await every(lab))[first.id].state == S.ATTACHED
        await asyncio.sleep(3)
        assert (await every(lab))[first.id].state == S.DETACHED
        assert (await kinds(lab)).count("attachment.detached") == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    in_lab(test)


def test_who_asks_the_runner(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        first = await come(lab)
        await asyncio.sleep(50)
        reaches(lab, first)
        await asyncio.sleep(5)
        (stored,) = await verbs.page(lab.world, ME, "a")
        (live,) = await verbs.page(lab.world, ME, "a", live=True)
        assert live.typed_at == live.active_at == pytest.approx(lab.world.clock.now() - 5)
        assert stored.active_at is None

    in_lab(test)


@pytest.mark.requirement("S5.4", "S5.5")
def test_the_events_give_the_state_back(in_lab) -> None:
    async def test(lab: Lab) -> None:
        from hawse.adapters.store.fields import fields_of

        await begun(lab)
        await policy(lab, idle_s=5000)
        first, second = await come(lab), await come(lab, where="pts/2")
        await verbs.take(lab.world, ME, "a", second.id)
        third = await come(lab, where="pts/3", policy="steal")
        await asyncio.sleep(2000)
        await come(lab, where="pts/4")
        await asyncio.sleep(6000)
        state = replay(await events(lab))
        for id, row in (await every(lab)).items():
            assert state["attachment", id] == fields_of(row)
        assert {first.id, third.id} <= {id for _, id in state}
        told = set(await kinds(lab))
        assert {"attachment.control_taken", "attachment.control_passed", "attachment.detached"} <= told

    in_lab(test)


@pytest.mark.requirement("S5.4", "S7.1")
@pytest.mark.parametrize("how", ["disabled", "given away"])
def test_control_passes_on_when_an_admin_shuts_its_holder_out(in_lab, how) -> None:
    async def test(lab: Lab) -> None:
        admin = Caller("uid:0", is_admin=True)
        lab.world = replace(lab.world, site=Site(admins=frozenset({0})))
        for name in ("ada", "bob"):
            await users.add(lab.world, admin, name, {})
        ada, bob = Caller("user:ada"), Caller("user:bob")
        long_lived(lab)
        await session_verbs.create(lab.world, ada, session_verbs.NewSession(alias="a", job=spec()))
        await asyncio.sleep(1)
        await grants.share(lab.world, ada, "a", bob.principal, Wish("operator"))
        first, second = await come(lab, ada), await come(lab, bob)
        assert first.holds
        if how == "disabled":
            await users.disable(lab.world, admin, "ada")
        else:
            await session_verbs.give(lab.world, admin, "a", "bob")
        await asyncio.sleep(3)  # two words to its runner
        seen = {one.id: one for one in await verbs.page(lab.world, bob, "a")}
        assert set(seen) == {second.id}
        assert seen[second.id].holds
        assert reaches(lab, second)

    in_lab(test)

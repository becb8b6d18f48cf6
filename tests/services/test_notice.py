"""Notices in virtual time: made once, tried again, given up; who may know is asked at the end; nobody is held up."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.services.conftest import ME, OTHER, Lab, spec
from tests.services.test_session import long_lived

from hawse.domain import notice as notices
from hawse.domain.errors import Clash, Denied, IllegalMove, Invalid, LimitReached, NotFound, Unavailable
from hawse.domain.grant import Capability
from hawse.domain.notice import Kind, Notice, S
from hawse.domain.session import Lease
from hawse.ports.notifier import Parcel
from hawse.services import channel as channel_verbs
from hawse.services import courier
from hawse.services import grant as grant_verbs
from hawse.services import job as job_verbs
from hawse.services import notice as notice_verbs
from hawse.services import session as session_verbs
from hawse.services.channel import NewChannel
from hawse.services.grant import Wish
from hawse.services.reconcile import Reconciler
from hawse.services.session import NewSession
from hawse.services.world import Caller, World
from hawse.testing.memory_store import MemoryStore
from hawse.testing.sim import NoLogs
from hawse.testing.sim_host import SimHost
from hawse.testing.sim_launcher import SimLauncher
from hawse.testing.sim_loop import SimClock, run_virtually

HOOK = {"url": "http://127.0.0.1:9/"}
THIRD = Caller("uid:1002")


@dataclass
class Receiver:
    """A notifier whose other end is here. answers: what to do with the next ones; then all are taken."""

    got: list[Parcel] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    slow_s: dict[str, float] = field(default_factory=dict)
    now: int = 0
    most: int = 0

    async def send(self, parcel: Parcel) -> None:
        self.got.append(parcel)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.slow_s.get(parcel.notice.channel, 0.0))
        finally:
            self.now -= 1
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer

    def kinds(self, principal: str = ME.principal) -> list[str]:
        return [one.notice.kind.value for one in self.got if one.notice.principal == principal]


@dataclass
class People:
    gone: set[str] = field(default_factory=set)
    members: dict[str, frozenset[str]] = field(default_factory=dict)

    async def groups(self, principal: str) -> frozenset[str] | None:
        return None if principal in self.gone else self.members.get(principal, frozenset())


@dataclass
class Post:
    """A lab whose notices arrive at `receiver`."""

    lab: Lab
    receiver: Receiver
    people: People

    @property
    def world(self) -> World:
        return self.lab.world

    async def channel(self, caller: Caller = ME, means: str = "webhook", settings: Any = None, **fields: Any) -> str:
        made = await channel_verbs.add(
            self.world, caller, NewChannel(means, HOOK if settings is None else settings, **fields)
        )
        return made.channel.id

    async def log(self, caller: Caller = ME, **fields: Any) -> list[Notice]:
        return await notice_verbs.page(self.world, caller, limit=1000, **fields)

    async def session(self, alias: str = "train", lives_s: float | None = 1e9, **fields: Any) -> str:
        self.lab.host._lives_s = lives_s
        view = await session_verbs.create(self.world, ME, NewSession(alias=alias, job=spec(), **fields))
        await asyncio.sleep(5)
        return view.session.id


@pytest.fixture
def post() -> Callable[[Callable[[Post], Awaitable[None]]], None]:
    """Run a coroutine function beside a running reconciler, in virtual time."""

    def run(test: Callable[[Post], Awaitable[None]]) -> None:
        async def main() -> None:
            clock, host = SimClock(1), SimHost(2)
            launcher = SimLauncher(host, random.Random(3), trouble=0.0)
            receiver, people = Receiver(), People()
            world = World(
                MemoryStore(clock), launcher, clock, NoLogs(), people=people, host="vm",
                notifiers=dict.fromkeys(("webhook", "mail", "command"), receiver),
            )  # fmt: skip
            lab = Lab(world, host, launcher)
            task = asyncio.get_running_loop().create_task(lab.reconciler().run())
            try:
                await test(Post(lab, receiver, people))
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await launcher.aclose()
                await host.aclose()

        run_virtually(main())

    return run


# -- once ------------------------------------------------------------------------------------------------------------


def test_what_happens_is_told_once_over_each_channel_that_wants_it(post) -> None:
    async def test(post: Post) -> None:
        first = await post.channel()
        other = await post.channel(kinds=["job_started", "session_ended"], name="other")
        await post.session()
        await session_verbs.end(post.world, ME, "train")
        await asyncio.sleep(60)
        got = {(one.notice.channel, one.notice.kind.value) for one in post.receiver.got}
        assert got == {
            (first, "job_ended"), (first, "session_ended"), (other, "job_started"), (other, "session_ended"),
        }  # fmt: skip
        assert len(post.receiver.got) == 4
        assert {one.state for one in await post.log()} == {S.SENT}
        ended = next(one for one in post.receiver.got if one.notice.kind == Kind.JOB_ENDED)
        assert ended.document["session"]["name"] == "train"
        assert (ended.document["job"], ended.document["host"], ended.document["attempt"]) == ("work", "vm", 1)
        assert ended.notice.command == "hawse logs train/work"
        assert ended.secret is not None
        assert "secret" not in str(ended.document)

    post(test)


def test_what_was_before_a_channel_or_while_it_was_off_is_not_told(post) -> None:
    async def test(post: Post) -> None:
        await post.session("a", lives_s=20.0)
        await post.channel(name="desk")
        await asyncio.sleep(30)
        assert post.receiver.kinds() == ["job_ended", "session_ended"] or "job_failed" in post.receiver.kinds()
        told = len(post.receiver.got)
        await channel_verbs.change(post.world, ME, "desk", on=False)
        await post.session("b", lives_s=1.0)
        await asyncio.sleep(30)
        await channel_verbs.change(post.world, ME, "desk", on=True)
        await asyncio.sleep(30)
        assert len(post.receiver.got) == told

    post(test)


def test_an_effect_that_is_done_twice_makes_one_notice(post) -> None:
    """What a crash between two coordinators could do: the same event is looked at again."""

    async def test(post: Post) -> None:
        await post.channel()
        id = await post.session("a", lives_s=1.0)
        await asyncio.sleep(30)
        told = len(post.receiver.got)
        events = await post.world.store.read(lambda view: view.events(id))
        effects = [notice_verbs.SendNotice(id, event.seq) for event in events]
        await post.world.store.write(lambda unit: unit.add_effects(id, effects * 3))
        await asyncio.sleep(30)
        assert len(post.receiver.got) == told

    post(test)


def test_a_test_is_sent_and_waited_for(post) -> None:
    async def test(post: Post) -> None:
        await post.channel(name="desk")
        made = await channel_verbs.test(post.world, ME, "desk")
        went = await notice_verbs.wait(post.world, ME, made.id, timeout_s=30.0)
        assert (went.state, went.kind, went.attempts) == (S.SENT, Kind.TEST, 1)
        post.receiver.answers = [Unavailable("it answered 500")]
        made = await channel_verbs.test(post.world, ME, "desk")
        went = await notice_verbs.wait(post.world, ME, made.id, timeout_s=30.0)
        assert (went.state, went.cause) == (S.WAITING, "it answered 500")
        await channel_verbs.change(post.world, ME, "desk", on=False)
        with pytest.raises(IllegalMove, match="is off"):
            await channel_verbs.test(post.world, ME, "desk")

    post(test)


# -- trouble ---------------------------------------------------------------------------------------------------------


def test_a_failure_is_tried_again_with_the_same_id_until_it_is_taken(post) -> None:
    async def test(post: Post) -> None:
        await post.channel(name="desk")
        post.receiver.answers = [Unavailable("down"), Unavailable("down"), Unavailable("down")]
        began = post.world.clock.now()
        made = await channel_verbs.test(post.world, ME, "desk")
        await asyncio.sleep(60)
        assert [one.notice.id for one in post.receiver.got] == [made.id] * 4
        assert [one.document["attempt"] for one in post.receiver.got] == [1, 2, 3, 4]
        at = [round(one.now - began) for one in post.receiver.got]
        assert at == [0, 1, 4, 14]
        assert (await notice_verbs.get(post.world, ME, made.id)).state == S.SENT

    post(test)


def test_what_stays_down_for_a_day_is_given_up_shown_and_sent_again_by_hand(post) -> None:
    async def test(post: Post) -> None:
        await post.channel(name="desk")
        post.receiver.answers = [Unavailable("down")] * 1000
        made = await channel_verbs.test(post.world, ME, "desk")
        await asyncio.sleep(2 * 86400)
        assert 25 < len(post.receiver.got) < 40
        (failed,) = await post.log(state="failed")
        assert (failed.id, failed.cause, failed.attempts) == (made.id, "down", len(post.receiver.got))
        post.receiver.answers = []
        await notice_verbs.send_again(post.world, ME, made.id)
        went = await notice_verbs.wait(post.world, ME, made.id, tries=failed.attempts, timeout_s=30.0)
        assert went.state == S.SENT
        with pytest.raises(IllegalMove):
            await notice_verbs.send_again(post.world, ME, made.id)

    post(test)


def test_what_nobody_wants_any_more_is_given_up_at_once(post) -> None:
    async def test(post: Post) -> None:
        await post.channel(name="desk")
        post.receiver.answers = [Invalid("it answered 410: it wants no more notices")]
        made = await channel_verbs.test(post.world, ME, "desk")
        await asyncio.sleep(86400)
        assert len(post.receiver.got) == 1
        assert (await notice_verbs.get(post.world, ME, made.id)).state == S.FAILED

    post(test)


def test_a_notifier_s_bug_is_told_and_ends_nothing(post) -> None:
    async def test(post: Post) -> None:
        await post.channel(name="desk")
        post.receiver.answers = [KeyError("x")]
        made = await channel_verbs.test(post.world, ME, "desk")
        went = await notice_verbs.wait(post.world, ME, made.id, timeout_s=30.0)
        assert "mistake (KeyError)" in went.cause
        await asyncio.sleep(10)
        assert (await notice_verbs.get(post.world, ME, made.id)).state == S.SENT

    post(test)


def test_one_that_hangs_holds_up_nobody_else(post) -> None:
    """200 notices in four channels that hang, of one person; another's comes at once, and jobs start as ever."""

    async def test(post: Post) -> None:
        hanging = [await post.channel(name=f"h{n}") for n in range(8)]
        post.receiver.slow_s = dict.fromkeys(hanging, 1e6)
        for n in range(200):
            await channel_verbs.test(post.world, ME, f"h{n % 8}")
        await post.channel(OTHER, name="desk")
        began = post.world.clock.now()
        made = await channel_verbs.test(post.world, OTHER, "desk")
        went = await notice_verbs.wait(post.world, OTHER, made.id, timeout_s=5.0)
        assert went.state == S.SENT
        assert post.world.clock.now() - began < 1
        await session_verbs.create(post.world, ME, NewSession(alias="a", job=spec()))
        job = await job_verbs.wait(post.world, ME, "a", "work", until="started", timeout_s=5.0)
        assert job.pid is not None
        assert post.receiver.most <= courier.PLACES_OF_ONE + 1
        await asyncio.sleep(courier.SEND_S + 1)
        causes = {one.cause for one in await post.log(state="waiting") if one.attempts}
        assert "no answer within 30 s" in causes

    post(test)


def test_a_thousand_wait_and_the_rest_fails_at_once(post, monkeypatch) -> None:
    monkeypatch.setattr(notices, "WAITING_MAX", 10)
    monkeypatch.setattr(notices, "KEPT_MAX", 20)

    async def test(post: Post) -> None:
        await post.channel(kinds=["refused"], name="desk")
        post.receiver.answers = [Unavailable("down")] * 10_000
        id = await post.session()

        def refused(unit: Any) -> None:
            detail = {"capability": "job:control", "what": "x"}
            for n in range(60):
                unit.note(id, kind="session.refused", noun="session", object=id, by=f"uid:{n}", detail=detail)

        await post.world.store.write(refused)
        await asyncio.sleep(1)
        counts = await post.world.store.read(lambda view: view.notice_counts(view.channel_named("uid:1000", "desk").id))
        assert counts["waiting"] == 10
        assert sum(counts.values()) <= 31, "of those kept, the waiting ones are never forgotten"
        (newest, *_) = await post.log(state="failed")
        assert newest.cause == notice_verbs.FULL
        with pytest.raises(LimitReached):
            await channel_verbs.test(post.world, ME, "desk")
        with pytest.raises(LimitReached):
            await notice_verbs.send_again(post.world, ME, newest.id)

    post(test)


# -- who may know ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S7.2")
def test_the_owner_is_told_of_refused_attempts_and_nobody_else(post) -> None:
    async def test(post: Post) -> None:
        for caller in (ME, OTHER):
            await post.channel(caller, name="desk")
        id = await post.session()
        await grant_verbs.share(post.world, ME, "train", "uid:1001", Wish("owner"))
        await asyncio.sleep(5)
        refusal = notice_verbs_refusal(id)
        await post.world.refusals.record(post.world.store, refusal, now=post.world.clock.now())
        await asyncio.sleep(5)
        assert post.receiver.kinds() == ["refused"]
        assert post.receiver.kinds("uid:1001") == ["shared"]

    post(test)


def notice_verbs_refusal(session: str) -> Any:
    from hawse.services.refusal import Refusal

    return Refusal(session, "uid:1002", Capability.JOB_CONTROL.value, "POST /x", "pid 7")


@pytest.mark.requirement("S6.1", "S7.1")
def test_strangers_hear_nothing_and_the_granted_what_they_may_see(post) -> None:
    async def test(post: Post) -> None:
        for caller in (ME, OTHER, THIRD):
            await post.channel(caller, name="desk")
        await post.session()
        await grant_verbs.share(post.world, ME, "train", "uid:1001", Wish("observer", ("job:watch@other",)))
        await job_verbs.run(post.world, ME, "train", spec(name="other"))
        await asyncio.sleep(5)
        for name in ("work", "other"):
            await job_verbs.stop(post.world, ME, "train", name)
        await asyncio.sleep(60)
        mine = [one.notice.body["job"] for one in post.receiver.got if one.notice.principal == "uid:1000"]
        theirs = [one.notice.body["job"] for one in post.receiver.got if one.notice.principal == "uid:1001"]
        assert sorted(filter(None, mine)) == ["other", "work"]
        assert theirs == [None, "other"], "shared, then the job of the grant"
        assert post.receiver.kinds("uid:1002") == []

    post(test)


@pytest.mark.requirement("S7.1")
def test_what_was_revoked_before_it_was_sent_is_withdrawn(post) -> None:
    async def test(post: Post) -> None:
        id = await post.channel(OTHER, name="desk")
        await post.session()
        await grant_verbs.share(post.world, ME, "train", "uid:1001", Wish("observer"))
        await asyncio.sleep(5)
        post.receiver.answers = [Unavailable("down")]
        post.receiver.slow_s = {id: 10.0}
        await job_verbs.stop(post.world, ME, "train", "work")
        while post.receiver.kinds("uid:1001") != ["shared", "job_ended"]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # virtual
        await grant_verbs.unshare(post.world, ME, "train", "uid:1001")
        await asyncio.sleep(3600)
        assert post.receiver.kinds("uid:1001") == ["shared", "job_ended"], "and not tried again"
        gone = {one.kind.value: (one.state.value, one.cause) for one in await post.log(OTHER)}
        assert gone["job_ended"] == ("withdrawn", "you may not see this session any more")

    post(test)


def test_members_of_a_group_are_told_while_they_are_members(post) -> None:
    async def test(post: Post) -> None:
        post.people.members = {"uid:1001": frozenset({"group:staff"})}
        for caller in (OTHER, THIRD):
            await post.channel(caller, name="desk")
        await post.session()
        await grant_verbs.share(post.world, ME, "train", "group:staff", Wish("observer"))
        await asyncio.sleep(5)
        post.people.members = {}
        await job_verbs.stop(post.world, ME, "train", "work")
        await asyncio.sleep(30)
        assert post.receiver.kinds("uid:1001") == ["shared"]
        assert post.receiver.kinds("uid:1002") == []

    post(test)


def test_channels_of_a_user_who_is_gone_stop(post) -> None:
    async def test(post: Post) -> None:
        await post.channel(name="desk")
        post.people.gone = {"uid:1000"}
        made = await channel_verbs.test(post.world, ME, "desk")
        await asyncio.sleep(5)
        gone = await notice_verbs.get(post.world, ME, made.id)
        assert (gone.state, gone.cause) == (S.WITHDRAWN, "there is no user uid:1000 any more")
        assert post.receiver.got == []

    post(test)


def test_filters_by_kind_name_and_label(post) -> None:
    async def test(post: Post) -> None:
        await post.channel(kinds=["session_ended"], sessions=["train*", "team=blue"], name="desk")
        await post.session("train-1")
        await post.session("other")
        await post.session("third", labels={"team": "blue"})
        for name in ("train-1", "other", "third"):
            await session_verbs.end(post.world, ME, name)
        await asyncio.sleep(60)
        assert sorted(one.document["session"]["name"] for one in post.receiver.got) == ["third", "train-1"]

    post(test)


# -- channels are one's own -------------------------------------------------------------------------------------------


def test_nobody_sees_another_s_channels_or_notices(post) -> None:
    async def test(post: Post) -> None:
        id = await post.channel(name="desk")
        made = await channel_verbs.test(post.world, ME, "desk")
        await asyncio.sleep(5)
        for name in ("desk", id):
            for ask in (
                channel_verbs.get(post.world, OTHER, name),
                channel_verbs.change(post.world, OTHER, name, on=False),
                channel_verbs.remove(post.world, OTHER, name),
                channel_verbs.test(post.world, OTHER, name),
                channel_verbs.new_signing_key(post.world, OTHER, name),
                notice_verbs.page(post.world, OTHER, channel=name, limit=10),
            ):
                with pytest.raises(NotFound, match="you have no channel"):
                    await ask
        for ask in (notice_verbs.get(post.world, OTHER, made.id), notice_verbs.send_again(post.world, OTHER, made.id)):
            with pytest.raises(NotFound, match="you have no notice"):
                await ask
        assert await channel_verbs.page(post.world, OTHER) == []
        assert await post.log(OTHER) == []

    post(test)


def test_only_the_coordinator_s_own_user_may_have_programs_run(post) -> None:
    async def test(post: Post) -> None:
        argv = {"argv": ["true"]}
        mail = {"host": "localhost", "recipients": ["a@b"], "login": "x", "password_file": "/etc/shadow"}
        for means, settings in (("command", argv), ("desktop", {}), ("mail", mail)):
            with pytest.raises(Denied, match="which you are not"):
                await channel_verbs.add(post.world, ME, NewChannel(means, settings))
        mine = replace(post.world, owner=ME.principal)
        made = await channel_verbs.add(mine, ME, NewChannel("command", argv))
        await channel_verbs.add(mine, ME, NewChannel("mail", mail))
        with pytest.raises(Denied):
            await channel_verbs.add(mine, OTHER, NewChannel("command", argv))
        await channel_verbs.test(post.world, ME, made.channel.name)  # this coordinator is nobody's own
        await asyncio.sleep(5)
        (gone,) = await post.log()
        assert (gone.state, post.receiver.got) == (S.WITHDRAWN, [])

    post(test)


def test_channels_have_names_limits_and_secrets_that_are_not_shown(post) -> None:
    async def test(post: Post) -> None:
        made = await channel_verbs.add(post.world, ME, NewChannel("webhook", HOOK))
        again = await channel_verbs.add(post.world, ME, NewChannel("webhook", HOOK))
        assert (made.channel.name, again.channel.name) == ("webhook", "webhook-2")
        assert made.secret.startswith("whsec_")
        assert (await channel_verbs.get(post.world, ME, "webhook")).secret == ""
        with pytest.raises(Clash, match="already") as caught:
            await channel_verbs.add(post.world, ME, NewChannel("webhook", HOOK, name="webhook"))
        assert "another" in caught.value.next_step
        mail = {"host": "localhost", "recipients": ["a@b"], "login": "x"}
        with pytest.raises(Invalid, match="no password"):
            await channel_verbs.add(post.world, ME, NewChannel("mail", mail))
        await channel_verbs.add(post.world, ME, NewChannel("mail", mail, secret="hunter2"))
        with pytest.raises(Invalid, match="no channel of kind 'pigeon'"):
            await channel_verbs.add(post.world, ME, NewChannel("pigeon", {}))
        for n in range(29):
            await post.channel(name=f"c{n}")
        with pytest.raises(LimitReached, match="at most 32"):
            await post.channel(name="one-more")

    post(test)


# -- jobs that wait ---------------------------------------------------------------------------------------------------


def test_jobs_are_watched_only_while_somebody_wants_to_know(post) -> None:
    async def test(post: Post) -> None:
        watched = post.lab.launcher.watched
        long_lived(post.lab)
        await session_verbs.create(post.world, ME, NewSession(alias="a", job=spec(tty=True)))
        await job_verbs.run(post.world, ME, "a", spec(name="pipes"))
        await asyncio.sleep(5)
        assert set(watched.values()) <= {0.0}
        await post.channel(kinds=["job_failed"], name="desk")
        await asyncio.sleep(5)
        assert set(watched.values()) <= {0.0}
        await channel_verbs.change(post.world, ME, "desk", kinds=["job_waits"])
        await asyncio.sleep(5)
        assert list(watched.values()) == [post.world.quiet_s], "the one with a terminal"
        await job_verbs.run(post.world, ME, "a", spec(name="late", tty=True))
        await asyncio.sleep(5)
        assert list(watched.values()) == [post.world.quiet_s] * 2
        await channel_verbs.change(post.world, ME, "desk", on=False)
        await asyncio.sleep(5)
        assert list(watched.values()) == [0.0] * 2

    post(test)


def test_a_stranger_s_wish_does_not_have_my_jobs_watched_a_guest_s_does(post) -> None:
    async def test(post: Post) -> None:
        watched = post.lab.launcher.watched
        await post.channel(OTHER, kinds=["job_waits"], name="desk")
        long_lived(post.lab)
        await session_verbs.create(post.world, ME, NewSession(alias="a", job=spec(tty=True)))
        await asyncio.sleep(5)
        assert set(watched.values()) <= {0.0}
        await grant_verbs.share(post.world, ME, "a", "uid:1001", Wish("observer"))
        await asyncio.sleep(5)
        assert list(watched.values()) == [post.world.quiet_s]
        await grant_verbs.unshare(post.world, ME, "a", "uid:1001")
        await asyncio.sleep(5)
        assert list(watched.values()) == [0.0]

    post(test)


def test_a_job_that_waits_is_told_once_for_one_look(post) -> None:
    async def test(post: Post) -> None:
        from hawse.ports.launcher import Waits
        from hawse.services import report

        await post.channel(kinds=["job_waits"], name="desk")
        long_lived(post.lab)
        view = await session_verbs.create(post.world, ME, NewSession(alias="a", job=spec(tty=True)))
        await asyncio.sleep(5)
        job = view.jobs[0]
        for at in (1.0, 1.0, 2.0):
            await report.take(post.world, Waits(job.id, 1, 7, "read x", at))
        await report.take(post.world, Waits(job.id, 2, 7, "of another attempt", 3.0))
        await asyncio.sleep(5)
        assert post.receiver.kinds() == ["job_waits"] * 2
        assert post.receiver.got[0].notice.command == "hawse attach a/work"

    post(test)


# -- coordinators that die --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_whatever_dies_nothing_is_lost_and_a_repeat_has_the_same_id(seed: int) -> None:
    """Coordinators that are killed at any moment, one after the other, on one store."""

    async def main() -> None:
        chance = random.Random(seed)
        clock, host = SimClock(seed), SimHost(seed, lives_s=30.0)
        store, receiver = MemoryStore(clock), Receiver()
        ids: set[str] = set()
        sessions = 0
        for _ in range(6):
            launcher = SimLauncher(host, chance, trouble=0.0)
            world = World(store, launcher, clock, NoLogs(), notifiers={"webhook": receiver})
            task = asyncio.get_running_loop().create_task(Reconciler(world).run())
            if not sessions:
                await channel_verbs.add(world, ME, NewChannel("webhook", HOOK, kinds=["session_ended"], name="desk"))
            receiver.answers = [chance.choice([None, Unavailable("down")]) for _ in range(3)]
            receiver.slow_s = dict.fromkeys([one.id for one in store.disk.channels.values()], chance.choice([0.0, 2.0]))
            for _ in range(3):
                sessions += 1
                new = NewSession(alias=f"s{sessions}", lease=Lease.JOBS, job=spec())
                ids.add((await session_verbs.create(world, ME, new)).session.id)
            await asyncio.sleep(chance.uniform(0.0, 60.0))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await launcher.aclose()
        launcher = SimLauncher(host, chance, trouble=0.0)
        world = World(store, launcher, clock, NoLogs(), notifiers={"webhook": receiver})
        receiver.answers, receiver.slow_s = [], {}
        task = asyncio.get_running_loop().create_task(Reconciler(world).run())
        await asyncio.sleep(4000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await launcher.aclose()
        await host.aclose()
        kept = list(store.disk.notices.values())
        assert {one.session for one in kept} == ids, "each told"
        assert len(kept) == len(ids), "each once"
        assert {one.state for one in kept} == {S.SENT}
        assert {one.notice.id for one in receiver.got} == {one.id for one in kept}, "repeats have the same id"

    run_virtually(main())

import asyncio

import pytest
from tests.services.conftest import ME, OTHER, Lab, spec

from hawse.adapters.store.fields import fields_of
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.errors import Clash, Conflict, Denied, IllegalMove, Invalid, NotFound, RequestReused
from hawse.domain.event import replay
from hawse.domain.session import Lease
from hawse.services import attachment as attachment_verbs
from hawse.services import event as event_verbs
from hawse.services import job as job_verbs
from hawse.services import session as session_verbs
from hawse.services.session import NewSession
from hawse.services.world import Answered, Caller, Request


async def ended(lab: Lab, name: str) -> session_verbs.SessionView:
    for _ in range(1000):
        view = await session_verbs.get(lab.world, ME, name)
        if view.session.state == sessions.S.ENDED:
            return view
        await asyncio.sleep(1)
    raise AssertionError(f"{name} does not end: {view}")


def long_lived(lab: Lab) -> None:
    """Jobs of this host run until they are stopped."""
    lab.host._random.choice = lambda options: 1e9
    lab.host._random.random = lambda: 0.9


@pytest.mark.requirement("S0.3", "S0.4", "S3.5", "L3.3")
def test_a_session_ends_when_it_is_told_to_and_not_before(in_lab) -> None:
    async def test(lab: Lab) -> None:
        long_lived(lab)
        view = await session_verbs.create(
            lab.world, ME, NewSession(alias="train", lease=Lease.JOBS, job=spec(tty=True))
        )
        await asyncio.sleep(7 * 86400)
        assert (await session_verbs.get(lab.world, ME, "train")).jobs[0].state == jobs.S.RUNNING
        asked = await session_verbs.end(lab.world, ME, "train", grace_s=5)
        assert asked.session.state == sessions.S.DRAINING
        again = await session_verbs.end(lab.world, ME, "train")
        assert again.session.end_reason == "asked"
        done = await ended(lab, view.session.id)
        assert (done.jobs[0].state, done.jobs[0].outcome.signal) == (jobs.S.ENDED, 15)
        assert (await session_verbs.end(lab.world, ME, view.session.id)).session == done.session

    in_lab(test)


@pytest.mark.requirement("S4.1", "S4.2", "S4.3", "D2.7")
def test_an_alias_is_unique_among_the_living(in_lab) -> None:
    async def test(lab: Lab) -> None:
        first = await session_verbs.create(lab.world, ME, NewSession(alias="a"))
        with pytest.raises(Clash):
            await session_verbs.create(lab.world, ME, NewSession(alias="a"))
        await session_verbs.create(lab.world, ME, NewSession(alias="b"))
        await session_verbs.end(lab.world, ME, "a")
        second = await session_verbs.create(lab.world, ME, NewSession(alias="a"))
        assert (await session_verbs.get(lab.world, ME, "a")).session.id == second.session.id
        assert (await session_verbs.get(lab.world, ME, first.session.id)).session.state == sessions.S.ENDED
        with pytest.raises(Clash):
            await session_verbs.describe(lab.world, ME, "b", alias="a")

    in_lab(test)


def test_it_lives_as_long_as_its_jobs_when_it_is_leased_so(in_lab) -> None:
    async def test(lab: Lab) -> None:
        long_lived(lab)
        await session_verbs.create(lab.world, ME, NewSession(alias="bound", lease=Lease.JOBS, job=spec()))
        await session_verbs.create(lab.world, ME, NewSession(alias="free", job=spec()))
        other = await job_verbs.run(lab.world, ME, "bound", spec(name="other"))
        for name, job in (("bound", "work"), ("free", "work"), ("bound", other.name)):
            assert (await session_verbs.get(lab.world, ME, name)).session.state == sessions.S.ACTIVE
            await asyncio.sleep(1)
            await job_verbs.stop(lab.world, ME, name, job)
            await asyncio.sleep(20)
        assert (await session_verbs.get(lab.world, ME, "bound")).session.end_reason == "its last job ended"
        assert (await session_verbs.get(lab.world, ME, "free")).session.state == sessions.S.ACTIVE
        with pytest.raises(IllegalMove, match="no more jobs"):
            await job_verbs.run(lab.world, ME, (await session_verbs.get(lab.world, ME, "bound")).session.id, spec())

    in_lab(test)


def test_a_retry_gets_the_first_answer(in_lab) -> None:
    async def test(lab: Lab) -> None:
        request = Request("r1", "digest", lambda view: (201, view.session.id.encode()))
        caller = Caller(ME.principal, request=request)
        view = await session_verbs.create(lab.world, caller, NewSession(alias="once"))
        with pytest.raises(Answered) as answered:
            await session_verbs.create(lab.world, caller, NewSession(alias="once"))
        assert answered.value.answer.body == view.session.id.encode()
        other = Caller(ME.principal, request=Request("r1", "other digest", request.encode))
        with pytest.raises(RequestReused):
            await session_verbs.create(lab.world, other, NewSession(alias="twice"))
        assert len(await session_verbs.page(lab.world, ME, living=None, after="", limit=10)) == 1

    in_lab(test)


def test_two_retries_at_once_do_it_once(in_lab) -> None:
    async def test(lab: Lab) -> None:
        caller = Caller(ME.principal, request=Request("r1", "d", lambda view: (201, b"")))
        results = await asyncio.gather(
            *(session_verbs.create(lab.world, caller, NewSession()) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(result, Answered) for result in results) == 4

    in_lab(test)


def test_a_race_is_told(in_lab) -> None:
    async def test(lab: Lab) -> None:
        view = await session_verbs.create(lab.world, ME, NewSession(alias="a"))
        await session_verbs.describe(lab.world, ME, "a", version=view.session.version, description="first")
        with pytest.raises(Conflict, match="somebody changed it meanwhile"):
            await session_verbs.describe(lab.world, ME, "a", version=view.session.version, description="second")
        with pytest.raises(Conflict):
            await session_verbs.end(lab.world, ME, "a", version=view.session.version)

    in_lab(test)


@pytest.mark.requirement("S7.2")
def test_nobody_else_gets_in_with_a_name_or_an_id(in_lab) -> None:
    async def test(lab: Lab) -> None:
        view = await session_verbs.create(lab.world, ME, NewSession(alias="mine", job=spec()))
        for name in ("mine", view.session.id):
            for refused in (
                session_verbs.get(lab.world, OTHER, name),
                session_verbs.end(lab.world, OTHER, name),
                session_verbs.describe(lab.world, OTHER, name, description="x"),
                job_verbs.run(lab.world, OTHER, name, spec()),
                job_verbs.stop(lab.world, OTHER, name, "work"),
                job_verbs.signal(lab.world, OTHER, name, "work", "TERM"),
                attachment_verbs.attach(lab.world, OTHER, name, job=None, mode="watch", where=""),
                attachment_verbs.attach(lab.world, OTHER, name, job=None, mode="read", where=""),
                event_verbs.page(lab.world, OTHER, name, after=0, limit=10),
            ):
                with pytest.raises(Denied):
                    await refused
        assert await session_verbs.page(lab.world, OTHER, living=None, after="", limit=10) == []

    in_lab(test)


def test_the_events_give_the_state(in_lab) -> None:
    async def test(lab: Lab) -> None:
        long_lived(lab)
        view = await session_verbs.create(lab.world, ME, NewSession(alias="a", job=spec(env={"PASSWORD": "hunter2"})))
        admission = await attachment_verbs.attach(lab.world, ME, "a", job=None, mode="control", where="pts/1")
        await asyncio.sleep(1)
        lab.host.link(view.jobs[0].id, admission.attachment.id)
        await asyncio.sleep(1)
        await session_verbs.end(lab.world, ME, "a", grace_s=0)
        done = await ended(lab, view.session.id)
        events, more = await event_verbs.page(lab.world, ME, view.session.id, after=0, limit=1000)
        attachments = await lab.world.store.read(lambda v: v.attachments(view.session.id, living=False))
        assert replay(events) == {
            (type(row).__name__.lower(), row.id): fields_of(row) for row in (done.session, *done.jobs, *attachments)
        }
        assert not more
        assert "hunter2" not in repr(events)

    in_lab(test)


@pytest.mark.parametrize(("living", "limit"), [(None, 0), (None, 1001), (True, -1)])
def test_pages_have_bounds(in_lab, living, limit) -> None:
    async def test(lab: Lab) -> None:
        with pytest.raises(Invalid):
            await session_verbs.page(lab.world, ME, living=living, after="", limit=limit)

    in_lab(test)


def test_unknown_names_are_told(in_lab) -> None:
    async def test(lab: Lab) -> None:
        with pytest.raises(NotFound):
            await session_verbs.get(lab.world, ME, "nobody")
        await session_verbs.create(lab.world, ME, NewSession(alias="a"))
        with pytest.raises(NotFound):
            await job_verbs.get(lab.world, ME, "a", "nothing")
        with pytest.raises(NotFound, match="no job yet"):
            await attachment_verbs.attach(lab.world, ME, "a", job=None, mode="control", where="")

    in_lab(test)

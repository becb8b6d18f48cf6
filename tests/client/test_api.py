"""The Python API against a real coordinator: `hawse.open`, `hawse.connect` and their asyncio twins."""

import asyncio
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

import hawse
from hawse.client.places import own_places
from hawse.client.start import stop_coordinator
from hawse.domain.errors import Clash, Conflict, Held, Invalid, LimitReached, NotFound, Unavailable

pytestmark = pytest.mark.xdist_group("cli")


@pytest.fixture(autouse=True)
def _all_ends(places, eventually):
    yield
    if not places.state.exists():
        return
    with hawse.connect() as server:
        for session in server.sessions():
            session.end(grace_s=0, wait_s=20)
    stop_coordinator(own_places())
    for pid in places.processes():
        if b"hawse.runner" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
    eventually(lambda: not places.processes(), what="all processes have gone")


@pytest.mark.requirement("S0.3", "S0.4", "S2.9", "S3.1", "S3.2", "S3.4", "S3.5")
def test_a_session_from_python(tmp_path):
    with hawse.open("train") as s:
        job = s.run(["sh", "-c", "echo $0 $WHAT; pwd; exit 3"], env={**os.environ, "WHAT": "x"}, cwd=tmp_path)
        assert job.result(20).exit_code == 3
        id = s.id
    with hawse.open("train") as s:  # leaving disconnected, and nothing else
        assert (s.id, s.state) == (id, "active")
        (job,) = s.jobs()
        assert b"".join(chunk.data for chunk in job.logs()) == f"sh x\n{tmp_path}\n".encode()
        assert [event.seq for event in s.events()] == list(range(1, s.refresh().last_seq + 1))
        s.describe(description="night", labels={"a": "b"})
        assert s.info.description == "night"
        assert s.end(wait_s=20).state == "ended"
        assert s.end().state == "ended"
    with hawse.open("train") as s:
        assert s.id != id


def test_open_without_create_and_connect():
    with pytest.raises(NotFound):
        hawse.open("nothing", create=False)
    with hawse.connect() as server:
        assert server.status().store == "sqlite"
        assert server.sessions() == []
        session = server.create("x", labels={"k": "v"})
        with pytest.raises(Clash):
            server.create("x")
        with pytest.raises(Invalid):
            server.create("no spaces")
        assert server.session(session.id[:23]).name == "x"
        with pytest.raises(NotFound, match="did you mean x"):
            server.session("xx")
    with pytest.raises(Unavailable):
        hawse.connect("unix:/nowhere/at/all.sock")


def test_attach_types_and_reads():
    with hawse.open("s") as s:
        job = s.run(["cat"], stdin="open")
        with job.attach(from_=0) as a:
            a.send(b"hello\n")
            chunks = a.output()
            assert next(chunks).data == b"hello\n"
            a.send(b"more\n")
            a.close_input()
            assert b"".join(chunk.data for chunk in chunks) == b"more\n"
            assert a.outcome is not None
            assert a.outcome.exit_code == 0


@pytest.mark.requirement("S5.2", "S5.3", "S5.4", "S8.5")
def test_control_of_a_job_from_python():
    with hawse.open("s") as s, ExitStack() as opened:
        job = s.run(["cat"], stdin="open", name="cat")
        first, second = job.attach(from_=0, where="one"), job.attach(from_=0, where="two")
        for each in (first, second):
            opened.callback(each.detach)
        one, two = first.output(), second.output()
        first.send(b"a\n")
        assert (next(one).data, next(two).data) == (b"a\n", b"a\n")
        assert (first.holds, second.holds) == (True, False)
        second.take()
        while not second.holds:
            next(two)
        second.send(b"b\n")
        assert next(two).data == b"b\n"
        first.send(b"evil\n")
        chunks = [next(one) for _ in range(3)]  # the loss, what was typed, and that typing is in vain
        assert {chunk.data for chunk in chunks} == {b"", b"b\n"}
        assert any("uid:" in chunk.problem and "(two) took control" in chunk.problem for chunk in chunks)
        assert any("what you type goes nowhere" in chunk.problem for chunk in chunks)
        assert [(each.where, each.holds) for each in s.who()] == [("one", False), ("two", True)]
        assert all(each.active_at for each in s.who())
        with pytest.raises(Held, match="takes one at a time"):
            job.attach(policy="reject")
        third = opened.enter_context(job.attach(from_=0, where="three", policy="steal"))
        assert b"".join(chunk.data for chunk in two) == b""
        assert (second.reason, second.message) == ("stolen", f"uid:{os.getuid()} (three) took your place")
        third.send(b"c\n")
        third.close_input()
        assert b"".join(chunk.data for chunk in third.output()) == b"a\nb\nc\n"


def test_a_job_is_signalled_stopped_and_waited_for():
    with hawse.open("s") as s:
        job = s.run(["sleep", "600"])
        assert job.wait(20, until="started").pid
        assert job.wait(0.1).state == "running"
        job.signal("INT")
        assert job.result(20).signal == signal.SIGINT
        other = s.run(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], name="stubborn", tty=(100, 40))
        other.wait(20, until="started")
        other.stop(grace_s=0.2)
        assert other.result(20).kind == "signalled"
        assert s.job("stubborn").id == other.id
        with pytest.raises(Clash):
            s.run(["true"], name="stubborn")


def test_a_version_that_moved_is_told():
    with hawse.open("s") as s:
        before = s.info.version
        s.describe(description="one", version=before)
        with pytest.raises(Conflict, match="version"):
            s.describe(description="two", version=before)


def test_the_asyncio_twin(eventually):
    async def scene() -> None:
        async with hawse.aio.open("shop") as s:
            jobs = [await s.run(["sh", "-c", f"echo {n}; sleep 0.2; echo end"]) for n in range(4)]
            async with asyncio.TaskGroup() as tasks:
                followers = [tasks.create_task(collected(job)) for job in jobs]
                events = tasks.create_task(seqs(s))
                await asyncio.gather(*(job.wait(30) for job in jobs))
                await s.end(wait_s=20)
            assert [task.result() for task in followers] == [b"%d\nend\n" % n for n in range(4)]
            assert events.result() == list(range(1, (await s.refresh()).last_seq + 1))
        server = await hawse.aio.connect()
        assert [session.name for session in await server.sessions("ended")] == ["shop"]
        await server.aclose()
        await asyncio.sleep(0)

    async def collected(job: hawse.aio.Job) -> bytes:
        return b"".join([chunk.data async for chunk in job.logs(follow=True)])

    async def seqs(session: hawse.aio.Session) -> list[int]:
        return [event.seq async for event in session.events(follow=True)]

    asyncio.run(scene())


def test_a_restarted_coordinator_is_not_noticed_by_an_open_session():
    with hawse.open("s") as s:
        job = s.run(["sleep", "600"])
        job.wait(20, until="started")
        pid = s.server.status().pid
        os.kill(pid, signal.SIGKILL)
        assert s.refresh().state == "active"
        assert s.server.status().pid != pid
        again = s.run(["echo", "after"])
        assert again.result(20).exit_code == 0
        assert job.refresh().state == "running"


def test_what_cannot_be_meant_is_refused(tmp_path):
    with pytest.raises(Invalid, match="the session's name is empty"):
        hawse.open("")
    with hawse.open("train") as s:
        job = s.run(["sleep", "600"], cwd=tmp_path)
        for timeout in (-1, float("nan")):
            with pytest.raises(Invalid, match=r"a timeout of .* s is not possible"):
                job.result(timeout=timeout)
        with pytest.raises(LimitReached):
            job.result(timeout=0)

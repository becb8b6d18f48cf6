"""An attachment mends itself at its byte: links that break, jobs that end meanwhile, runners that speak nonsense."""

import asyncio
from typing import Any

import pytest
from fake_runner import FakeJob, FakeRunner, exit_frame, welcome

from hawse.client._async.attachment import Attachment as AsyncAttachment
from hawse.client._sync.attachment import Attachment
from hawse.domain.errors import Broken, Fenced
from hawse.wire import terminal
from hawse.wire.frame import frame

LOG = b"0123456789abcdef"


def part(start: int, end: int, source: int = 1) -> bytes:
    return terminal.output(start, source, LOG[start:end])


def read(attachment: Attachment) -> bytes:
    return b"".join(chunk.data for chunk in attachment.output())


def attached(job: FakeJob, **settings: Any) -> Attachment:
    made = Attachment(job, **({"mode": "control", "from_": 0} | settings))  # type: ignore[arg-type]
    made.open()
    return made


def test_a_link_that_breaks_goes_on_at_its_byte(tmp_path):
    script = [
        lambda hello: welcome(0) + part(0, 5) + part(5, 9)[:-2],
        lambda hello: welcome(5) + part(5, 12),
        lambda hello: welcome(12) + part(12, 16) + exit_frame(3),
    ]
    with FakeRunner(tmp_path / "r", script) as runner:
        job = FakeJob(runner, links=3)
        attachment = attached(job)
        assert read(attachment) == LOG
        attachment.detach()
    assert [hello.start for hello in runner.hellos] == [0, 5, 12]
    assert job.resumed == [None, "a1", "a1"]
    assert attachment.outcome is not None
    assert attachment.outcome.exit_code == 3


def test_the_asyncio_twin_does_the_same(tmp_path):
    async def scene(runner: FakeRunner) -> None:
        job = FakeJob(runner, links=2)
        sync_admission = job.admission

        async def admission(mode: str, **rest: Any) -> Any:
            return sync_admission(mode, **rest)

        job.admission = admission  # type: ignore[method-assign, assignment]
        async with AsyncAttachment(job, mode="control", from_=0) as attachment:  # type: ignore[arg-type]
            assert b"".join([chunk.data async for chunk in attachment.output()]) == LOG
        await asyncio.sleep(0)

    script = [lambda hello: welcome(0) + part(0, 5), lambda hello: welcome(5) + part(5, 16) + exit_frame()]
    with FakeRunner(tmp_path / "r", script) as runner:
        asyncio.run(scene(runner))


def test_a_job_that_ended_meanwhile_is_read_from_its_log(tmp_path):
    with FakeRunner(tmp_path / "r", [lambda hello: welcome(0) + part(0, 7)]) as runner:
        attachment = attached(FakeJob(runner, LOG, links=1, outcome={"kind": "lost", "cause": "its runner died"}))
        assert read(attachment) == LOG
    assert attachment.outcome is not None
    assert attachment.outcome.kind == "lost"


def test_the_coordinator_that_is_faster_than_the_last_bytes(tmp_path):
    script = [lambda hello: welcome(0) + part(0, 7) + terminal.detach("ended", "")]
    with FakeRunner(tmp_path / "r", script) as runner:
        assert read(attached(FakeJob(runner, LOG, links=1))) == LOG


def test_what_is_repeated_is_cut_and_what_is_missing_is_told(tmp_path):
    script = [lambda hello: welcome(0) + part(0, 6) + part(4, 8) + part(10, 16) + exit_frame()]
    with FakeRunner(tmp_path / "r", script) as runner:
        chunks = list(attached(FakeJob(runner, links=1)).output())
    assert [(chunk.offset, chunk.data) for chunk in chunks] == [(0, b"012345"), (6, b"67"), (10, b"abcdef")]
    assert [chunk.problem for chunk in chunks] == ["", "", "bytes 8 to 10 are missing"]


def test_bytes_that_are_gone_before_we_came(tmp_path):
    with FakeRunner(tmp_path / "r", [lambda hello: welcome(8) + part(8, 16) + exit_frame()]) as runner:
        chunks = list(attached(FakeJob(runner, links=1)).output())
    assert [(chunk.data, chunk.problem) for chunk in chunks] == [(b"", "bytes 0 to 8 are gone"), (LOG[8:], "")]


def test_restore_is_no_part_of_the_log(tmp_path):
    script = [lambda hello: welcome(9) + frame(terminal.RESTORE, b"screen") + part(9, 16) + exit_frame()]
    with FakeRunner(tmp_path / "r", script) as runner:
        chunks = list(attached(FakeJob(runner, links=1), from_="screen", size=(100, 30)).output())
        assert (runner.hellos[0].start, runner.hellos[0].columns, runner.hellos[0].rows) == ("screen", 100, 30)
    assert [(chunk.source, chunk.data) for chunk in chunks] == [(0, b"screen"), (1, LOG[9:])]


def test_a_detach_is_final_and_says_why(tmp_path):
    script = [lambda hello: welcome(0) + part(0, 3) + terminal.detach("stolen", "by somebody")]
    with FakeRunner(tmp_path / "r", script) as runner:
        attachment = attached(FakeJob(runner, LOG, links=1))
        assert read(attachment) == LOG[:3]
    assert (attachment.reason, attachment.message) == ("stolen", "by somebody")
    assert attachment.outcome is None


@pytest.mark.requirement("S5.3")
def test_one_that_was_detached_while_its_link_was_broken_does_not_come_back(tmp_path):
    with FakeRunner(tmp_path / "r", [lambda hello: welcome(0) + part(0, 3)]) as runner:
        job = FakeJob(runner, LOG, links=5)
        job.fenced = Fenced("attachment a1 has ended")
        job.fenced.facts = {"reason": "idle", "message": "nothing was typed"}
        attachment = attached(job)
        assert read(attachment) == LOG[:3]
        assert job.resumed == [None, "a1"]
    assert (attachment.reason, attachment.message) == ("idle", "nothing was typed")


def test_a_refused_ticket_is_replaced(tmp_path):
    script = [
        lambda hello: terminal.error("ticket_expired", "the ticket has expired"),
        lambda hello: welcome(0) + part(0, 16) + exit_frame(),
    ]
    with FakeRunner(tmp_path / "r", script) as runner:
        assert read(attached(FakeJob(runner, links=2))) == LOG


@pytest.mark.parametrize(
    "answer",
    [
        terminal.error("malformed", "HELLO: from 9 is beyond the log's end"),
        b"\xff\xff\xff\xff\x04",
        frame(terminal.OUTPUT, b"short"),
        frame(terminal.WELCOME, b"not json"),
    ],
    ids=["refused", "too large", "no offset", "no json"],
)
def test_nonsense_is_told_and_not_repeated(tmp_path, answer):
    with FakeRunner(tmp_path / "r", [lambda hello: answer]) as runner:
        attachment = attached(FakeJob(runner, links=1))
        with pytest.raises(Broken):
            read(attachment)
        assert not attachment.is_linked
    assert len(runner.hellos) == 1


def test_notices_are_told(tmp_path):
    said = terminal.notice("log_blocked", "the disk is full; the job waits")
    with FakeRunner(tmp_path / "r", [lambda hello: welcome(0) + said + part(0, 16) + exit_frame()]) as runner:
        chunks = list(attached(FakeJob(runner, links=1)).output())
    assert chunks[0].problem == "the disk is full; the job waits"

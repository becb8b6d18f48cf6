"""The view over pipes, with a scripted runner: links that break, and what is told about it."""

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "client"))
from fake_runner import FakeJob, FakeRunner, exit_frame, welcome

from hawse.cli.attach.keys import Keys
from hawse.cli.attach.outcome import run_end
from hawse.cli.attach.view import CLOSED, CUT, ENDED, View
from hawse.domain.errors import Broken
from hawse.wire import terminal
from hawse.wire.frame import frame

LOG = b"0123456789abcdef"


def part(start: int, end: int, source: int = 1) -> bytes:
    return terminal.output(start, source, LOG[start:end])


def view(job: Any) -> View:
    return View(job, mode="control", raw=False, keys=Keys(None), start=0, takes_input=False, name="s/job")


def test_a_broken_link_goes_on_at_its_byte(tmp_path, capfd):
    script = [
        lambda hello: welcome(0) + part(0, 5),
        lambda hello: welcome(5) + part(5, 7, source=2) + part(7, 16) + exit_frame(4),
    ]
    with FakeRunner(tmp_path / "r", script) as runner:
        shown = view(FakeJob(runner, links=2))
        assert shown.run() == ENDED
        assert [hello.start for hello in runner.hellos] == [0, 5]
    assert run_end(shown, ENDED) == 4
    assert capfd.readouterr() == ("01234789abcdef", "56")


def test_a_lost_job_is_told_with_its_cause_after_the_rest_of_its_log(tmp_path, capfd):
    with FakeRunner(tmp_path / "r", [lambda hello: welcome(0) + part(0, 5)]) as runner:
        shown = view(FakeJob(runner, LOG, links=1, outcome={"kind": "lost", "cause": "its runner was killed"}))
        assert run_end(shown, shown.run()) == 1
    assert capfd.readouterr() == (LOG.decode(), "hawse: s/job: lost: its runner was killed\n")


def test_a_job_that_has_ended_before_is_read_from_its_log(tmp_path, capfd):
    with FakeRunner(tmp_path / "r", []) as runner:
        shown = view(FakeJob(runner, LOG, links=0))
        assert run_end(shown, shown.run()) == 0
    assert capfd.readouterr().out == LOG.decode()


def test_the_coordinator_that_is_faster_than_the_last_bytes(tmp_path, capfd):
    with FakeRunner(tmp_path / "r", [lambda hello: welcome(0) + part(0, 9) + terminal.detach("ended")]) as runner:
        shown = view(FakeJob(runner, LOG, links=1))
        assert run_end(shown, shown.run()) == 0
    assert capfd.readouterr().out == LOG.decode()


@pytest.mark.parametrize(("is_over", "links"), [(False, 1), (True, 1), (True, 0)])
@pytest.mark.parametrize("where", ["/dev/full", "a reader that left"])
def test_output_that_cannot_be_written(tmp_path, capfd, where, is_over, links):
    """Told, but for a reader that left a job that is over: `hawse run w -- seq 9 | head -1` is silent."""
    reader, full = os.pipe() if where != "/dev/full" else (-1, os.open("/dev/full", os.O_WRONLY))
    if reader >= 0:
        os.close(reader)
    kept = os.dup(1)
    with FakeRunner(tmp_path / "r", [lambda hello: welcome(0) + part(0, 16)]) as runner:
        job = FakeJob(runner, LOG, links=links)
        shown = view(job)
        os.dup2(full, 1)
        try:
            how = shown.run()
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(full)
    job.is_over = is_over
    assert run_end(shown, how) == (74 if where == "/dev/full" else 141)
    said = ""
    if where == "/dev/full":
        said = "hawse: the output of s/job cannot be written: No space left on device\n"
        said += "       all of it is kept: hawse logs s/job\n"
    if not is_over:
        said += "[left s/job; it goes on. End it: hawse signal s/job TERM]\n"
    assert capfd.readouterr().err == said


def test_output_that_cannot_be_written_after_a_broken_link_is_told_at_once(tmp_path):
    """The line breaks, the job has ended meanwhile, and the rest of its log has nowhere to go: no minute of trying."""
    kept, full = os.dup(1), os.open("/dev/full", os.O_WRONLY)
    with FakeRunner(tmp_path / "r", [lambda hello: welcome(0)]) as runner:
        shown = view(FakeJob(runner, LOG, links=1))
        os.dup2(full, 1)
        try:
            assert shown.run() == CLOSED
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(full)
    assert shown.output_error == errno.ENOSPC


def test_somebody_cuts_it(tmp_path, capfd):
    with FakeRunner(tmp_path / "r", [lambda hello: welcome(0) + terminal.detach("stolen", "by ann")]) as runner:
        shown = view(FakeJob(runner, LOG, links=1))
        assert shown.run() == CUT
    assert run_end(shown, CUT) == 1
    assert "detached from s/job (by ann); it goes on" in capfd.readouterr().err


def test_gaps_and_notices_are_told(tmp_path, capfd):
    script = [lambda hello: welcome(3) + part(3, 16) + terminal.notice("gap", "2 bytes are damaged") + exit_frame()]
    with FakeRunner(tmp_path / "r", script) as runner:
        assert view(FakeJob(runner, links=1)).run() == ENDED
    out, err = capfd.readouterr()
    assert out == "3456789abcdef"
    assert err == "[bytes 0 to 3 are gone]\n[2 bytes are damaged]\n"


@pytest.mark.parametrize(
    "answer", [b"\xff\xff\xff\xff\x04", frame(terminal.EXIT, b"{"), terminal.error("malformed", "no")]
)
def test_nonsense_is_told(tmp_path, answer):
    with FakeRunner(tmp_path / "r", [lambda hello: answer]) as runner:
        with pytest.raises(Broken, match="s/job"):
            view(FakeJob(runner, links=1)).run()


def test_no_descriptor_is_left(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    with FakeRunner(tmp_path / "r", [lambda hello: welcome(0) + exit_frame()]) as runner:
        view(FakeJob(runner, links=1)).run()
    assert len(os.listdir("/proc/self/fd")) == before

"""What is left of an attempt without a runner: who is recognised, what is told, who is ended."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hawse.adapters.launch import remains
from hawse.runner import claim, kin

ANOTHER_BOOT = "0badb007-0000-4000-8000-000000000001"


def claimed(pid: int, **changes: Any) -> dict[str, Any]:
    return {"runner_pid": pid, "runner_started": kin.started(pid), "boot_id": kin.boot_id(), **changes}


@contextmanager
def process(*argv: str, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(argv, start_new_session=True, **settings) as made:
        try:
            yield made
        finally:
            made.kill()


@pytest.mark.requirement("S3.2")
def test_a_runner_is_its_number_its_start_and_its_boot():
    with process("sleep", "600") as other:
        told = claimed(other.pid)
        assert remains.runner_lives(told)
        assert not remains.runner_lives({**told, "runner_started": told["runner_started"] + 1})
        assert not remains.runner_lives({**told, "boot_id": ANOTHER_BOOT})
        assert not remains.runner_lives({**told, "runner_pid": "1"})
        assert not remains.runner_lives({})
    assert not remains.runner_lives(told), "a zombie or nobody"


def test_causes_in_words():
    assert remains.cause_of_loss(None) == "it was never started"
    assert "damaged" in remains.cause_of_loss({})
    assert remains.cause_of_loss(claimed(1, boot_id=ANOTHER_BOOT)) == "the host was rebooted"
    assert remains.cause_of_loss(claimed(os.getpid())) == f"its runner (process {os.getpid()}) was killed"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b'"text"', b"{" * 100_000])
def test_a_record_that_cannot_be_read_is_empty_not_absent(tmp_path, data):
    assert remains.record(str(tmp_path), 1, claim.CLAIM) is None
    folder = tmp_path / "attempt-1"
    folder.mkdir()
    assert remains.record(str(tmp_path), 1, claim.CLAIM) is None
    (folder / claim.CLAIM).write_bytes(data)
    assert remains.record(str(tmp_path), 1, claim.CLAIM) == {}


def swept(tmp_path: Any, job: str, main: dict[str, Any], *, keep: bool = False) -> list[dict[str, Any]]:
    folder = tmp_path / "attempt-1"
    folder.mkdir(exist_ok=True)
    claim.write(str(folder), claim.PROCESS, main, durable=False)
    return remains.sweep(job, str(tmp_path), 1, keep=keep)


@pytest.fixture
def job() -> str:
    """A job of this test alone: processes of another run of the tests must not be found."""
    return f"job-{uuid.uuid4()}"


def test_tagged_processes_are_ended_wherever_they_went(tmp_path, eventually, monkeypatch, job):
    monkeypatch.setattr(remains, "SWEEP_GRACE_S", 0.3)
    tag = {**os.environ, "HAWSE_JOB": job}
    with process("sleep", "600", env=tag) as one, process("sleep", "600") as other:
        with process(sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)",
                     env=tag) as deaf:  # fmt: skip
            eventually(lambda: _ignores(deaf.pid, signal.SIGTERM))
            told = swept(tmp_path, job, {"pid": 0, "started": 0, "boot_id": kin.boot_id()})
            assert {entry["pid"] for entry in told} == {one.pid, deaf.pid}
            assert (one.wait(10), deaf.wait(10)) == (-signal.SIGTERM, -signal.SIGKILL)
            assert other.poll() is None


def _ignores(pid: int, number: int) -> bool:
    with open(f"/proc/{pid}/status") as file:
        ignored = next(line for line in file if line.startswith("SigIgn"))
    return bool(int(ignored.split()[1], 16) >> (number - 1) & 1)


def test_kept_ones_are_told_and_left_alone(tmp_path, job):
    with process("sleep", "600", env={**os.environ, "HAWSE_JOB": job}) as one:
        told = swept(tmp_path, job, {"boot_id": kin.boot_id()}, keep=True)
        assert told == [{"pid": one.pid, "command": "sleep 600"}]
        assert one.poll() is None


def test_numbers_of_another_boot_name_nobody(tmp_path, job):
    """The same number with the same start time: only the boot tells that it is another process."""
    with process("sleep", "600") as other:
        told = {"pid": other.pid, "started": kin.started(other.pid), "boot_id": ANOTHER_BOOT}
        assert swept(tmp_path, job, told) == []
        assert other.poll() is None
        assert swept(tmp_path, job, {**told, "boot_id": kin.boot_id()})[0]["pid"] == other.pid
        assert other.wait(10) == -signal.SIGTERM


def test_a_daemon_and_what_it_runs_are_spared_but_a_tagged_orphan_below_it_is_not(tmp_path, job):
    """A runner that died leaves its job's processes to whoever is above it, and that may be a daemon of hawse."""
    program = (
        "import os, subprocess, sys, time;"
        "own = subprocess.Popen(['sleep', '600'], env={'PATH': os.environ['PATH']});"
        "theirs = subprocess.Popen(['sleep', '600'], env={'PATH': os.environ['PATH'], 'HAWSE_JOB': sys.argv[1]});"
        "print(own.pid, theirs.pid, flush=True); theirs.wait(); print('ended', flush=True); sys.stdin.read()"
    )
    with process(
        sys.executable, "-c", program, job, stdout=subprocess.PIPE, stdin=subprocess.PIPE,
        env={**os.environ, "HAWSE_DAEMON": "coordinator"},
    ) as daemon:  # fmt: skip
        assert daemon.stdout is not None
        own, theirs = map(int, daemon.stdout.readline().split())
        try:
            told = swept(tmp_path, job, {"boot_id": kin.boot_id()})
            assert [entry["pid"] for entry in told] == [theirs]
            assert daemon.stdout.readline() == b"ended\n"
            assert kin.look(own) is not None
            assert daemon.poll() is None
        finally:
            os.kill(own, signal.SIGKILL)

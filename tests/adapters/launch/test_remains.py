"""What is left of an attempt without a runner: who is recognised, what is told, who is ended."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hawse.adapters.clock import SystemClock
from hawse.adapters.launch import remains, sweep
from hawse.adapters.launch.remains import Remains
from hawse.adapters.launch.sweep import Sweep
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


def left(tmp_path: Any, job: str, main: dict[str, Any]) -> Remains:
    folder = tmp_path / "attempt-1"
    folder.mkdir(exist_ok=True)
    claim.write(str(folder), claim.PROCESS, main, durable=False)
    return Remains(job, str(tmp_path), 1)


def swept(remains: Remains, *, grace_s: float = 5.0) -> list[kin.Kin]:
    """Who survived."""
    return asyncio.run(Sweep(remains, SystemClock(), grace_s=grace_s).run())


@pytest.fixture
def job() -> str:
    """A job of this test alone: processes of another run of the tests must not be found."""
    return f"job-{uuid.uuid4()}"


DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"


def test_tagged_processes_are_ended_wherever_they_went(tmp_path, eventually, job):
    tag = {**os.environ, "HAWSE_JOB": job}
    with process("sleep", "600", env=tag) as one, process("sleep", "600") as other:
        with process(sys.executable, "-c", DEAF, env=tag) as deaf:
            eventually(lambda: _ignores(deaf.pid, signal.SIGTERM))
            found = left(tmp_path, job, {"pid": 0, "started": 0, "boot_id": kin.boot_id()})
            eventually(lambda: {entry["pid"] for entry in remains.told(found.present())} == {one.pid, deaf.pid})
            assert swept(found, grace_s=0.3) == []
            assert (one.wait(10), deaf.wait(10)) == (-signal.SIGTERM, -signal.SIGKILL)
            assert other.poll() is None


def test_a_sweep_asks_each_process_once(tmp_path, eventually, job):
    """Many programs take a second SIGTERM for "at once": what writes its last checkpoint has its whole grace."""
    program = (
        "import signal, sys, time; heard = []; signal.signal(15, lambda *_: heard.append(1));"
        "print('ready', flush=True); end = time.monotonic() + 60\n"
        "while not heard and time.monotonic() < end: time.sleep(0.01)\n"
        "time.sleep(0.6); print(len(heard), flush=True)"
    )
    with process(sys.executable, "-c", program, stdout=subprocess.PIPE, env={**os.environ, "HAWSE_JOB": job}) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == b"ready\n"
        assert swept(left(tmp_path, job, {"boot_id": kin.boot_id()}), grace_s=30) == []
        assert one.stdout.readline() == b"1\n"
        assert one.wait(10) == 0


def test_a_sweep_ends_though_a_process_does_not_and_says_who_survived(tmp_path, eventually, monkeypatch, job):
    """One that sits in the kernel, or has become somebody else's, can't be ended."""
    monkeypatch.setattr(sweep, "KILL_S_MAX", 0.2)
    monkeypatch.setattr(kin, "send", lambda one, number: False)
    with process("sleep", "600", env={**os.environ, "HAWSE_JOB": job}) as one:
        found = left(tmp_path, job, {"boot_id": kin.boot_id()})
        eventually(found.present)
        survived = swept(found, grace_s=0.1)
        assert remains.told(survived) == ({"pid": one.pid, "command": "sleep 600"},)


def test_one_look_that_finds_nobody_proves_nothing(tmp_path, monkeypatch, job):
    """While a program is loaded its process shows no environment."""
    with process("sleep", "600", env={**os.environ, "HAWSE_JOB": job}) as one:
        found = left(tmp_path, job, {"boot_id": kin.boot_id()})
        looks = iter([True, False])
        monkeypatch.setattr(found, "present", lambda: [] if next(looks, False) else Remains.present(found))
        assert swept(found) == []
        assert one.wait(10) == -signal.SIGTERM


def test_a_sweep_can_be_hurried(tmp_path, eventually, job):
    with process(sys.executable, "-c", DEAF, env={**os.environ, "HAWSE_JOB": job}) as deaf:
        eventually(lambda: _ignores(deaf.pid, signal.SIGTERM))
        found = left(tmp_path, job, {"boot_id": kin.boot_id()})

        async def main() -> list[kin.Kin]:
            going = Sweep(found, SystemClock(), grace_s=3600)
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                task = group.create_task(going.run())
                going.hurry(0)
            return task.result()

        assert asyncio.run(main()) == []
        assert deaf.wait(10) == -signal.SIGKILL


def _ignores(pid: int, number: int) -> bool:
    with open(f"/proc/{pid}/status") as file:
        ignored = next(line for line in file if line.startswith("SigIgn"))
    return bool(int(ignored.split()[1], 16) >> (number - 1) & 1)


def test_numbers_of_another_boot_name_nobody(tmp_path, job):
    """The same number with the same start time: only the boot tells that it is another process."""
    with process("sleep", "600") as other:
        told = {"pid": other.pid, "started": kin.started(other.pid), "boot_id": ANOTHER_BOOT}
        assert left(tmp_path, job, told).present() == []
        found = left(tmp_path, job, {**told, "boot_id": kin.boot_id()})
        assert [one.pid for one in found.present()] == [other.pid]
        assert swept(found) == []
        assert other.wait(10) == -signal.SIGTERM


def test_a_daemon_and_what_it_runs_are_spared_but_a_tagged_orphan_below_it_is_not(tmp_path, eventually, job):
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
            found = left(tmp_path, job, {"boot_id": kin.boot_id()})
            eventually(lambda: [one.pid for one in found.present()] == [theirs])
            assert swept(found) == []
            assert daemon.stdout.readline() == b"ended\n"
            assert kin.look(own) is not None
            assert daemon.poll() is None
        finally:
            os.kill(own, signal.SIGKILL)

"""Finding and ending processes: the same one, never a later one with its number."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hawse.runner import kin


@pytest.fixture
def sleeper():
    child = subprocess.Popen(["sleep", "600"], env={**os.environ, "HAWSE_JOB": "kin-test"}, start_new_session=True)
    yield child
    child.kill()
    child.wait()


def test_a_process_is_seen_with_its_start(sleeper, eventually):
    one = eventually(lambda: kin.look(sleeper.pid))
    assert (one.pid, one.parent, one.session, one.group) == (sleeper.pid, os.getpid(), sleeper.pid, sleeper.pid)
    assert one.started == kin.started(sleeper.pid) > 0
    assert eventually(lambda: kin.command(sleeper.pid) == "sleep 600")  # between fork and exec it has none


def test_a_zombie_is_dead(sleeper, eventually):
    sleeper.send_signal(signal.SIGKILL)
    eventually(lambda: kin.look(sleeper.pid) is None)
    assert kin.started(sleeper.pid) > 0, "its number is still taken"


def test_another_process_with_the_same_number_is_not_signalled(sleeper, eventually):
    one = eventually(lambda: kin.look(sleeper.pid))
    one.started -= 1
    assert not kin.send(one, signal.SIGKILL)
    assert sleeper.poll() is None
    one.started += 1
    assert kin.send(one, signal.SIGKILL)
    assert sleeper.wait() == -signal.SIGKILL


def test_it_is_found_by_its_tag(sleeper, eventually):
    eventually(lambda: [one.pid for one in kin.of_job("kin-test")] == [sleeper.pid])
    assert kin.of_job("kin-tes") == []
    assert kin.of_job("kin-test-2") == []


def test_what_carries_another_job_s_tag_is_not_this_job_s(sleeper, eventually):
    """A job that was started from inside a job, below a coordinator that has gone meanwhile: each ends by itself."""
    program = "import subprocess, sys; print('up', flush=True); subprocess.run(['env', *sys.argv[1:]])"
    theirs = ["HAWSE_JOB=kin-other", "sh", "-c", "env -i sleep 600 & wait"]
    tag = {**os.environ, "HAWSE_JOB": "kin-test"}
    with subprocess.Popen(
        [sys.executable, "-c", program, *theirs], env=tag, stdout=subprocess.PIPE, start_new_session=True
    ) as own:
        try:
            other = eventually(lambda: [one for one in kin.of_job("kin-other") if "sh -c" in kin.command(one.pid)])[0]
            below = eventually(lambda: [p for p in kin.children(other.pid) if kin.command(p) == "sleep 600"])[0]
            assert {one.pid for one in kin.of_job("kin-other")} == {other.pid, below}
            for found in (
                kin.tree(os.getpid(), job="kin-test"),
                kin.of_job("kin-test"),
                kin.of_job("kin-test", main=own.pid, main_started=kin.started(own.pid)),  # by session and group too
            ):
                assert {own.pid, sleeper.pid} <= {one.pid for one in found}
                assert not {other.pid, below} & {one.pid for one in found}
            known = {one.pid for one in kin.of_job("none", main=other.pid, main_started=other.started)}
            assert {other.pid, below} <= known, "the main process is its job's, whatever it has become"
        finally:
            for one in (*kin.of_job("kin-other"), *kin.of_job("kin-test")):
                if one.pid != sleeper.pid:
                    kin.send(one, signal.SIGKILL)


def test_a_tag_is_seen_behind_a_large_environment(eventually):
    large = {f"A{n}": "x" * 100_000 for n in range(15)}
    child = subprocess.Popen(["sleep", "600"], env={**large, "HAWSE_JOB": "kin-large"})
    try:
        eventually(lambda: [one.pid for one in kin.of_job("kin-large")] == [child.pid])
    finally:
        child.kill()
        child.wait()


def test_a_number_of_another_time_does_not_count(sleeper, eventually):
    one = eventually(lambda: kin.look(sleeper.pid))
    assert kin.of_job("none", main=one.pid, main_started=one.started + 1) == []
    assert [found.pid for found in kin.of_job("none", main=one.pid, main_started=one.started)] == [one.pid]


def test_a_hostile_name_does_not_confuse(tmp_path, eventually):
    program = "import ctypes, time; ctypes.CDLL(None).prctl(15, b') Z 1 (', 0, 0, 0); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", program])
    try:
        eventually(lambda: Path(f"/proc/{child.pid}/comm").read_text() == ") Z 1 (\n")
        one = kin.look(child.pid)
        assert one is not None
        assert one.parent == os.getpid()
    finally:
        child.kill()
        child.wait()


def test_nobody_is_there():
    assert kin.look(2**22 + 1) is None
    assert kin.started(2**22 + 1) == 0
    assert kin.environ(2**22 + 1) == b""
    assert kin.children(2**22 + 1) == []
    assert kin.in_cgroup("/no/such/group") == []
    kin.kill_cgroup("/no/such/group", job="none")
    kin.remove_cgroup("/no/such/group")

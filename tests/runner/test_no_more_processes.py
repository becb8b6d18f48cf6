"""The user may have no more processes (RLIMIT_NPROC): told at once, nothing half started, and it works again later."""

import os
import subprocess
import sys
from itertools import count as numbers

import pytest
from tests.other_users import need_root

from hawse.wire import fields, terminal

# a parent of a user who has no other process: root is never refused one
PARENT = """
import encodings.ascii, os, resource, sys, traceback  # what is loaded later he may not read
from hawse.runner import parent
resource.setrlimit(resource.RLIMIT_NPROC, (int(sys.argv[3]), int(sys.argv[3])))
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
sys.exit(parent.main([sys.argv[1]]))
"""


FRESH = numbers(400_000_000 + 100 * os.getpid())  # in no other test or worker: all processes of a uid are counted


@pytest.fixture
def limited(bare_rig):
    """limited(n): a rig whose parent is a stranger's who may have n processes in all. others(n): so many of them."""
    need_root()
    rig, uid, others = bare_rig, next(FRESH), []  # whom an earlier test's runner still counts for is another one
    for path in (rig.base, *rig.base.parents):
        if path.stat().st_mode & 0o011 != 0o011:
            os.chmod(path, path.stat().st_mode | 0o011)
    os.chown(rig.base, uid, uid)
    os.chown(rig.base / "r", uid, uid)

    def start(count):
        words = [sys.executable, "-c", PARENT, str(rig.path), str(uid), str(count)]
        rig.parent = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        rig.eventually(lambda: rig.parent.poll() is not None or rig.is_served(), what="the parent's socket")
        return rig

    def have(count):
        while len(others) < count:
            others.append(subprocess.Popen(["/bin/sleep", "600"], user=uid, group=uid, extra_groups=[], cwd="/"))
        while len(others) > count:
            others[-1].kill()
            others.pop().wait()

    start.others = have
    yield start
    have(0)


def test_no_runner_can_be_made(limited):
    """It is told at once, and asking again later is all that is needed."""
    rig = limited(3)
    limited.others(2)
    values, spawn = rig.order(["true"])
    ((kind, body),) = rig.ask(spawn, timeout_s=5)
    told = fields.unpack(body, "ERROR")
    assert kind == terminal.ERROR
    assert told["code"] == "busy"
    assert "Resource temporarily unavailable" in told["detail"]
    assert not os.path.exists(values["job_dir"])
    limited.others(0)
    assert rig.spawn("true").ended()["outcome"] == {"kind": "exited", "code": 0}


@pytest.mark.parametrize("tty", [None, (80, 24)])
def test_no_job_can_be_made(limited, tty):
    """There is a runner, and no room for its job: that is how the job ended."""
    attempt = limited(2).spawn("true", tty=tty)
    outcome = attempt.ended(5)["outcome"]
    assert (outcome["kind"], outcome["code"]) == ("failed", 126)
    assert "Resource temporarily unavailable" in outcome["cause"]
    attempt.gone()


def test_no_thread_can_be_made_to_sync_the_log(limited):
    """Then the runner does it itself: nothing stays unsynced, and no descriptor open."""
    rig = limited(3)
    small = {"flush_s": 0.05, "segment_bytes_max": 64 * 1024}
    attempt = rig.spawn("sh", "-c", "while read x; do echo $x; done", stdin="open", log=small)
    attempt.process  # noqa: B018 - wait for it: parent, runner and job are all that he may have
    link = attempt.attach()

    def open_files():
        return len(os.listdir(f"/proc/{attempt.runner_pid}/fd"))

    link.type(b"first\n")
    link.until_output(b"first")
    before = open_files()
    for number in range(8):
        line = b"%d" % number * 30_000 + b"\n"
        link.type(line)
        link.until_output(line)
    rig.eventually(lambda: open_files() <= before, what="closed segments are synced and let go")

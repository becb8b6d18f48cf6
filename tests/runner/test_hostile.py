"""Jobs that make their end hard, by mistake or on purpose."""

import os
import sys
import time

import pytest

from hawse.runner import kin

ALARM_S = 60  # each program here ends by itself after this, whatever the runner does

HEADLESS = """
import ctypes, os, threading, time
threading.Thread(target=time.sleep, args=(%d,)).start()
os.write(1, b"up\\n")
ctypes.CDLL(None).syscall(ctypes.c_long(%d), 0)
"""
EXIT_NUMBERS = {"x86_64": 60, "aarch64": 93}  # exit(2) of one thread; asm/unistd.h


@pytest.mark.requirement("S3.5")
@pytest.mark.skipif(os.uname().machine not in EXIT_NUMBERS, reason="the number of exit(2) is not known here")
@pytest.mark.parametrize("is_main", [True, False], ids=["main", "child"])
def test_a_process_whose_first_thread_has_ended_lives_and_is_ended(rig, is_main):
    """It looks like a zombie; its other threads run on."""
    program = HEADLESS % (ALARM_S, EXIT_NUMBERS[os.uname().machine])
    words = [sys.executable, "-I", "-S", "-c", program]
    attempt = rig.spawn(*words) if is_main else rig.spawn("sh", "-c", '"$@" & wait; exit 0', "sh", *words)
    control = attempt.coordinator()
    attempt.attach("read").until_output(b"up")
    (pid,) = [attempt.process["pid"]] if is_main else kin.children(attempt.process["pid"])
    rig.eventually(lambda: _state(pid) == "Z")
    assert kin.look(pid) is not None
    assert pid in [one.pid for one in kin.of_job(attempt.job)], "its environment is seen through its other threads"
    control.command("stop", grace_s=600)
    assert control.report("exited")["outcome"] == {"kind": "signalled", "signal": 15}
    assert kin.look(pid) is None


def _state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(") ")[2][0]


@pytest.mark.requirement("S0.4")
@pytest.mark.parametrize("tty", [None, (80, 24)], ids=["pipes", "terminal"])
def test_a_job_that_closes_its_output_computes_on(rig, tmp_path, tty):
    """No hangup, no busy waiting; what it opens again is read; its end is its own."""
    until = time.monotonic() + 1
    go, again = tmp_path / "go", "; echo again > /dev/tty" if tty else ""
    script = f"echo up; exec < /dev/null > /dev/null 2>&1; while [ ! -e {go} ]; do sleep 0.05; done{again}; exit 3"
    attempt = rig.spawn("sh", "-c", script, tty=tty)
    attempt.attach("read").until_output(b"up")
    before = _cpu(attempt.runner_pid)
    rig.eventually(lambda: time.monotonic() > until)
    assert attempt.record() is None
    assert _cpu(attempt.runner_pid) - before < 0.3
    go.touch()
    assert attempt.ended()["outcome"] == {"kind": "exited", "code": 3}
    assert attempt.read_log()[0] == (b"up\r\nagain\r\n" if tty else b"up\n")


def _cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("tty", [None, (80, 24)], ids=["pipes", "terminal"])
def test_a_lot_of_unread_output_at_the_end_is_kept(rig, tty):
    """Somebody types who reads ever so slowly, so that the job is held back for them: what it wrote is all there."""
    attempt = rig.spawn(
        "sh", "-c", "head -c 3000000 /dev/zero; echo end", tty=tty,
        limits={"pace_bytes": 1, "pace_s": 3, "drain_s": 0.05, "drain_clients_s": 1},
    )  # fmt: skip
    link = attempt.attach("control")

    def ended():
        link.read_once(0.05, size=20_000)
        return attempt.record()

    record = rig.eventually(ended, 60, what="exit.json")
    assert record["outcome"] == {"kind": "exited", "code": 0}
    assert record["log_end"] == 3_000_000 + (5 if tty else 4)
    assert attempt.read_log()[0].endswith(b"\0end\r\n" if tty else b"\0end\n")

"""Jobs that make their end hard, by mistake or on purpose."""

import os
import signal
import sys
import time

import pytest

from hawse.runner import kin

ALARM_S = 60  # each program here ends by itself after this, whatever the runner does

COMET = f"""
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)
end = time.monotonic() + {ALARM_S}
if os.fork():
    while True: signal.pause()
os.environ.clear(); os.setsid()
os.write(1, b"up\\n"); null = os.open("/dev/null", os.O_RDWR)
for fd in (0, 1, 2): os.dup2(null, fd)
while time.monotonic() < end:
    if os.fork(): os._exit(0)
"""

SWARM = f"""
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.alarm({ALARM_S}); os.write(1, b"up\\n")
while True:
    try:
        if not os.fork():
            signal.alarm({ALARM_S})
            if not os.fork(): os.setsid()
            end = time.monotonic() + 0.5
            while time.monotonic() < end: time.sleep(0.01)
            os._exit(0)
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except OSError: pass
    time.sleep(0.002)
"""


def mine(attempt):
    """What lives below the attempt's runner."""
    return kin.tree(attempt.runner_pid, job=attempt.job)


@pytest.fixture
def no_cgroup():
    """What an order needs so that its runner gets no cgroup, wherever the tests run: its name is taken."""
    values = {"job": f"hostile-{os.getpid()}-{os.urandom(4).hex()}", "incarnation": os.urandom(16).hex()}
    path = f"{kin.own_cgroup()}/{kin.CGROUP_PREFIX}{values['job']}-{values['incarnation'][:16]}"
    try:
        os.mkdir(path)
    except OSError:
        yield values
    else:
        yield values
        os.rmdir(path)


@pytest.mark.requirement("S3.5")
@pytest.mark.parametrize("program", [COMET, SWARM], ids=["comet", "swarm"])
@pytest.mark.parametrize("tty", [None, (80, 24)], ids=["pipes", "terminal"])
@pytest.mark.parametrize("has_cgroup", [False, True], ids=["no cgroup", "cgroup where one can be had"])
def test_what_forks_without_an_end_is_ended(rig, no_cgroup, program, tty, has_cgroup):
    """A process that is another one at every look, and many at a time; both deaf, in sessions of their own."""
    attempt = rig.spawn(sys.executable, "-I", "-S", "-c", program, tty=tty, **({} if has_cgroup else no_cgroup))
    assert has_cgroup or attempt.process["cgroup"] == ""
    control = attempt.coordinator()
    attempt.attach("read").until_output(b"up")
    control.command("stop", grace_s=0.1)
    assert control.report("exited")["outcome"] == {"kind": "signalled", "signal": 9}
    assert mine(attempt) == []
    control.command("forget")
    attempt.gone()
    assert kin.of_job(attempt.job) == []


def test_a_process_that_forked_twice_and_cleared_its_environment_is_found(rig, tmp_path):
    program = (
        "import os, sys, time\n"
        "if os.fork(): time.sleep(0.3); os._exit(0)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "for fd in (0, 1, 2): os.close(fd)\n"
        "os.chdir('/'); os.execve('/bin/sleep', ['sleep', '619'], {})\n"
    )
    attempt = rig.spawn(sys.executable, "-I", "-S", "-c", program, tty=(80, 24))
    (left,) = attempt.ended()["left_behind"]
    assert left["command"] == "sleep 619"
    assert kin.look(left["pid"]) is None


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


@pytest.mark.requirement("S3.5")
@pytest.mark.parametrize("tty", [None, (80, 24)], ids=["pipes", "terminal"])
def test_a_tree_that_was_stopped_is_ended_within_the_grace(rig, tty):
    attempt = rig.spawn("sh", "-c", "sleep 620 & setsid sleep 620 & sh -c 'sleep 620; :' & echo up; wait", tty=tty)
    control = attempt.coordinator()
    attempt.attach("read").until_output(b"up")
    rig.eventually(lambda: [kin.command(one.pid) for one in mine(attempt)].count("sleep 620") == 3)
    everybody = mine(attempt)
    for one in everybody:
        assert kin.send(one, signal.SIGSTOP)
    rig.eventually(lambda: all(_state(one.pid) == "T" for one in everybody))
    control.command("stop", grace_s=600)
    assert control.report("exited")["outcome"]["kind"] == "signalled"
    assert mine(attempt) == []


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


def test_last_words_of_what_was_left_behind_are_kept(rig):
    """It prints when it is asked to end, after the main process ended."""
    child = 'trap "echo saved; exit 0" TERM; echo up; while :; do sleep 0.05; done'
    attempt = rig.spawn("sh", "-c", f"setsid sh -c '{child}' & sleep 0.3; exit 0")
    record = attempt.ended()
    assert len(record["left_behind"]) >= 1
    assert attempt.read_log()[0].endswith(b"saved\n")


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

"""The end of a job: stop with grace, what was left behind, the last byte, the coordinator's forget."""

import json
import os
import signal

import pytest

from hawse.runner import kin

DAEMON = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
open(sys.argv[1], "w").close()
time.sleep(600)
"""


def alive(pid):
    return kin.look(pid) is not None


@pytest.mark.requirement("S3.5", "L3.3")
def test_stop_ends_the_whole_tree(rig):
    attempt = rig.spawn("sh", "-c", "sleep 600 & setsid sleep 601 & echo ready; wait", tty=(80, 24))
    control = attempt.coordinator()
    link = attempt.attach("watch")
    link.until_output(b"ready")
    rig.eventually(lambda: len(kin.tree(attempt.runner_pid, job=attempt.job)) == 3)
    pids = [one.pid for one in kin.tree(attempt.runner_pid, job=attempt.job)]
    assert control.command("stop", grace_s=5)["ok"]
    exited = control.report("exited")
    assert exited["outcome"]["kind"] == "signalled"
    assert not any(map(alive, pids))


def test_stop_kills_after_the_grace_what_ignores_sigterm(rig):
    attempt = rig.spawn("sh", "-c", "trap '' TERM HUP; echo ready; while :; do sleep 1; done", tty=(80, 24))
    control = attempt.coordinator()
    attempt.attach("watch").until_output(b"ready")
    control.command("stop", grace_s=0.2)
    assert control.report("exited")["outcome"] == {"kind": "signalled", "signal": 9}


def test_a_second_stop_with_less_grace_hurries(rig):
    attempt = rig.spawn("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
    control = attempt.coordinator()
    attempt.attach("read").until_output(b"ready")
    assert control.command("stop", grace_s=600)["ok"]
    assert control.command("stop", grace_s=0)["ok"]
    assert control.report("exited")["outcome"] == {"kind": "signalled", "signal": 9}


def test_an_interactive_shell_ends_at_once(rig):
    attempt = rig.spawn("bash", "--norc", "-i", tty=(80, 24), env={"PS1": "ready> "})
    control = attempt.coordinator()
    attempt.attach("watch").until_output(b"ready>")
    control.command("stop", grace_s=600)
    assert control.report("exited")["outcome"]["kind"] in ("signalled", "exited")


def test_a_stopped_process_is_ended_too(rig):
    attempt = rig.spawn("sleep", "600")
    control = attempt.coordinator()
    os.kill(attempt.process["pid"], signal.SIGSTOP)
    control.command("stop", grace_s=600)
    assert control.report("exited")["outcome"] == {"kind": "signalled", "signal": 15}


@pytest.mark.requirement("S3.5")
@pytest.mark.parametrize("tty", [None, (80, 24)])
def test_a_daemon_that_was_left_behind_is_found_told_and_ended(rig, need, tty, tmp_path):
    python = need("python3")
    mark = tmp_path / "daemon"  # it left the session: no hangup reaches it any more
    program = f"{python} -I -S -c '{DAEMON}' {mark}; while [ ! -e {mark} ]; do sleep 0.01; done"
    attempt = rig.spawn("sh", "-c", program, tty=tty)
    record = attempt.ended()
    assert record["outcome"] == {"kind": "exited", "code": 0}
    (left,) = record["left_behind"]
    assert "time.sleep(600)" in left["command"]
    assert not alive(left["pid"])


def test_a_daemon_without_our_environment_is_found_by_its_descent(rig, need):
    attempt = rig.spawn("sh", "-c", "env -i setsid sleep 600 < /dev/null > /dev/null 2>&1 &")
    (left,) = attempt.ended()["left_behind"]
    assert left["command"] == "sleep 600"
    assert not alive(left["pid"])


@pytest.mark.parametrize("tty", [None, (80, 24)], ids=["pipes", "a terminal"])
def test_who_is_kept_and_holds_the_output_delays_no_end(rig, tty):
    """All that the main process wrote is there; nobody waits for what may never come."""
    script = "setsid sleep 600 & sleep 0.1; seq 1 50000; exit 3"
    attempt = rig.spawn("sh", "-c", script, leftovers="keep", tty=tty, limits={"drain_s": 10_000})
    assert attempt.ended()["outcome"]["code"] == 3
    assert attempt.read_log()[0].split()[-1] == b"50000"
    (left,) = attempt.record()["left_behind"]
    assert kin.send(kin.look(left["pid"]), signal.SIGKILL)


def test_leftovers_are_kept_by_policy(rig):
    attempt = rig.spawn("sh", "-c", "setsid sleep 600 < /dev/null > /dev/null 2>&1 & exit 0", leftovers="keep")
    (left,) = attempt.ended()["left_behind"]
    assert alive(left["pid"])
    attempt.gone()
    assert alive(left["pid"])
    (found,) = kin.of_job(attempt.job)  # its runner is gone; its tag is not
    assert found.pid == left["pid"]
    assert kin.send(found, signal.SIGKILL)


def test_hawse_s_own_daemons_are_spared_with_what_they_started(rig, tmp_path):
    command = (
        "HAWSE_DAEMON=coordinator setsid sh -c 'sleep 600 & sleep 601' < /dev/null > /dev/null 2>&1 & sleep 0.3; exit 0"
    )
    attempt = rig.spawn("sh", "-c", command)
    assert attempt.ended()["left_behind"] == []
    attempt.gone()
    tag = b"HAWSE_JOB=" + attempt.job.encode()
    found = [one for one in kin.everybody().values() if tag in kin.environ(one.pid)]
    assert len(found) == 3
    for one in found:
        assert kin.send(one, signal.SIGKILL)


@pytest.mark.parametrize("tag", [b"HAWSE_JOB=%s-other", b"HAWSE_DAEMON="])
def test_another_job_inside_this_one_outlives_it(rig, tag):
    """Its runner has died and it was handed to this one: it is neither told, nor stopped, nor killed."""
    name = f"{os.getpid()}-{rig.base.name}"
    words = (tag % name.encode() if b"%" in tag else tag + name.encode()).decode()
    attempt = rig.spawn("sh", "-c", f"{words} setsid sh -c 'sleep 617 & sleep 618' < /dev/null & echo on; wait")
    control = attempt.coordinator()
    attempt.attach("read").until_output(b"on")

    def others():
        found = [one for one in kin.everybody().values() if words.encode() + b"\0" in kin.environ(one.pid)]
        return [one for one in found if kin.command(one.pid).startswith("sleep 61")]

    rig.eventually(lambda: len(others()) == 2)
    try:
        control.command("stop", grace_s=0.1)
        exited = control.report("exited")
        assert (exited["outcome"]["kind"], exited["left_behind"]) == ("signalled", [])
        assert len(others()) == 2
    finally:
        for one in [one for one in kin.everybody().values() if words.encode() + b"\0" in kin.environ(one.pid)]:
            kin.send(one, signal.SIGKILL)


def test_the_last_output_comes_before_exit(rig):
    attempt = rig.spawn("sh", "-c", "seq 1 200000", tty=(80, 24))
    link = attempt.attach("control")
    assert link.outcome == {"kind": "exited", "code": 0}
    assert bytes(link.output).endswith(b"\r\n200000\r\n")
    assert len(link.output) == attempt.ended()["log_end"]


def test_a_client_that_comes_late_still_gets_everything_and_exit(rig):
    attempt = rig.spawn("echo", "short", limits={"linger_s": 10})
    attempt.ended()
    link = attempt.attach("read")
    assert link.outcome == {"kind": "exited", "code": 0}
    assert bytes(link.output) == b"short\n"


def test_the_runner_waits_for_forget_while_a_coordinator_is_there(rig):
    attempt = rig.spawn("sh", "-c", "read x", stdin="open", limits={"forget_s": 60})
    control = attempt.coordinator()
    attempt.attach().send(b"\0\0\0\0\x09")  # INPUT_END
    control.report("exited")
    assert attempt.is_running
    assert control.command("forget")["ok"]
    attempt.gone()
    assert not attempt.socket.exists()


def test_the_runner_does_not_wait_for_ever_for_forget(rig):
    attempt = rig.spawn("true", limits={"forget_s": 0.2, "linger_s": 5})
    control = attempt.coordinator()
    control.report("exited")
    attempt.gone()


def test_a_holder_of_the_terminal_does_not_hold_the_end(rig, need):
    # a process that left the session but keeps the terminal open, and that the policy lets live
    attempt = rig.spawn(
        "sh", "-c", "setsid sleep 600 & sleep 0.1; echo last; exit 0", leftovers="keep", limits={"drain_s": 0.3}
    )
    record = attempt.ended()
    assert record["outcome"] == {"kind": "exited", "code": 0}
    assert attempt.read_log()[0] == b"last\n"
    (left,) = record["left_behind"]
    assert kin.send(kin.look(left["pid"]), signal.SIGKILL)


def test_exit_json_is_whole_and_private(rig):
    attempt = rig.spawn("true")
    attempt.ended()
    path = os.path.join(attempt.directory, "exit.json")
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path) as file:
        assert json.load(file)["incarnation"] == attempt.incarnation
    assert sorted(os.listdir(attempt.directory)) == ["claim.json", "exit.json", "process.json"]

"""A runner's life: spawn, output, input, exit, adoption, and what it survives."""

import os
import signal

import pytest

from hawse.runner import claim, kin
from hawse.wire import order, terminal


@pytest.mark.requirement("S0.3", "S3.2")
def test_a_job_on_a_terminal_talks_and_ends(rig):
    attempt = rig.spawn("sh", "-c", "echo ready; read x; echo got $x; exit 3", tty=(80, 24))
    link = attempt.attach()
    link.until_output(b"ready")
    link.type(b"word\n")
    assert link.outcome == {"kind": "exited", "code": 3}
    assert bytes(link.output) == b"ready\r\nword\r\ngot word\r\n"
    record = attempt.ended()
    assert record["outcome"] == {"kind": "exited", "code": 3}
    assert record["log_end"] == len(link.output)
    assert attempt.read_log() == (bytes(link.output), [])
    attempt.gone()


def test_pipes_keep_stdout_and_stderr_apart(rig):
    attempt = rig.spawn("sh", "-c", "echo out; echo err >&2; cat; exit 0", stdin="open")
    link = attempt.attach()
    link.type(b"typed")
    link.send(terminal.frame(terminal.INPUT_END))
    assert link.outcome == {"kind": "exited", "code": 0}
    assert bytes(link.errors) == b"err\n"
    assert sorted(bytes(link.output).split()) == [b"err", b"out", b"typed"] or b"typed" in link.output


def test_stdin_null_reads_the_end_at_once(rig):
    attempt = rig.spawn("cat")
    assert attempt.ended()["outcome"] == {"kind": "exited", "code": 0}


def test_typing_into_a_job_without_input_is_told(rig):
    attempt = rig.spawn("sleep", "60")
    link = attempt.attach()
    link.type(b"x")
    link.until(lambda: link.notices("no_input"))


def test_a_signal_ends_it(rig):
    attempt = rig.spawn("sleep", "60", tty=(80, 24))
    link = attempt.attach()
    assert link.welcome.tty
    os.kill(attempt.process["pid"], signal.SIGKILL)
    assert link.outcome == {"kind": "signalled", "signal": 9}


@pytest.mark.parametrize("tty", [(0, 0), (0, 24), (80, 0)])
def test_a_terminal_of_size_zero_is_80_by_24(rig, tty):
    attempt = rig.spawn("stty", "size", tty=tty)
    link = attempt.attach()
    assert link.outcome == {"kind": "exited", "code": 0}
    assert bytes(link.output) == b"24 80\r\n"


def test_caller_s_environment_folder_and_umask(rig, tmp_path):
    attempt = rig.spawn(
        "sh",
        "-c",
        "pwd; umask; echo $ONLY_HERE $HAWSE_JOB $HAWSE_SESSION [$HAWSE_DAEMON]; ls /proc/self/fd | wc -l",
        cwd=str(tmp_path),
        umask=0o27,
        env={"ONLY_HERE": "yes", "HAWSE_DAEMON": "no"},
        job=f"env{os.getpid()}",
    )
    link = attempt.attach("read")
    assert link.outcome["code"] == 0
    lines = bytes(link.output).decode().split("\n")
    assert lines[:3] == [str(tmp_path), "0027", f"yes {attempt.job} s1 []"]
    assert int(lines[3]) == 4  # 0, 1, 2 and ls's own folder


def test_bytes_that_are_no_utf8_reach_the_program(rig):
    attempt = rig.spawn("printf", "%s", os.fsdecode(b"a\xff\xfe"))
    link = attempt.attach("read")
    assert link.outcome["code"] == 0
    assert bytes(link.output) == b"a\xff\xfe"


def test_signals_have_their_default_disposition(rig):
    attempt = rig.spawn("sh", "-c", "grep -E 'Sig(Ign|Blk)' /proc/self/status")
    link = attempt.attach("read")
    assert link.outcome["code"] == 0
    for line in bytes(link.output).decode().splitlines():
        # 32 and 33 are the C library's own: it lets nobody set them, and they come as whoever started us left them
        assert int(line.split()[1], 16) & ~(1 << 31 | 1 << 32) == 0, line


@pytest.mark.parametrize(
    ("argv", "cwd", "sentence", "code"),
    [
        (["no-such-program-here"], "/tmp", "command not found in PATH: no-such-program-here", 127),
        (["./not-there"], "/tmp", "command not found: ./not-there", 127),
        ([b"./pr\xe9sent"], "/tmp", "command not found: ./pr\ufffdsent", 127),
        (["/etc/passwd"], "/tmp", "not executable: /etc/passwd", 126),
        (["/etc"], "/tmp", "not executable: /etc", 126),
        (["true"], "/no/such/folder", "the working directory /no/such/folder cannot be entered: No such file", 126),
    ],
)
@pytest.mark.parametrize("tty", [None, (80, 24)])
def test_a_failed_exec_is_told_exactly(rig, argv, cwd, sentence, code, tty):
    attempt = rig.spawn(*argv, cwd=cwd, tty=tty)
    outcome = attempt.ended()["outcome"]
    assert outcome["kind"] == "failed"
    assert sentence in outcome["cause"]
    assert outcome["code"] == code
    attempt.gone()


def test_a_missing_interpreter_is_told(rig, tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    outcome = rig.spawn(str(script)).ended()["outcome"]
    assert outcome["cause"] == f"the interpreter of {script} does not exist"


def test_a_script_without_a_first_line_runs_in_sh(rig, tmp_path):
    script = tmp_path / "script"
    script.write_text("exit 7\n")
    script.chmod(0o755)
    assert rig.spawn(str(script)).ended()["outcome"] == {"kind": "exited", "code": 7}


@pytest.mark.requirement("S0.3")
def test_an_attempt_is_never_started_twice(rig, tmp_path):
    mark = tmp_path / "mark"
    attempt = rig.spawn("sh", "-c", f"echo x >> {mark}; sleep 60")
    rig.eventually(mark.exists)
    ((kind, body),) = rig.ask(attempt.frame)
    again = order.parse_spawned(body)
    assert kind == terminal.SPAWNED
    assert (attempt.answer.again, again.again) == (False, True)
    assert (again.runner_pid, again.incarnation) == (attempt.runner_pid, attempt.incarnation)
    assert attempt.record(claim.CLAIM)["incarnation"] == attempt.incarnation
    assert mark.read_text() == "x\n"


@pytest.mark.requirement("S3.2", "S3.3", "S2.6")
def test_output_goes_on_with_nobody_attached_and_is_read_from_the_cursor(rig):
    attempt = rig.spawn("sh", "-c", "echo one; read x; echo two; read x", tty=(80, 24))
    first = attempt.attach()
    first.until_output(b"one\r\n")
    first.type(b"\n")
    cursor = first.half.cursor
    first.close()  # no goodbye: a window closed, a client killed
    second = attempt.attach(start=cursor)
    second.until_output(b"two\r\n")
    assert second.welcome.offset == cursor
    both = bytes(first.output) + bytes(second.output)
    second.type(b"\n")
    assert second.outcome["code"] == 0
    assert attempt.read_log()[0].startswith(both)


@pytest.mark.requirement("S3.2")
def test_a_killed_parent_takes_no_runner_with_it(rig):
    attempt = rig.spawn("sh", "-c", "echo ready; read x; exit 5", tty=(80, 24))
    link = attempt.attach()
    link.until_output(b"ready")
    rig.parent.kill()
    rig.parent.wait()
    link.type(b"\n")
    assert link.outcome == {"kind": "exited", "code": 5}


def test_a_hangup_or_an_interrupt_is_nothing_to_a_runner(rig):
    attempt = rig.spawn("sh", "-c", "echo ready; read x; exit 5", tty=(80, 24))
    link = attempt.attach()
    link.until_output(b"ready")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        os.kill(attempt.runner_pid, number)
    link.type(b"\n")
    assert link.outcome == {"kind": "exited", "code": 5}


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("exec sleep 60", "signal 15 ended it"),
        ("trap '' HUP; trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", "it returned 3"),
    ],
)
@pytest.mark.parametrize("to_all", [False, True])
def test_a_host_that_ends_the_runner_loses_the_job(rig, script, how, to_all):
    """A shutdown sends SIGTERM to the runner and, at the same time or not, to all that is the job's."""
    attempt = rig.spawn("sh", "-c", script, tty=(80, 24))
    assert attempt.process
    if "ready" in script:
        attempt.attach("watch").until_output(b"ready")
    os.kill(attempt.runner_pid, signal.SIGSTOP)  # so that both are noticed in one go, whichever came first
    if to_all:
        os.kill(attempt.process["pid"], signal.SIGTERM)
    os.kill(attempt.runner_pid, signal.SIGTERM)
    os.kill(attempt.runner_pid, signal.SIGCONT)
    outcome = attempt.ended()["outcome"]
    assert outcome["kind"] == "lost"
    assert f"the host ended its runner (process {attempt.runner_pid})" in outcome["cause"]
    assert outcome["cause"].endswith(how)
    attempt.gone()


def test_a_job_that_was_told_to_stop_is_not_lost_to_a_host_that_goes_meanwhile(rig):
    attempt = rig.spawn("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done", tty=(80, 24))
    attempt.attach("watch").until_output(b"ready")
    assert attempt.coordinator().command("stop", grace_s=600)["ok"]
    os.kill(attempt.runner_pid, signal.SIGTERM)
    assert attempt.coordinator().command("stop", grace_s=0)["ok"]
    assert attempt.ended()["outcome"]["kind"] == "signalled"


@pytest.mark.requirement("S3.3")
def test_a_killed_runner_leaves_every_byte_that_it_wrote(rig, tmp_path):
    attempt = rig.spawn("sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; done", tty=(80, 24))
    link = attempt.attach("watch")
    link.until(lambda: len(link.output) > 200_000)
    attempt.kill_runner()
    attempt.gone()
    while not link.closed:
        link.read_once()
    data, damaged = attempt.read_log()
    assert not damaged
    assert data.startswith(bytes(link.output)), "what was shown was logged first"
    assert data[:20] == b"line 1\r\nline 2\r\nline"
    assert attempt.record() is None
    rig.eventually(lambda: not kin.of_job(attempt.job), what="the terminal's hangup ends the job")


def test_the_next_attempt_goes_on_after_the_first_one_s_bytes(rig):
    first = rig.spawn("sh", "-c", "echo first; sleep 60", tty=(80, 24))
    link = first.attach("watch")
    link.until_output(b"first\r\n")
    first.kill_runner()
    first.gone()
    second = rig.spawn("echo", "second", tty=(80, 24), job=first.job, attempt=2)
    second.ended()
    assert second.read_log() == (b"first\r\nsecond\r\n", [])


@pytest.mark.requirement("S3.3")
def test_idle_runners_sleep_and_are_small(rig, need):
    attempt = rig.spawn("sh", "-c", "echo ready; read x", tty=(80, 24), flush_s=1)
    link = attempt.attach()
    link.until_output(b"ready")

    def switches():
        with open(f"/proc/{attempt.runner_pid}/status") as file:
            return [line for line in file if "ctxt_switches" in line]

    # the index pass and the flush after the last byte, then nothing: two equal looks with a second between them
    rig.eventually(lambda before=[None]: before.append(switches()) or _quiet_for(switches, 0.6), timeout_s=30)
    with open(f"/proc/{attempt.runner_pid}/smaps_rollup") as file:
        private = sum(int(line.split()[1]) for line in file if line.startswith("Private"))
    assert private < 4096, f"{private} KiB private"


def _quiet_for(look, seconds):
    import select

    before = look()
    select.select([], [], [], seconds)
    return look() == before

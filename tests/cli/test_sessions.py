"""The command line against a real coordinator and real runners: sessions, jobs, logs, events, ends."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from screen import Screen

from hawse import connect

pytestmark = pytest.mark.xdist_group("cli")


def ticks(count: int = 1000) -> list[str]:
    """A job that prints numbered lines, one every 20 ms."""
    return ["sh", "-c", f"i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo line $i; sleep 0.02; done"]


@pytest.mark.requirement("S0.2", "S0.3", "S0.4", "S2.6", "S2.9", "S2.11", "S3.5")
def test_a_session_from_its_start_to_its_history(hawse):
    told = hawse("new", "-d", "demo", "--", "sh", "-c", "echo hello; exec sleep 600")
    name, id = told.split("\n")[0].split()
    assert name == "demo"
    assert "hawse attach demo" in told
    assert re.search(r"demo +active +1/1 +-", hawse("ls"))
    shown = hawse("show", "demo")
    for words in (id, "state:", "session lease: ends with its last job", "link:", "allocation:", "on-lost report"):
        assert words in shown
    assert hawse("logs", "demo") == "hello\n"
    assert hawse("end", "demo") == "demo has ended\n"
    assert hawse("end", "demo") == "demo has ended already\n"
    assert "demo" not in hawse("ls")
    assert "killed by SIGTERM; ended by its owner" in hawse("ls", "--all")
    assert f"demo  {id[:13]}  " in hawse("history")
    assert max(map(len, hawse("history").splitlines())) <= 100  # a terminal shows what ended in the room that is left
    assert hawse("logs", id[:13] + id[13:20]) == "hello\n"
    assert "session.ended" in hawse("events", "demo")
    assert "state=ended" not in hawse("events", "demo")  # as the kind says


@pytest.mark.requirement("S4.1", "S4.2", "S4.3")
def test_many_sessions_side_by_side(hawse):
    for name in ("a", "b", "c"):
        hawse("new", "-d", name, "--", "sh", "-c", f"echo {name}; exec sleep 600")
    assert [s["alias"] for s in hawse.json("ls")] == ["a", "b", "c"]
    hawse("end", "b", "--now")
    assert [s["alias"] for s in hawse.json("ls")] == ["a", "c"]
    assert hawse("logs", "c") == "c\n"
    assert [s["alias"] for s in hawse.json("ls", "--ended")] == ["b"]


def test_an_alias_is_unique_among_the_living_and_free_again_afterwards(hawse):
    hawse("new", "-d", "x", "--", "sleep", "600")
    done = hawse.run("new", "-d", "x", "--", "true")
    assert done.returncode == 1
    assert "hawse attach x" in done.stderr
    hawse("end", "x")
    second = hawse("new", "-d", "x", "--", "sleep", "600").split()[1]
    assert hawse.json("show", "x")["id"] == second


def test_a_session_without_a_name_gets_a_friendly_one(hawse):
    name = hawse("new", "-d", "--", "sleep", "600").split()[0]
    assert re.fullmatch(r"[a-z]+-[a-z]+-\d\d", name)


def test_a_session_ends_with_its_last_job_unless_kept(hawse):
    hawse("new", "-d", "short", "--", "true")
    hawse("wait", "short")
    hawse("new", "-d", "kept", "--keep", "--", "true")
    hawse("wait", "kept")
    assert hawse.json("show", "kept")["state"] == "active"


def test_unknown_names_are_told_with_a_guess(hawse):
    hawse("new", "-d", "build", "--", "sleep", "600")
    done = hawse.run("show", "biuld")
    assert (done.returncode, "did you mean build?" in done.stderr) == (1, True)
    done = hawse.run("logs", "build/slep")
    assert (done.returncode, "did you mean sleep?" in done.stderr) == (1, True)
    assert hawse.run("new", "-d", "no spaces", "--", "true").returncode == 64


def test_the_jobs_surroundings_are_the_callers(hawse, tmp_path):
    script = 'echo "$PWD $(umask) $MINE $HAWSE_SESSION_NAME"; [ -n "$HAWSE_SESSION" ] && [ -n "$HAWSE_JOB" ]'
    hawse("new", "-d", "s", "--keep", "--", "true")
    hawse.environ["MINE"] = "yes"
    before = os.umask(0o027)
    try:
        assert hawse("run", "s", "--", "sh", "-c", script, cwd=tmp_path) == f"{tmp_path} 0027 yes s\n"
    finally:
        os.umask(before)
    assert hawse("run", "s", "--env", "MINE=other", "--cwd", "/", "--", "sh", "-c", script) == "/ 0022 other s\n"


def test_bytes_that_are_no_utf8_reach_the_job(hawse):
    hawse("new", "-d", "s", "--keep", "--", "true")
    done = subprocess.run(
        [*hawse.program, "run", "s", "--", "printf", "%s", b"\xff\xfe"],
        capture_output=True,
        env=hawse.environ,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout == b"\xff\xfe"


def test_run_has_the_jobs_output_and_code(hawse):
    hawse("new", "-d", "s", "--keep", "--", "true")
    done = hawse.run("run", "s", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert hawse("run", "s", "--", "sort", input="b\na\n") == "a\nb\n"
    assert hawse("run", "s", "-n", "--", "cat", input="not this\n") == ""
    done = hawse.run("run", "s", "--", "no-such-program")
    assert done.returncode == 127
    assert "no-such-program" in done.stderr
    assert hawse.run("run", "s", "--", "/").returncode == 126
    assert hawse.run("run", "s", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_run_loses_no_byte_of_short_jobs(hawse):
    hawse("new", "-d", "s", "--keep", "--", "true")
    for _ in range(8):
        done = hawse.run("run", "s", "--", "sh", "-c", "echo a; echo b >&2")
        assert (done.stdout, done.stderr) == ("a\n", "b\n")


def test_run_carries_much_in_both_directions(hawse, tmp_path):
    hawse("new", "-d", "s", "--keep", "--", "true")
    data = os.urandom(5_000_000)
    (tmp_path / "data").write_bytes(data)
    with open(tmp_path / "data", "rb") as stdin:
        done = subprocess.run(
            [*hawse.program, "run", "s", "--", "cat"], stdin=stdin, capture_output=True, env=hawse.environ, timeout=60
        )
    assert done.stdout == data
    assert (
        subprocess.run([*hawse.program, "logs", "s/cat"], capture_output=True, env=hawse.environ, timeout=60).stdout
        == data
    )


def test_ctrl_c_interrupts_the_job_and_not_the_session(hawse, eventually):
    hawse("new", "-d", "s", "--keep", "--", "true")
    running = hawse.start(
        "run",
        "s",
        "--",
        "sh",
        "-c",
        'trap "echo caught; exit 5" INT; echo ready; while :; do sleep 0.1; done',
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 5
    assert running.stdout.read() == "caught\n"
    running.stdout.close()


def test_a_second_ctrl_c_leaves_the_job_running(hawse):
    hawse("new", "-d", "s", "--keep", "--", "true")
    running = hawse.start(
        "run",
        "s",
        "--",
        "sh",
        "-c",
        "trap 'echo no' INT; echo ready; while :; do sleep 0.1; done",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGINT)
    assert running.stdout.readline() == "no\n"
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "it goes on" in told
    assert "hawse logs -f s/sh" in told
    assert hawse.json("show", "s/sh")["state"] == "running"


@pytest.mark.requirement("L3.15")
def test_run_shows_each_attempt_and_gives_the_last_ones_code(hawse, tmp_path):
    """Its first two attempts fail; each byte is shown once."""
    hawse("new", "-d", "s", "--keep", "--", "true")
    script = f"echo x >> {tmp_path}/tries; n=$(wc -l < {tmp_path}/tries); echo try $n; [ $n -gt 2 ] || exit 3; exit 5"
    done = hawse.run("run", "s", "--on-error", "restart:2", "--name", "flaky", "--", "sh", "-c", script)
    assert done.returncode == 5
    assert done.stdout == "try 1\ntry 2\ntry 3\n"
    assert 1 <= done.stderr.count("s/flaky failed: exit code 3; attempt ") <= 2  # one may be over before it was seen


def test_ctrl_c_while_the_next_attempt_is_waited_for(hawse):
    hawse("new", "-d", "s", "--keep", "--", "true")
    options = ("--on-error", "restart:9", "--name", "flaky")
    running = hawse.start(
        "run", "s", *options, "--", "sh", "-c", "exit 3",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    while "attempt 4 starts" not in (said := running.stderr.readline()):  # 4 s from now
        assert said
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=20)
    assert running.returncode == 130
    assert told == "[left s/flaky; it goes on. Follow it: hawse logs -f s/flaky; return: hawse attach s/flaky]\n"
    assert hawse.json("show", "s/flaky")["state"] == "pending"


def test_run_detached(hawse):
    hawse("new", "-d", "s", "--keep", "--", "true")
    told = hawse("run", "-d", "s", "--name", "tick", "--", *ticks(3))
    assert told.startswith("s/tick  ")
    assert hawse("logs", "-f", "s/tick") == "line 1\nline 2\nline 3\n"


def test_wait_gives_the_jobs_code(hawse):
    hawse("new", "-d", "s", "--keep", "--", "sh", "-c", "exit 4")
    done = hawse.run("wait", "s/sh")
    assert (done.returncode, done.stderr) == (4, "s/sh: exit code 4\n")
    hawse("run", "-d", "s", "--name", "long", "--", "sleep", "600")
    began = time.monotonic()
    done = hawse.run("wait", "s/long", "--timeout", "0.3")
    assert (done.returncode, "it goes on" in done.stderr) == (75, True)
    assert time.monotonic() - began < 10
    hawse("signal", "s/long", "TERM")
    assert hawse.run("wait", "s/long").returncode == 143
    assert hawse.run("wait", "s", "-q").returncode == 4
    assert hawse.run("signal", "s/long", "TERM").returncode == 1
    assert hawse.run("signal", "s/long", "NONSENSE").returncode == 64


@pytest.mark.requirement("S3.2", "S3.3", "S3.4")
def test_logs_from_any_place(hawse):
    hawse("new", "-d", "s", "--keep", "--", "true")
    hawse("run", "s", "--name", "j", "--", "sh", "-c", "seq 1 100; echo; sleep 1.1; echo late")
    assert hawse("logs", "s/j", "--tail", "2") == "\nlate\n"
    assert hawse("logs", "s/j", "--from", "4").startswith("3\n4\n")
    assert hawse("logs", "s/j", "--since", "4").startswith("3\n4\n")
    beyond = hawse.run("logs", "s/j", "--from", "100000")
    assert (beyond.returncode, beyond.stdout) == (64, "")
    assert "100000 is beyond the end of the log" in beyond.stderr
    ended = hawse.json("show", "s/j")["ended_at"]
    assert hawse("logs", "s/j", "--since", f"@{ended - 0.6}") == "late\n"
    assert hawse("logs", "s/j", "--since", "1h").endswith("late\n")


def test_a_follower_and_an_event_reader_do_not_notice_that_the_coordinator_died(hawse, eventually, tmp_path):
    hawse("new", "-d", "s", "--keep", "--", *ticks(150))
    with open(tmp_path / "log", "wb") as log, open(tmp_path / "events", "wb") as feed:
        follower = hawse.start("logs", "-f", "s", stdout=log, stdin=subprocess.DEVNULL)
        events = hawse.start("events", "-f", "s", "--json", stdout=feed, stdin=subprocess.DEVNULL)
    eventually(lambda: b"line 3" in (tmp_path / "log").read_bytes())
    eventually(lambda: (tmp_path / "events").read_bytes())
    os.kill(hawse.coordinator(), signal.SIGKILL)
    assert follower.wait(60) == 0
    assert (tmp_path / "log").read_bytes() == b"".join(b"line %d\r\n" % n for n in range(1, 151))
    hawse("end", "s")
    assert events.wait(60) == 0
    numbers = [json.loads(line)["seq"] for line in (tmp_path / "events").read_text().splitlines()]
    assert numbers == list(range(1, hawse.json("show", "s")["last_seq"] + 1))


@pytest.mark.requirement("S0.2")
def test_starters_at_the_same_time_start_one_coordinator(hawse, places):
    running = [hawse.start("status", "--start", "auto", stdout=subprocess.PIPE) for _ in range(5)]
    told = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 5
    assert len({re.search(r"process (\d+)", text)[1] for text in told}) == 1


@pytest.mark.requirement("S0.2", "S0.4")
def test_a_new_coordinator_takes_the_jobs_over(hawse):
    hawse("new", "-d", "s", "--", "sleep", "600")
    before, job = hawse.coordinator(), hawse.json("show", "s")["jobs"][0]["pid"]
    assert "s " in hawse("ls", "--start", "always")
    assert hawse.coordinator() != before
    assert "your jobs go on" in hawse("down")
    os.kill(job, 0)
    shown = hawse.json("show", "s")["jobs"][0]
    assert (shown["pid"], shown["state"], shown["attempt"]) == (job, "running", 1)


def test_what_a_job_leaves_behind_is_told(hawse, places):
    hawse("new", "-d", "s", "--keep", "--", "sh", "-c", "setsid sleep 611 & sleep 0.5")
    hawse("wait", "s")
    assert re.search(r"left behind: +\d+ sleep 611", hawse("show", "s"))
    assert not [pid for pid in places.processes() if b"611" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(hawse):
    hawse("new", "-d", "s", "--", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
    began = time.monotonic()
    assert hawse("end", "s", "--grace", "0.5") == "s has ended\n"
    assert time.monotonic() - began < 20
    assert re.search(r"ended, killed by SIG(KILL|HUP)", hawse("show", "s"))  # the terminal hangs up with its runner


def test_several_ends_at_once_and_one_that_is_not_there(hawse):
    hawse("new", "-d", "a", "--", "sleep", "600")
    hawse("new", "-d", "b", "--", "sleep", "600")
    done = hawse.run("end", "a", "nope", "b", "--now")
    assert done.returncode == 1
    assert "a has ended\nb has ended\n" in done.stdout
    assert "no session 'nope'" in done.stderr


def test_description_labels_and_name(hawse):
    hawse("new", "-d", "s", "--description", "first", "--label", "team=core", "--", "sleep", "600")
    hawse("describe", "s", "--description", "second", "--label", "team=", "--label", "kind=night", "--rename", "t")
    shown = hawse.json("show", "t")
    assert (shown["description"], shown["labels"], shown["alias"]) == ("second", {"kind": "night"}, "t")


def test_completion_knows_sessions_and_jobs(hawse):
    hawse("new", "-d", "alpha", "--", "sleep", "600")
    hawse("new", "-d", "beta", "--", "sleep", "600")

    def completed(line: str) -> list[str]:
        words = line.split(" ")
        environ = {
            **hawse.environ,
            "_HAWSE_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        done = subprocess.run(hawse.program, capture_output=True, text=True, env=environ, timeout=60)
        return [word.partition(",")[2] for word in done.stdout.split()]

    assert completed("hawse attach a") == ["alpha"]
    assert completed("hawse logs beta/") == ["beta/sleep"]
    with connect(start="never") as server:  # more of both kinds than one page holds
        for number in range(210):
            server.create(f"gone-{number}").end()
        for number in range(1010):
            server.create(f"more-{number}")
    hawse("new", "-d", "gamma", "--", "sleep", "600")
    hawse("end", "beta", "--now")
    assert completed("hawse attach gam") == ["gamma"]
    assert completed("hawse attach ")[:2] == ["gamma", "more-1009"]
    assert completed("hawse logs gamma/") == ["gamma/sleep"]
    assert completed("hawse logs beta/s") == ["beta/sleep"]
    assert completed("hawse logs gone-3/") == []
    with connect(start="never") as server:
        for number in range(1010):
            server.session(f"more-{number}").end()


def test_a_reader_of_logs_that_leaves_is_no_error(hawse):
    hawse("new", "-d", "s", "--keep", "--", "true")
    hawse("run", "s", "--", "seq", "1", "300000")
    script = f"{' '.join(hawse.program)} logs s/seq | head -2; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=hawse.environ, timeout=60)
    assert done.stdout.splitlines() == ["1", "2", "141"]
    assert done.stderr == ""


def test_events_from_beyond_the_last_one_are_told(hawse, eventually):
    hawse("new", "-d", "a", "--", "sh", "-c", "exec sleep 600")
    eventually(lambda: hawse.json("show", "a")["last_seq"] == 3)
    for number in ("4", "1000"):
        done = hawse.run("events", "a", "--from", number)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == f"a has only 3 events so far; none from {number} on\n"
    following = hawse.start("events", "-f", "a", "--from", "5", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert following.stderr.readline() == "a has only 3 events so far; waiting for 5\n"
    hawse("end", "a", "--now")
    shown, told = following.communicate(timeout=60)
    assert told == ""
    assert int(shown.split()[0]) == 5
    last = hawse.json("show", "a")["last_seq"]
    for words in (("events", "a"), ("events", "-f", "a")):
        done = hawse.run(*words, "--from", "1000")
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == f"a has only {last} events, and has ended; none from 1000 on\n"


@pytest.mark.parametrize(("command", "code"), [("/nowhere", 127), ("/etc/passwd", 126)])
def test_a_detached_command_that_never_ran_is_told(hawse, command, code):
    hawse("new", "-d", "k", "--keep", "--", "true")
    for words in (["new", "-d", "s"], ["run", "-d", "k"]):
        done = hawse.run(*words, "--", command)
        assert done.returncode == code
        assert done.stdout == ""
        assert ": never started: " in done.stderr
    told = json.loads(hawse("new", "s", "--json", "--", command, code=code))
    assert told["jobs"][0]["outcome"]["code"] == code
    assert json.loads(hawse("run", "k", "-d", "--json", "--", command, code=code))["outcome"]["code"] == code
    assert hawse.run("new", "-d", "s", "--cwd", "/nowhere", "--", "true").returncode == 126


def test_run_with_json_needs_to_be_detached(hawse):
    """Else it would neither show the output nor exit with the job's code."""
    hawse("new", "-d", "s", "--keep", "--", "true")
    done = hawse.run("run", "s", "--json", "--", "false")
    assert done.returncode == 64
    assert "add -d" in done.stderr
    assert len(hawse.json("show", "s")["jobs"]) == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--", "/nonexistent"], 127, "a/nonexistent: never started: command not found"),
        (["--json", "--", "/nonexistent"], 127, "a/nonexistent: never started: command not found"),
        (["--keep", "--", "/etc/passwd"], 126, "a/passwd: never started:"),
        (["--cwd", "/nonexistent", "--", "true"], 126, "a/true: never started: the working directory /nonexistent"),
    ],
)
def test_new_tells_that_its_command_never_started(hawse, words, code, told):
    done = hawse.run("new", "-d", "a", *words)
    assert done.returncode == code
    assert told in done.stderr
    assert "attach with" not in done.stdout
    if "--json" in words:
        assert json.loads(done.stdout)["jobs"][0]["outcome"]["kind"] == "failed"


def test_events_are_folded_between_words_on_a_narrow_terminal(hawse):
    hawse("new", "-d", "distant-lantern-42", "--", "sleep", "600")
    hawse("end", "distant-lantern-42", "--now")
    window = Screen(["events", "distant-lantern-42"], hawse.environ, columns=80, rows=50)
    assert window.ended() == 0
    lines = window.text.splitlines()
    assert [line[:6].strip() for line in lines if line[:6].strip()] == [
        str(number + 1) for number in range(hawse.json("show", "distant-lantern-42")["last_seq"])
    ]
    folded = [line for line in lines if line.startswith(" " * 8)]
    assert folded  # and each begins with a whole word
    assert set(" ".join(folded).split()) <= set(hawse("events", "distant-lantern-42").split())
    window = Screen(["history"], hawse.environ, columns=80, rows=50)
    assert window.ended() == 0
    assert len(window.text.splitlines()) == 2


def test_end_all(hawse):
    for name in ("a", "b"):
        hawse("new", "-d", name, "--", "sleep", "600")
    assert hawse("end", "--all", "--now") == "a has ended\nb has ended\n"
    assert hawse.run("end", "--all").stderr == "no living sessions\n"


def test_ls_tells_where_ended_sessions_are(hawse):
    assert hawse.run("ls").stderr == "no sessions; hawse new starts one\n"
    hawse("new", "-d", "a", "--", "sleep", "600")
    hawse("end", "a", "--now")
    assert hawse.run("ls").stderr == "no living sessions; hawse new starts one; hawse history lists those that ended\n"


def test_show_tells_how_much_a_running_job_has_printed(hawse):
    hawse("new", "-d", "s", "--", "sh", "-c", "seq 1 10; exec sleep 600")
    assert hawse("logs", "s") != ""
    for target in ("s", "s/sh"):
        assert "printed:  31 B so far" in hawse("show", target)


def test_show_tells_a_grace_that_came_with_the_end_as_that(hawse):
    hawse("new", "-d", "s", "--", "sleep", "600")
    assert "policies: on-lost report, grace 10 s (command), on-error as the session" in hawse("show", "s")
    hawse("end", "s", "--grace", "4")
    assert "policies: on-lost report (command), grace 4 s (when it was stopped), on-error" in hawse("show", "s")


def test_wait_for_many_jobs_groups_those_that_went_well(hawse):
    hawse("new", "-d", "s", "--keep", "--", "true")
    for number in range(5):
        hawse("run", "-d", "s", "--name", f"j{number}", "--", "sh", "-c", f"exit {int(number == 3)}")
    done = hawse.run("wait", "s")
    assert (done.returncode, done.stderr) == (1, "s/j3: exit code 1\ns: 5 jobs ended with exit code 0\n")


def test_logs_tell_which_of_several_jobs_they_show(hawse):
    hawse("new", "-d", "s", "--", "sh", "-c", "echo one; exec sleep 600")
    assert hawse.run("logs", "s").stderr == ""
    hawse("run", "s", "--name", "j", "--", "true")
    assert hawse.run("logs", "s").stderr == "[s/sh; other jobs: j]\n"
    assert hawse.run("logs", "s/j").stderr == ""


def test_the_last_lines_of_those_since(hawse):
    hawse("new", "-d", "s", "--keep", "--", "true")
    hawse("run", "s", "--name", "j", "--", "sh", "-c", "seq 1 100; sleep 1.1; seq 101 105")
    ended = hawse.json("show", "s/j")["ended_at"]
    assert hawse("logs", "s/j", "--since", f"@{ended - 0.6}", "--tail", "2") == "104\n105\n"
    assert hawse("logs", "s/j", "--since", f"@{ended - 0.6}", "--tail", "50") == "101\n102\n103\n104\n105\n"
    assert hawse("logs", "s/j", "--from", "4", "--tail", "1") == "105\n"
    assert hawse("logs", "s/j", "--since", "0s", "--tail", "3") == ""


def test_inside_a_session_its_name_may_be_left_out(hawse):
    hawse("new", "-d", "s", "--", "sleep", "600")
    hawse("new", "-d", "t", "--", "sleep", "600")
    hawse.environ["HAWSE_SESSION"] = hawse.json("show", "s")["id"]
    assert hawse("run", "--name", "j", "--", "echo", "hello") == "hello\n"
    assert hawse("show").startswith("session s\n")
    assert hawse("describe", "--description", "mine") == "changed s\n"
    assert hawse("detach") == "nobody is attached to s\n"
    assert "job.created" in hawse("events")
    assert hawse("logs") == ""
    assert "on_error" in hawse("policy", "show")
    assert hawse("show", "t").startswith("session t\n")
    for words in (["end"], ["wait"], ["attach"]):  # what would wait for or end its own caller is asked for by name
        assert hawse.run(*words).returncode == 64

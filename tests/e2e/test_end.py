"""The end of a session: everything it started is ended in order, what was left is told, its history stays readable."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from machine import end, is_alive, pids_in

from hawse.runner import kin

STUBBORN = "trap '' TERM HUP INT"


def program(*lines: str) -> tuple[str, ...]:
    return ("sh", "-c", "\n".join(lines))


@pytest.mark.requirement("S3.5", "L3.3")
def test_programs_that_do_not_want_to_end(machine, places, eventually):
    """Deaf to SIGTERM, forked away, in a session of their own, fifty of them, holding the terminal open, born again."""
    machine.start()
    pids = places.base / "pids"
    note = f"echo $$ >> {pids}"
    deaf_child = f"sh -c '{STUBBORN}; {note}; exec sleep 600'"
    jobs = {
        "deaf": program(STUBBORN, note, "while :; do sleep 0.2; done"),
        "daemon": program(note, f"( setsid {deaf_child} & )", "exec sleep 600"),
        "many": program(STUBBORN, note, "n=0", f"while [ $n -lt 50 ]; do n=$((n+1)); {deaf_child} & done", "wait"),
        "holder": program(f"setsid {deaf_child} &", note, "exec sleep 600"),
        "phoenix": ("sh", str(places.base / "phoenix")),
    }
    again = f"trap 'setsid sh {places.base}/phoenix & sleep 600' TERM"
    (places.base / "phoenix").write_text(f"{note}\n{again}\nwhile :; do sleep 600 & wait; done\n")
    assert machine.ask("POST", "/v1/sessions", {"alias": "a"})[0] == 201
    for name, argv in jobs.items():
        machine.run("a", *argv, name=name, tty={"columns": 80, "rows": 24} if name == "holder" else None, grace_s=0.5)
    eventually(lambda: len(pids_in(pids)) == 1 + 2 + 51 + 2 + 1)
    assert machine.out("end", "a", "--grace", "0.5").strip().endswith("a has ended")
    left = [pid for pid in pids_in(pids) if is_alive(pid)]
    assert not left
    for name in jobs:
        ended = machine.job("a", name)
        assert ended["state"] == "ended"
        assert ended["outcome"]["kind"] == "signalled", name
    again = machine.hawse("end", "a")
    assert (again.returncode, again.stdout) == (0, b"a has ended already\n")
    assert machine.ask("DELETE", "/v1/sessions/a")[0] in (200, 202)
    assert machine.kinds("a").count("session.ended") == 1


@pytest.mark.requirement("S3.5")
def test_what_was_left_behind_is_told_and_ended_or_kept(machine, places, eventually):
    machine.start()
    pids = places.base / "pids"
    child = f"setsid sh -c 'echo $$ >> {pids}; exec sleep 611' &"
    script = program(child, f"while [ ! -s {pids} ]; do sleep 0.01; done", "exit 5")
    machine.new("a", *script, name="ends")
    machine.run("a", *script[:2], script[2].replace(str(pids), f"{pids}-kept"), name="keeps", leftovers="keep")
    try:
        for name, path in (("ends", pids), ("keeps", Path(f"{pids}-kept"))):
            ended = machine.until("a", name=name)
            assert ended["outcome"]["code"] == 5
            (pid,) = pids_in(path)
            assert [(one["pid"], one["command"]) for one in ended["left_behind"]] == [(pid, "sleep 611")]
            assert is_alive(pid) == (name == "keeps")
            assert f"{pid} sleep 611" in machine.out("show", f"a/{name}")
        done = machine.hawse("end", "a")
        assert b"left a process behind" in done.stderr
    finally:
        for pid in pids_in(Path(f"{pids}-kept")):
            end(pid)


@pytest.mark.requirement("S3.5")
def test_ended_while_it_starts(machine, eventually):
    """Many sessions are created and ended at once: each comes to its end, and nothing of any runs."""
    machine.start()
    names = [f"s{n}" for n in range(12)]
    for name in names:
        machine.new(name, "sleep", "613")
        machine.ask("DELETE", f"/v1/sessions/{name}?grace_s=0")
    for name in names:
        eventually(lambda name=name: machine.session(name)["state"] == "ended")
        outcome = machine.job(name)["outcome"]
        assert outcome["kind"] in ("signalled", "failed"), outcome
        if outcome["kind"] == "failed":
            assert outcome["cause"] == "it was stopped first"
    assert not [pid for pid in os.listdir("/proc") if pid.isdecimal() and _command(pid) == b"sleep\x00613\x00"]


def _command(pid: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@pytest.mark.requirement("S3.5")
def test_the_coordinator_dies_within_the_grace(machine, places, eventually):
    """Asked, not yet ended, coordinator killed: the runner goes on with the end, the next coordinator tells it."""
    machine.start()
    pids = places.base / "pids"
    machine.new("a", *program(STUBBORN, f"echo $$ >> {pids}", "while :; do sleep 0.1; done"))
    (pid,) = eventually(lambda: pids_in(pids))
    assert machine.ask("DELETE", "/v1/sessions/a?grace_s=1")[1]["state"] == "draining"
    eventually(lambda: "job.stop_asked" in machine.kinds("a"))
    machine.kill()
    machine.start()
    ended = machine.until("a")
    assert (ended["outcome"]["signal"], is_alive(pid)) == (9, False)
    eventually(lambda: machine.session("a")["state"] == "ended")


@pytest.mark.requirement("S3.5")
def test_a_shorter_grace_hurries_it_up(machine, places, eventually):
    machine.start()
    pids = places.base / "pids"
    machine.new("a", *program(STUBBORN, f"echo $$ >> {pids}", "while :; do sleep 0.1; done"), grace_s=600)
    (pid,) = eventually(lambda: pids_in(pids))
    assert machine.out("end", "a", "--no-wait").startswith("a is ending")
    assert is_alive(pid)
    assert machine.out("end", "a", "--now") == "a has ended\n"
    assert not is_alive(pid)


@pytest.mark.requirement("S3.4", "S3.5")
def test_history_is_readable_afterwards(machine):
    machine.start()
    machine.out("new", "a", "-d", "--description", "the nightly build", "--", "sh", "-c", "echo built; exit 3")
    assert machine.hawse("wait", "a").returncode == 3
    machine.until("a")
    machine.restart()
    assert "the nightly build" in machine.out("show", "a")
    assert "exit code 3" in machine.out("show", "a/sh")
    assert machine.out("logs", "a") == "built\r\n"
    told = machine.out("events", "a").splitlines()
    assert [int(line.split()[0]) for line in told] == list(range(1, len(told) + 1))
    assert "session.ended" in told[-1]
    assert "a" in machine.out("history")
    assert machine.out("new", "a", "-d", "--", "true"), "the name is free again"


@pytest.mark.requirement("S3.5")
@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 255", 255), ("kill -KILL $$", 137), ("kill -SEGV $$", 139), ("kill -INT $$", 130)],
)
def test_codes(machine, script, code):
    machine.start()
    machine.new("a", "sh", "-c", script)
    assert machine.hawse("wait", "a/sh").returncode == code
    done = machine.hawse("run", "a", "--", "sh", "-c", f"echo out; echo err >&2; {script}")
    assert (done.returncode, done.stdout, done.stderr) == (code, b"out\n", b"err\n")


@pytest.mark.parametrize(("argv", "code"), [(["/no/such/program"], 127), (["/etc/passwd"], 126), (["/"], 126)])
def test_what_cannot_be_started(machine, argv, code):
    machine.start()
    machine.new("a", *argv, name="x", lease="jobs")
    failed = machine.until("a")
    assert (failed["outcome"]["kind"], failed["outcome"]["code"]) == ("failed", code)
    assert argv[0] in failed["outcome"]["cause"] or "ermission" in failed["outcome"]["cause"]
    assert machine.hawse("wait", "a/x").returncode == code
    assert machine.out("logs", "a") == ""


@pytest.mark.parametrize("tty", [True, False])
def test_environment_folder_and_umask_are_the_callers(machine, places, tty):
    """Byte for byte, also what is not UTF-8; HAWSE_SESSION and HAWSE_JOB are added."""
    machine.start()
    folder = os.fsencode(places.base) + b"/caf\xe9 \xff"
    os.mkdir(folder)
    environ = {os.fsencode(name): os.fsencode(value) for name, value in machine.environ.items()}
    environ |= {b"LATIN": b"caf\xe9", b"EMPTY": b"", b"LINES\xff": b"odd name", b"TWO": b"one\ntwo=three"}
    code = (
        "import os, sys; os.umask(m := os.umask(0)); out = open(sys.argv[1], 'wb');"
        "out.write(repr((os.environb, os.getcwdb(), m, [os.fsencode(a) for a in sys.argv[2:]])).encode())"
    )
    words = ["new" if tty else "run", "a", *(["-d"] if tty else []), "--", sys.executable, "-c", code]
    if not tty:
        machine.ask("POST", "/v1/sessions", {"alias": "a"})
    before = os.umask(0o027)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "hawse.cli", *words, str(places.base / "told"), b"arg\xfe", "ünï"],
            env=environ, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    ended = machine.until("a", name=machine.job("a")["id"])
    assert ended["outcome"]["code"] == 0, machine.log("a")
    told, where, umask, argv = eval((places.base / "told").read_text(), {"environ": dict})
    assert where == folder
    assert umask == 0o027
    assert argv == [b"arg\xfe", "ünï".encode()]
    session = machine.session("a")
    assert told[b"HAWSE_SESSION"].decode() == session["id"]
    assert told[b"HAWSE_SESSION_NAME"] == b"a"
    assert told[b"HAWSE_JOB"].decode() == ended["id"]
    for name, value in environ.items():
        if name not in (b"_", b"HAWSE_DAEMON"):
            assert told.get(name) == value, name
    added = {name for name in told if name not in environ}
    assert added <= {b"HAWSE_SESSION", b"HAWSE_SESSION_NAME", b"HAWSE_JOB", b"LC_CTYPE"}, added


def test_a_job_gets_nothing_of_hawses_own(machine, places):
    """No descriptor but its three, no ignored signal, no blocked one, no variable of the daemons."""
    machine.start()
    code = (
        "import os, re; print(sorted(os.listdir('/proc/self/fd'))[:-1]); s = open('/proc/self/status').read();"
        "print(re.findall('Sig(?:Blk|Ign):\\t(\\\\w+)', s));"
        "print('HAWSE_DAEMON' in os.environ, os.getsid(0) == os.getpid())"
    )
    machine.new("a", sys.executable, "-c", code, name="python")
    assert machine.until("a")["outcome"]["code"] == 0
    descriptors, signals, rest = machine.log("a").decode().splitlines()
    assert descriptors == "['0', '1', '2']"
    blocked, ignored = eval(signals)
    assert int(blocked, 16) == 0
    # Python itself ignores SIGPIPE and SIGXFSZ; 32 and 33 are the C library's own and can be set by nobody
    assert int(ignored, 16) & ~(1 << 12 | 1 << 24 | 1 << 31 | 1 << 32) == 0
    assert rest == "False True"


@pytest.mark.requirement("S3.5", "S4.1")
@pytest.mark.parametrize("how", ["left alone", "coordinator killed", "all killed but the job"])
def test_a_session_that_was_started_inside_another_outlives_it(machine, places, eventually, how):
    """No coordinator ran: the inner session's coordinator, parent and runner descend from the outer one's job."""
    machine.start()
    go, mark, done = (places.base / name for name in ("go", "mark", "done"))
    words = f"{sys.executable} -m hawse.cli new other -d -- sh -c 'trap \"\" HUP; echo $$ > {mark}; exec sleep 1000'"
    script = program(f"while [ ! -e {go} ]; do sleep 0.05; done", words, f"touch {done}", "exec sleep 1001")
    environ = {name: value for name, value in machine.environ.items() if name.startswith(("HAWSE_", "HOME", "XDG_"))}
    outer = machine.new("outer", *script, tty={"columns": 80, "rows": 24}, env=environ)["jobs"][0]["id"]
    machine.until("outer", "started")
    machine.kill_parent()
    machine.kill()
    go.touch()
    (pid,) = eventually(lambda: pids_in(mark))
    eventually(done.exists, what="hawse new has seen the start")  # else it would start a coordinator anew
    inner = machine.job("other")["id"]
    assert machine.claimed(outer)["runner_pid"] in _above(machine.pid)
    assert machine.claimed(outer)["runner_pid"] in _above(machine.claimed(inner)["runner_pid"])
    if how != "left alone":
        machine.kill()
    if how == "all killed but the job":
        machine.kill_parent()
        machine.kill_runner(inner)
        assert machine.claimed(outer)["runner_pid"] in _above(pid), "handed to the outer job's runner"
        end(machine.job_pid(outer))
        eventually(lambda: not is_alive(machine.claimed(outer)["runner_pid"]), timeout_s=30)
        assert is_alive(pid)
        machine.start()
        assert (machine.until("other")["outcome"]["kind"], is_alive(pid)) == ("lost", False)
        assert machine.until("outer")["outcome"] == {"kind": "signalled", "code": None, "signal": 9, "cause": ""}
        return
    if how == "coordinator killed":
        machine.start()
    assert machine.end("outer", 0)["state"] == "ended"
    assert is_alive(pid)
    assert (machine.job("other")["state"], machine.job("other")["pid"]) == ("running", pid)
    assert machine.end("other", 0)["state"] == "ended"
    assert not is_alive(pid)


def _above(pid: int) -> list[int]:
    found = []
    while pid > 1 and (one := kin.look(pid)) is not None:
        pid = one.parent
        found.append(pid)
    return found

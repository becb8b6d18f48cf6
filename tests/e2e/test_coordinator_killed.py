"""The coordinator dies at any step: jobs go on, nothing is started twice or forgotten, no reader misses or repeats."""

import re
import signal
import subprocess
import threading
import time
from contextlib import suppress

import pytest
from machine import Feed, Machine, is_alive, job, pids_in

COUNTER = "n=0; while [ $n -lt 3000 ]; do n=$((n+1)); echo line $n; done; echo printed; read end; exit 7"
NUMBERS = "".join(f"line {n}\n" for n in range(1, 3001)) + "printed\n"


@pytest.mark.requirement("S3.2", "S3.4", "L3.3")
def test_jobs_print_on_and_not_a_byte_is_lost(machine, window):
    machine.start()
    first = machine.new("a", "sh", "-c", COUNTER, tty={"columns": 80, "rows": 24})["jobs"][0]
    machine.run("a", "sh", "-c", "n=0; while [ $n -lt 20000 ]; do n=$((n+1)); echo $n; done; exit 3", name="pipes")
    pid = machine.until("a", "started")["pid"]
    for _ in range(3):
        machine.restart()
    assert machine.until("a", name="pipes")["outcome"]["code"] == 3
    assert machine.log("a", "pipes") == "".join(f"{n}\n" for n in range(1, 20001)).encode()
    now = machine.job("a")
    assert (now["pid"], now["attempt"], now["state"], now["id"]) == (pid, 1, "running", first["id"])
    screen = window("attach", "a")
    screen.until("printed")
    screen.type("\r")
    assert screen.ended() == 0
    assert "exit code 7" in screen.text
    assert machine.until("a")["outcome"]["code"] == 7
    assert machine.log("a").startswith(NUMBERS.replace("\n", "\r\n").encode())
    assert machine.hawse("wait", "a/sh").returncode == 7


@pytest.mark.requirement("S3.4")
def test_a_job_that_ends_while_no_coordinator_runs(machine, places, eventually):
    machine.start()
    gate, pid_file = places.base / "gate", places.base / "pid"
    script = f"while [ ! -e {gate} ]; do sleep 0.02; done; echo after the death; exit 9"
    id = machine.new("a", "sh", "-c", script)["jobs"][0]["id"]
    machine.until("a", "started")
    machine.kill()
    gate.touch()
    eventually((machine.folder(id) / "attempt-1" / "exit.json").exists)
    runner = machine.claimed(id)["runner_pid"]
    eventually(lambda: not is_alive(runner), what="its runner does not wait for anybody")
    machine.start()
    ended = machine.until("a")
    assert (ended["outcome"]["kind"], ended["outcome"]["code"], ended["log_end"]) == ("exited", 9, 16)
    assert machine.log("a") == b"after the death\n"
    assert not pid_file.exists()


class Tracer:
    """strace on the coordinator: it dies as it enters its n-th call of this kind, in whichever thread."""

    def __init__(self, machine: Machine, strace: str, calls: str, n: int) -> None:
        self.machine = machine
        self.pid = machine.pid
        self.process = subprocess.Popen(
            [strace, "-f", "-p", str(self.pid), "-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={n}"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert self.process.stderr is not None
        said = b""
        while b"attached" not in said:
            line = self.process.stderr.readline()
            assert line, said.decode()
            said += line
        self._reader = threading.Thread(target=self.process.stderr.read, daemon=True)  # strace must never wait for us
        self._reader.start()

    def died(self, timeout_s: float) -> bool:
        """Wait for the coordinator's death."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not is_alive(self.pid):
                return True
            time.sleep(0.005)
        return False

    def close(self) -> None:
        """Trace no more. strace may miss the death of its last thread, and would wait for it."""
        self.process.send_signal(signal.SIGINT if is_alive(self.pid) else signal.SIGKILL)
        self.process.wait(20)
        self._reader.join(20)
        assert self.process.stderr is not None
        self.process.stderr.close()


COMMITS, MESSAGES = "fdatasync,pwrite64", "write,writev,sendto,sendmsg,connect"


@pytest.mark.requirement("S0.2", "L3.1")
@pytest.mark.parametrize(
    ("calls", "steps"), [(COMMITS, range(1, 8)), (MESSAGES, range(1, 6)), (MESSAGES, range(6, 11))]
)
def test_killed_at_every_step_of_create_and_start(machine, need, places, calls, steps):
    """Whatever the step: the retry gets one answer, the job has been started exactly once, and its end is known."""
    strace = need("strace")
    machine.start()
    machine.new("warm", "true", lease="jobs")  # the parent is there; what is traced starts nothing
    machine.until("warm")
    deaths = 0
    for step in steps:
        pids = places.base / f"pids-{step}"
        body = {"alias": f"s{step}", "job": job("sh", "-c", f"echo $$ >> {pids}; echo hello {step}; exit {step}")}
        key = {"Idempotency_Key": f"k{step}"}
        tracer = Tracer(machine, strace, calls, step)
        first = None
        with suppress(OSError, Exception):
            first = machine.ask("POST", "/v1/sessions", body, **key)
        died = tracer.died(0.7)
        deaths += died
        tracer.close()
        if died:
            assert machine.process is not None
            machine.process.wait(20)
            machine.start()
        again = machine.ask("POST", "/v1/sessions", body, **key)
        assert again[0] == 201
        if first is not None and first[0] == 201:
            assert again == first
        ended = machine.until(f"s{step}")
        assert (ended["outcome"]["code"], ended["attempt"]) == (step, 1)
        assert machine.log(f"s{step}") == f"hello {step}\n".encode()
        assert len(pids_in(pids)) == 1, "started exactly once"
        assert machine.kinds(f"s{step}").count("job.ended") == 1
        assert machine.kinds(f"s{step}").count("job.created") == 1
    assert deaths >= 3, "most steps must be reached"
    aliases = [one["alias"] for one in machine.get("/v1/sessions?state=all")["items"]]
    assert sorted(aliases) == sorted(["warm", *(f"s{step}" for step in steps)])


@pytest.mark.requirement("S3.5", "L3.3")
@pytest.mark.parametrize(("calls", "steps"), [(COMMITS, range(1, 7)), (MESSAGES, range(1, 7))])
def test_killed_at_every_step_of_the_end(machine, need, places, eventually, calls, steps):
    """An end that was asked for comes about, whoever dies meanwhile; one that was not heard can be asked again."""
    strace = need("strace")
    machine.start()
    deaths = 0
    for step in steps:
        name = f"s{step}"
        machine.new(name, "sh", "-c", "trap 'echo bye; exit 5' TERM; echo ready; sleep 600 & wait")
        pid = machine.until(name, "started")["pid"]
        eventually(lambda name=name: b"ready" in machine.log(name))
        tracer = Tracer(machine, strace, calls, step)
        heard = None
        with suppress(OSError, Exception):
            heard = machine.ask("DELETE", f"/v1/sessions/{name}", Idempotency_Key=f"end-{step}")
        died = tracer.died(0.7)
        deaths += died
        tracer.close()
        if died:
            assert machine.process is not None
            machine.process.wait(20)
            machine.start()
        if heard is None:
            assert machine.ask("DELETE", f"/v1/sessions/{name}", Idempotency_Key=f"end-{step}")[0] in (200, 202)
        ended = machine.until(name)
        assert ended["outcome"]["code"] == 5
        assert machine.log(name) == b"ready\nbye\n"
        assert not is_alive(pid)
        eventually(lambda name=name: machine.session(name)["state"] == "ended")
        kinds = machine.kinds(name)
        for kind in ("session.end_asked", "job.stop_asked", "job.ended", "session.ended"):
            assert kinds.count(kind) == 1, kind
    assert deaths >= 4


@pytest.mark.requirement("S3.4")
def test_followers_resume_without_gap_or_duplicate(machine, places, eventually):
    """`hawse logs -f`, `hawse events -f` and a reader of the raw feed, while the coordinator dies twice."""
    machine.start()
    gate = places.base / "gate"
    script = (
        f"n=0; while [ ! -e {gate} ]; do n=$((n+1)); echo line $n; sleep 0.01; done; echo last $n; exit 0"
    )
    machine.new("a", "sh", "-c", script, lease="jobs")
    machine.until("a", "started")
    with open(places.base / "logs", "wb") as logs, open(places.base / "events", "wb") as events:
        followers = [
            machine.open("logs", "a", "-f", stdout=logs, stderr=subprocess.PIPE),
            machine.open("events", "a", "-f", stdout=events, stderr=subprocess.PIPE),
        ]
    feed = Feed(machine.socket, "a")
    eventually(lambda: (places.base / "logs").stat().st_size and (places.base / "events").stat().st_size)
    for number in range(2):
        machine.ask("PATCH", "/v1/sessions/a", {"description": f"before {number}"})
        feed.read()
        machine.kill()
        feed.read()
        machine.start(or_another=True)
        machine.ask("PATCH", "/v1/sessions/a", {"description": f"after {number}"})
        feed.read()
    gate.touch()
    for follower in followers:
        assert follower.wait(20) == 0, follower.stderr.read()
    printed = machine.log("a")
    assert (places.base / "logs").read_bytes() == printed
    last = int(printed.split()[-1])
    assert printed.decode().splitlines() == [*(f"line {n}" for n in range(1, last + 1)), f"last {last}"]
    told = [int(line.split()[0]) for line in (places.base / "events").read_text().splitlines()]
    assert told == [event["seq"] for event in machine.events("a")]
    eventually(lambda: feed.read() or "session.ended" in feed.kinds)
    assert feed.seen == told
    assert feed.breaks >= 2
    feed.close()


@pytest.mark.requirement("S2.9")
def test_an_attached_terminal_does_not_notice(machine, window, eventually):
    machine.start()
    screen = window("new", "a", "--", "sh", "-c", "PS1='in$ ' exec sh -i")
    screen.until("in$")
    machine.kill()
    screen.type("echo still$((1+1))here\r")
    screen.until("still2here")
    machine.start()
    screen.type("echo and$((2+2))now\r")
    screen.until("and4now")
    eventually(lambda: [one["state"] for one in machine.session("a")["attachments"]] == ["attached"])
    assert not re.search(r"broke|trying", screen.text)
    screen.detach()
    eventually(lambda: not machine.session("a")["attachments"])


def test_a_command_finds_it_dead_and_starts_another(machine):
    machine.out("new", "a", "-d", "--", "sleep", "600")
    before = machine.pid
    machine.kill()
    assert "active" in machine.out("ls")
    assert machine.pid != before
    assert machine.hawse("ls", "--start", "never").returncode == 0
    machine.kill()
    assert machine.hawse("ls", "--start", "never").returncode == 69

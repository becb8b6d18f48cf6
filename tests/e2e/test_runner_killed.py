"""A runner dies: its job is lost and said so, what it left is dealt with by policy, and nobody is taken for it."""

import itertools
import json
import os
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from machine import end, is_alive, job, pids_in

from hawse.runner import kin


def family(pids: Path, *more: str) -> tuple[str, ...]:
    """A program with a child, one in a session of its own, and a daemon that was forked twice; they tell their pids."""
    words = [
        f"echo $$ >> {pids}",
        f"sh -c 'echo $$ >> {pids}; exec sleep 600' &",
        f"setsid sh -c 'echo $$ >> {pids}; exec sleep 600' &",
        f"( setsid sh -c 'sh -c \"echo \\$\\$ >> {pids}; exec sleep 600\" &' & )",
        *more,
        "exec sleep 600",
    ]
    return ("sh", "-c", "\n".join(words))


@pytest.mark.requirement("L3.3")
def test_it_is_lost_with_its_cause_and_nothing_of_it_is_left(machine, places, eventually):
    machine.start()
    pids = places.base / "pids"
    id = machine.new("a", *family(pids), tty={"columns": 80, "rows": 24})["jobs"][0]["id"]
    eventually(lambda: len(pids_in(pids)) == 4)
    runner = machine.claimed(id)["runner_pid"]
    machine.kill_runner(id)
    lost = machine.until("a")
    assert lost["outcome"] == {
        "kind": "lost", "code": None, "signal": None, "cause": f"its runner (process {runner}) was killed",
    }  # fmt: skip
    eventually(lambda: not any(map(is_alive, pids_in(pids))), what="its processes are ended, daemons too")
    assert not (machine.runtime / "r" / id).exists(), "its socket is gone, too"
    assert f"its runner (process {runner}) was killed" in machine.out("show", "a")
    assert "lost" in machine.out("ls")
    waited = machine.hawse("wait", "a/sh")
    assert waited.returncode == 1
    assert b"was killed" in waited.stderr
    left = machine.job("a")["left_behind"]
    assert {one["pid"] for one in left} <= set(pids_in(pids))
    assert len(left) >= 2, "a terminal's own session has got its hangup already"


@pytest.mark.requirement("L3.4")
def test_what_is_to_be_kept_is_kept_and_told(machine, places, eventually):
    machine.start()
    pids = places.base / "pids"
    id = machine.new("a", *family(pids), leftovers="keep")["jobs"][0]["id"]
    eventually(lambda: len(pids_in(pids)) == 4)
    try:
        machine.kill_runner(id)
        lost = machine.until("a")
        assert lost["outcome"]["kind"] == "lost"
        assert all(map(is_alive, pids_in(pids)))
        assert {one["pid"] for one in lost["left_behind"]} == set(pids_in(pids))
        shown = machine.out("show", "a")
        assert all(str(pid) in shown for pid in pids_in(pids))
    finally:
        for pid in pids_in(pids):
            end(pid)


DEAF = "trap '' TERM HUP; while :; do sleep 0.1; done"


@pytest.mark.requirement("L3.3", "L3.4")
@pytest.mark.parametrize("on_lost", ["report", "restart"])
def test_what_it_left_defies_its_end(machine, places, eventually, on_lost):
    """Lost at once; over, or started again, when nothing of it lives; told once, whoever dies meanwhile."""
    machine.start()
    pids = places.base / "pids"
    script = f"echo $$ >> {pids}; [ $(wc -l < {pids}) -lt 2 ] || exit 8; {DEAF}"
    id = machine.new("a", "sh", "-c", script, on_lost=on_lost, grace_s=600)["jobs"][0]["id"]
    (pid,) = eventually(lambda: pids_in(pids))
    eventually(lambda: _is_deaf(pid))
    machine.kill_runner(id)
    lost = eventually(lambda: (found := machine.job("a"))["state"] == "lost" and found)
    assert (lost["outcome"]["kind"], lost["attempt"], lost["ended_at"]) == ("lost", 1, None)
    assert pid in [one["pid"] for one in lost["left_behind"]]
    assert "what it left behind is being ended" in machine.out("show", "a")
    assert machine.ask("POST", "/v1/sessions/a/jobs/sh/signal", {"signal": "USR1"})[0] == 409
    machine.kill()
    machine.start()
    assert machine.job("a")["state"] == "lost"
    assert (is_alive(pid), len(pids_in(pids))) == (True, 1)
    if on_lost == "report":
        assert machine.ask("DELETE", "/v1/sessions/a/jobs/sh?grace_s=0")[0] in (200, 202)
        over = machine.until("a")
        assert pid in [one["pid"] for one in over["left_behind"]]
    else:
        end(pid)  # it gives in at last
        over = machine.until("a")
        assert (over["attempt"], over["outcome"]["code"], len(pids_in(pids))) == (2, 8, 2)
    assert not is_alive(pid)
    kinds = machine.kinds("a")
    assert (kinds.count("job.lost"), kinds.count("job.ended")) == (1, 1)
    assert kinds.count("job.restarted") == (on_lost == "restart")


def _is_deaf(pid: int) -> bool:
    ignored = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigIgn"))
    return bool(int(ignored.split()[1], 16) >> 14 & 1)


@pytest.mark.requirement("L3.4", "S2.9")
def test_marked_so_it_is_started_again_and_its_log_goes_on(machine, places, window, eventually):
    machine.start()
    runs = places.base / "runs"
    script = f"echo run >> {runs}; n=$(wc -l < {runs}); echo this is run $n; [ $n -lt 3 ] || exit 4; exec sleep 600"
    machine.new("a", "sh", "-c", script, on_lost="restart", tty={"columns": 60, "rows": 12})
    screen = window("attach", "a")
    screen.until("this is run 1")
    id, pid = machine.job("a")["id"], machine.job("a")["pid"]
    machine.kill_runner(id)
    screen.until("this is run 2")
    second = machine.until("a", "started")
    assert (second["attempt"], second["outcome"]["kind"]) == (2, "lost")
    assert second["pid"] != pid
    assert not is_alive(pid)
    assert re.search(r"attempt +2|attempt: +2", machine.out("show", "a"))
    machine.kill_runner(id, attempt=2)
    assert screen.ended() == 0
    assert "exit code 4" in screen.text
    last = machine.until("a")
    assert (last["attempt"], last["outcome"]["code"]) == (3, 4)
    assert machine.log("a") == b"this is run 1\r\nthis is run 2\r\nthis is run 3\r\n"
    assert [kind for kind in machine.kinds("a") if kind == "job.restarted"] == ["job.restarted"] * 2


def test_who_is_attached_is_told(machine, window):
    machine.start()
    machine.new("a", "sh", "-c", "echo here; exec sleep 600", tty={"columns": 60, "rows": 12})
    screen = window("attach", "a")
    screen.until("here")
    machine.kill_runner(machine.job("a")["id"])
    screen.ended()
    assert "lost" in screen.text
    assert "was killed" in screen.text


@pytest.mark.requirement("L3.3", "S3.2")
def test_all_of_them_killed_in_every_order(machine, places, eventually):
    """Coordinator, parent and runner, whoever goes first: lost or started again, and the next job just starts."""
    machine.start()
    for number, order in enumerate(itertools.permutations(["coordinator", "parent", "runner"])):
        pids = {policy: places.base / f"{policy}-{number}" for policy in ("report", "restart")}
        ids = []
        for policy, path in pids.items():
            script = f"echo $$ >> {path}; [ $(wc -l < {path}) -lt 2 ] || exit 8; exec sleep 600"
            ids.append(machine.new(f"{policy}-{number}", "sh", "-c", script, on_lost=policy)["jobs"][0]["id"])
            machine.until(f"{policy}-{number}", "started")
        eventually(lambda pids=pids: all(map(pids_in, pids.values())))
        for who in order:
            if who == "runner":
                for id in ids:
                    machine.kill_runner(id)
            else:
                {"coordinator": machine.kill, "parent": machine.kill_parent}[who]()
        machine.start()
        lost = machine.until(f"report-{number}")
        assert (lost["outcome"]["kind"], lost["attempt"]) == ("lost", 1)
        assert "was killed" in lost["outcome"]["cause"]
        again = machine.until(f"restart-{number}")
        assert (again["outcome"]["code"], again["attempt"]) == (8, 2)
        assert [len(pids_in(path)) for path in pids.values()] == [1, 2]
        assert not [pid for path in pids.values() for pid in pids_in(path) if is_alive(pid)]


def innocent() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "600"])


@pytest.mark.requirement("S3.2")
def test_another_process_with_its_number_is_not_the_runner(machine, eventually):
    """The claim's number, and the main process's, belong to somebody else now: lost, and nobody else is harmed."""
    machine.start()
    id = machine.new("a", "sleep", "600")["jobs"][0]["id"]
    pid = machine.until("a", "started")["pid"]
    machine.kill()
    machine.kill_runner(id)
    eventually((machine.folder(id) / "attempt-1" / "process.json").exists)
    end(pid)
    with innocent() as other:
        try:
            for name, key in (("claim.json", "runner_pid"), ("process.json", "pid")):
                path = machine.folder(id) / "attempt-1" / name
                path.write_text(json.dumps({**json.loads(path.read_text()), key: other.pid}))
            machine.start()
            lost = machine.until("a")
            assert lost["outcome"]["kind"] == "lost"
            assert lost["left_behind"] == []
            assert other.poll() is None
        finally:
            other.kill()


@pytest.mark.requirement("S3.2")
def test_a_living_runner_with_a_forged_claim_is_still_known_by_its_proof(machine):
    """Numbers are only looked at when nobody answers: the runner proves itself with the job's secret."""
    machine.start()
    id = machine.new("a", "sleep", "600")["jobs"][0]["id"]
    pid = machine.until("a", "started")["pid"]
    machine.kill()
    path = machine.folder(id) / "attempt-1" / "claim.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "runner_started": told["runner_started"] + 1}))
    machine.start()
    found = machine.job("a")
    assert (found["state"], found["pid"]) == ("running", pid)
    path.write_text(json.dumps(told))
    assert machine.end("a", 0)["state"] == "ended"
    assert not is_alive(pid)


@pytest.mark.parametrize("answer", [b"", b"\0\0\0\2\x15{}", b"HTTP/1.1 200 OK\r\n\r\n", os.urandom(4096)])
def test_an_impostor_on_its_socket_is_not_believed(machine, answer):
    machine.start()
    id = machine.new("a", "sleep", "600")["jobs"][0]["id"]
    machine.until("a", "started")
    machine.kill()
    machine.kill_runner(id)
    path = machine.runtime / "r" / id
    path.unlink(missing_ok=True)
    done = threading.Event()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen(16)
        door.settimeout(0.1)
        heard: list[bytes] = []

        def serve() -> None:
            while not done.is_set():
                try:
                    link, _ = door.accept()
                except TimeoutError:
                    continue
                with link:
                    heard.append(link.recv(65536))
                    link.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        machine.start()
        lost = machine.until("a")
        done.set()
        thread.join(10)
        assert lost["outcome"]["kind"] == "lost"
        assert heard


def test_a_runner_that_stands_still_is_waited_for(machine, eventually):
    """Stopped is not dead: nothing is said to be lost, and it is reached again."""
    machine.start()
    id = machine.new("a", "sh", "-c", "echo x; exec sleep 600")["jobs"][0]["id"]
    machine.until("a", "started")
    runner = machine.claimed(id)["runner_pid"]
    machine.kill()
    os.kill(runner, 19)
    try:
        machine.start()
        assert machine.job("a")["state"] == "running"
        status, refused = machine.ask("POST", "/v1/sessions/a/jobs/sh/signal", {"signal": "USR1"})
        assert status in (409, 503), refused
    finally:
        os.kill(runner, 18)
    eventually(lambda: machine.ask("POST", "/v1/sessions/a/jobs/sh/signal", {"signal": "USR1"})[0] in (200, 202, 204))
    assert machine.until("a")["outcome"] == {"kind": "signalled", "code": None, "signal": 10, "cause": ""}
    assert kin.look(runner) is None or eventually(lambda: kin.look(runner) is None)


def test_many_at_once(machine, places, eventually):
    """Twenty runners die with the coordinator; each of their jobs is dealt with, and the others never noticed."""
    machine.start()
    pids = places.base / "pids"
    session = machine.new("a", "sh", "-c", f"echo $$ >> {pids}; exec sleep 600")
    for n in range(19):
        machine.run("a", "sh", "-c", f"echo $$ >> {pids}; exec sleep 600", on_lost="restart" if n % 2 else "report")
    eventually(lambda: len(pids_in(pids)) == 20)
    eventually(lambda: all(one["pid"] for one in machine.session("a")["jobs"]))
    victims = [one["id"] for one in machine.session("a")["jobs"]][::2]
    machine.kill()
    for id in victims:
        machine.kill_runner(id)
    machine.start()
    eventually(lambda: all(one["state"] == "ended" or one["attempt"] == 2 for one in machine.session("a")["jobs"][::2]))
    jobs = machine.session("a")["jobs"]
    assert {one["state"] for one in jobs[1::2]} == {"running"}
    assert {one["attempt"] for one in jobs[1::2]} == {1}
    assert all(one["outcome"]["kind"] == "lost" for one in jobs[::2])
    assert session["jobs"][0]["id"] == jobs[0]["id"]
    assert job("x")["argv"] == ["x"]

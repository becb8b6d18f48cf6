"""Disks that are full, torn or from the future: told, bounded, and nothing that was promised is lost."""

import os
import random
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from machine import Http, Machine, is_alive

MIB = 1024 * 1024


class Disk:
    """A small file system."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ballast = path / "ballast"

    def fill(self, leave: int = 0) -> None:
        """Take all room but so many bytes."""
        found = os.statvfs(self.path)
        with open(self.ballast, "ab") as file:
            os.posix_fallocate(file.fileno(), 0, file.tell() + found.f_bavail * found.f_frsize - leave)

    def free(self) -> None:
        self.ballast.unlink()


@pytest.fixture
def disk(machine, need) -> Iterator[Callable[[Path, int], Disk]]:
    """disk(folder, mebibytes) mounts a small tmpfs; unmounted when everything has ended."""
    if os.getuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    mounted: list[Path] = []

    def mount(folder: Path, size: int) -> Disk:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        subprocess.run([need("mount"), "-t", "tmpfs", "-o", f"size={size}m,mode=700", "tmpfs", folder], check=True)
        mounted.append(folder)
        return Disk(folder)

    yield mount
    for folder in mounted:
        (folder / "ballast").unlink(missing_ok=True)
    machine.close()
    for folder in reversed(mounted):
        subprocess.run([need("umount"), "-l", folder], check=True)


COUNT = "n=0; while [ $n -lt {lines} ]; do n=$((n+1)); echo $n > {progress}; echo line $n $FILL; done; echo done"
FILL = {"FILL": "x" * 1000}


def lines(count: int) -> bytes:
    return b"".join(b"line %d %s\n" % (n, b"x" * 1000) for n in range(1, count + 1)) + b"done\n"


@pytest.mark.requirement("S3.3")
def test_a_full_log_blocks_the_job_and_everybody_is_told(machine, disk, places, eventually):
    small = disk(machine.state / "jobs", 8)
    machine.start()
    progress = places.base / "progress"
    machine.new("warm", "true", lease="jobs")
    machine.until("warm")
    small.fill(leave=2 * MIB)
    machine.new("a", "sh", "-c", COUNT.format(lines=5000, progress=progress), env=FILL)
    blocked = eventually(lambda: (found := machine.job("a"))["log"]["state"] == "blocked" and found)
    assert "No space left" in blocked["log"]["cause"]
    assert blocked["log"]["since"]
    shown = machine.out("show", "a")
    assert "blocked" in shown
    assert "No space left" in shown
    assert "job.log_changed" in machine.kinds("a")
    reached = eventually(lambda: _stands_still(progress))
    assert reached < 5000
    machine.restart()  # a new coordinator learns it from the runner, once
    assert machine.job("a")["log"]["state"] == "blocked"
    small.free()
    assert machine.until("a")["outcome"]["code"] == 0
    assert machine.log("a") == lines(5000)
    assert machine.job("a")["log"] == {"state": "ok", "cause": "", "since": None, "bytes_dropped": 0}
    assert machine.kinds("a").count("job.log_changed") == 2


@pytest.mark.requirement("S3.3")
def test_a_disk_that_is_full_for_logs_and_store_is_told_while_it_is(machine, disk, eventually):
    """The default layout: what the runner tells cannot be stored, so the coordinator tells it from memory."""
    small = disk(machine.state, 8)
    machine.start()
    machine.new("a", "sh", "-c", "exec sleep 600")
    pid = machine.until("a", "started")["pid"]
    small.fill()
    os.kill(pid, 15)  # its end is what the store has no room for
    trouble = eventually(lambda: machine.get("/v1/status")["trouble"])
    assert "full" in trouble["cause"]
    assert machine.session("a")["trouble"] == trouble
    for words in (["show", "a"], ["show", "a/sh"], ["ls"], ["doctor"]):
        done = machine.hawse(*words)
        assert b"disk is full" in done.stdout + done.stderr, words
    small.free()
    assert machine.until("a")["outcome"]["signal"] == 15
    eventually(lambda: machine.get("/v1/status")["trouble"] is None)


def _stands_still(progress: Path) -> int:
    """The number reached, if it is the same after a moment in which a thousand lines are printed otherwise."""
    before = progress.read_text()
    subprocess.run(["sh", "-c", "n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done"], check=True)
    return int(before) if before.strip() and progress.read_text() == before else 0


@pytest.mark.requirement("S3.3")
def test_a_full_log_drops_where_that_is_the_policy(machine, disk, places, eventually):
    small = disk(machine.state / "jobs", 8)
    machine.start()
    progress, gate = places.base / "progress", places.base / "gate"
    machine.new("warm", "true", lease="jobs")
    machine.until("warm")
    small.fill(leave=2 * MIB)
    script = COUNT.format(lines=4000, progress=progress) + f"; while [ ! -e {gate} ]; do echo late; sleep 0.05; done"
    machine.new("a", "sh", "-c", script + "; echo the end", env=FILL, log_on_full="drop")
    eventually(lambda: machine.job("a")["log"]["state"] == "dropping")
    assert "dropping" in machine.out("show", "a")
    eventually(lambda: progress.read_text() == "4000\n", what="the job goes on")
    small.free()
    back = eventually(lambda: (found := machine.job("a"))["log"]["state"] == "ok" and found)
    dropped = back["log"]["bytes_dropped"]
    assert dropped > MIB
    gate.touch()
    ended = machine.until("a")
    assert ended["outcome"]["code"] == 0
    printed = machine.hawse("logs", "a")
    assert printed.returncode == 1, "what is missing is told by the code, too"
    assert f"{dropped}" in printed.stderr.decode() or b"dropped" in printed.stderr
    assert printed.stdout.startswith(lines(1000)[: 1000 * 1000])
    assert printed.stdout.endswith(b"the end\n")
    assert len(printed.stdout) + dropped == ended["log_end"]
    assert "gaps" in machine.out("show", "a")


@pytest.mark.requirement("S3.3", "L3.3")
def test_a_full_store_refuses_and_goes_on_when_there_is_room(machine, disk, eventually):
    """503 and "ask again" while it is full; what was acknowledged stays; what ended meanwhile is known afterwards."""
    small = disk(machine.state, 6)
    disk(machine.state / "jobs", 8)
    machine.start()
    machine.new("a", "sh", "-c", "while read line; do echo heard $line; done; exit 4", stdin="open")
    machine.new("b", "sh", "-c", "echo here; exec sleep 600")
    pid = machine.until("b", "started")["pid"]
    machine.ask("PATCH", "/v1/sessions/a", {"description": "before"})
    small.fill(leave=64 * 1024)
    accepted, status, value = ["before"], 200, None
    for number in range(3000):
        text = f"{number} " + "y" * 900
        status, value = machine.ask("PATCH", "/v1/sessions/a", {"description": text})
        if status != 200:
            break
        accepted.append(text)
    assert status == 503, "full at last"
    assert (value["code"], value["retry"]) == ("unavailable", True)
    assert "disk is full" in value["detail"]
    made = []
    while (answer := machine.ask("POST", "/v1/sessions", {"alias": f"c{len(made)}"}))[0] == 201:
        made.append(answer[1]["id"])  # smaller commits may fit a while longer
        assert len(made) < 500
    assert (answer[0], answer[1]["retry"]) == (503, True)
    done = machine.hawse("describe", "a", "--description", "more text")
    assert done.returncode == 69
    assert b"disk is full" in done.stderr
    assert machine.session("a")["description"] == accepted[-1], "reading goes on"
    assert b"here\n" in machine.log("b")
    os.kill(pid, 15)
    eventually(lambda: not is_alive(pid))
    assert machine.get("/healthz") == {"status": "ok"}
    small.fill()
    eventually(lambda: machine.ask("GET", "/readyz")[0] == 503)
    not_ready = machine.ask("GET", "/readyz")[1]
    assert (not_ready["code"], not_ready["retry"]) == ("unavailable", True)
    assert "disk is full" in not_ready["detail"]
    small.free()
    eventually(lambda: machine.ask("GET", "/readyz") == (200, {"status": "ready"}))
    eventually(lambda: machine.ask("PATCH", "/v1/sessions/a", {"description": "after"})[0] == 200)
    assert machine.until("b")["outcome"]["signal"] == 15
    told = [event["after"]["description"] for event in machine.events("a") if event["kind"] == "session.described"]
    assert told == [*accepted, "after"]
    assert len(accepted) > 2
    assert set(made) < {one["id"] for one in machine.get("/v1/sessions?limit=1000")["items"]}


def test_a_store_that_is_full_at_the_start_is_a_sentence(machine, disk):
    small = disk(machine.state, 4)
    small.fill()
    assert machine.launch().wait(20) == 69
    said = machine.said.read_text()
    assert "Traceback" not in said
    assert "room" in said or "No space" in said
    small.free()
    machine.start()


def test_who_starts_it_on_a_full_disk_is_told_why(machine, disk):
    """The log has no room for the reason; it comes all the same, with what to do, and is in the log where it has."""
    small = disk(machine.state, 4)
    small.fill()
    done = machine.hawse("ls")
    said = done.stderr.decode()
    assert done.returncode == 69
    assert "the coordinator ended at once" in said
    assert "room" in said or "No space" in said
    assert "hawse doctor" in said
    assert "Traceback" not in said
    assert (machine.state / "coordinator.log").read_bytes() == b""
    small.free()
    assert machine.hawse("ls").returncode == 0
    machine.stop()
    (machine.state / "host").write_text("nonsense")
    assert "is damaged" in machine.hawse("ls").stderr.decode()
    assert "is damaged" in (machine.state / "coordinator.log").read_text()
    (machine.state / "host").unlink()


def test_a_coordinator_in_the_background_speaks_into_its_log_once_it_serves(machine):
    """Its starter has gone: what the interpreter itself says at a crash must not be lost."""
    assert machine.hawse("ls").returncode == 0
    for number in (1, 2):
        assert os.readlink(f"/proc/{machine.pid}/fd/{number}") == str(machine.state / "coordinator.log")
    machine.stop()


def test_a_coordinator_killed_on_a_full_store_comes_back(machine, disk, eventually):
    small = disk(machine.state, 6)
    disk(machine.state / "jobs", 8)
    machine.start()
    machine.new("a", "sh", "-c", "read line; exit 3", stdin="open")
    pid = machine.until("a", "started")["pid"]
    small.fill()
    machine.kill()
    process = machine.launch()
    assert eventually(lambda: machine.is_ready() or process.poll() == 69), "it serves, or says why not"
    os.kill(pid, 9)
    small.free()
    if not machine.is_ready():
        machine.start()
    assert machine.until("a")["outcome"]["signal"] == 9


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S3.4")
def test_damaged_segments_are_told_and_the_rest_is_read(machine, need):
    machine.start()
    script = "n=0; while [ $n -lt 30000 ]; do n=$((n+1)); echo line $n; done"
    id = machine.new("a", need("bash"), "-c", script, lease="jobs")["jobs"][0]["id"]
    machine.until("a")
    whole = machine.log("a")
    (segment,) = (machine.folder(id) / "log").glob("*.seg")
    data = bytearray(segment.read_bytes())
    assert bytes(data) == whole
    at = len(data) // 2
    data[at] ^= 0x20
    segment.write_bytes(data)
    done = machine.hawse("logs", "a")
    assert done.returncode == 1
    assert b"checksum" in done.stderr
    assert 0 < len(whole) - len(done.stdout) <= 64 * 1024, "one block at most"
    cut = next(n for n, (one, two) in enumerate(zip(whole, done.stdout, strict=False)) if one != two)
    assert whole.startswith(done.stdout[:cut])
    assert whole.endswith(done.stdout[cut:])
    link = Http(machine.socket)
    link.request("GET", "/v1/sessions/a/logs/bash?limit=4194304")
    answer = link.getresponse()
    answer.read()
    assert "checksum" in (answer.getheader("hawse-log-damaged") or "")
    link.close()
    # torn: the last bytes and half a record never reached the disk
    index = segment.with_suffix(".idx")
    index.write_bytes(index.read_bytes()[:-13])
    segment.write_bytes(whole[:-1000])
    done = machine.hawse("logs", "a")
    assert whole.startswith(done.stdout)
    assert len(done.stdout) >= len(whole) - 64 * 1024 - 1000
    # without its index: readable, and nothing can be said about it
    index.unlink()
    segment.write_bytes(whole)
    done = machine.hawse("logs", "a")
    assert (done.returncode, done.stdout) == (1, whole)
    assert done.stderr.count(b"cannot be checked") == 1
    # without the segment: nothing is left, and that is told
    segment.unlink()
    for tail in ((), ("--tail", "1")):
        done = machine.hawse("logs", "a", *tail)
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"are not there" in done.stderr


@pytest.mark.parametrize("seed", range(3))
def test_any_damage_leaves_a_readable_log(machine, seed):
    """Bytes flipped, files cut and removed at random: the coordinator lives, and what is shown was printed."""
    chance = random.Random(seed)
    machine.start()
    id = machine.new("a", "seq", "1", "20000", lease="jobs")["jobs"][0]["id"]
    machine.until("a")
    whole = machine.log("a")
    files = sorted((machine.folder(id) / "log").iterdir())
    before = {path: path.read_bytes() for path in files}
    for _ in range(15):
        path = chance.choice(files)
        data = bytearray(before[path])
        if data and chance.random() < 0.7:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            del data[chance.randrange(len(data) + 1) :]
        path.write_bytes(data)
        status, printed = machine.ask("GET", "/v1/sessions/a/logs/seq?limit=4194304")
        assert status == 200
        assert len(printed) <= len(whole)
        path.write_bytes(before[path])
    assert machine.log("a") == whole


def _store(machine: Machine, statement: str) -> None:
    database = sqlite3.connect(machine.state / "hawse.db")
    with database:
        database.execute(statement)
    database.close()


def test_a_store_of_a_newer_version_is_refused_with_a_sentence(machine):
    machine.start()
    machine.new("a", "true", lease="jobs")
    machine.until("a")
    machine.stop()
    _store(machine, "INSERT INTO schema_version VALUES (999, 'of tomorrow')")
    assert machine.launch().wait(20) == 69
    said = machine.said.read_text()
    assert "newer" in said
    assert "Traceback" not in said
    done = machine.hawse("ls")
    assert done.returncode == 69
    assert b"newer" in done.stderr
    assert b"Traceback" not in done.stderr
    _store(machine, "DELETE FROM schema_version WHERE number = 999")
    machine.start()
    assert machine.session("a")["state"] == "ended"


def test_a_damaged_store_is_a_sentence_and_logs_are_unharmed(machine):
    machine.is_checked = False
    machine.start()
    id = machine.new("a", "echo", "kept", lease="jobs")["jobs"][0]["id"]
    machine.until("a")
    machine.stop()
    (machine.state / "hawse.db").write_bytes(b"not a database at all" * 1000)
    for name in ("hawse.db-wal", "hawse.db-shm"):
        (machine.state / name).unlink(missing_ok=True)
    assert machine.launch().wait(20) == 1
    said = machine.said.read_text()
    assert "damaged" in said
    assert "backup" in said
    assert "Traceback" not in said
    (segment,) = (machine.folder(id) / "log").glob("*.seg")
    assert segment.read_bytes() == b"kept\n"

"""The host restarts: every process is gone, the runtime folder is fresh, and it is another boot."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from machine import Machine, end

BOOT_ID = "/proc/sys/kernel/random/boot_id"
NEXT_BOOT = "0badb007-0000-4000-8000-000000000001"


def pull_the_plug(machine: Machine, ids: list[str]) -> None:
    """Everything dies at once; the runtime folder (in /tmp) does not outlive it."""
    parent = machine.parent_pid
    machine.kill()
    for id in ids:
        attempt = max(int(path.name.rpartition("-")[2]) for path in machine.folder(id).glob("attempt-*"))
        main = json.loads((machine.folder(id) / f"attempt-{attempt}" / "process.json").read_text())["pid"]
        machine.kill_runner(id, attempt)
        with suppress(OSError):
            end(main)
    if parent is not None:
        end(parent)
    shutil.rmtree(machine.runtime)


def boot(machine: Machine, folder: Path) -> None:
    """Start the coordinator in a mount namespace of its own, where the kernel tells another boot's id."""
    (folder / "boot_id").write_text(NEXT_BOOT + "\n")
    probe = ["unshare", "--mount", "sh", "-c", f"mount --bind {folder}/boot_id {BOOT_ID} && cat {BOOT_ID}"]
    if os.getuid() != 0 or NEXT_BOOT not in subprocess.run(probe, capture_output=True, text=True, check=False).stdout:
        pytest.skip("a boot id can only be shown to root, in a mount namespace")
    coordinator = f"{sys.executable} -m hawse.daemons.coordinator"
    script = f"mount --bind {folder}/boot_id {BOOT_ID} && exec {coordinator}"
    with open(machine.said, "wb") as said:
        machine.process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", start_new_session=True, env=machine.environ,
        )  # fmt: skip
    machine.eventually(machine.is_ready, what="the coordinator of the next boot answers")


Boot = Callable[[Machine, Path], Any]


@pytest.mark.requirement("L3.3", "S3.4")
def test_jobs_are_lost_or_started_again_and_logs_stay(machine, places, eventually, window):
    machine.start()
    runs = places.base / "runs"
    again = f"echo run >> {runs}; echo run $(wc -l < {runs}); exec sleep 600"
    machine.new("a", "sh", "-c", "echo before the night; exec sleep 600", tty={"columns": 80, "rows": 24})
    machine.run("a", "sh", "-c", again, on_lost="restart", name="again")
    machine.run("a", "sh", "-c", "echo over; exit 6", name="over")
    for name in ("sh", "again"):
        machine.until("a", "started", name)
        eventually(lambda name=name: machine.log("a", name))
    assert machine.until("a", name="over")["outcome"]["code"] == 6
    screen = window("attach", "a/sh", "--watch")
    screen.until("before the night")
    ids = [machine.job("a", name)["id"] for name in ("sh", "again")]
    screen.kill()
    pull_the_plug(machine, ids)
    boot(machine, places.base)
    assert machine.get("/v1/status")["boot_id"] == NEXT_BOOT
    lost = machine.until("a", name="sh")
    assert (lost["outcome"]["kind"], lost["outcome"]["cause"]) == ("lost", "the host was rebooted")
    assert lost["left_behind"] == []
    started = eventually(
        lambda: (found := machine.job("a", "again"))["attempt"] == 2 and found["state"] == "running" and found
    )
    assert started["outcome"]["cause"] == "the host was rebooted"
    eventually(lambda: machine.log("a", "again") == b"run 1\nrun 2\n")
    assert machine.log("a", "sh") == b"before the night\r\n"
    assert machine.log("a", "over") == b"over\n"
    assert machine.job("a", "over")["outcome"]["code"] == 6
    assert "the host was rebooted" in machine.out("show", "a/sh")
    assert machine.out("logs", "a/sh") == "before the night\r\n"
    assert machine.hawse("wait", "a/sh").returncode == 1
    claimed = json.loads((machine.folder(ids[1]) / "attempt-2" / "claim.json").read_text())
    assert claimed["boot_id"] == NEXT_BOOT
    assert not [one for one in machine.session("a")["attachments"] if one["state"] == "attached"]


def test_a_number_of_another_boot_names_nobody(machine, places):
    """Even a process with the same number and the same start time is another one, when the boot is another."""
    machine.start()
    id = machine.new("a", "sleep", "600")["jobs"][0]["id"]
    pid = machine.until("a", "started")["pid"]
    machine.kill()
    machine.kill_runner(id)
    end(pid)
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            from hawse.runner import kin

            for name, number in (("claim.json", "runner_pid"), ("process.json", "pid")):
                path = machine.folder(id) / "attempt-1" / name
                told = json.loads(path.read_text())
                when = "runner_started" if name == "claim.json" else "started"
                told |= {number: other.pid, when: kin.started(other.pid), "boot_id": NEXT_BOOT}
                path.write_text(json.dumps(told))
            machine.start()
            lost = machine.until("a")
            assert lost["outcome"]["cause"] == "the host was rebooted"
            assert other.poll() is None, "an innocent process was ended"
        finally:
            other.kill()


def test_a_job_that_had_ended_is_not_lost(machine, places, eventually):
    """Its end was recorded durably before the plug was pulled, and the coordinator had not heard of it."""
    machine.start()
    gate = places.base / "gate"
    id = machine.new("a", "sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.02; done; echo done; exit 2")["jobs"][0]["id"]
    machine.until("a", "started")
    machine.kill()
    gate.touch()
    path = machine.folder(id) / "attempt-1"
    eventually((path / "exit.json").exists)
    told = json.loads((path / "claim.json").read_text())
    (path / "claim.json").write_text(json.dumps({**told, "boot_id": NEXT_BOOT}))
    machine.kill_parent()
    shutil.rmtree(machine.runtime)
    machine.start()
    assert machine.until("a")["outcome"]["code"] == 2
    assert machine.log("a") == b"done\n"


def test_a_claim_that_the_crash_tore_is_told(machine, places):
    """A claim is durable before anything runs; if the disk lost it all the same, nothing is started twice."""
    machine.start()
    runs = places.base / "runs"
    id = machine.new("a", "sh", "-c", f"echo x >> {runs}; exec sleep 600", on_lost="report")["jobs"][0]["id"]
    pid = machine.until("a", "started")["pid"]
    machine.kill()
    machine.kill_runner(id)
    end(pid)
    (machine.folder(id) / "attempt-1" / "claim.json").write_bytes(b"\0" * 300)
    machine.start()
    lost = machine.until("a")
    assert lost["outcome"]["kind"] == "lost"
    assert runs.read_text() == "x\n"
    assert "damaged" in lost["outcome"]["cause"]

"""The coordinator is stopped in order: nothing of hawse stays but the runners; the next one finds all of them."""

import os

import pytest
from machine import is_alive

from hawse.runner import kin


def ours(machine) -> dict[str, list[int]]:
    """The processes with this state in their environment, by kind."""
    found: dict[str, list[int]] = {"parent": [], "runner": [], "coordinator": []}
    for pid in kin.everybody():
        if b"\0HAWSE_STATE_DIR=" + os.fsencode(machine.state) + b"\0" in kin.environ(pid):
            with open(f"/proc/{pid}/comm") as file:
                name = file.read().strip()
            words = kin.command(pid)
            if name in ("hawse-parent", "hawse-runner"):
                found[name.removeprefix("hawse-")].append(pid)
            elif "hawse.daemons.coordinator" in words:
                found["coordinator"].append(pid)
    return found


@pytest.mark.requirement("S0.1", "S0.2")
@pytest.mark.parametrize("killed_before", [False, True])
def test_only_runners_stay_and_are_found_again(machine, eventually, killed_before):
    """`hawse down`, also when the parent is one that a killed coordinator left: parent gone, job untouched."""
    machine.out("new", "a", "-d", "--", "sh", "-c", "echo one; read x; echo two; exit 6")
    job = machine.until("a", "started")
    parent = machine.parent_pid
    if killed_before:
        machine.kill()
        machine.out("ls")
        assert machine.parent_pid == parent
    assert machine.out("down").startswith("the coordinator")
    assert not is_alive(parent)
    left = ours(machine)
    assert (left["parent"], left["coordinator"]) == ([], [])
    assert left["runner"] == [machine.claimed(job["id"])["runner_pid"]]
    assert is_alive(job["pid"])
    assert "no coordinator" in machine.out("down")
    assert machine.out("run", "a", "--", "echo", "a new parent starts it") == "a new parent starts it\n"
    assert machine.parent_pid not in (None, parent)
    assert machine.job("a")["pid"] == job["pid"]
    machine.out("end", "a", "--now")
    eventually(lambda: not ours(machine)["runner"], what="a runner goes when its end is committed")


@pytest.mark.requirement("S0.2")
def test_replaced_by_a_newer_one(machine, eventually):
    """`--start always`: an upgrade. The old one and its parent go, jobs and their attachments do not notice."""
    machine.out("new", "a", "-d", "--", "sleep", "600")
    before, parent, job = machine.pid, machine.parent_pid, machine.until("a", "started")
    assert "active" in machine.out("ls", "--start", "always")
    assert machine.pid != before
    assert not is_alive(before)
    assert not is_alive(parent)
    now = machine.job("a")
    assert (now["pid"], now["state"]) == (job["pid"], "running")

"""Leases on the real thing: a real coordinator whose clock is set (faketime), killed and started again."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from machine import Machine, job

LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64")
LATE_S_MAX = 10.0  # not ours: the machine's that runs the tests; how late it was is in the benchmark
HOUR = 3600.0


class Wall:
    """The clock that the coordinator sees, ahead of the machine's by `offset_s`."""

    def __init__(self, place: Path) -> None:
        self.file = place / "faketime"
        self.set(HOUR)

    def set(self, offset_s: float) -> None:
        """As somebody who sets the clock: at a stroke."""
        self.offset_s = offset_s
        aside = self.file.with_suffix(".new")
        aside.write_text(f"{offset_s:+.3f}\n")
        os.replace(aside, self.file)

    def now(self) -> float:
        return time.time() + self.offset_s

    def environ(self, library: str) -> dict[str, str]:
        return {
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1",
        }  # fmt: skip


@pytest.fixture
def wall(machine: Machine, need: Callable[[str], str], places: object) -> Wall:
    """A machine that runs, by a clock that the test sets."""
    need("faketime")
    found = [path for one in LIBRARIES for path in Path(one, "faketime").glob("libfaketimeMT.so.1")]
    if not found:
        pytest.skip("faketime's library is not where it is looked for")
    made = Wall(machine.state.parent)
    machine.start(environ=made.environ(str(found[0])))
    assert machine.process is not None
    return made


def lease(machine: Machine, name: str, until: float) -> str:
    body = {"alias": name, "lease": "until", "lease_until": until, "job": job("sleep", "1000")}
    status, value = machine.ask("POST", "/v1/sessions", body)
    assert status == 201, value
    machine.until(name, "started")
    return str(value["id"])


def told(machine: Machine, id: str) -> list[int]:
    """How many seconds before the end it was warned."""
    return [round(one["detail"]["left_s"]) for one in machine.events(id) if one["kind"] == "session.warned"]


@pytest.mark.requirement("L4.15")
def test_a_clock_that_jumps_forward_and_back_ends_a_lease_in_its_second_and_never_early(
    machine: Machine, wall: Wall, eventually: Callable[..., object]
) -> None:
    until = wall.now() + 2 * HOUR
    id = lease(machine, "train", until)
    wall.set(HOUR + 2 * HOUR - 300)  # five minutes before: the two first warnings are over, the second is told
    eventually(lambda: len(told(machine, id)) == 1, what="warned after a jump forward")
    assert 290 < told(machine, id)[0] <= 300
    wall.set(HOUR)  # back again: two hours before
    wall.set(HOUR + 2 * HOUR - 60)
    eventually(lambda: len(told(machine, id)) == 2, what="warned once more")
    wall.set(HOUR)
    assert machine.session(id)["state"] == "active"
    wall.set(HOUR + 2 * HOUR - 58)
    assert machine.session(id)["state"] == "active"
    wall.set(HOUR + 2 * HOUR)
    eventually(lambda: machine.session(id)["state"] == "ended", what="ended")
    ended = next(one for one in machine.events(id) if one["kind"] == "session.end_asked")
    assert 0 <= ended["time"] - until < LATE_S_MAX
    assert len(told(machine, id)) == 2


@pytest.mark.requirement("S2.6", "L4.15")
def test_a_lease_that_ended_while_no_coordinator_ran_is_ended_by_the_next_one(
    machine: Machine, eventually: Callable[..., object]
) -> None:
    machine.start()
    until = time.time() + 3.0
    id = lease(machine, "train", until)
    machine.kill(signal.SIGKILL)
    eventually(lambda: time.time() > until, what="the lease is over")
    machine.start()
    eventually(lambda: machine.session(id)["state"] == "ended", what="ended")
    ended = next(one for one in machine.events(id) if one["kind"] == "session.end_asked")
    assert ended["time"] >= until
    assert ended["by"] == "hawse"


@pytest.mark.requirement("L3.15")
def test_a_job_that_fails_runs_again_and_its_log_goes_on(machine: Machine, eventually: Callable[..., object]) -> None:
    machine.start()
    machine.new("a", "sh", "-c", "echo try; exit 3", on_error="restart", retries_max=2)
    eventually(lambda: machine.job("a")["state"] == "pending", what="waits for its second attempt")
    found = machine.job("a")
    assert (found["attempt"] > 1, found["outcome"]["code"], found["start_at"] is not None) == (True, 3, True)
    machine.kill(signal.SIGKILL)
    machine.start()
    ended = machine.until("a")
    assert (ended["attempt"], ended["outcome"]["code"]) == (3, 3)
    assert machine.log("a") == b"try\n" * 3

"""The demo does what it says: it attaches, detaches, kills the coordinator, comes back, and compares."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.requirement("S0.3", "S0.4")
def test_the_demo(places):
    environ = {**os.environ, "TMPDIR": str(places.base)}
    done = subprocess.run(
        [ROOT / "examples/demo"], env=environ, capture_output=True, text=True, timeout=120, cwd=places.base
    )
    assert done.returncode == 0, done.stdout + done.stderr
    at = -1
    for told in (
        "hawse new primes",
        "| prime ",
        "(Ctrl-\\ d is pressed)",
        "| [detached from primes; return with: hawse attach primes]",
        "kill -9 ",
        "hawse attach primes",
        "| prime 4000 is 37813",
        "| [primes ended: exit code 0]",
        "Every byte is there: 81467 of 81467",
    ):
        assert told in done.stdout[at + 1 :], f"{told!r} in:\n{done.stdout}"
        at = done.stdout.index(told, at + 1)
    assert list(places.base.glob("hawse-demo-*")) == []

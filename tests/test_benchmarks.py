"""The benchmarks work; what they measure is not looked at."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("script", ["terminal", "watchers", "sessions", "store", "rest", "leases"])
def test_a_benchmark_comes_to_its_end(script, tmp_path):
    """In small sizes. Without ssh.py: installing hawse for another account takes longer than all of these."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{script}.py"), "--quick", "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout)
    assert figures
    assert all(one["value"] >= 0 for one in figures)

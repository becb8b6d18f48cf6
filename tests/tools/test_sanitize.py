"""The compiled core under the address and undefined-behaviour sanitizers, with the tests of its twins."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NO_COMPILER = 77


@pytest.mark.timeout(600)
def test_the_core_is_clean():
    done = subprocess.run(
        [ROOT / "tools" / "sanitize"], capture_output=True, text=True, env={**os.environ, "HYPOTHESIS_PROFILE": "hawse"}
    )
    if done.returncode == NO_COMPILER:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

"""A reader of the documentation, with a home, a working folder and a coordinator of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "lab"))

from docpage import ROOT, Reader
from fixtures import far_hawse, sshd

__all__ = ["far_hawse", "reader", "sshd"]

HAWSE = [sys.executable, "-m", "hawse.cli"]


@pytest.fixture
def reader(places: Any, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Follows a page in a folder that holds the examples. Afterwards sessions are ended and no process is left."""
    folder = places.home / "hawse"
    shutil.copytree(ROOT / "examples", folder / "examples")
    usual = places.home / ".local" / "state" / "hawse"  # where the pages say that it is
    usual.parent.mkdir(parents=True)
    usual.symlink_to(places.state)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    stands_for = {
        str(folder): "/home/ada/hawse", str(places.home): "/home/ada",
        str(places.state): "/home/ada/.local/state/hawse",
        str(places.runtime): "/tmp/hawse-1000/5c83b8ad", str(places.config): "/home/ada/.config/hawse",
        sys.executable: "/home/ada/hawse/.venv/bin/python",
    }  # fmt: skip
    made = Reader(folder, stands_for)
    try:
        yield made
    finally:
        made.close()
        if places.state.exists():
            leave(places, eventually)


def leave(places: Any, eventually: Callable[..., Any]) -> None:
    """End all sessions, the coordinator and the runners' parent, which stays warm for a while."""
    listed = subprocess.run([*HAWSE, "ls", "--json"], capture_output=True, text=True, timeout=60)
    living = [session["id"] for session in json.loads(listed.stdout or "[]")]
    if living:
        subprocess.run([*HAWSE, "end", *living, "--now"], capture_output=True, timeout=60)
    subprocess.run([*HAWSE, "down"], capture_output=True, timeout=60)
    for pid in places.processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"hawse.runner" in command or b"parent" in command:
            os.kill(pid, signal.SIGTERM)
    eventually(lambda: not places.processes(), what="all processes have gone")

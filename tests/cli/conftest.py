"""A command line with a coordinator of its own for each test that asks for `hawse`; all of it is gone afterwards."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

TIMEOUT_S = 60.0


class CommandLine:
    """Runs `hawse`, and takes everything down that the test started."""

    program = [sys.executable, "-m", "hawse.cli"]

    def __init__(self, places: Any) -> None:
        self.places = places
        self.environ = {**os.environ, "NO_COLOR": "1"}

    def run(self, *words: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        settings.setdefault("stdin", None if "input" in settings else subprocess.DEVNULL)
        if settings["stdin"] is None:
            del settings["stdin"]
        return subprocess.run(
            [*self.program, *words], capture_output=True, text=True, timeout=TIMEOUT_S, env=self.environ, **settings
        )

    def __call__(self, *words: str, code: int = 0, **settings: Any) -> str:
        """One command that ends with this code; what it printed."""
        done = self.run(*words, **settings)
        assert done.returncode == code, f"hawse {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        """What a command prints with --json."""
        return json.loads(self(*words, "--json"))

    def start(self, *words: str, **settings: Any) -> subprocess.Popen[str]:
        """One command in the background."""
        return subprocess.Popen([*self.program, *words], text=True, env=self.environ, **settings)

    def coordinator(self) -> int:
        """Its process id."""
        return int(self.json("status")["pid"])


@pytest.fixture
def hawse(places: Any, eventually: Callable[..., Any]) -> Iterator[CommandLine]:
    """A command line in the test's own places. Afterwards sessions are ended and no process is left."""
    line = CommandLine(places)
    yield line
    if not places.state.exists():
        return
    living = [session["id"] for session in line.json("ls")]
    if living:
        line("end", *living, "--now")
    line("down")
    end_parent(places, eventually)


def end_parent(places: Any, eventually: Callable[..., Any]) -> None:
    """The runner parent stays warm for a while; a test does not wait for that."""
    for pid in places.processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"hawse.runner" in command or b"parent" in command:
            os.kill(pid, signal.SIGTERM)
    eventually(lambda: not places.processes(), what="all processes have gone")

"""Promises on the real thing: coordinators, runners, terminals, programs. After each test its history is replayed."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))

from machine import Machine
from screen import Screen

from hawse.testing.check_events import check_events


@pytest.fixture
def machine(places: Any, eventually: Callable[..., Any]) -> Iterator[Machine]:
    """A machine without a coordinator yet. In the end: what it tells replays to what it is; and nothing is left."""
    made = Machine(places.state, places.runtime, eventually)
    try:
        yield made
        if made.is_checked and (made.state / "hawse.db").exists():
            if not made.is_ready():
                made.start()
            check_events(made.get)
    finally:
        made.close()


@pytest.fixture
def window(machine: Machine) -> Iterator[Callable[..., Screen]]:
    """window("attach", "x") opens a terminal that runs hawse; all are closed afterwards."""
    opened: list[Screen] = []

    def open_one(*words: str, **settings: int) -> Screen:
        opened.append(Screen(list(words), machine.environ, **settings))
        return opened[-1]

    yield open_one
    for one in opened:
        one.kill()

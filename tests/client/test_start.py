"""Starting a coordinator: what is tried again, and what is told."""

import subprocess
import sys

import pytest

from hawse.client import start
from hawse.client.places import own_places
from hawse.client.start import start_coordinator
from hawse.domain.errors import Unavailable


class Spawned:
    """In place of coordinators: processes that end at once, each after it has said its words."""

    def __init__(self, *words: bytes) -> None:
        self.words = list(words)
        self.count = 0

    def __call__(self, where, descriptor: int, scope: list[str]) -> int:
        said = self.words[min(self.count, len(self.words) - 1)]
        self.count += 1
        code = f"import os; os.write({descriptor}, {said!r})"
        with subprocess.Popen([sys.executable, "-c", code], pass_fds=[descriptor]) as process:
            pass
        return process.pid


@pytest.fixture
def spawned(monkeypatch):
    def use(*words: bytes) -> Spawned:
        made = Spawned(*words)
        monkeypatch.setattr(start, "_spawn", made)
        monkeypatch.setattr(start, "scope_prefix", list)
        return made

    return use


def test_one_that_was_killed_before_it_said_a_word_is_started_once_more(spawned):
    used = spawned(b"", b"no room")
    with pytest.raises(Unavailable, match="no room"):
        start_coordinator(own_places())
    assert used.count == 2


def test_one_that_said_why_is_not_started_again(spawned):
    used = spawned(b"no room")
    with pytest.raises(Unavailable, match="no room"):
        start_coordinator(own_places())
    assert used.count == 1


def test_a_starter_that_was_killed_is_told(monkeypatch):
    killed = subprocess.CompletedProcess([], -9, b"", b"")
    monkeypatch.setattr(start.subprocess, "run", lambda *_, **__: killed)
    monkeypatch.setattr(start, "scope_prefix", list)
    with pytest.raises(Unavailable, match="could not be started: its starter ended with code -9"):
        start_coordinator(own_places())

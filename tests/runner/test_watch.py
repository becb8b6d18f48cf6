"""Jobs that wait for somebody, with real programs; those that do not; and that nobody is woken for nothing."""

import os
import pty
import shutil
import sys
import time

import pytest

from hawse.runner import reading, watch
from hawse.runner.loop import Loop
from hawse.runner.reading import Moving, reader
from hawse.runner.watch import Watch

QUIET_S = 0.3
PYTHON = sys.executable
WAITING = {
    "read": ["sh", "-c", "echo name; read x"],
    "read without a word": ["sh", "-c", "read x"],
    "a child": ["sh", "-c", "echo a; cat; exit 0"],
    "a pipeline": ["bash", "-c", "cat | cat"],
    "python": [PYTHON, "-i"],
    "input()": [PYTHON, "-c", "input('? ')"],
    "getpass": [PYTHON, "-c", "import getpass; getpass.getpass()"],
    "poll": [PYTHON, "-c", "import select; p = select.poll(); p.register(0, select.POLLIN); p.poll()"],
    "select": [PYTHON, "-c", "import select; select.select([0], [], [])"],
    "epoll": [PYTHON, "-c", "import select; e = select.epoll(); e.register(0, select.EPOLLIN); e.poll()"],
    "/dev/tty": ["sh", "-c", "read x < /dev/tty"],
    "a thread": [PYTHON, "-c", "import threading, time; threading.Thread(target=input).start(); time.sleep(99)"],
    "shell": ["bash", "--norc", "-i"],
    "vim": ["vim", "-u", "NONE", "-N"],
    "less": ["less", "/etc/services"],
    "top": ["top", "-d", "60"],
}
LIVES_S = 1.5  # longer than it takes to look; then its end says that nothing came
BUSY = {
    "sleep": ["sh", "-c", f"echo a; sleep {LIVES_S}"],
    "a loop": [PYTHON, "-c", f"import time; t = time.time() + {LIVES_S}\nwhile time.time() < t: pass"],
    "tail -f": ["timeout", "--foreground", str(LIVES_S), "tail", "-f", "/etc/services"],
    "waits for a child": ["sh", "-c", f"echo a; sleep {LIVES_S}; exit 0"],
    "reads a pipe": ["bash", "-c", f"echo a; sleep {LIVES_S} | cat"],
    "waits for output": [PYTHON, "-c", f"import select; print('a'); select.select([], [], [0], {LIVES_S})"],
    "polls a pipe": [PYTHON, "-c", f"import os, select; r, w = os.pipe(); select.select([r], [], [], {LIVES_S})"],
    "reads in the background": [
        "bash", "-c", f"set -m; (read x < /dev/tty) & echo a; sleep {LIVES_S}; kill -9 %1",
    ],
}  # fmt: skip


def program(words: list[str]) -> list[str]:
    assert shutil.which(words[0]) is not None, f"tools/test-setup installs {words[0]}"
    return words


@pytest.mark.requirement("S2.7")
@pytest.mark.parametrize("name", WAITING)
def test_a_program_that_reads_its_terminal_waits(rig, name: str) -> None:
    attempt = rig.spawn(*program(WAITING[name]), tty=(80, 24), env={"TERM": "xterm", "PATH": os.environ["PATH"]})
    coordinator = attempt.coordinator()
    assert coordinator.command("watch", quiet_s=QUIET_S)["has_terminal"]
    report = coordinator.report("waits")
    assert report["command"]
    assert report["pid"] > 0
    assert abs(report["at"] - time.time()) < 60


@pytest.mark.parametrize("name", BUSY)
def test_a_program_that_is_busy_does_not(rig, name: str) -> None:
    attempt = rig.spawn(*program(BUSY[name]), tty=(80, 24), env={"TERM": "xterm", "PATH": os.environ["PATH"]})
    coordinator = attempt.coordinator()
    coordinator.command("watch", quiet_s=QUIET_S)
    coordinator.report("exited")
    assert coordinator.reports("waits") == []


def test_it_is_told_again_only_after_output(rig) -> None:
    script = "while true; do echo more; read x; done"
    attempt = rig.spawn("sh", "-c", script, tty=(80, 24))
    coordinator = attempt.coordinator()
    coordinator.command("watch", quiet_s=QUIET_S)
    coordinator.report("waits")
    link = attempt.attach()
    link.until_output(b"more")
    link.type(b"x\n")
    link.until(lambda: link.output.count(b"more") == 2)
    link.close()  # a link that breaks: who sat there may have gone long ago
    coordinator.until(lambda: len(coordinator.reports("waits")) == 2)


def test_nothing_is_told_while_somebody_sits_there_or_after_he_left_by_himself(rig) -> None:
    script = "echo more; read x; echo done; read y; exit 0"
    attempt = rig.spawn("sh", "-c", script, tty=(80, 24))
    link = attempt.attach()
    link.until_output(b"more")
    coordinator = attempt.coordinator()
    coordinator.command("watch", quiet_s=0.05)
    link.type(b"x\n")
    link.until_output(b"done")
    until = time.monotonic() + 0.5
    while time.monotonic() < until:  # turns of the runner's loop, together longer than the quiet time
        coordinator.command("watch", quiet_s=0.05)
    assert coordinator.reports("waits") == []
    link.type(b"y\n")
    coordinator.report("exited")
    assert coordinator.reports("waits") == []


def test_a_watcher_does_not_count_as_sitting_there(rig) -> None:
    attempt = rig.spawn("sh", "-c", "echo more; read x", tty=(80, 24))
    link = attempt.attach("watch")
    link.until_output(b"more")
    coordinator = attempt.coordinator()
    coordinator.command("watch", quiet_s=QUIET_S)
    coordinator.report("waits")


def test_it_is_off_unless_asked_for_and_for_the_next_coordinator(rig) -> None:
    attempt = rig.spawn("sh", "-c", f"echo a; read -t {LIVES_S} x; exit 0", tty=(80, 24))
    attempt.coordinator().command("watch", quiet_s=60)
    other = attempt.coordinator(nonce="n2")
    other.report("exited")
    assert other.reports("waits") == []


def test_a_job_without_a_terminal_waits_for_nobody(rig) -> None:
    attempt = rig.spawn("sh", "-c", f"echo a; sleep {LIVES_S}", stdin="open")
    coordinator = attempt.coordinator()
    assert coordinator.command("watch", quiet_s=0.1)["has_terminal"] is False
    coordinator.report("exited")
    assert coordinator.reports("waits") == []


@pytest.mark.parametrize("quiet_s", [-1, 4000, "x", None])
def test_a_wrong_time_is_refused(rig, quiet_s: object) -> None:
    attempt = rig.spawn("cat", tty=(80, 24))
    values = {} if quiet_s is None else {"quiet_s": quiet_s}
    answer = attempt.coordinator().command("watch", **values)
    assert answer["ok"] is (quiet_s is None)


# -- no timer without a reason ----------------------------------------------------------------------------------------


class FakeJob:
    """What a Watch needs of a job: a pty that nobody reads."""

    def __init__(self) -> None:
        self.has_terminal = True
        self.terminal, self.slave = pty.openpty()
        self.process = self
        self.outputs = {self.terminal: 1}
        self.stirred = lambda: None


@pytest.fixture
def watched():
    """A job, its watch on a real loop, what it told, and whether somebody sits there."""
    job, told, sits = FakeJob(), [], []
    loop = Loop(failed=lambda fd, error: told.append(error))
    made = Watch(job, loop, is_seen=lambda: bool(sits), report=lambda kind, **values: told.append((kind, values)))
    yield job, made, loop, told, sits
    os.close(job.terminal)
    os.close(job.slave)
    loop.close()


def timers(loop: Loop) -> int:
    return len([timer for timer in loop._timers if timer.call is not None])


def test_one_timer_after_a_burst_and_none_after_the_look(watched, monkeypatch) -> None:
    job, made, loop, told, sits = watched
    looks = []
    monkeypatch.setattr(watch, "reader", lambda *_: looks.append(1) or (7, "x"))
    for _ in range(3):
        job.stirred()
    assert timers(loop) == 0, "off"
    made.set(0.05)
    for _ in range(100):
        job.stirred()
    assert timers(loop) == 1
    while timers(loop):
        loop.turn()
    assert (len(looks), [kind for kind, _ in told]) == (1, ["waits"])
    made.set(0.05)
    assert timers(loop) == 0, "it was on already"
    sits.append(1)
    job.stirred()
    while timers(loop):
        loop.turn()
    assert len(looks) == 1, "somebody sits there"
    made.set(0.05)
    job.stirred()
    made.set(0)
    assert timers(loop) == 0


def test_a_program_that_is_on_its_way_is_looked_at_a_few_times(watched, monkeypatch) -> None:
    _job, made, loop, told, _sits = watched
    looks = []

    def moving(*_: int) -> None:
        looks.append(1)
        raise Moving

    monkeypatch.setattr(watch, "reader", moving)
    made.set(0.05)
    while timers(loop):
        loop.turn()
    assert (len(looks), told) == (1 + len(watch.AGAIN_S), [])


@pytest.mark.parametrize(("reason", "count"), [("asked", 0), ("ended", 0), ("lost", 1), ("closed", 1), ("stolen", 1)])
def test_who_left_without_a_word_may_not_have_seen_it(watched, reason: str, count: int) -> None:
    _job, made, loop, _told, _sits = watched
    made.set(0.05)
    while timers(loop):
        loop.turn()
    made.left(reason)
    assert timers(loop) == count


def test_a_terminal_with_nobody_in_the_foreground(watched) -> None:
    job = watched[0]
    assert reader(job.terminal, job.slave) is None


def test_calls_are_known_on_this_machine() -> None:
    assert os.uname().machine in reading.NUMBERS

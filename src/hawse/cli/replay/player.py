"""Play steps on a terminal, or into a pipe, at their pace.

Theory of operation. One thread: it waits for the next step's time and for keys in the same select, writes the step, and
goes on. Pauses are seconds of the recording; the time that writing took is taken off the next pause, so that a slow
terminal does not stretch the whole. Skipping takes seconds of the recording off the pauses that come.

What reaches a terminal has lost its questions and bells (wire/replay.py). The terminal is raw while it plays, so that
keys are not shown and bytes are not changed, and whatever ends the replay, it is given back as it was.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import contextmanager

from hawse.cli.attach.modes import Modes
from hawse.cli.attach.tty import Terminal, size
from hawse.cli.replay import recording
from hawse.cli.replay.keys import FASTER, INTERRUPT, PAUSE, QUIT, SKIP, SLOWER, Keys
from hawse.cli.replay.pace import Pace
from hawse.cli.words import duration
from hawse.wire.replay import RESET, Replayable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

    from hawse.cli.replay.recording import Step

SKIP_S = 5.0
SPEED_MIN, SPEED_MAX = 1 / 64, 1024.0
DEBT_S_MAX = 1.0  # of the recording: a terminal that was slow for longer is not caught up with
PROBLEMS_MAX = 20
HINT_S = 1.5  # long enough to read one line; any key ends it
ENDED, LEFT, INTERRUPTED = "ended", "left", "interrupted"


class Stopped(BaseException):
    """A signal asks this process to end; the terminal comes first. Not an Exception: nobody else may take it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Player:
    """Plays to stdout. After `play`: problems (and how many more there were), offset where it stopped, largest size.

    is_terminal: stdout shows it to a person. has_tty: the job had a terminal; else its line ends get a carriage return.
    """

    def __init__(self, *, name: str, speed: float, pace: Pace, is_terminal: bool, has_tty: bool) -> None:
        self.name = name
        self.speed = speed
        self.pace = pace
        self.is_terminal = is_terminal
        self.has_tty = has_tty
        self.problems: list[str] = []
        self.problems_more = 0
        self.offset = 0
        self.too_small: tuple[int, int] | None = None
        self._keys_fd = 0 if is_terminal and os.isatty(0) else -1
        self._keys = Keys()
        self._modes = Modes()
        self._filter = Replayable()
        self._paused = False
        self._over = ""
        self._skip_s = 0.0
        self._debt_s = 0.0
        self._at = 0.0
        self._attempt = 0

    def play(self, steps: Iterable[Step], *, screen: bytes = b"", hint: str = "") -> str:
        """Play to the end, or until a key says otherwise: ended, left or interrupted.

        screen: what is shown at once, before the first step. Raises Stopped (a signal), KeyboardInterrupt; the terminal
        is as it was in every case.
        """
        with self._borrowed_terminal():
            if hint:
                self._wait_for_reader()
            if self.is_terminal and self.has_tty and not self._over:
                self._write(b"\x1b[999;1H" + b"\n" * size(1)[1] + RESET)  # what is there goes into the scrollback
                self._show(screen)
            self._at = time.monotonic()
            for step in steps:
                self._wait(self.pace.pause(step.time))
                if self._over:
                    break
                self._take(step)
            return self._over or ENDED

    # -- steps --------------------------------------------------------------------------------------------------------

    def _take(self, step: Step) -> None:
        self.offset = step.offset + len(step.data)
        if step.kind == recording.OUTPUT:
            self._show(step.data)
        elif step.kind == recording.GAP:
            if not self.is_terminal:
                from hawse.cli.say import note

                note(f"hawse: {step.text}")
            if len(self.problems) < PROBLEMS_MAX:
                self.problems.append(step.text)
            else:
                self.problems_more += 1
        elif step.kind == recording.RESIZE:
            self.sized(step.columns, step.rows)
        elif step.kind == recording.ATTEMPT:
            if self._attempt and self.is_terminal:
                self._write(self._filter.flush() + self._modes.undo() + b"\x1b[2m[attempt %d]\x1b[m\r\n" % step.number)
            self._attempt = step.number

    def sized(self, columns: int, rows: int) -> bool:
        """The recorded terminal has this size: does it fit this one? Remembers one that does not."""
        if not self.is_terminal or not columns:
            return True
        own = size(1)
        if columns <= own[0] and rows <= own[1]:
            return True
        seen = self.too_small or (0, 0)
        self.too_small = (max(columns, seen[0]), max(rows, seen[1]))
        return False

    def _show(self, data: bytes) -> None:
        if self.is_terminal:
            if not self.has_tty:
                data = data.replace(b"\n", b"\r\n")
            data = self._filter.feed(data)
            self._modes.see(data)
        self._write(data)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(1, data) :]

    # -- time and keys ------------------------------------------------------------------------------------------------

    def _wait(self, pause_s: float) -> None:
        """Wait so many seconds of the recording, doing what keys say; longer while it is paused."""
        now = time.monotonic()
        self._debt_s = min(DEBT_S_MAX, self._debt_s + (now - self._at) * self.speed)
        left = pause_s - min(self._debt_s, pause_s)
        self._debt_s -= pause_s - left
        self._look(0.0)
        while not self._over:
            if self._skip_s > 0:
                cut = min(left, self._skip_s)
                left -= cut
                self._skip_s -= cut
                if left <= 0:
                    break
            if left <= 0 and not self._paused:
                break
            began = time.monotonic()
            self._look(None if self._paused else left / self.speed)
            if not self._paused:
                left -= (time.monotonic() - began) * self.speed
        self._at = time.monotonic()

    def _look(self, timeout_s: float | None) -> None:
        """Wait for a key, at most so long."""
        if self._keys_fd < 0:
            if timeout_s:
                time.sleep(timeout_s)
            return
        if not select.select([self._keys_fd], [], [], timeout_s)[0]:
            return
        data = os.read(self._keys_fd, 1024)
        if not data:  # the terminal is gone
            self._over = LEFT
        for meaning in self._keys.feed(data):
            self._do(meaning)

    def _do(self, meaning: str) -> None:
        if meaning == PAUSE:
            self._paused = not self._paused
        elif meaning == FASTER:
            self.speed = min(SPEED_MAX, self.speed * 2)
        elif meaning == SLOWER:
            self.speed = max(SPEED_MIN, self.speed / 2)
        elif meaning == SKIP:
            self._skip_s += SKIP_S
        elif meaning in (QUIT, INTERRUPT):
            self._over = LEFT if meaning == QUIT else INTERRUPTED
        self._tell_state()

    def _tell_state(self) -> None:
        """In the window's title: the picture is the program's."""
        speed = f", {self.speed:g} times as fast" if self.speed != 1 else ""
        paused = ", paused: space goes on" if self._paused else ""
        self._write(f"\x1b]2;replay of {self.name}: {duration(self.pace.position)}{speed}{paused}\x07".encode())

    def _wait_for_reader(self) -> None:
        """The hint stands there for a moment; a key ends that."""
        if self._keys_fd >= 0:
            self._look(HINT_S)

    # -- the terminal -------------------------------------------------------------------------------------------------

    @contextmanager
    def _borrowed_terminal(self) -> Iterator[None]:
        """Raw within the block, and as it was afterwards, whatever happens."""
        if not self.is_terminal:
            yield
            return
        terminal = Terminal(self._keys_fd) if self._keys_fd >= 0 else None
        before = {number: signal.signal(number, _stopped) for number in (signal.SIGTERM, signal.SIGHUP)}
        try:
            sys.stdout.flush()
            self._write(b"\x1b[22;0t")  # keep the window's title
            if terminal is not None:
                terminal.raw()
            yield
        finally:
            try:
                self._write(self._modes.undo() + b"\x1b[23;0t")
            except OSError:
                pass  # the window was closed
            if terminal is not None:
                terminal.restore()
            for number, handler in before.items():
                signal.signal(number, handler)


def _stopped(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)

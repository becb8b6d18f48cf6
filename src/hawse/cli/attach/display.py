"""What a job is shown on: this terminal, which is as it was afterwards, or the pipes in its place."""

from __future__ import annotations

import os
import sys

from hawse.cli.attach.modes import KEEP_TITLE, TITLE_BACK, Modes
from hawse.cli.attach.tty import Terminal, scrolled_away, size


class Display:
    """raw: the terminal shows the job's own terminal; else its output goes to stdout and stderr."""

    def __init__(self, *, raw: bool) -> None:
        self.raw = raw
        self.modes = Modes()
        self._terminal = Terminal(0)
        self._title_kept = False

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows; 0, 0 for pipes."""
        return size(1) if self.raw else (0, 0)

    def take(self, *, clears: bool) -> None:
        """The terminal is the job's from here on. clears: what stands there moves out of sight. Raises OSError."""
        if not self.raw:
            return
        self._terminal.raw()
        self._keep_title()
        if clears:
            write(1, scrolled_away(size(1)[1]))

    def take_again(self) -> None:
        """Somebody else has used the terminal meanwhile."""
        try:
            self._terminal.raw()  # in the background it stops us again, until fg
            self._keep_title()
            write(1, self.modes.undo() + scrolled_away(size(1)[1]))
        except OSError:
            pass  # the window was closed; reading tells

    def give_back(self) -> int:
        """The terminal as it was; how many bytes had been typed there and are dropped. Safe to repeat."""
        if not self.raw:
            return 0
        title, self._title_kept = TITLE_BACK if self._title_kept else b"", False
        try:
            write(1, self.modes.undo() + title)
        except OSError:
            pass  # the window was closed
        return self._terminal.restore()

    def tell(self, text: str) -> None:
        """A line beside the output."""
        end = "\r\n" if self.raw else "\n"
        start = end if self.raw else ""
        try:
            sys.stdout.flush()
            write(2, f"{start}[{text}]{end}".encode())
        except OSError:
            pass

    def _keep_title(self) -> None:
        if not self._title_kept:
            self._title_kept = True
            write(1, KEEP_TITLE)


def write(fd: int, data: bytes) -> None:
    """All of it. Raises OSError."""
    while data:
        data = data[os.write(fd, data) :]

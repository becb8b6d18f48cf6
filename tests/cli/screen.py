"""A terminal for tests: pexpect types, pyte shows what a person would see."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable

import pexpect
import pyte

KEY = "\x1c"
TIMEOUT_S = 30


class Screen:
    """`hawse` on a terminal of its own."""

    def __init__(
        self,
        words: list[str],
        environ: dict[str, str],
        columns: int = 80,
        rows: int = 24,
        *,
        user: tuple[str, ...] = (),
        python: str = sys.executable,
    ) -> None:
        """It has a scrollback, as terminals do. user: the words of a program that runs it as another user. python: one
        that this user can run."""
        environ = {k: v for k, v in environ.items() if k != "NO_COLOR"} | {"TERM": "xterm-256color"}
        self.child = pexpect.spawn(
            (user or (python,))[0],
            [*(*user, python)[1:], "-m", "hawse.cli", *words],
            env=environ,
            dimensions=(rows, columns),
            timeout=TIMEOUT_S,
            echo=False,
            cwd="/" if user else None,
        )
        self.child.delaybeforesend = None
        self.child.delayafterclose = 0
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)

    def show(self, text: str) -> None:
        """What somebody else printed here."""
        self._stream.feed(text.encode())

    @property
    def above(self) -> list[str]:
        """What has left the screen at its top."""
        lines = ([line[at].data for at in range(self.screen.columns)] for line in self.screen.history.top)
        return ["".join(line).rstrip() for line in lines]

    def take(self, timeout_s: float = 0.05) -> bool:
        """Show what has come; was there anything?"""
        try:
            data = self.child.read_nonblocking(1 << 16, timeout_s)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        self.raw += data
        # pyte does not know '>' or '?' in "ESC [ > 4 m" and takes it for underlining
        self._stream.feed(re.sub(rb"\x1b\[[>?][0-9;]*m", b"", data))
        return True

    @property
    def text(self) -> str:
        """The screen as text, without empty ends."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def until(self, condition: str | Callable[[str], object], timeout_s: float = TIMEOUT_S) -> str:
        """Wait until the screen shows a text, or the condition holds for it."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.take()
            shown = self.text
            if (condition in shown) if isinstance(condition, str) else condition(shown):
                return shown
            assert time.monotonic() < deadline, f"{condition!r} did not come; the screen shows:\n{shown}"

    def type(self, text: str) -> None:
        """Press keys."""
        self.child.send(text)

    def resize(self, columns: int, rows: int) -> None:
        """Pull the window's corner."""
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def detach(self) -> int:
        """Ctrl-\\ d; the exit code."""
        self.type(KEY + "d")
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; the exit code."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.child.isalive():
            self.take()
            assert time.monotonic() < deadline, f"it did not end; the screen shows:\n{self.text}"
        while self.take():
            pass
        self.child.close()
        if self.child.exitstatus is None:
            return -(self.child.signalstatus or 0)
        return int(self.child.exitstatus)

    def close(self) -> None:
        """Close the window: SIGHUP for all that runs in it."""
        self.child.close(force=False)

    def kill(self) -> None:
        """Whatever is left at a test's end."""
        if self.child.isalive():
            os.kill(self.child.pid, signal.SIGKILL)
        self.child.close()

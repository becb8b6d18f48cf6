"""The user's terminal: raw while a job is shown, and as it was afterwards, whatever happens."""

from __future__ import annotations

import errno
import os
import select
import termios
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SIZE_DEFAULT = (80, 24)
QUIET_MS, DISCARD_S_MAX, DISCARD_BYTES = 20, 1.0, 64 * 1024


class Terminal:
    """A terminal's mode and size."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._before: list[Any] | None = None

    def raw(self) -> None:
        """Every key as it is typed, every byte as it is printed. Raises OSError. Source: termios(3), cfmakeraw."""
        try:
            mode = termios.tcgetattr(self.fd)
        except termios.error as error:
            raise OSError(*error.args) from None
        if self._before is None:
            self._before = [*mode[:6], list(mode[6])]
        mode[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
            | termios.ICRNL | termios.IXON
        )  # fmt: skip
        mode[1] &= ~termios.OPOST
        mode[2] = (mode[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        self._set(termios.TCSADRAIN, mode)

    def restore(self) -> int:
        """As before raw(). Safe to call twice, and when the terminal is gone.

        What was typed and not read is dropped, with the rest of a paste that is just coming: the shell would take it
        for commands. Returns how many bytes.
        """
        if self._before is None:
            return 0
        dropped = self._discard()
        try:
            self._set(termios.TCSAFLUSH, self._before)
        except OSError:
            pass  # the window was closed
        return dropped

    def _set(self, when: int, mode: list[Any]) -> None:
        """Raises OSError. In the background it stops us (SIGTTOU), and fg interrupts it."""
        while True:
            try:
                termios.tcsetattr(self.fd, when, mode)
                return
            except termios.error as error:
                if error.args[0] != errno.EINTR:
                    raise OSError(*error.args) from None

    def _discard(self) -> int:
        """Read until nothing comes for a moment, at most for a second: a terminal holds 4 KiB of a paste, its emulator
        the rest.
        """
        waiting = select.poll()
        waiting.register(self.fd, select.POLLIN)
        dropped, until = 0, time.monotonic() + DISCARD_S_MAX
        try:
            while time.monotonic() < until and waiting.poll(QUIET_MS):
                data = os.read(self.fd, DISCARD_BYTES)
                if not data:
                    break
                dropped += len(data)
        except OSError:
            pass  # the window was closed
        return dropped


def scrolled_away(rows: int) -> bytes:
    """What moves all lines above the cursor's into the scrollback, and nothing else, wherever the cursor is.

    Some terminals keep a screen that is cleared and some do not; lines that leave at the top are kept by all. It takes
    the cursor to the last row first, so no empty line goes with them.
    """
    return b"\r\n" * (rows - 1)


def size(fd: int) -> tuple[int, int]:
    """(columns, rows); 80x24 when it does not say."""
    try:
        found = os.get_terminal_size(fd)
    except OSError:
        return SIZE_DEFAULT
    return (found.columns or SIZE_DEFAULT[0], found.lines or SIZE_DEFAULT[1])

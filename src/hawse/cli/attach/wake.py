"""Signals as readable bytes: a signal wakes the pump's poll, the owner does the work."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import Any


class Stuck(BaseException):
    """A second signal came before the first was handled: a write to the terminal blocks."""


class Wake:
    """Around the loop: the given signals write their number to `fd` and do nothing else.

    Restores all on the way out.
    """

    def __init__(self, signals: Sequence[int]) -> None:
        self.signals = signals
        self.fd = -1
        self.unhandled = 0
        self._write_fd = -1
        self._before: dict[int, Any] = {}
        self._before_fd = -1

    def __enter__(self) -> Wake:
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before_fd = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in self.signals:
            self._before[number] = signal.signal(number, self._came)
        return self

    def _came(self, number: int, _frame: FrameType | None) -> None:
        if number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
            self.unhandled += 1
            if self.unhandled > 1:
                raise Stuck

    def take(self) -> bytes:
        """The numbers of the signals that have come and were not read yet."""
        try:
            return os.read(self.fd, 256)
        except BlockingIOError:
            return b""

    def handled(self) -> None:
        """What came so far was dealt with."""
        self.unhandled = 0

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._before_fd)
        os.close(self.fd)
        os.close(self._write_fd)

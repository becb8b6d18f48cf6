"""Clients that are very far behind and take nothing: how long they are waited for."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hawse.runner.attachment import Attachment
    from hawse.runner.limits import Limits
    from hawse.runner.loop import Loop


class Slow:
    """behind: who has not been sent everything. cut: called with one that is given up, and with why."""

    def __init__(
        self, loop: Loop, limits: Limits, behind: set[Attachment], *, cut: Callable[[Attachment, str], None]
    ) -> None:
        self._loop = loop
        self._limits = limits
        self._behind = behind
        self._cut = cut

    def watch(self) -> None:
        """Start the clock of those who are very far behind."""
        for one in self._behind:
            if not one.slow_timer and one.behind_bytes > self._limits.slow_bytes:
                self._start_clock(one)

    def _start_clock(self, one: Attachment) -> None:
        one.slow_timer = True
        passed = time.monotonic() - one.connection.progress_at
        self._loop.after(max(0.01, self._allowed_s(one) - passed), lambda: self._due(one))

    def _allowed_s(self, one: Attachment) -> float:
        return self._limits.follow_s if one.mode == "read" else self._limits.slow_s

    def _due(self, one: Attachment) -> None:
        one.slow_timer = False
        if one not in self._behind or one.behind_bytes <= self._limits.slow_bytes:
            return
        stalled_s = time.monotonic() - one.connection.progress_at
        if stalled_s < self._allowed_s(one):
            self._start_clock(one)
            return
        waits = f"{one.behind_bytes} bytes wait; come back at the cursor"
        self._cut(one, f"nothing was read for {stalled_s:.0f} s and {waits}")

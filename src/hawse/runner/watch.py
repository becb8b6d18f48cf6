"""When to look whether the program waits for somebody: once, after output has been quiet for a while.

Off unless the coordinator asks for it, since nobody may want to know. One timer is set after a burst of output; when
output was quiet for the time, one look is taken (a few, some tens of milliseconds apart, while the program is running),
and no timer is left: a program that computes, sleeps or waits in silence never wakes us up. What is seen is told once;
only output, or somebody who leaves without a word, sets a timer again.

Who is attached and may type sees for himself: nothing is told then. Input needs no timer of its own, since it comes
from such a one.
"""

from __future__ import annotations

import time

from hawse.runner.reading import Moving, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hawse.runner.job import Job
    from hawse.runner.loop import Loop, Timer

QUIET_S_MIN, QUIET_S_MAX = 0.05, 3600.0
AGAIN_S = (0.02, 0.05, 0.2)  # while it is just running: it may be on its way into the read
UNSEEN = frozenset({"lost", "slow", "closed", "idle", "stolen"})  # who detached himself has seen the screen


class Watch:
    """Of one job. is_seen: is somebody attached who may type? report: tells the coordinator."""

    def __init__(self, job: Job, loop: Loop, *, is_seen: Callable[[], bool], report: Callable[..., None]) -> None:
        self._job = job
        self._loop = loop
        self._is_seen = is_seen
        self._report = report
        self._timer: Timer | None = None
        self._stirred_at = 0.0
        self.quiet_s = 0.0
        job.stirred = self.stirred

    def set(self, quiet_s: float) -> None:
        """0: off. Turned on, it looks once the job has been quiet from now on."""
        was, self.quiet_s = self.quiet_s, quiet_s if self._job.has_terminal else 0.0
        if not self.quiet_s:
            self._cancel()
        elif not was:
            self.stirred()

    def stirred(self) -> None:
        """There was output, or somebody left who may not have seen the screen."""
        if not self.quiet_s:
            return
        self._stirred_at = time.monotonic()
        if self._timer is None:
            self._timer = self._loop.after(self.quiet_s, self._due)

    def left(self, reason: str) -> None:
        """Somebody's attachment ended."""
        if reason in UNSEEN:
            self.stirred()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        left = self._stirred_at + self.quiet_s - time.monotonic()
        if left > 0:
            self._timer = self._loop.after(left, self._due)
        else:
            self._look(0)

    def _look(self, tries: int) -> None:
        self._timer = None
        process = self._job.process
        if process is None or process.slave < 0 or not self._job.outputs or self._is_seen():
            return
        try:
            found = reader(process.terminal, process.slave)
        except Moving:
            if tries < len(AGAIN_S):
                self._timer = self._loop.after(AGAIN_S[tries], lambda: self._look(tries + 1))
            return
        if found is not None:
            self._report("waits", pid=found[0], command=found[1], at=round(time.time(), 6))

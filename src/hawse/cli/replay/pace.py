"""From recorded times to pauses."""

from __future__ import annotations


class Pace:
    """Turns the times of steps into pauses, in seconds of the recording. position: how far it is, by those pauses.

    The recording's clock may have been set: a time before the last one is no pause. idle_max: no pause is longer.
    """

    def __init__(self, idle_max: float | None = None) -> None:
        self.idle_max = idle_max
        self.position = 0.0
        self._last: float | None = None

    def pause(self, time: float) -> float:
        """The pause before what happened at this time (0: not known, none)."""
        if time <= 0:
            return 0.0
        last, self._last = self._last, time
        pause = 0.0 if last is None else max(0.0, time - last)
        if self.idle_max is not None:
            pause = min(pause, self.idle_max)
        self.position += pause
        return pause

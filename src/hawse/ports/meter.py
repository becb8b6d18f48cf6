"""Counting what happens, so cheaply that it is always done: plain numbers, read when somebody asks.

Nothing here knows who reads them. All numbers are of this process and begin at 0 with it.
"""

from __future__ import annotations

from bisect import bisect_left

# Upper bounds in seconds. An SSD's flush takes 0.1 to 5 ms, a snapshot read 20 us, a full disk or a network seconds.
LATENCY_S = (0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
LAG_S = (0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Histogram:
    """How often a value fell into which range. counts: by bound (on it is within), then what is above all."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)


class StoreMeter:
    """What one store handle did. Changed in the event loop only.

    commit_s: seconds of each commit that succeeded, units and disk together. read_s: of each read, as its caller
    waited. events: written and committed here. refused: commits that the disk or the database refused. trouble: why
    the last commit was refused; "" since one succeeded.
    """

    __slots__ = ("commit_s", "events", "read_s", "refused", "trouble")

    def __init__(self) -> None:
        self.commit_s = Histogram(LATENCY_S)
        self.read_s = Histogram(LATENCY_S)
        self.events = 0
        self.refused = 0
        self.trouble = ""

    def committed(self, events: int, seconds: float) -> None:
        """A commit succeeded."""
        self.commit_s.observe(seconds)
        self.events += events
        self.trouble = ""

    def was_refused(self, why: BaseException) -> None:
        """A commit failed; nothing of it is there."""
        self.refused += 1
        self.trouble = str(why)


class EffectMeter:
    """How one kind of effect was done. lag_s: seconds from when it was due until it was done. put_off: failed tries."""

    __slots__ = ("lag_s", "put_off")

    def __init__(self) -> None:
        self.lag_s = Histogram(LAG_S)
        self.put_off = 0

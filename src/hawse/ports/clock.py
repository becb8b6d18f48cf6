"""What time it is, and waiting for a time."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Wall time is for records and deadlines that people read; monotonic time is for measuring waits."""

    def now(self) -> float:
        """Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds from an unknown start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. If cancelled, nothing is left behind."""
        ...

    async def wait_until(self, time: float) -> None:
        """Wait until it is this time (Unix seconds), or until somebody set the clock, or for a bounded time: look then.

        A machine that slept counts as having waited. If cancelled, nothing is left behind.
        """
        ...

    def random(self, count: int) -> bytes:
        """`count` unpredictable bytes (for ids and secrets); a simulator gives repeatable ones."""
        ...

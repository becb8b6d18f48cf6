"""The machine's own clock and randomness."""

from __future__ import annotations

import asyncio
import os
import time


class SystemClock:
    """See ports/clock.py."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def random(self, count: int) -> bytes:
        return os.urandom(count)

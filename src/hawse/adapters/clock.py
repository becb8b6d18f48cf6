"""The machine's own clock and randomness."""

from __future__ import annotations

import asyncio
import os
import time as times

from hawse.adapters.alarm import Alarm

LOOK_S = 60.0  # between two looks while the kernel promises to say when the clock is set
LOOK_UNTOLD_S = 1.0  # ... and where it does not


class SystemClock:
    """See ports/clock.py."""

    def __init__(self) -> None:
        self._alarm: Alarm | None = None

    def now(self) -> float:
        return times.time()

    def monotonic(self) -> float:
        return times.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait_until(self, time: float) -> None:
        left_s = time - self.now()
        if left_s <= 0:
            return
        if self._alarm is None:
            self._alarm = Alarm.made()
        alarm = self._alarm if self._alarm is not None and self._alarm.agrees(self.now()) else None
        if alarm is None:
            await asyncio.sleep(min(left_s, LOOK_UNTOLD_S))
            return
        try:
            async with asyncio.timeout(min(left_s, LOOK_S)):
                await alarm.wait(time)
        except TimeoutError:
            return  # it is time, or time to look

    def random(self, count: int) -> bytes:
        return os.urandom(count)

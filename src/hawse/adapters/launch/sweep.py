"""Ending what a lost attempt left behind: SIGTERM, grace, SIGKILL, and in the end who survived that.

The same order as a living runner's stop (spec 04, section 7), but nothing here is a subreaper: each look goes through
all processes of the host, in a thread, and rarer the longer it takes. SIGTERM is said once to each process: many
programs take a second one for "at once".
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hawse.adapters.launch.remains import Left, Remains
from hawse.ports.clock import Clock

STEP_S, STEP_S_MAX = 0.05, 0.5
EMPTY_LOOKS = 2  # in a row: a process that executes a program at this moment can't be recognised
KILL_S_MAX = 5.0  # what does not die then sits in the kernel or is somebody else's, and is told


class Sweep:
    """One sweep. grace_s: between SIGTERM and SIGKILL. `run` takes at most grace_s + KILL_S_MAX and one look."""

    def __init__(self, remains: Remains, clock: Clock, *, grace_s: float) -> None:
        self._remains = remains
        self._clock = clock
        self._kill_at = clock.monotonic() + grace_s
        self._asked: set[tuple[int, int]] = set()
        self._hurried = asyncio.Event()

    def hurry(self, grace_s: float) -> None:
        """SIGKILL in grace_s from now, if that is sooner."""
        self._kill_at = min(self._kill_at, self._clock.monotonic() + grace_s)
        self._hurried.set()

    async def run(self) -> list[Left]:
        """End them. Returns who lives still. If cancelled: some have been signalled; another run goes on."""
        step_s, empty_looks = STEP_S, 0
        while True:
            now = self._clock.monotonic()
            is_killing = now >= self._kill_at
            found = await asyncio.to_thread(self._remains.kill if is_killing else self._ask)
            empty_looks = 0 if found else empty_looks + 1
            if empty_looks == EMPTY_LOOKS:
                await asyncio.to_thread(self._remains.clean)
                return []
            if is_killing and now >= self._kill_at + KILL_S_MAX:
                return found
            step_s = STEP_S if is_killing or not found else min(step_s * 1.5, STEP_S_MAX)
            await self._pause(min(step_s, max(self._kill_at - now, STEP_S)))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurried.wait()
        self._hurried.clear()

    def _ask(self) -> list[Left]:
        return self._remains.ask(self._asked)

"""Virtual time: an asyncio loop that never waits.

When nothing is ready the clock jumps to the next timer. The order of everything follows from the program and its seed,
so a run that failed is run again by its seed. Threads and sockets have no place in it.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
EPOCH = 1_800_000_000.0  # where simulated wall time begins: some day in 2027


class Stuck(Exception):
    """Everybody waits for somebody and no timer is set: a real program would hang here."""


class _Jumping(selectors.DefaultSelector):
    """A selector that passes time instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Stuck("all tasks wait and no timer is set")
            self.now += max(0.0, timeout)
        return ready


class SimLoop(asyncio.SelectorEventLoop):
    """An event loop whose time() is virtual."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class SimClock:
    """The port `Clock` on virtual time.

    Randomness comes from the seed. skew_s: how far wall time was set off by somebody.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._skew_s = 0.0
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def skew_s(self) -> float:
        return self._skew_s

    @skew_s.setter
    def skew_s(self, seconds: float) -> None:
        self._skew_s = seconds
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def now(self) -> float:
        return EPOCH + self.monotonic() + self.skew_s

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait_until(self, time: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout(max(0.0, time - self.now())):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(future)

    def random(self, count: int) -> bytes:
        return self._random.randbytes(count)


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time. Raises what it raises, and Stuck."""
    with asyncio.Runner(loop_factory=SimLoop) as runner:
        return runner.run(main)

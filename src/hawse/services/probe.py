"""Does the store take changes? Asked of the store itself, by a change that means nothing."""

from __future__ import annotations

import asyncio

from hawse.domain.errors import LimitReached, Unavailable
from hawse.ports.store import Answer, Unit
from hawse.services.world import World

PROBE_S = 2.0  # seldom enough that watchers cost nothing, soon enough for those who wait for readiness
ANSWER_S = 5.0  # a full disk or a lost database is told at once; one that hangs is told after this
_WHO = "hawse"  # no principal: those have a kind and a colon


class Probe:
    """Knows whether the store took a change lately."""

    def __init__(self) -> None:
        self._looked_at = -PROBE_S
        self._trouble = ""
        self._busy = asyncio.Lock()

    async def look(self, world: World) -> None:
        """Return when the store takes changes. Raises Unavailable with the reason; Broken.

        Who asks while another one looks gets the same answer. If cancelled: the change may have been committed; it
        replaces itself.
        """
        async with self._busy:
            now = world.clock.monotonic()
            if now - self._looked_at >= PROBE_S:
                self._trouble = await _tried(world)
                self._looked_at = world.clock.monotonic()
        if self._trouble:
            raise Unavailable(f"not ready: the store takes no changes: {self._trouble}")


async def _tried(world: World) -> str:
    """Why a change is not possible; "" when it is."""
    mark = Answer(_WHO, f"probe {world.clock.random(8).hex()}", "", 200, b"", 0.0)

    def verb(unit: Unit) -> None:
        unit.drop_answers_before(1.0)  # the mark of the time before
        unit.keep_answer(mark)

    try:
        async with asyncio.timeout(ANSWER_S):
            await world.store.write(verb)
    except TimeoutError:
        return f"it has not answered within {ANSWER_S:g} s"
    except (Unavailable, LimitReached) as problem:
        return problem.detail
    return ""

"""Waiting for a store that is away for a while."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hawse.domain.errors import Problem
from hawse.services.world import World

T = TypeVar("T")
log = logging.getLogger("hawse.reconcile")

BACK_OFF_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # quick first: most trouble is something that just starts


async def until_available(world: World, work: Callable[[], Awaitable[T]]) -> T:
    """The store may be away for a while (full disk, restart of a database): wait for it, saying so.

    Raises Problem when trying again would not help.
    """
    pause, waiter = iter(BACK_OFF_S), object()
    try:
        while True:
            try:
                return await work()
            except Problem as problem:
                if not problem.retry:
                    raise
                log.warning("the store is not available, trying again: %s", problem)
                world.troubles.note(waiter, problem.detail, world.clock)
            await world.clock.sleep(next(pause, BACK_OFF_S[-1]))
    finally:
        world.troubles.over(waiter)

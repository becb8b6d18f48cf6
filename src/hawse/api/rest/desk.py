"""What all requests of one coordinator share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hawse.api.rest.feed import Feeds
from hawse.api.rest.limits import LINKS_MAX
from hawse.domain.errors import Unavailable
from hawse.services.probe import Probe
from hawse.services.world import World

LOG_READERS_MAX = 8  # threads that read logs at a time
AccountOf = Callable[[str], Awaitable[int | None]]
LogLine = Callable[[Mapping[str, object]], None]


def _unheard(_line: Mapping[str, object]) -> None:
    """Nobody keeps a log."""


def _is_ready() -> str:
    """Nothing is waited for."""
    return ""


async def _own_account(_principal: str) -> int | None:
    return os.getuid()


@dataclass(slots=True)
class Desk:
    """owner: the uid whose coordinator this is. facts: what /v1/status tells beyond the counts. log: takes a line.

    others: whether users besides the owner may call at all. Who comes to the socket is the file system's to say, and
    what he may there is the gate's. not_ready: why nobody should be sent here yet; "" when all is as it should be.
    answers: how many were given, by the hundreds of their status (0: the client was gone). connections: open ones, of
    all listeners. links: those of them that are streams to runners. is_shared: clients cannot reach the runners'
    sockets themselves (they run as other users), so that even those on this machine are led through the coordinator.
    account_of: the uid as which a principal's jobs run; None: none here.
    """

    world: World
    owner: int
    facts: Mapping[str, Any]
    feeds: Feeds
    log: LogLine = _unheard
    others: bool = True
    not_ready: Callable[[], str] = _is_ready
    answers: list[int] = field(default_factory=lambda: [0] * 10)
    connections: int = 0
    links: int = 0
    links_max: int = LINKS_MAX
    is_shared: bool = False
    account_of: AccountOf = _own_account
    probe: Probe = field(default_factory=Probe)
    log_readers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOG_READERS_MAX))
    closing: bool = False
    _waiting: set[asyncio.Task[Any]] = field(default_factory=set)
    _stopped: set[asyncio.Task[Any]] = field(default_factory=set)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around a long wait: when the coordinator stops, the wait ends with Unavailable."""
        if self.closing:
            raise Unavailable("the coordinator stops; ask again")
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._stopped:
                raise
            task.uncancel()
            raise Unavailable("the coordinator stops; ask again") from None
        finally:
            self._waiting.discard(task)
            self._stopped.discard(task)

    def close(self) -> None:
        """End all long waits and streams. Requests that are being done go on."""
        self.closing = True
        self.feeds.close()
        for task in tuple(self._waiting):
            self._stopped.add(task)
            task.cancel()

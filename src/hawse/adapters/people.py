"""Who the users of this host are: asked of its name service in a thread, and never waited for long."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
from collections.abc import Callable

LOOK_S_MAX = 2.0
log = logging.getLogger("hawse.people")


class HostPeople:
    """See ports/notifier.py, `People`. A uid without an entry is no user, but for our own: containers run as any."""

    def __init__(self, groups_of: Callable[[int], frozenset[str]]) -> None:
        """groups_of: the groups of a uid, as principals; may block."""
        self._groups_of = groups_of

    async def groups(self, principal: str) -> frozenset[str] | None:
        kind, _, name = principal.partition(":")
        if kind != "uid":
            return frozenset()
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                return await asyncio.to_thread(self._look, int(name))
        except (TimeoutError, OSError, ValueError) as error:
            why = str(error) or "not in time"
            log.warning("the groups of %s are not known (%s); none count for now", principal, why)
            return frozenset()

    def _look(self, uid: int) -> frozenset[str] | None:
        try:
            pwd.getpwuid(uid)
        except KeyError:
            return frozenset() if uid == os.getuid() else None
        return self._groups_of(uid)

"""The groups of this host's users.

A directory service may be slow: it is asked in a thread, its answer kept for a while, and never waited for long. A user
whose groups are not known in time has none in this request, which gives less, never more.
"""

from __future__ import annotations

import asyncio
import grp
import logging
import os
import pwd
import time
from collections.abc import Callable

KEPT_S = 60.0
LOOK_S_MAX = 2.0
USERS_MAX = 10_000
_log = logging.getLogger(__name__)


def groups_of(uid: int) -> frozenset[str]:
    """As principals: "group:staff" ... Blocks for as long as the host's name service does. Unknown users have none."""
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return frozenset()
    names = set()
    for gid in os.getgrouplist(user.pw_name, user.pw_gid):
        try:
            names.add(f"group:{grp.getgrgid(gid).gr_name}")
        except KeyError:
            continue  # a group without a name can't be granted anything
    return frozenset(names)


class Groups:
    """The groups of users, cached by uid."""

    def __init__(self, look_up: Callable[[int], frozenset[str]] = groups_of) -> None:
        self._look_up = look_up
        self._known: dict[int, tuple[float, frozenset[str]]] = {}
        self._asked: dict[int, asyncio.Future[frozenset[str]]] = {}

    def known(self, uid: int) -> frozenset[str] | None:
        """What is known and not too old."""
        found = self._known.get(uid)
        return found[1] if found is not None and time.monotonic() < found[0] else None

    async def of(self, uid: int) -> frozenset[str]:
        """The user's groups; none when they can't be had in LOOK_S_MAX. If cancelled, nothing is left waiting."""
        found = self.known(uid)
        if found is not None:
            return found
        asked = self._asked.get(uid)
        if asked is None:
            asked = self._asked[uid] = asyncio.get_running_loop().run_in_executor(None, self._look_up, uid)
            asked.add_done_callback(lambda done: self._answered(uid, done))
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                return await asyncio.shield(asked)
        except TimeoutError:
            _log.warning("the groups of uid %d are not known after %g s; none count for now", uid, LOOK_S_MAX)
        except OSError as error:
            _log.warning("the groups of uid %d can't be looked up: %s", uid, error)
        return frozenset()

    def _answered(self, uid: int, done: asyncio.Future[frozenset[str]]) -> None:
        self._asked.pop(uid, None)
        if done.cancelled() or done.exception() is not None:
            return
        if len(self._known) >= USERS_MAX:
            self._known.clear()
        self._known[uid] = time.monotonic() + KEPT_S, done.result()

"""Writing the audit log, and reading it."""

from __future__ import annotations

from collections.abc import Mapping

from hawse.domain.audit import TEXT_LENGTH_MAX, Entry
from hawse.domain.errors import Invalid
from hawse.ports.store import Unit
from hawse.services.gate import check_admin
from hawse.services.world import Caller, World

PAGE_MAX = 1000
LOOK_S = 0.2  # between two looks of one who waits: under load each commit wakes him


def record(
    unit: Unit, caller: Caller, kind: str, noun: str, object: str, detail: Mapping[str, object] | None = None
) -> None:
    """Append what the caller does here, in the transaction that does it. Call it last: it may wait for others' ends."""
    unit.write_audit(
        kind=kind, noun=noun, object=plain(object), by=caller.principal, where=plain(caller.where),
        request=caller.request_id, detail=detail,
    )  # fmt: skip


def plain(text: str) -> str:
    """A text that others chose, as every store can keep it."""
    return text.replace("\0", "?").encode("utf-8", "replace").decode()[:TEXT_LENGTH_MAX]


async def page(world: World, caller: Caller, *, after: int, limit: int) -> list[Entry]:
    """Entries with seq > after, ascending. Only for admins. Raises Denied, Invalid."""
    check_admin(caller)
    if after < 0 or not 1 <= limit <= PAGE_MAX:
        raise Invalid(f"entries are numbered from 1, and one page has 1 to {PAGE_MAX}")
    return await world.store.read(lambda view: view.audit(after=after, limit=limit))


async def wait(world: World, caller: Caller, *, after: int, limit: int, timeout_s: float) -> list[Entry]:
    """As `page`; where nothing is new, wait for it. Nothing after timeout_s. Raises Denied, Invalid, Unavailable."""
    deadline, count = world.clock.monotonic() + timeout_s, 0
    while True:
        found = await page(world, caller, after=after, limit=limit)
        left_s = deadline - world.clock.monotonic()
        if found or left_s <= 0:
            return found
        count = await world.store.wait_event("*", after=count, timeout_s=left_s)
        await world.clock.sleep(min(LOOK_S, left_s))


async def last(world: World, caller: Caller) -> int:
    """The number of the newest entry. Raises Denied."""
    check_admin(caller)
    return await world.store.read(lambda view: view.last_audit())

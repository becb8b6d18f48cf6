"""Reading a session's events from a cursor."""

from __future__ import annotations

from dataclasses import replace

from hawse.domain.errors import Invalid
from hawse.domain.event import Event
from hawse.domain.grant import Capability
from hawse.domain.session import LIVING
from hawse.ports.store import View
from hawse.services.gate import session_of
from hawse.services.identity import check_still
from hawse.services.world import Caller, World

PAGE_MAX = 1000


async def page(world: World, caller: Caller, session_name: str, *, after: int, limit: int) -> tuple[list[Event], bool]:
    """Events with seq > after, ascending; and whether more may ever come (the session lives, or the page was full).

    Raises NotFound, Denied, Invalid.
    """
    if after < 0:
        raise Invalid(f"event {after} is negative; events are numbered from 1")
    if not 1 <= limit <= PAGE_MAX:
        raise Invalid(f"limit {limit} is not within 1 to {PAGE_MAX}")

    def query(view: View) -> tuple[list[Event], bool]:
        session = session_of(view, caller, session_name, Capability.EVENT_READ)
        found = view.events(session.id, after=after, limit=limit)
        return found, session.state in LIVING or len(found) == limit

    return await world.store.read(query)


async def followed(world: World, caller: Caller, session_name: str) -> tuple[str, int]:
    """The id of the session whose feed the caller may read now, and the number of its last event.

    Raises NotFound, Denied (also: he may not come in at all any more).
    """
    caller = replace(caller, now=world.clock.now())

    def query(view: View) -> tuple[str, int]:
        check_still(view, caller, now=caller.now)
        session = session_of(view, caller, session_name, Capability.EVENT_READ)
        return session.id, view.last_seq(session.id)

    return await world.store.read(query)


async def wait(world: World, caller: Caller, session_name: str, *, after: int, timeout_s: float) -> int:
    """Wait for an event with seq > after;

    the session's last seq, or `after` when the time is over. Raises NotFound, Denied.
    """
    session = await world.store.read(lambda view: session_of(view, caller, session_name, Capability.EVENT_READ))
    return await world.store.wait_event(session.id, after=after, timeout_s=timeout_s)

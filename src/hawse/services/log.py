"""Reading what a job printed, by offset, time or lines from the end."""

from __future__ import annotations

import asyncio

from hawse.domain.errors import Invalid, NotFound
from hawse.domain.job import Job
from hawse.ports.log import Piece
from hawse.services.attachment import chosen_job
from hawse.services.gate import session_of
from hawse.services.world import Caller, World

PIECE_BYTES_MAX = 4 * 1024 * 1024
TAIL_LINES_MAX = 1_000_000


async def read(
    world: World,
    caller: Caller,
    session_name: str,
    job: str | None,
    *,
    offset: int | None = None,
    since: float | None = None,
    tail: int | None = None,
    bytes_max: int = PIECE_BYTES_MAX,
) -> tuple[Job, Piece]:
    """One piece of a job's log. At most one of offset (bytes), since (Unix seconds) and tail (lines); none: from the
    start.

    Raises NotFound, Denied, Invalid, Unavailable.
    """
    if sum(start is not None for start in (offset, since, tail)) > 1:
        raise Invalid("give only one of from, since and tail")
    if (offset or 0) < 0 or (since or 0) < 0 or not 0 <= (tail or 0) <= TAIL_LINES_MAX:
        raise Invalid(f"from and since are not negative; tail is 0 to {TAIL_LINES_MAX}")
    if not 1 <= bytes_max <= PIECE_BYTES_MAX:
        raise Invalid(f"limit {bytes_max} is not within 1 to {PIECE_BYTES_MAX}")
    found = await world.store.read(lambda view: chosen_job(view, session_of(view, caller, session_name), job))

    def piece() -> Piece:
        start = offset or 0
        try:
            if since is not None:
                start = world.logs.offset_at(found.id, since)
            elif tail is not None:
                start = world.logs.offset_of_tail(found.id, tail)
            return world.logs.read(found.id, offset=start, bytes_max=bytes_max)
        except NotFound:
            return _nothing(found, start)

    return found, await asyncio.to_thread(piece)


def _nothing(job: Job, start: int) -> Piece:
    """The log of a job that has none: it has printed nothing yet, or never ran; else it is gone, and that is told."""
    end = job.log_end or 0
    return Piece(b"", start, max(start, end), end, damaged=((start, end - start, "missing"),) if start < end else ())

"""Reading what a job printed, by offset, time or lines from the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hawse.domain.errors import Invalid, NotFound
from hawse.domain.grant import Capability
from hawse.domain.job import Job, OutcomeKind, S
from hawse.ports.log import Moment, Piece, Screen, Timing
from hawse.services.attachment import chosen_job
from hawse.services.world import Caller, World

PIECE_BYTES_MAX = 4 * 1024 * 1024
TAIL_LINES_MAX = 1_000_000
MISSING, UNVERIFIED = "missing", "unverified"  # causes of damage: spec 02, section 5
MOMENTS_MAX = 10_000  # of one answer: 1 MiB of JSON


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

    Raises NotFound, Denied, Invalid (also: the offset is beyond the end as of now), Unavailable.
    """
    if sum(start is not None for start in (offset, since, tail)) > 1:
        raise Invalid("give only one of from, since and tail")
    if (offset or 0) < 0 or (since or 0) < 0 or not 0 <= (tail or 0) <= TAIL_LINES_MAX:
        raise Invalid(f"from and since are not negative; tail is 0 to {TAIL_LINES_MAX}")
    if not 1 <= bytes_max <= PIECE_BYTES_MAX:
        raise Invalid(f"limit {bytes_max} is not within 1 to {PIECE_BYTES_MAX}")
    _, found = await world.store.read(lambda view: chosen_job(view, caller, session_name, job, Capability.JOB_READ))

    def piece() -> Piece:
        start = offset or 0
        try:
            if since is not None:
                start = world.logs.offset_at(found.id, since)
            elif tail is not None:
                start = world.logs.offset_of_tail(found.id, tail)
            read = world.logs.read(found.id, offset=start, bytes_max=bytes_max)
            return read if tail is None else of_lines(read, tail)
        except NotFound:
            return Piece(b"", start, start, 0)  # it has printed nothing yet, or never ran; else that is told below

    whole = with_its_doubts(found, await asyncio.to_thread(piece))
    if offset is not None and offset > whole.end:
        raise Invalid(f"offset {offset} is beyond the end of the log, which has {whole.end} bytes", end=whole.end)
    return found, whole


def of_lines(piece: Piece, lines: int) -> Piece:
    """The first lines of a piece, which is then the log's end as of now: what was printed since is not asked for."""
    at = 0
    for _ in range(lines):
        at = piece.data.find(b"\n", at) + 1
        if at == 0:
            return piece
    if at >= len(piece.data):
        return piece
    for offset, length, _ in piece.spans:
        if at <= length:
            cut = piece.until(offset + at)
            return replace(cut, end=cut.next)
        at -= length
    return piece


def with_its_doubts(job: Job, piece: Piece) -> Piece:
    """The piece with what only the job's own record tells of it.

    Where its log should end, if files at its end are gone; and which bytes without a checksum should have one: all of a
    job that ended in order, and of another all but the last.
    """
    end = max(piece.end, job.log_end or 0)
    damaged = list(piece.damaged)
    is_whole = job.state == S.ENDED and job.outcome is not None and job.outcome.kind != OutcomeKind.LOST
    damaged += [
        (offset, length, UNVERIFIED) for offset, length in piece.unverified if is_whole or offset < piece.recorded
    ]
    after = piece.next
    if piece.end <= after < end:
        damaged.append((after, end - after, MISSING))
        after = end
    return replace(piece, next=after, end=end, damaged=tuple(sorted(damaged)))


async def timing(
    world: World, caller: Caller, session_name: str, job: str | None, *, offset: int = 0, skip: int = 0, limit: int
) -> tuple[Job, Timing]:
    """When a job's output was printed, and what became of its terminal's size, from an offset on.

    limit: 1 to MOMENTS_MAX. Raises NotFound, Denied, Invalid, Unavailable.
    """
    if offset < 0 or skip < 0 or not 1 <= limit <= MOMENTS_MAX:
        raise Invalid(f"from and skip are not negative; limit is 1 to {MOMENTS_MAX}")
    _, found = await world.store.read(lambda view: chosen_job(view, caller, session_name, job, Capability.JOB_READ))

    def moments() -> Timing:
        try:
            return world.logs.timing(found.id, offset=offset, skip=skip, limit=limit)
        except NotFound:
            end = found.log_end or 0
            gone = (Moment("gap", offset, found.created_at, end - offset, cause="missing"),) if offset < end else ()
            return Timing(gone, max(offset, end), 0, end)

    return found, await asyncio.to_thread(moments)


async def screen(
    world: World, caller: Caller, session_name: str, job: str | None, *, offset: int
) -> tuple[Job, Screen]:
    """What brings a terminal to where it was when the job had printed `offset` bytes.

    Raises NotFound, Denied, Invalid, Unavailable.
    """
    if offset < 0:
        raise Invalid("at is not negative")
    _, found = await world.store.read(lambda view: chosen_job(view, caller, session_name, job, Capability.JOB_READ))
    try:
        return found, await asyncio.to_thread(world.logs.screen, found.id, offset=offset)
    except NotFound:
        return found, Screen(b"", offset, found.log_end or 0, 0, 0)


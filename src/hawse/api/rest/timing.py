"""`/v1/sessions/{session}/logs/{job}/timing`: when what a job printed was printed, for a replay."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Response, get
from litestar.params import QueryParameter

from hawse.api.rest import fields, limits
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.response import answered
from hawse.services import log as logs

MOMENTS_DEFAULT = 1000
_encode = msgspec.json.Encoder().encode
_From = Annotated[
    int, QueryParameter(name="from", ge=0, le=limits.INTEGER_MAX, description="offset of the first byte of interest")
]
_Skip = Annotated[int, QueryParameter(ge=0, le=limits.INTEGER_MAX, description="`skip` of the answer before")]
_Limit = Annotated[int, QueryParameter(ge=1, le=logs.MOMENTS_MAX, description="moments at most")]


class Moment(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One thing that happened. time: Unix seconds, wall clock: it may jump.

    output: `length` bytes from `offset` on, from `source` (1 stdout or terminal, 2 stderr). resize: from `offset` on
    the terminal has `columns` and `rows`. gap: the `length` bytes from `offset` on are not there (cause: removed,
    missing, dropped). attempt: from `offset` on attempt number `attempt` prints; the same number again changes nothing.
    What is not of its kind, or 0, is left out.
    """

    kind: Literal["output", "resize", "gap", "attempt"]
    offset: int
    time: float
    length: int = 0
    source: int = 0
    columns: int = 0
    rows: int = 0
    attempt: int = 0
    cause: str = ""


class TimingPage(msgspec.Struct):
    """next, skip: what to ask for as `from` and `skip` to go on. No items: there are no more as of now.

    end: the log's end as of now; state: of the job, `ended` says that no more can come.
    """

    items: list[Moment]
    next: int
    skip: int
    end: int
    state: str


@get("/v1/sessions/{session:str}/logs/{job:str}/timing", operation_id="read_timing", tags=["logs"])
async def timing(
    request: AnyRequest,
    session: fields.SessionName,
    job: fields.JobName,
    offset: _From = 0,
    skip: _Skip = 0,
    limit: _Limit = MOMENTS_DEFAULT,
) -> Response[TimingPage]:
    """When a job's output was printed, to 10 ms, with the sizes of its terminal, its attempts, and what is missing.

    Moments are in the order of offsets and cover each of them; damaged bytes are told by reading them.
    """
    visit = visit_of(request)
    async with visit.desk.log_readers:
        found, timed = await logs.timing(
            visit.desk.world, visit.caller, session, job, offset=offset, skip=skip, limit=limit
        )
    items = [
        Moment(
            kind=moment.kind,  # type: ignore[arg-type]
            offset=moment.offset,
            time=moment.time,
            length=moment.length,
            source=moment.source,
            columns=moment.columns,
            rows=moment.rows,
            attempt=moment.attempt,
            cause=moment.cause,
        )
        for moment in timed.moments
    ]
    return answered(_encode(TimingPage(items, timed.next, timed.skip, timed.end, found.state)))


HANDLERS = [timing]

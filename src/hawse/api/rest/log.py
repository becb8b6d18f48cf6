"""`/v1/sessions/{session}/logs/{job}`: what a job printed, as raw bytes; headers say which bytes they are.

`.../screen`: the same as what brings a terminal there. When it was printed: timing.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from litestar import Response, get
from litestar.params import QueryParameter

from hawse.api.rest import fields, limits
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.response import Answer, Made
from hawse.ports.log import Piece
from hawse.services import log as logs

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

MEDIA_TYPE = "application/octet-stream"
PIECE_DEFAULT = 1024 * 1024
SEND_BYTES = 256 * 1024
_Piece = Annotated[int | None, QueryParameter(ge=1, le=logs.PIECE_BYTES_MAX, description="bytes at most")]
_From = Annotated[
    int | None, QueryParameter(name="from", ge=0, le=limits.INTEGER_MAX, description="offset of the first byte wanted")
]
_Tail = Annotated[int | None, QueryParameter(ge=0, le=logs.TAIL_LINES_MAX, description="the last lines")]
_Since = Annotated[
    float | None, QueryParameter(ge=0, le=limits.INTEGER_MAX, description="Unix seconds: what was written since then")
]
_At = Annotated[int, QueryParameter(ge=0, le=limits.INTEGER_MAX, description="how many bytes had been printed")]


@get("/v1/sessions/{session:str}/logs/{job:str}", operation_id="read_log", tags=["logs"], media_type=MEDIA_TYPE)
async def read(
    request: AnyRequest,
    session: fields.SessionName,
    job: fields.JobName,
    offset: _From = None,
    limit: _Piece = None,
    tail: _Tail = None,
    since: _Since = None,
) -> Response[bytes]:
    """One piece of a job's output. At most one of from (an offset), tail (lines), since (a time); none: its beginning.

    Hawse-Log-From, -Next, -End: the offset of the first byte, of the one to go on with, of the end as of now.
    Hawse-Log-Spans: `offset+length:source ...` (1 stdout or terminal, 2 stderr).
    Hawse-Log-Damaged: `offset+length cause; ...`, causes percent-encoded; these bytes are not in the body, but for the
    cause `unverified`: they are, and their checksums are gone. Hawse-Job-State: whether more can come.
    """
    visit = visit_of(request)
    async with visit.desk.log_readers:
        found, piece = await logs.read(
            visit.desk.world,
            visit.caller,
            session,
            job,
            offset=offset,
            since=since,
            tail=tail,
            bytes_max=limit or PIECE_DEFAULT,
        )
    return Bytes(told_in_headers(piece), state=found.state)


@get(
    "/v1/sessions/{session:str}/logs/{job:str}/screen", operation_id="read_screen", tags=["logs"], media_type=MEDIA_TYPE
)
async def screen(request: AnyRequest, session: fields.SessionName, job: fields.JobName, at: _At) -> Response[bytes]:
    """What to write to a terminal so that it shows what the job's own terminal showed when it had printed `at` bytes.

    Hawse-Log-Next: the offset to go on with; at most a few bytes before `at`. Hawse-Log-End: the end as of now.
    Hawse-Terminal: `columns x rows` of that terminal then (80x24), where it is known.
    """
    visit = visit_of(request)
    async with visit.desk.log_readers:
        found, shown = await logs.screen(visit.desk.world, visit.caller, session, job, offset=at)
    told = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"hawse-log-next", b"%d" % shown.next),
        (b"hawse-log-end", b"%d" % shown.end),
        (b"hawse-job-state", found.state.encode()),
    ]
    if shown.columns and shown.rows:
        told.append((b"hawse-terminal", b"%dx%d" % (shown.columns, shown.rows)))
    return Answer(shown.data, 200, told)


def told_in_headers(piece: Piece) -> Piece:
    """The piece, shortened where it has more spans or damages than fit its headers. The client asks on from `next`."""
    late = (*piece.spans[limits.SPANS_MAX :], *piece.damaged[limits.DAMAGED_MAX :])
    return piece.until(min((offset for offset, _, _ in late), default=piece.next))


class Bytes(Made):
    """A piece of a log, sent in parts so that a slow reader holds little of it in its connection."""

    def __init__(self, piece: Piece, *, state: str) -> None:
        self.piece = piece
        told = {
            "content-type": MEDIA_TYPE,
            "content-length": str(len(piece.data)),
            "hawse-log-from": str(piece.first),
            "hawse-log-next": str(piece.next),
            "hawse-log-end": str(piece.end),
            "hawse-job-state": str(state),
        }
        if piece.spans:
            told["hawse-log-spans"] = " ".join(f"{offset}+{length}:{source}" for offset, length, source in piece.spans)
        if piece.damaged:
            told["hawse-log-damaged"] = "; ".join(
                f"{offset}+{length} {quote(why)}" for offset, length, why in piece.damaged
            )
        self.told = [(name.encode(), value.encode("ascii")) for name, value in told.items()]

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.told})
        data = memoryview(self.piece.data)
        for start in range(0, max(1, len(data)), SEND_BYTES):
            part = bytes(data[start : start + SEND_BYTES])
            await send({"type": "http.response.body", "body": part, "more_body": start + SEND_BYTES < len(data)})


HANDLERS = [read, screen]

"""`/v1/sessions/{session}/jobs/{job}/link`: a stream to a job's runner, for who cannot reach its socket (spec 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Response, get

from hawse.api.rest import fields
from hawse.api.rest.caller import AnyRequest, Visit, visit_of
from hawse.api.rest.relay import Relay
from hawse.api.rest.response import Made
from hawse.domain.errors import Invalid, LimitReached
from hawse.domain.job import Job
from hawse.services import link as links

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

PROTOCOL = "hawse"
SWITCHING = 101


@get(
    "/v1/sessions/{session:str}/jobs/{job:str}/link",
    operation_id="link",
    tags=["attachments"],
    media_type="application/octet-stream",
)
async def link(request: AnyRequest, session: fields.SessionName, job: fields.JobName) -> Response[bytes]:
    """Switch this connection to the runner's protocol (`Upgrade: hawse`): 101, then bytes both ways.

    Say nothing before the 101. The ticket in the first frame decides what may be done, at the runner.
    """
    visit = visit_of(request)
    if visit.header("upgrade", "").lower() != PROTOCOL or "upgrade" not in visit.header("connection", "").lower():
        raise Invalid(
            "this is a stream, not an object", next_step=f"ask with Connection: Upgrade and Upgrade: {PROTOCOL}"
        )
    found, path, uid = await links.runner_of(visit.desk.world, visit.caller, session, job)
    if visit.desk.links >= visit.desk.links_max:
        raise LimitReached(
            f"{visit.desk.links_max} links to jobs go through this coordinator; no more are possible",
            limit=visit.desk.links_max,
        )
    visit.desk.links += 1
    line = {"kind": "link", "request": visit.id, "session": found.session, "job": found.id}

    def ended(up: int, down: int, seconds: float) -> None:
        visit.desk.links -= 1
        visit.desk.log({**line, "up": up, "down": down, "seconds": round(seconds, 3)})

    try:
        relay = await Relay.to(path, uid, ended)
    except BaseException:
        visit.desk.links -= 1
        raise
    return Switched(visit, relay, found)


class Switched(Made):
    """The answer after which the connection is a stream."""

    def __init__(self, visit: Visit, relay: Relay, job: Job) -> None:
        self._visit = visit
        self._relay = relay
        self._job = job

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = [
            (b"connection", b"Upgrade"),
            (b"upgrade", PROTOCOL.encode()),
            (b"hawse-request", self._visit.id.encode()),
        ]
        state: dict[str, Any] = scope["state"]
        try:
            client = state["switch"](told, self._relay)
        except ConnectionError:
            self._visit.desk.links -= 1
            self._relay.abandon()
            return
        state["switched"] = SWITCHING
        self._relay.begin(client)


HANDLERS = [link]

"""The REST application: all nouns, errors and schema; and in front of it who may call, request ids and the log."""

from __future__ import annotations

import itertools
import logging
import secrets
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Response, route

from hawse.api.rest import (
    attachment,
    audit,
    channel,
    event,
    grant,
    job,
    link,
    log,
    metrics,
    notice,
    parameter,
    project,
    schema,
    session,
    status,
    surroundings,
    timing,
    token,
    user,
)
from hawse.api.rest.caller import AnyRequest, Peer, Visit
from hawse.api.rest.desk import Desk
from hawse.api.rest.groups import Groups
from hawse.api.rest.identity import CHALLENGE, caller_of
from hawse.api.rest.lane import Lanes, served
from hawse.api.rest.problem import HANDLERS, MEDIA_TYPE, document, mistake
from hawse.api.rest.response import answered
from hawse.domain.errors import Denied, Problem, Unproven
from hawse.services.refusal import Refusal
from hawse.services.world import Caller, Trail

if TYPE_CHECKING:
    from litestar.types import HTTPScope, Message, Receive, Send

NOUNS = (
    status, surroundings, metrics, session, job, attachment, link, grant, channel, notice, event, log, timing,
    user, token, project, audit,
)  # fmt: skip
ALL = [handler for noun in NOUNS for handler in noun.HANDLERS]
ALLOWED = {  # by Litestar's path_template, which leaves out the types of parameters
    path.replace(":str", ""): sorted({"OPTIONS"}.union(*(other.http_methods for other in ALL if path in other.paths)))
    for handler in ALL
    for path in handler.paths
}
OPEN = frozenset({"/healthz", "/readyz"})  # whoever reaches the socket may ask whether it works
_log = logging.getLogger(__name__)


@route(sorted({path for handler in ALL for path in handler.paths}), http_method=["OPTIONS"], include_in_schema=False)
async def options(request: AnyRequest) -> Response[Any]:
    """What is possible here. (Litestar's own handler names only the methods that were registered first.)"""
    return answered(b"", status=204, headers=[(b"allow", ", ".join(ALLOWED[request.scope["path_template"]]).encode())])


def routes() -> Litestar:
    """Paths, bodies, answers and errors. It needs a `Visit` in each request's state, which `Front` puts there."""
    return Litestar(
        route_handlers=[options, *ALL],
        exception_handlers=HANDLERS,
        before_request=parameter.refuse_unknown,
        openapi_config=schema.CONFIG,
        logging_config=None,
        debug=False,
    )


class Front:
    """What every request passes first and last."""

    def __init__(self, desk: Desk, app: Litestar, lanes: Lanes) -> None:
        self._desk = desk
        self._app = app
        self._lanes = lanes
        self._ids = map(f"{secrets.token_hex(4)}-%d".__mod__, itertools.count(1))
        self._groups = Groups()
        self._dated_at, self._date_header = 0, (b"date", b"")

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        code, started_at, trail = 0, time.perf_counter(), Trail()
        visit_id = next(self._ids)
        peer: Peer = scope["state"]["peer"]
        visit: Visit | None = None

        async def told(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                if visit is not None and visit.denied is not None:
                    await self._note(visit, scope)
                code = message["status"]
                message["headers"] = [*message["headers"], (b"hawse-request", visit_id.encode()), self._date()]
            await send(message)

        try:
            if peer.uid != self._desk.owner and not self._desk.others:
                await refused(Denied(f"{peer.principal} is not the user of this coordinator"), visit_id, told)
                return
            headers = dict(reversed([*scope["headers"]]))
            try:
                caller = await caller_of(self._desk.world, peer, headers, self._groups, trail)
            except Problem as problem:
                if scope["path"] not in OPEN:
                    await refused(problem, visit_id, told)
                    return
                caller = Caller("", where=peer.where)
            visit = scope["state"]["hawse"] = Visit(self._desk, caller, visit_id, scope["headers"])
            call = self._lanes.found(scope, visit)
            if call is None:
                await self._app(scope, receive, told)
            else:
                await served(call, scope, receive, told)
        except Exception:
            _log.exception(
                "request %s: %s %s failed", visit_id, scope["method"], scope["path"], extra={"request": visit_id}
            )
            if code:
                raise  # the answer is half sent: the connection is closed, and the client sees that it is not whole
            await refused(mistake(visit_id), visit_id, told)
        finally:
            code = code or scope["state"].get("switched", 0)
            self._desk.answers[code // 100] += 1
            line = {
                "kind": "request",
                "request": visit_id,
                "method": scope["method"],
                "path": scope["path"],
                "status": code,
                "ms": round((time.perf_counter() - started_at) * 1000, 2),
                "peer": peer.pid,
            }
            if trail.session:
                line["session"] = trail.session
            self._desk.log(line)

    async def _note(self, visit: Visit, scope: HTTPScope) -> None:
        """Tell a session's owner of what was refused: the one place for all verbs. The answer is refused anyway."""
        assert visit.denied is not None
        facts, world = visit.denied.facts, self._desk.world
        if "session" not in facts:
            return  # there is nobody to tell but the log
        refusal = Refusal(
            session=str(facts["session"]),
            by=visit.caller.principal,
            capability=str(facts.get("capability", "")),
            what=f"{scope['method']} {scope['path']}",
            where=visit.caller.where,
        )
        try:
            await world.refusals.record(world.store, refusal, now=world.clock.now())
        except Problem as problem:
            _log.warning("request %s: its refusal could not be kept: %s", visit.id, problem)

    def _date(self) -> tuple[bytes, bytes]:
        """RFC 9110, 6.6.1. Made once a second at most, when it is asked for."""
        now = int(time.time())
        if now != self._dated_at:
            self._dated_at, self._date_header = now, (b"date", formatdate(now, usegmt=True).encode())
        return self._date_header


async def refused(problem: Problem, visit_id: str, send: Send) -> None:
    """Answer with a problem, without the application."""
    body = document(problem, status=problem.http, request=visit_id)
    size = b"%d" % len(body)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", size)]
    if isinstance(problem, Unproven):
        headers.append(CHALLENGE)
    await send({"type": "http.response.start", "status": problem.http, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def application(desk: Desk) -> Front:
    """The whole REST interface as one ASGI application; `state["peer"]` of each request is the Peer."""
    app = routes()
    return Front(desk, app, Lanes(app, ALL))

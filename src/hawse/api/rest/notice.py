"""`/v1/notices`: what one was told, or is still to be told. One's own only."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import QueryParameter

from hawse.api.rest import fields
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.limits import INTEGER_MAX, PAGE_DEFAULT
from hawse.api.rest.page import Page
from hawse.api.rest.request_id import once
from hawse.api.rest.response import answered
from hawse.domain.ids import NAME_LENGTH_MAX
from hawse.domain.notice import Notice
from hawse.services import notice as notices

PATH = "/v1/notices"
_encode = msgspec.json.Encoder().encode
_State = Annotated[
    Literal["waiting", "sent", "failed", "withdrawn", "all"],
    QueryParameter(name="state", description="which notices"),
]
_Channel = Annotated[
    str, QueryParameter(name="channel", max_length=NAME_LENGTH_MAX, description="a channel's id or name; all without")
]

_Tries = Annotated[int, QueryParameter(ge=0, le=INTEGER_MAX, description="tries that are known already")]


@get(PATH, operation_id="list_notices", tags=["notices"])
async def page(
    request: AnyRequest,
    which: _State = "all",
    channel: _Channel = "",
    after: fields.After = "",
    limit: fields.Limit = PAGE_DEFAULT,
) -> Response[Page[Notice]]:
    """The caller's notices, the newest first."""
    visit = visit_of(request)
    found = await notices.page(
        visit.desk.world,
        visit.caller,
        channel=channel or None,
        state=None if which == "all" else which,
        before=after,
        limit=limit,
    )
    return answered(_encode({"items": found, "next": found[-1].id if len(found) == limit else None}))


@get(PATH + "/{notice:str}", operation_id="get_notice", tags=["notices"])
async def get_one(
    request: AnyRequest, notice: fields.ObjectId, wait_s: fields.WaitS = 0.0, tries: _Tries = 0
) -> Response[Notice]:
    """One notice; with wait_s when it is over or was put off after more than `tries` tries, or after the time."""
    visit = visit_of(request)
    with visit.desk.waiting():
        found = await notices.wait(visit.desk.world, visit.caller, notice, tries=tries, timeout_s=wait_s)
    return answered(_encode(found), version=found.version)


@post(PATH + "/{notice:str}/send", status_code=200, operation_id="send_notice_again", tags=["notices"])
async def send_again(request: AnyRequest, notice: fields.ObjectId) -> Response[Notice]:
    """Send a notice that failed, was withdrawn, or waits for its next try: now, with the same id."""
    asked = await once(request, 200, _encode)
    made = await notices.send_again(visit_of(request).desk.world, asked.caller, notice)
    return answered(asked.body(made), version=made.version)


HANDLERS = [page, get_one, send_again]

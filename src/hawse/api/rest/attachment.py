"""`/v1/sessions/{session}/attachments`: admission to a job's runner, and its end."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import Response, delete, get, post

from hawse.api.rest import fields
from hawse.api.rest.body import body_of
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.limits import PAGE_DEFAULT
from hawse.api.rest.page import Page, page_of
from hawse.api.rest.response import answered
from hawse.domain.attachment import Attachment
from hawse.domain.job import Job
from hawse.services import attachment as attachments

PATH = "/v1/sessions/{session:str}/attachments"
_encode = msgspec.json.Encoder().encode


class Attach(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to reach.

    job: id or name; without it the newest living one with a terminal. attachment: go on with this one after a broken
    link.
    """

    job: fields.Name | None = None
    mode: Literal["control", "watch", "read"] = "control"
    where: fields.Where = ""
    attachment: fields.Id | None = None


class AdmissionDocument(msgspec.Struct):
    """How to reach it.

    address: the runner's socket on the coordinator's machine, or `link:PATH`: a stream that the coordinator carries
    (spec 11); null when the job has ended (read its log instead). ticket: shown to the runner, once.
    """

    attachment: Attachment | None
    job: Job
    address: str | None
    ticket: str | None


@post(PATH, body=Attach, operation_id="attach", tags=["attachments"])
async def attach(request: AnyRequest, session: fields.SessionName) -> Response[AdmissionDocument]:
    """Admit the caller to a job's runner. The ticket is good once, for a minute."""
    data = await body_of(request, Attach)
    visit = visit_of(request)
    made = await attachments.attach(
        visit.desk.world, visit.caller, session, job=data.job, mode=data.mode, where=data.where, resume=data.attachment
    )
    address = made.address
    if address and (visit.desk.is_shared or request.scope["state"]["peer"].address):
        address = f"link:/v1/sessions/{made.job.session}/jobs/{made.job.id}/link"
    document = AdmissionDocument(made.attachment, made.job, address or None, made.ticket or None)
    return answered(_encode(document), status=201, headers=[(b"cache-control", b"no-store")])


@get(PATH, operation_id="list_attachments", tags=["attachments"])
async def page(
    request: AnyRequest, session: fields.SessionName, after: fields.After = "", limit: fields.Limit = PAGE_DEFAULT
) -> Response[Page[Attachment]]:
    """The living attachments of a session."""
    visit = visit_of(request)
    return page_of(await attachments.page(visit.desk.world, visit.caller, session), after=after, limit=limit)


@delete(PATH + "/{attachment:str}", status_code=200, operation_id="detach", tags=["attachments"])
async def detach(request: AnyRequest, session: fields.SessionName, attachment: fields.ObjectId) -> Response[Attachment]:
    """End one attachment; the work goes on. Safe to repeat."""
    visit = visit_of(request)
    gone = await attachments.detach(visit.desk.world, visit.caller, session, attachment)
    return answered(_encode(gone), version=gone.version)


HANDLERS = [attach, page, detach]

"""`/v1/sessions/{session}/attachments`: admission to a job's runner, control of it, and its end."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Response, delete, get, post
from litestar.params import QueryParameter

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
_Activity = Annotated[
    Literal["stored", "live"], QueryParameter(name="activity", description="active_at and typed_at: as known, or asked")
]
_encode = msgspec.json.Encoder().encode


class Attach(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to reach.

    job: id or name; without it the newest living one with a terminal. attachment: go on with this one after a broken
    link. policy: what happens when another one may control the job, too; null: as the session says.
    """

    job: fields.Name | None = None
    mode: Literal["control", "watch", "read"] = "control"
    where: fields.Where = ""
    attachment: fields.Id | None = None
    policy: Literal["share", "steal", "reject"] | None = None


class AdmissionDocument(msgspec.Struct):
    """How to reach it.

    address: the runner's socket on the coordinator's machine, or `link:PATH`: a stream that the coordinator carries
    (spec 11); null when the job has ended (read its log instead). ticket: shown to the runner, once.
    holder: who has control, when this attachment does not.
    """

    attachment: Attachment | None
    job: Job
    address: str | None
    ticket: str | None
    holder: Attachment | None


class Take(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing needs to be said."""


class ControlDocument(msgspec.Struct):
    """Who has control of the job now, and who had it before."""

    attachment: Attachment
    before: Attachment | None


@post(PATH, body=Attach, operation_id="attach", tags=["attachments"])
async def attach(request: AnyRequest, session: fields.SessionName) -> Response[AdmissionDocument]:
    """Admit the caller to a job's runner. The ticket is good once, for a minute."""
    data = await body_of(request, Attach)
    visit = visit_of(request)
    made = await attachments.attach(
        visit.desk.world, visit.caller, session, job=data.job, mode=data.mode, where=data.where,
        resume=data.attachment, policy=data.policy,
    )  # fmt: skip
    address = made.address
    if address and (visit.desk.is_shared or request.scope["state"]["peer"].address):
        address = f"link:/v1/sessions/{made.job.session}/jobs/{made.job.id}/link"
    document = AdmissionDocument(made.attachment, made.job, address or None, made.ticket or None, made.holder)
    return answered(_encode(document), status=201, headers=[(b"cache-control", b"no-store")])


@get(PATH, operation_id="list_attachments", tags=["attachments"])
async def page(
    request: AnyRequest, session: fields.SessionName, after: fields.After = "", limit: fields.Limit = PAGE_DEFAULT,
    activity: _Activity = "stored",
) -> Response[Page[Attachment]]:  # fmt: skip
    """The living attachments of a session. With activity=live their runners are asked when each was last active."""
    visit = visit_of(request)
    found = await attachments.page(visit.desk.world, visit.caller, session, live=activity == "live")
    return page_of(found, after=after, limit=limit)


@post(PATH + "/{attachment:str}/take", body=Take, status_code=200, operation_id="take_control", tags=["attachments"])
async def take(
    request: AnyRequest, session: fields.SessionName, attachment: fields.ObjectId
) -> Response[ControlDocument]:
    """Give control of its job to one of the caller's own attachments, at once. Safe to repeat."""
    await body_of(request, Take)
    visit = visit_of(request)
    taken = await attachments.take(visit.desk.world, visit.caller, session, attachment)
    document = ControlDocument(taken.attachment, taken.before)
    return answered(_encode(document), version=taken.attachment.version)


@delete(PATH + "/{attachment:str}", status_code=200, operation_id="detach", tags=["attachments"])
async def detach(request: AnyRequest, session: fields.SessionName, attachment: fields.ObjectId) -> Response[Attachment]:
    """End one attachment; the work goes on. Safe to repeat."""
    visit = visit_of(request)
    gone = await attachments.detach(visit.desk.world, visit.caller, session, attachment)
    return answered(_encode(gone), version=gone.version)


HANDLERS = [attach, page, take, detach]

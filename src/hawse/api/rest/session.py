"""`/v1/sessions`: create, list, look, describe, end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import QueryParameter

from hawse.api.rest import fields
from hawse.api.rest.body import body_of
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.job import spec_of
from hawse.api.rest.limits import PAGE_DEFAULT
from hawse.api.rest.page import Page
from hawse.api.rest.request_id import once
from hawse.api.rest.response import answered
from hawse.api.rest.user import BodyName
from hawse.api.rest.version import expected
from hawse.domain.attachment import Attachment
from hawse.domain.clock import Clock
from hawse.domain.errors import Invalid
from hawse.domain.ids import NAME_LENGTH_MAX
from hawse.domain.job import Job
from hawse.domain.policy import COUNTS, POLICIES, Source
from hawse.domain.session import Lease, Session
from hawse.services import session as sessions
from hawse.services.session import SessionView
from hawse.services.trouble import Trouble

PATH = "/v1/sessions"
_encode = msgspec.json.Encoder().encode
_Which = Annotated[Literal["living", "ended", "all"], QueryParameter(name="state", description="which sessions")]
_Whose = Annotated[
    Literal["mine", "shared", "all", "everyone"],
    QueryParameter(name="whose", description="own, shared by others, or both; everyone: everybody's, for admins"),
]
_Project = Annotated[
    str | None, QueryParameter(name="project", max_length=NAME_LENGTH_MAX, description="only of this project")
]
_LIVING = {"living": True, "ended": False, "all": None}


@dataclass(frozen=True, slots=True)
class SessionDocument(Session):
    """A session with what is in it: jobs and living attachments that the caller may know of, last event's number,
    and its clocks.

    trouble: why all this may be old: the store does not take what the coordinator has to write down. Told to who looks.
    """

    jobs: tuple[Job, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    last_seq: int = 0
    clocks: tuple[Clock, ...] = ()
    trouble: Trouble | None = None


class NewSession(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """lease: when it ends by itself: never, with its last job, or ("until") at lease_until, Unix seconds, or lease_s
    seconds from now; null: as the project says, and where that says nothing, lease_else. project: in which; null: as
    the header Hawse-Project says, else the caller's own.

    policies: as `GET .../policies` names them. job: started with it, in the same transaction.
    """

    alias: fields.Name | None = None
    description: fields.Description = ""
    labels: fields.Labels = {}
    lease: Literal["never", "jobs", "until"] | None = None
    lease_until: fields.Time | None = None
    lease_s: fields.Seconds | None = None
    lease_else: Literal["never", "jobs"] = "never"
    project: fields.Name | None = None
    policies: fields.Policies = {}
    job: fields.JobSpec | None = None


class SessionChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is not given stays. alias null takes the alias away; labels replace all labels; of policies those that are
    named change, and null takes one away. lease "until" needs lease_until.
    """

    alias: fields.Name | msgspec.UnsetType | None = msgspec.UNSET
    description: fields.Description | msgspec.UnsetType = msgspec.UNSET
    labels: fields.Labels | msgspec.UnsetType = msgspec.UNSET
    lease: Literal["never", "jobs", "until"] | msgspec.UnsetType = msgspec.UNSET
    lease_until: fields.Time | None = None
    policies: fields.Policies | msgspec.UnsetType = msgspec.UNSET


class Extension(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How much later a lease that has an end shall end. by_s: seconds."""

    by_s: fields.Seconds


@dataclass(frozen=True, slots=True)
class PolicySetting:
    """A policy: its value, and where that was set (default, project, session, command)."""

    name: str
    value: fields.PolicyValue
    source: Source
    what: str


@dataclass(frozen=True, slots=True)
class PolicyList:
    """All policies of a session, those that nobody set too."""

    items: tuple[PolicySetting, ...]


def encode(view: SessionView, trouble: Trouble | None = None) -> bytes:
    """A SessionDocument as JSON: the session's own fields, then what is in it."""
    return b'%s,"jobs":%s,"attachments":%s,"last_seq":%d,"clocks":%s,"trouble":%s}' % (
        _encode(view.session)[:-1],
        _encode(view.jobs),
        _encode(view.attachments),
        view.last_seq,
        _encode(view.clocks),
        _encode(trouble),
    )


@post(PATH, body=NewSession, operation_id="create_session", tags=["sessions"])
async def create(request: AnyRequest) -> Response[SessionDocument]:
    """Create a session, and its first job with it."""
    data = await body_of(request, NewSession)
    change = await once(request, 201, encode)
    wanted = sessions.NewSession(
        alias=data.alias,
        description=data.description,
        labels=data.labels,
        lease=None if data.lease is None else Lease(data.lease),
        lease_until=data.lease_until,
        lease_s=data.lease_s,
        lease_else=Lease(data.lease_else),
        project=data.project,
        policies=_told(data.policies),
        job=spec_of(data.job) if data.job is not None else None,
    )
    made = await sessions.create(visit_of(request).desk.world, change.caller, wanted)
    location = (b"location", f"{PATH}/{made.session.id}".encode())
    return answered(change.body(made), version=made.session.version, status=201, headers=[location])


@get(PATH, operation_id="list_sessions", tags=["sessions"])
async def page(
    request: AnyRequest,
    which: _Which = "living",
    after: fields.After = "",
    limit: fields.Limit = PAGE_DEFAULT,
    whose: _Whose = "all",
    project: _Project = None,
) -> Response[Page[SessionDocument]]:
    """The sessions that the caller may see, by age: his own, and what is shared with him."""
    visit = visit_of(request)
    found = await sessions.page(
        visit.desk.world, visit.caller, living=_LIVING[which], after=after, limit=limit, whose=whose, project=project
    )
    following = b'"%s"' % found[-1].session.id.encode() if len(found) == limit else b"null"
    trouble = visit.desk.world.troubles.present
    return answered(b'{"items":[%s],"next":%s}' % (b",".join(encode(one, trouble) for one in found), following))


@get(PATH + "/{session:str}", operation_id="get_session", tags=["sessions"])
async def get_one(request: AnyRequest, session: fields.SessionName) -> Response[SessionDocument]:
    """One session by id or alias. An alias means the living session that has it, else the one that ended last."""
    visit = visit_of(request)
    found = await sessions.get(visit.desk.world, visit.caller, session)
    return answered(encode(found, visit.desk.world.troubles.present), version=found.session.version)


@patch(PATH + "/{session:str}", body=SessionChange, operation_id="describe_session", tags=["sessions"])
async def describe(request: AnyRequest, session: fields.SessionName) -> Response[SessionDocument]:
    """Change alias, description, labels, lease or policies; with If-Match only if nobody was faster."""
    data = await body_of(request, SessionChange)
    if data.lease is msgspec.UNSET and data.lease_until is not None:
        raise Invalid("lease_until is only for lease until", next_step='give "lease": "until" with it')
    change = await once(request, 200, encode)
    made = await sessions.describe(
        visit_of(request).desk.world,
        change.caller,
        session,
        version=expected(request),
        alias=sessions.UNCHANGED if data.alias is msgspec.UNSET else data.alias,
        description=None if data.description is msgspec.UNSET else data.description,
        labels=None if data.labels is msgspec.UNSET else data.labels,
        lease=None if data.lease is msgspec.UNSET else (Lease(data.lease), data.lease_until),
        policies=None if data.policies is msgspec.UNSET else _told(data.policies),
    )
    return answered(change.body(made), version=made.session.version)


def _told(policies: Mapping[str, fields.PolicyValue | None]) -> dict[str, fields.PolicyValue | None]:
    """JSON does not tell 3 from 3.0; a count is a whole number."""
    return {
        key: int(v) if isinstance(v, float) and v.is_integer() and key in COUNTS else v for key, v in policies.items()
    }


@post(PATH + "/{session:str}/extend", status_code=200, body=Extension, operation_id="extend_session", tags=["sessions"])
async def extend(request: AnyRequest, session: fields.SessionName) -> Response[SessionDocument]:
    """Push the end of a lease that has one. A session without one is told so (422)."""
    data = await body_of(request, Extension)
    change = await once(request, 200, encode)
    made = await sessions.extend(
        visit_of(request).desk.world, change.caller, session, by_s=data.by_s, version=expected(request)
    )
    return answered(change.body(made), version=made.session.version)


@get(PATH + "/{session:str}/policies", operation_id="list_policies", tags=["sessions"])
async def policies(request: AnyRequest, session: fields.SessionName) -> Response[PolicyList]:
    """All policies of a session, each with its value and where that was set. PATCH of the session changes them."""
    visit = visit_of(request)
    found = await sessions.policies(visit.desk.world, visit.caller, session)
    items = tuple(PolicySetting(name, one.value, one.source, POLICIES[name].what) for name, one in found.items())
    return answered(_encode(PolicyList(items)))


@delete(PATH + "/{session:str}", status_code=202, operation_id="end_session", tags=["sessions"])
async def end(
    request: AnyRequest,
    session: fields.SessionName,
    grace_s: fields.QueryGraceS = None,
    reason: fields.Reason = "asked",
) -> Response[SessionDocument]:
    """Begin to end a session: its jobs are stopped in order, then it is history. Safe to repeat."""
    change = await once(request, 202, encode)
    made = await sessions.end(
        visit_of(request).desk.world, change.caller, session, version=expected(request), grace_s=grace_s, reason=reason
    )
    return answered(change.body(made), version=made.session.version, status=202)


class NewOwner(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """user: his name on this site."""

    user: BodyName


@post(PATH + "/{session:str}/give", status_code=200, body=NewOwner, operation_id="give_session", tags=["sessions"])
async def give(request: AnyRequest, session: fields.SessionName) -> Response[SessionDocument]:
    """Give a session to another user. For admins: when its owner has gone. Its jobs go on."""
    data = await body_of(request, NewOwner)
    change = await once(request, 200, encode)
    made = await sessions.give(visit_of(request).desk.world, change.caller, session, data.user)
    return answered(change.body(made), version=made.session.version)


HANDLERS = [give, create, page, get_one, describe, extend, policies, end]

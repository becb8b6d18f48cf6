"""`/v1/me` and `/v1/users`: who one is, and who may come in."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter, QueryParameter

from hawse.api.rest import fields
from hawse.api.rest.body import body_of
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.limits import PAGE_DEFAULT
from hawse.api.rest.page import Page
from hawse.api.rest.request_id import once
from hawse.api.rest.response import answered
from hawse.api.rest.version import expected
from hawse.domain.attachment import Attachment
from hawse.domain.ids import NAME_LENGTH_MAX
from hawse.domain.session import Session
from hawse.domain.user import ABOUT_LENGTH_MAX, GROUPS_MAX, UID_MAX, UIDS_MAX, User
from hawse.services import user as users
from hawse.services.user import Out

_encode = msgspec.json.Encoder().encode
_NAME = {"min_length": 1, "max_length": NAME_LENGTH_MAX, "pattern": r"^[A-Za-z0-9._@+-]*$"}
_IN_BODY = {"minLength": 1, "maxLength": NAME_LENGTH_MAX, "pattern": r"^[A-Za-z0-9:._@+-]*$"}
UserName = Annotated[str, PathParameter(title="a user's name", schema_extra=_NAME)]
BodyName = Annotated[str, msgspec.Meta(extra_json_schema=_IN_BODY)]
AfterName = Annotated[str, QueryParameter(max_length=NAME_LENGTH_MAX, description="`next` of the page before")]
_Uids = Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=UID_MAX)]], msgspec.Meta(max_length=UIDS_MAX)]
_Groups = Annotated[list[BodyName], msgspec.Meta(max_length=GROUPS_MAX)]
_About = Annotated[str, msgspec.Meta(max_length=ABOUT_LENGTH_MAX)]


class Me(msgspec.Struct, kw_only=True):
    """Who asks, as the coordinator sees it. user: his name, "" for a bare account. read_only, only_project: what the
    token that was shown is narrowed to.
    """

    principal: str
    groups: list[str]
    user: str
    project: str
    is_admin: bool
    is_site: bool
    read_only: bool
    only_project: str | None


class NewUser(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """uids: of the service's host, as which he may come over its socket; the first is the one as which his jobs run.

    groups: group:NAME, beside those that the uid has there. project: where his sessions are unless he says otherwise.
    """

    name: BodyName
    uids: _Uids = []
    groups: _Groups = []
    project: fields.Name = "default"
    is_admin: bool = False
    about: _About = ""


class UserChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is not given stays."""

    uids: _Uids | msgspec.UnsetType = msgspec.UNSET
    groups: _Groups | msgspec.UnsetType = msgspec.UNSET
    project: fields.Name | msgspec.UnsetType = msgspec.UNSET
    is_admin: bool | msgspec.UnsetType = msgspec.UNSET
    about: _About | msgspec.UnsetType = msgspec.UNSET


class OutDocument(msgspec.Struct):
    """A user who was shut out: whose attachments were cut, and which living sessions of his stay."""

    user: User
    attachments: list[Attachment]
    sessions: list[Session]


def given(change: Any) -> dict[str, Any]:
    """The fields that a body has, as plain values."""
    found = {name: getattr(change, name) for name in change.__struct_fields__}
    return {name: value for name, value in found.items() if value is not msgspec.UNSET}


def _out(out: Out) -> bytes:
    return _encode({"user": out.user, "attachments": out.attachments, "sessions": out.sessions, "version": None})


@get("/v1/me", operation_id="get_me", tags=["site"])
async def me(request: AnyRequest) -> Response[Me]:
    """Who the coordinator takes the caller for."""
    visit = visit_of(request)
    caller = visit.caller
    return answered(
        _encode(
            Me(
                principal=caller.principal,
                groups=sorted(caller.groups),
                user=caller.principal.removeprefix("user:") if caller.principal.startswith("user:") else "",
                project=caller.project,
                is_admin=caller.is_admin,
                is_site=visit.desk.world.site is not None,
                read_only=caller.read_only,
                only_project=caller.only_project,
            )
        )
    )


@get("/v1/users", operation_id="list_users", tags=["site"])
async def page(request: AnyRequest, after: AfterName = "", limit: fields.Limit = PAGE_DEFAULT) -> Response[Page[User]]:
    """All users by name, removed ones too. For admins."""
    visit = visit_of(request)
    found = await users.page(visit.desk.world, visit.caller, after=after, limit=limit)
    return answered(_encode({"items": found, "next": found[-1].name if len(found) == limit else None}))


@post("/v1/users", body=NewUser, operation_id="add_user", tags=["site"])
async def add(request: AnyRequest) -> Response[User]:
    """A new user. For admins."""
    data = await body_of(request, NewUser)
    change = await once(request, 201, _encode)
    facts = given(data)
    made = await users.add(visit_of(request).desk.world, change.caller, facts.pop("name"), facts)
    return answered(change.body(made), version=made.version, status=201)


@get("/v1/users/{user:str}", operation_id="get_user", tags=["site"])
async def get_one(request: AnyRequest, user: UserName) -> Response[User]:
    """One user; everybody may ask about himself."""
    visit = visit_of(request)
    found = await users.get(visit.desk.world, visit.caller, user)
    return answered(_encode(found), version=found.version)


@patch("/v1/users/{user:str}", body=UserChange, operation_id="change_user", tags=["site"])
async def change_one(request: AnyRequest, user: UserName) -> Response[User]:
    """Other uids, groups, project; admin or not. For admins; with If-Match only if nobody was faster."""
    data = await body_of(request, UserChange)
    change = await once(request, 200, _encode)
    world = visit_of(request).desk.world
    made = await users.change(world, change.caller, user, given(data), version=expected(request))
    return answered(change.body(made), version=made.version)


@post("/v1/users/{user:str}/disable", status_code=200, operation_id="disable_user", tags=["site"])
async def disable(request: AnyRequest, user: UserName) -> Response[OutDocument]:
    """Shut a user out until he is enabled again: tokens and uids open nothing, who is attached is cut. For admins."""
    change = await once(request, 200, _out)
    made = await users.disable(visit_of(request).desk.world, change.caller, user)
    return answered(change.body(made))


@post("/v1/users/{user:str}/enable", status_code=200, operation_id="enable_user", tags=["site"])
async def enable(request: AnyRequest, user: UserName) -> Response[User]:
    """Let a disabled user in again. For admins."""
    change = await once(request, 200, _encode)
    made = await users.enable(visit_of(request).desk.world, change.caller, user)
    return answered(change.body(made), version=made.version)


@delete("/v1/users/{user:str}", status_code=200, operation_id="remove_user", tags=["site"])
async def remove(request: AnyRequest, user: UserName) -> Response[OutDocument]:
    """Shut a user out for good. His sessions stay until they end or are given to another owner. For admins."""
    change = await once(request, 200, _out)
    made = await users.remove(visit_of(request).desk.world, change.caller, user)
    return answered(change.body(made))


HANDLERS = [me, page, add, get_one, change_one, disable, enable, remove]

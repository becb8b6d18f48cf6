"""`/v1/projects`: whose sessions count together, with quotas, lifetimes and policies."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, patch, post
from litestar.params import PathParameter

from hawse.api.rest import fields
from hawse.api.rest.body import body_of
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.limits import PAGE_DEFAULT
from hawse.api.rest.request_id import once
from hawse.api.rest.response import answered
from hawse.api.rest.user import AfterName, BodyName, given
from hawse.api.rest.version import expected
from hawse.domain.ids import NAME_LENGTH_MAX, NAME_PATTERN
from hawse.domain.policy import COUNTS
from hawse.domain.project import ABOUT_LENGTH_MAX, COUNT_MAX, MEMBERS_MAX, Project, Use
from hawse.services import project as projects
from hawse.services.project import ProjectView

_encode = msgspec.json.Encoder().encode
_NAME = {"min_length": 1, "max_length": NAME_LENGTH_MAX, "pattern": f"^{NAME_PATTERN}$"}
_ProjectName = Annotated[str, PathParameter(title="a project's name", schema_extra=_NAME)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)] | None
_Members = Annotated[list[BodyName], msgspec.Meta(max_length=MEMBERS_MAX)]
_About = Annotated[str, msgspec.Meta(max_length=ABOUT_LENGTH_MAX)]
_Seconds = fields.Seconds | None
Unset = msgspec.UnsetType


class ProjectDocument(msgspec.Struct):
    """A project with what is used of its quotas."""

    project: Project
    use: Use


class ProjectPage(msgspec.Struct):
    """next: what to ask with as `after`; null at the end."""

    items: list[ProjectDocument]
    next: str | None


class ProjectChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is not given stays; null takes a bound away. sessions_max: living ones; jobs_max: jobs that are not over.

    lease_s: how long a session lives for which nobody says it; lease_s_max: at most. policies: of those that are named,
    null takes one away. members: all of them; members_added, members_dropped: some. "everyone": whoever is let in.
    """

    sessions_max: _Count | Unset = msgspec.UNSET
    jobs_max: _Count | Unset = msgspec.UNSET
    lease_s: _Seconds | Unset = msgspec.UNSET
    lease_s_max: _Seconds | Unset = msgspec.UNSET
    policies: fields.Policies | Unset = msgspec.UNSET
    members: _Members | Unset = msgspec.UNSET
    members_added: _Members = []
    members_dropped: _Members = []
    about: _About | Unset = msgspec.UNSET


class NewProject(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """As ProjectChange. A project has no members but those that are named."""

    name: fields.Name
    sessions_max: _Count = None
    jobs_max: _Count = None
    lease_s: _Seconds = None
    lease_s_max: _Seconds = None
    policies: fields.Policies = {}
    members: _Members = []
    about: _About = ""


def _facts(data: Any) -> dict[str, Any]:
    found = given(data)
    if "policies" in found:  # JSON does not tell 3 from 3.0; a count is a whole number
        found["policies"] = {
            key: int(v) if isinstance(v, float) and v.is_integer() and key in COUNTS else v
            for key, v in found["policies"].items()
        }
    return found


def _told(view: ProjectView) -> bytes:
    return _encode({"project": view.project, "use": view.use, "version": view.project.version})


@get("/v1/projects", operation_id="list_projects", tags=["site"])
async def page(request: AnyRequest, after: AfterName = "", limit: fields.Limit = PAGE_DEFAULT) -> Response[ProjectPage]:
    """Projects by name, with their use: those that the caller is a member of; for admins all."""
    visit = visit_of(request)
    found, following = await projects.page(visit.desk.world, visit.caller, after=after, limit=limit)
    return answered(_encode({"items": found, "next": following}))


@post("/v1/projects", body=NewProject, operation_id="add_project", tags=["site"])
async def add(request: AnyRequest) -> Response[ProjectDocument]:
    """A new project. For admins."""
    data = await body_of(request, NewProject)
    change = await once(request, 201, _told)
    facts = _facts(data)
    made = await projects.add(visit_of(request).desk.world, change.caller, facts.pop("name"), facts)
    return answered(change.body(made), version=made.project.version, status=201)


@get("/v1/projects/{project:str}", operation_id="get_project", tags=["site"])
async def get_one(request: AnyRequest, project: _ProjectName) -> Response[ProjectDocument]:
    """One project, for its members and for admins."""
    visit = visit_of(request)
    found = await projects.get(visit.desk.world, visit.caller, project)
    return answered(_told(found), version=found.project.version)


@patch("/v1/projects/{project:str}", body=ProjectChange, operation_id="change_project", tags=["site"])
async def change_one(request: AnyRequest, project: _ProjectName) -> Response[ProjectDocument]:
    """Other limits, policies, members. For admins; with If-Match only if nobody was faster."""
    data = await body_of(request, ProjectChange)
    change = await once(request, 200, _told)
    world = visit_of(request).desk.world
    made = await projects.change(world, change.caller, project, _facts(data), version=expected(request))
    return answered(change.body(made), version=made.project.version)


@post("/v1/projects/{project:str}/retire", status_code=200, operation_id="retire_project", tags=["site"])
async def retire(request: AnyRequest, project: _ProjectName) -> Response[ProjectDocument]:
    """No session begins in it any more; those that live go on. For admins."""
    change = await once(request, 200, _told)
    made = await projects.retire(visit_of(request).desk.world, change.caller, project)
    return answered(change.body(made), version=made.project.version)


@post("/v1/projects/{project:str}/revive", status_code=200, operation_id="revive_project", tags=["site"])
async def revive(request: AnyRequest, project: _ProjectName) -> Response[ProjectDocument]:
    """Sessions may begin in it again. For admins."""
    change = await once(request, 200, _told)
    made = await projects.revive(visit_of(request).desk.world, change.caller, project)
    return answered(change.body(made), version=made.project.version)


HANDLERS = [page, add, get_one, change_one, retire, revive]

"""`/v1/sessions/{session}/grants` and `/links`, `/v1/links/redeem`, `/v1/roles`: who may do what besides the owner."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Response, delete, get, post
from litestar.params import PathParameter

from hawse.api.rest import fields, limits
from hawse.api.rest.body import body_of
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.limits import PAGE_DEFAULT
from hawse.api.rest.page import Page, page_of
from hawse.api.rest.request_id import once
from hawse.api.rest.response import answered
from hawse.domain.attachment import Attachment
from hawse.domain.grant import CAPABILITIES_MAX, ROLES, USES_MAX, Grant
from hawse.domain.ids import NAME_LENGTH_MAX
from hawse.services import grant as grants
from hawse.services import role as roles
from hawse.services.grant import Taken, Wish
from hawse.services.world import Answered

PATH = "/v1/sessions/{session:str}"
NO_STORE = (b"cache-control", b"no-store")
_encode = msgspec.json.Encoder().encode
_PRINCIPAL = {"minLength": 1, "maxLength": NAME_LENGTH_MAX, "pattern": r"^[A-Za-z0-9:._@+-]*$"}
_WHOM = {"min_length": 1, "max_length": NAME_LENGTH_MAX, "pattern": r"^[A-Za-z0-9:._@+-]*$"}
_CAN_LENGTH_MAX = 100  # "attachment:detach@" and a job's name of 64
Principal = Annotated[str, msgspec.Meta(extra_json_schema=_PRINCIPAL)]
Can = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=_CAN_LENGTH_MAX)]], msgspec.Meta(max_length=CAPABILITIES_MAX)
]
Time = Annotated[float, msgspec.Meta(ge=0, le=limits.INTEGER_MAX)]
RoleName = Literal["observer", "operator", "owner"]
_Whom = Annotated[str, PathParameter(title="a grant's or link's id, or a principal", schema_extra=_WHOM)]


class NewGrant(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """principal: uid:1000, user:alice or group:staff. can: narrows the role: noun:verb, or noun:verb@job.

    expires_at: Unix seconds; null: as long as the session.
    """

    principal: Principal
    role: RoleName = "observer"
    can: Can = []
    expires_at: Time | None = None


class NewLink(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """uses_max: how many people it is good for; null: no bound. What it gives ends at expires_at, too."""

    role: RoleName = "observer"
    can: Can = []
    expires_at: Time | None = None
    uses_max: Annotated[int, msgspec.Meta(ge=1, le=USES_MAX)] | None = 1


class LinkDocument(msgspec.Struct):
    """secret: what to hand over. It is told here and never again."""

    link: Grant
    secret: str


class Redeem(msgspec.Struct, forbid_unknown_fields=True):
    """secret: as the link was handed over. It travels in the body, since paths are logged."""

    secret: Annotated[str, msgspec.Meta(max_length=grants.SECRET_LENGTH_MAX)]


class TakenDocument(msgspec.Struct):
    """What was taken back, and who was cut off with it."""

    grants: list[Grant]
    attachments: list[Attachment]


class VerbDocument(msgspec.Struct):
    """needs: the capability, null when none is needed. roles: those that may. admins: may an admin of the site, who has
    no role? anybody: may everybody try?"""

    name: str
    command: str
    needs: str | None
    roles: list[RoleName]
    note: str
    admins: bool
    anybody: bool


class Roles(msgspec.Struct):
    """The authorization table."""

    roles: dict[str, list[str]]
    verbs: list[VerbDocument]


def _encode_link(made: Grant) -> bytes:
    """What is kept of the answer: not the secret."""
    return _encode({"id": made.id, "version": made.version})


def encode_taken(taken: Taken) -> bytes:
    return _encode({"grants": taken.grants, "attachments": taken.attachments})


@get(PATH + "/grants", operation_id="list_grants", tags=["grants"])
async def page(
    request: AnyRequest, session: fields.SessionName, after: fields.After = "", limit: fields.Limit = PAGE_DEFAULT
) -> Response[Page[Grant]]:
    """The live grants and links of a session, by age; who may not share it sees his own."""
    visit = visit_of(request)
    return page_of(await grants.page(visit.desk.world, visit.caller, session), after=after, limit=limit)


@post(PATH + "/grants", body=NewGrant, operation_id="share", tags=["grants"])
async def share(request: AnyRequest, session: fields.SessionName) -> Response[Grant]:
    """Give somebody a role, or change the one that he has. What he may no longer do is cut at once."""
    data = await body_of(request, NewGrant)
    change = await once(request, 201, _encode)
    wish = Wish(data.role, tuple(data.can), data.expires_at)
    made = await grants.share(visit_of(request).desk.world, change.caller, session, data.principal, wish)
    return answered(change.body(made), version=made.version, status=201)


@delete(PATH + "/grants/{whom:str}", status_code=200, operation_id="unshare", tags=["grants"])
async def unshare(request: AnyRequest, session: fields.SessionName, whom: _Whom) -> Response[TakenDocument]:
    """Take back a grant, a link with all that was made from it, or what a principal has. Who was attached is cut."""
    change = await once(request, 200, encode_taken)
    taken = await grants.unshare(visit_of(request).desk.world, change.caller, session, whom)
    return answered(change.body(taken))


@post(PATH + "/links", body=NewLink, operation_id="make_link", tags=["grants"])
async def link(request: AnyRequest, session: fields.SessionName) -> Response[LinkDocument]:
    """Make a link. A retry with the same request id gets the same link with another secret; the first opens nothing."""
    data = await body_of(request, NewLink)
    world = visit_of(request).desk.world
    change = await once(request, 201, _encode_link)
    try:
        made = await grants.link(
            world, change.caller, session, Wish(data.role, tuple(data.can), data.expires_at, data.uses_max)
        )
    except Answered as first:  # what was kept then is no secret, and the secret was not kept
        id = msgspec.json.decode(first.answer.body)["id"]
        made = await world.store.read(lambda view: view.grant(id))
    secret = await grants.new_secret(world, change.caller, made.id)
    return answered(_encode(LinkDocument(made, secret)), version=made.version, status=201, headers=[NO_STORE])


@post("/v1/links/redeem", status_code=200, body=Redeem, operation_id="redeem_link", tags=["grants"])
async def redeem(request: AnyRequest) -> Response[Grant]:
    """Turn a link's secret into a grant of one's own. Safe to repeat: it is counted once."""
    data = await body_of(request, Redeem)
    visit = visit_of(request)
    made = await grants.redeem(visit.desk.world, visit.caller, data.secret)
    return answered(_encode(made), version=made.version)


@get("/v1/roles", operation_id="list_roles", tags=["grants"])
async def table(request: AnyRequest) -> Response[Roles]:
    """The authorization table: what each role may, and what each verb needs."""
    verbs = [
        VerbDocument(
            verb.name,
            verb.command,
            verb.needs,
            [role.value for role in roles.allowed(verb)],
            verb.note,
            roles.admins_may(verb),
            verb.needs is None and not verb.only_admins,
        )
        for verb in roles.VERBS
    ]
    return answered(_encode(Roles({role.value: sorted(can) for role, can in ROLES.items()}, verbs)))


HANDLERS = [page, share, unshare, link, redeem, table]

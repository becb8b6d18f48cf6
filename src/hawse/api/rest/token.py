"""`/v1/tokens`: what programs and people elsewhere show. A secret is told once, and kept nowhere."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.params import PathParameter, QueryParameter

from hawse.api.rest import fields
from hawse.api.rest.body import body_of
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.limits import PAGE_DEFAULT
from hawse.api.rest.page import Page, page_of
from hawse.api.rest.request_id import once
from hawse.api.rest.response import answered
from hawse.api.rest.user import BodyName
from hawse.domain.ids import NAME_LENGTH_MAX, NAME_PATTERN
from hawse.domain.token import Token
from hawse.services import token as tokens
from hawse.services.token import TokenWish
from hawse.services.world import Answered

NO_STORE = (b"cache-control", b"no-store")
_encode = msgspec.json.Encoder().encode
_NAME = {"min_length": 1, "max_length": NAME_LENGTH_MAX, "pattern": f"^{NAME_PATTERN}$"}
_TokenName = Annotated[str, PathParameter(title="a token's name or id", schema_extra=_NAME)]
_User = Annotated[
    str | None, QueryParameter(name="user", max_length=NAME_LENGTH_MAX, description="whose; default: the caller's")
]


class NewToken(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """user: for whom (an admin says so); null: the caller. expires_at: Unix seconds; null: as long as the site allows.

    project: it is good in this one only. read_only: it looks and changes nothing.
    """

    name: fields.Name
    user: BodyName | None = None
    expires_at: fields.Time | None = None
    project: fields.Name | None = None
    read_only: bool = False


class TokenDocument(msgspec.Struct):
    """secret: what to show, told here and never again."""

    token: Token
    secret: str


def _kept(made: Token) -> bytes:
    """What is kept of the answer: not the secret, which is not known to it."""
    return _encode({"id": made.id, "user": made.user, "version": made.version})


@get("/v1/tokens", operation_id="list_tokens", tags=["site"])
async def page(
    request: AnyRequest, user: _User = None, after: fields.After = "", limit: fields.Limit = PAGE_DEFAULT
) -> Response[Page[Token]]:
    """The tokens of one user that open something, by age, without their secrets."""
    visit = visit_of(request)
    return page_of(await tokens.page(visit.desk.world, visit.caller, user=user), after=after, limit=limit)


@post("/v1/tokens", body=NewToken, operation_id="make_token", tags=["site"])
async def make(request: AnyRequest) -> Response[TokenDocument]:
    """Make a token. A retry with the same request id gets it with another secret; the first opens nothing."""
    data = await body_of(request, NewToken)
    world = visit_of(request).desk.world
    change = await once(request, 201, _kept)
    try:
        made, secret = await tokens.make(
            world, change.caller, TokenWish(data.name, data.user, data.expires_at, data.project, data.read_only)
        )
    except Answered as first:
        known = msgspec.json.decode(first.answer.body)
        made, secret = await tokens.renew(world, visit_of(request).caller, known["id"], user=known["user"])
    return answered(_encode(TokenDocument(made, secret)), version=made.version, status=201, headers=[NO_STORE])


@post("/v1/tokens/{token:str}/renew", status_code=200, operation_id="renew_token", tags=["site"])
async def renew(request: AnyRequest, token: _TokenName, user: _User = None) -> Response[TokenDocument]:
    """Another secret for a token; the present one opens nothing from now on. A retry makes yet another."""
    visit = visit_of(request)
    made, secret = await tokens.renew(visit.desk.world, visit.caller, token, user=user)
    return answered(_encode(TokenDocument(made, secret)), version=made.version, headers=[NO_STORE])


@delete("/v1/tokens/{token:str}", status_code=200, operation_id="revoke_token", tags=["site"])
async def revoke(request: AnyRequest, token: _TokenName, user: _User = None) -> Response[Token]:
    """A token opens nothing any more, from this commit on."""
    change = await once(request, 200, _encode)
    made = await tokens.revoke(visit_of(request).desk.world, change.caller, token, user=user)
    return answered(change.body(made), version=made.version)


HANDLERS = [page, make, renew, revoke]

"""`/v1/channels`: how one wants to be told of what happens. One's own only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter

from hawse.api.rest import fields
from hawse.api.rest.body import body_of
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.limits import PAGE_DEFAULT
from hawse.api.rest.page import Page
from hawse.api.rest.request_id import once
from hawse.api.rest.response import answered
from hawse.api.rest.version import expected
from hawse.domain import channel as rules
from hawse.domain.channel import Channel
from hawse.domain.ids import NAME_LENGTH_MAX
from hawse.domain.notice import Kind, Notice
from hawse.services import channel as channels
from hawse.services.channel import ChannelView
from hawse.services.world import Answered

PATH = "/v1/channels"
NO_STORE = (b"cache-control", b"no-store")
_encode = msgspec.json.Encoder().encode
_NAMED = {"min_length": 1, "max_length": NAME_LENGTH_MAX, "pattern": r"^[A-Za-z0-9._+-]*$"}
_TEXT = {"pattern": r"^[^\x00-\x1f\x7f]*$"}
ChannelName = Annotated[str, PathParameter(title="a channel's id or name", schema_extra=_NAMED)]
MeansName = Literal["webhook", "mail", "command", "desktop"]
KindName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": [kind for kind in Kind if kind != Kind.TEST]})]
Kinds = Annotated[list[KindName], msgspec.Meta(min_length=1, max_length=len(Kind))]
_Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=rules.PATTERN_LENGTH_MAX, extra_json_schema=_TEXT)]
Patterns = Annotated[list[_Pattern], msgspec.Meta(max_length=rules.SESSIONS_MAX)]
_Word = Annotated[str, msgspec.Meta(max_length=rules.ARGUMENT_LENGTH_MAX, extra_json_schema=_TEXT)]
_Words = Annotated[list[_Word], msgspec.Meta(max_length=rules.ARGV_MAX)]
_Variables = Annotated[dict[_Word, _Word], msgspec.Meta(max_length=len(rules.DISPLAY_VARIABLES))]
_Number = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Settings = Annotated[dict[fields.Name, _Word | _Number | _Words | _Variables], msgspec.Meta(max_length=10)]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=rules.PASSWORD_LENGTH_MAX, extra_json_schema=_TEXT)]


class NewChannel(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """settings: of a webhook `url`; of a mail `host`, `port`, `security` (starttls, tls, none), `sender`, `recipients`,
    `login`, `password_file`; of a command `argv`; of a desktop `environment`.

    secret: a webhook's signing key (whsec_ and base64; null: one is made), a mail's password. kinds: null: all but
    job_started. sessions: NAME or KEY=VALUE of a label, with * and ?; none: all that one may see.
    """

    means: MeansName
    settings: Settings
    name: fields.Name | None = None
    kinds: Kinds | None = None
    sessions: Patterns = []
    secret: Secret | None = None


class ChannelChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is not given stays. settings replace all settings."""

    name: fields.Name | None = None
    state: Literal["on", "off"] | None = None
    settings: Settings | None = None
    kinds: Kinds | None = None
    sessions: Patterns | None = None
    secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class ChannelDocument(Channel):
    """A channel. waiting, failed: how many of its notices.

    secret: a signing key that was just made; it is told here and never again. "" otherwise.
    """

    waiting: int = 0
    failed: int = 0
    secret: str = ""


def _document(view: ChannelView, secret: str = "") -> bytes:
    return b'%s,"waiting":%d,"failed":%d,"secret":%s}' % (
        _encode(view.channel)[:-1], view.waiting, view.failed, _encode(secret),
    )  # fmt: skip


def _kept(view: ChannelView) -> bytes:
    """What is kept of the answer: not the secret."""
    return _encode({"id": view.channel.id, "made": bool(view.secret)})


@post(PATH, body=NewChannel, operation_id="add_channel", tags=["channels"])
async def add(request: AnyRequest) -> Response[ChannelDocument]:
    """Add a channel. A retry with the same request id gets the same channel; a key that was made is made anew."""
    data = await body_of(request, NewChannel)
    world = visit_of(request).desk.world
    change = await once(request, 201, _kept)
    wanted = channels.NewChannel(data.means, data.settings, data.name, data.kinds, data.sessions, data.secret)
    try:
        made = await channels.add(world, change.caller, wanted)
        secret = made.secret
    except Answered as first:  # what was kept then is no secret
        known: dict[str, Any] = msgspec.json.decode(first.answer.body)
        made = await channels.get(world, change.caller, known["id"])
        secret = await channels.new_signing_key(world, change.caller, known["id"]) if known["made"] else ""
    return answered(_document(made, secret), version=made.channel.version, status=201, headers=[NO_STORE])


@get(PATH, operation_id="list_channels", tags=["channels"])
async def page(
    request: AnyRequest, after: fields.After = "", limit: fields.Limit = PAGE_DEFAULT
) -> Response[Page[ChannelDocument]]:
    """The caller's channels, by age."""
    visit = visit_of(request)
    found = [one for one in await channels.page(visit.desk.world, visit.caller) if one.channel.id > after]
    items = found[:limit]
    following = _encode(items[-1].channel.id if len(found) > limit else None)
    return answered(b'{"items":[%s],"next":%s}' % (b",".join(map(_document, items)), following))


@get(PATH + "/{channel:str}", operation_id="get_channel", tags=["channels"])
async def get_one(request: AnyRequest, channel: ChannelName) -> Response[ChannelDocument]:
    """One of the caller's channels, by id or name."""
    visit = visit_of(request)
    found = await channels.get(visit.desk.world, visit.caller, channel)
    return answered(_document(found), version=found.channel.version)


@patch(PATH + "/{channel:str}", body=ChannelChange, operation_id="change_channel", tags=["channels"])
async def change(request: AnyRequest, channel: ChannelName) -> Response[ChannelDocument]:
    """Change a channel, or turn it on or off; with If-Match only if nobody was faster."""
    data = await body_of(request, ChannelChange)
    asked = await once(request, 200, _document)
    made = await channels.change(
        visit_of(request).desk.world,
        asked.caller,
        channel,
        version=expected(request),
        new_name=data.name,
        on=None if data.state is None else data.state == "on",
        settings=data.settings,
        kinds=data.kinds,
        sessions=data.sessions,
        secret=data.secret,
    )
    return answered(asked.body(made), version=made.channel.version)


@delete(PATH + "/{channel:str}", status_code=200, operation_id="remove_channel", tags=["channels"])
async def remove(request: AnyRequest, channel: ChannelName) -> Response[ChannelDocument]:
    """Remove a channel with its notices and its secret."""
    asked = await once(request, 200, _document)
    made = await channels.remove(
        visit_of(request).desk.world, asked.caller, channel, version=expected(request)
    )  # fmt: skip
    return answered(asked.body(made))


@post(PATH + "/{channel:str}/test", status_code=201, operation_id="test_channel", tags=["channels"])
async def test(request: AnyRequest, channel: ChannelName) -> Response[Notice]:
    """Send a test notice. The answer is the notice as it waits; how it went, `/v1/notices/{notice}` tells."""
    asked = await once(request, 201, _encode)
    made = await channels.test(visit_of(request).desk.world, asked.caller, channel)
    return answered(asked.body(made), version=made.version, status=201)


HANDLERS = [add, page, get_one, change, remove, test]

"""The OpenAPI document at `/schema/openapi.json`.

Paths and parameters come from Litestar, types from msgspec, which decodes with the very same declarations, and the
rules that hold for all operations (problems, request ids, versions) from here, once.
"""

from __future__ import annotations

import inspect
import json
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Response, Router
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import ParameterKwarg

from hawse import __version__
from hawse.api.rest.examples import EXAMPLES
from hawse.api.rest.limits import KEY_LENGTH_MAX
from hawse.api.rest.problem import MEDIA_TYPE, ProblemDocument

Json = dict[str, Any]
_REF = "#/components/schemas/{name}"
_STATED = ("session", "job", "attachment", "grant", "user", "token", "project")
_STATES = {f"hawse.domain.{noun}.S": f"{noun.capitalize()}State" for noun in _STATED}
_PROBLEM = {"$ref": "#/components/responses/Problem"}
_TEXT = {"type": "string"}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Request id, kept for 24 hours: a retry with the same one gets the first answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH_MAX, "pattern": "^[!-~]+$"},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The version that you decided on, as ETag told it; another present version is a conflict (412).",
    "schema": {"type": "string", "pattern": '^(\\*|"[1-9][0-9]{0,15}")$'},
    "example": '"3"',
}
_LAST_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "With Accept: text/event-stream: number of the last event that was seen; wins over `from`.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,16}$"},
}
_ETAG = {"ETag": {"description": "the version, in quotes", "schema": _TEXT}}
_HEADERS: dict[str, Json] = {
    "read_screen": {
        name: {"schema": _TEXT, "description": text}
        for name, text in {
            "Hawse-Log-Next": "offset to go on with",
            "Hawse-Log-End": "the log's end as of now",
            "Hawse-Job-State": "ended: no more can come",
            "Hawse-Terminal": "columns x rows of the job's terminal then, where it is known",
        }.items()
    },
    "read_log": {
        f"Hawse-Log-{name}": {"schema": _TEXT, "description": text}
        for name, text in {
            "From": "offset of the first byte",
            "Next": "offset to go on with",
            "End": "the log's end as of now",
            "Spans": "offset+length:source ...; source 1 stdout or terminal, 2 stderr",
            "Damaged": "offset+length cause; ... of ranges that are not in the body, or `unverified`; percent-encoded",
        }.items()
    },
    **dict.fromkeys(
        (
            "create_session",
            "get_session",
            "describe_session",
            "extend_session",
            "end_session",
            "run_job",
            "get_job",
            "share",
            "make_link",
            "redeem_link",
        ),
        _ETAG,
    ),
}
_MORE_PARAMETERS: dict[str, list[Json]] = {
    "create_session": [_KEY],
    "describe_session": [_KEY, _IF_MATCH],
    "extend_session": [_KEY, _IF_MATCH],
    "end_session": [_KEY, _IF_MATCH],
    "run_job": [_KEY],
    "stop_job": [_KEY],
    "share": [_KEY],
    "unshare": [_KEY],
    "make_link": [_KEY],
    "list_events": [_LAST_EVENT],
}


class _Completed(JsonRenderPlugin):
    """Litestar's document, with the types and the common rules put in; made once."""

    def __init__(self) -> None:
        super().__init__(path=["/openapi.json", "/"])
        self._made = b""

    def render(self, request: Any, openapi_schema: Json) -> bytes:
        if not self._made:
            handlers = [handler for route in request.app.routes for handler in getattr(route, "route_handlers", ())]
            self._made = json.dumps(completed(openapi_schema, handlers)).encode()
        return self._made


def _no_page(response: Response[Any]) -> Response[Any]:
    """Litestar answers unknown paths below /schema with a page of its own; here they are problems like all others."""
    if response.status_code == HTTPStatus.NOT_FOUND:
        raise NotFoundException
    return response


CONFIG = OpenAPIConfig(
    title="hawse",
    version=__version__,
    openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, after_request=_no_page),
    description="Durable sessions for distributed work.",
    render_plugins=[_Completed()],
)


def completed(document: Json, handlers: list[HTTPRouteHandler]) -> Json:
    """The whole document: Litestar's skeleton, msgspec's types, our rules."""
    by_id = {handler.operation_id: handler for handler in handlers if isinstance(handler.operation_id, str)}
    kinds: dict[Any, None] = {ProblemDocument: None}
    for handler in by_id.values():
        kinds |= dict.fromkeys(kind for kind in (_body(handler), _result(handler)) if kind is not None)
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    named = dict(zip(kinds, schemas, strict=True))
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation, by_id[operation["operationId"]], named)
    document["components"] = {
        "schemas": components,
        "responses": {
            "Problem": {
                "description": "What went wrong, and what to do.",
                "content": {MEDIA_TYPE: {"schema": named[ProblemDocument], "example": EXAMPLES["problem"]}},
            }
        },
    }
    return _with_plain_names(document)


def _complete(operation: Json, handler: HTTPRouteHandler, named: dict[Any, Any]) -> None:
    name = operation["operationId"]
    first, _, rest = (inspect.getdoc(handler.fn) or "").partition("\n")
    operation["summary"] = first.rstrip(".")
    operation["description"] = rest.strip() or first
    declared = handler.parsed_fn_signature.parameters
    limits = {d.name or n: d for n, f in declared.items() if isinstance(d := f.kwarg_definition, ParameterKwarg)}
    for parameter in operation.get("parameters", []):
        _limit(parameter, limits[parameter["name"]])
    operation["parameters"] = operation.get("parameters", []) + _MORE_PARAMETERS.get(name, [])
    body = _body(handler)
    if body is not None:
        content = {"schema": named[body], "examples": {"one": {"value": EXAMPLES[name]}}}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    operation["responses"] = {
        str(handler.status_code): _success(name, handler, named),
        "4XX": _PROBLEM,
        "5XX": _PROBLEM,
    }


def _success(name: str, handler: HTTPRouteHandler, named: dict[Any, Any]) -> Json:
    result = _result(handler)
    if result is None:
        content: Json = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    elif result is str:
        content = {"text/plain": {"schema": _TEXT}, "application/openmetrics-text": {"schema": _TEXT}}
    else:
        content = {"application/json": {"schema": named[result]}}
    if name == "list_events":
        content["text/event-stream"] = {"schema": _TEXT, "example": EXAMPLES["event_stream"]}
    description = "Asked; it goes on." if handler.status_code == 202 else "Done."
    return {"description": description, "content": content, "headers": _HEADERS.get(name, {})}


def _limit(parameter: Json, declared: ParameterKwarg) -> None:
    """Write a parameter's limits as they are declared (Litestar leaves out a minimum of zero)."""
    schema = parameter["schema"]
    one_of = schema.pop("oneOf", None)
    if one_of:
        schema |= one_of[0]
    for keyword, value in (("minimum", declared.ge), ("maximum", declared.le)):
        if value is not None:
            schema[keyword] = value
    for superfluous in ("allowEmptyValue", "allowReserved", "deprecated"):
        parameter.pop(superfluous, None)


def _body(handler: HTTPRouteHandler) -> Any:
    return handler.opt.get("body")


def _result(handler: HTTPRouteHandler) -> Any:
    """T of Response[T]; None for raw bytes, str for metrics."""
    kind = handler.parsed_return_field.inner_types[0].annotation
    return None if kind is bytes else kind


def _with_plain_names(document: Json) -> Json:
    text = json.dumps(document)
    for name, plain in _STATES.items():
        text = text.replace(f'/{name}"', f'/{plain}"').replace(f'"{name}"', f'"{plain}"')
    renamed: Json = json.loads(text)
    return renamed

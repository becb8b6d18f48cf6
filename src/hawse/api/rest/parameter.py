"""Query parameters by the names that they have in a query: which are known, and what is wrong with one.

A handler may call one otherwise (`from` is no name in Python); the declaration says how, and only this module asks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from litestar.params import QueryParameter
from litestar.typing import FieldDefinition

from hawse.api.rest.caller import AnyRequest
from hawse.domain.errors import Invalid

SHOWN_MAX = 60  # characters of what was sent


async def refuse_unknown(request: AnyRequest) -> None:
    """A query parameter that is misspelt or given twice is told, not ignored. Raises Invalid."""
    if not request.scope["query_string"]:
        return
    known = {name for name, field in _declared(request.route_handler).values() if _is_query(field)}
    unknown = sorted(set(request.query_params.keys()) - known)
    if unknown:
        told = ", ".join(sorted(known)) or "none"
        raise Invalid(f"there is no parameter {unknown[0][:SHOWN_MAX]!r} here", next_step=f"known parameters: {told}")
    given = [name for name, _ in request.query_params.multi_items()]
    twice = next((name for name in given if given.count(name) > 1), None)
    if twice is not None:
        raise Invalid(f"the parameter {twice!r} is given more than once")


def not_valid(request: AnyRequest, found: Any) -> Invalid:
    """What Litestar found, `[{key, message, source}]`, by the parameters' own names and in words."""
    if not isinstance(found, list) or not found:
        return Invalid("a parameter is missing or wrong")
    declared = _declared(request.route_handler)
    told = [_told(request, item, *declared.get(item.get("key", ""), (item.get("key"), None))) for item in found]
    said = "; ".join(f"{item['key']}: {item['message']}" for item in told)[:500]
    return Invalid(said, parameters=told)


def _told(request: AnyRequest, item: Mapping[str, Any], name: str, field: FieldDefinition | None) -> dict[str, Any]:
    given = request.query_params.get(name)
    rule = _rule(field) if field is not None and _is_query(field) and given is not None else ""
    return {**item, "key": name, "message": f"{given[:SHOWN_MAX]!r} is {rule}" if given and rule else item["message"]}


def _rule(field: FieldDefinition) -> str:
    """ "not a whole number, 0 or more"; "none of living, ended, all"; "" for a text."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)] or [field.annotation]
    if get_origin(field.annotation) is Literal:
        return f"none of {', '.join(map(str, kinds))}"
    if kinds[0] not in (int, float):
        return ""
    declared: Any = field.kwarg_definition
    bounds = f"{declared.ge} or more" if declared.le is None else f"{declared.ge} to {declared.le}"
    return f"not a {'whole ' if kinds[0] is int else ''}number, {bounds}"


def _is_query(field: FieldDefinition) -> bool:
    return isinstance(field.kwarg_definition, QueryParameter)


def _declared(handler: Any) -> dict[str, tuple[str, FieldDefinition]]:
    """What a handler takes, by its own names: the name in the query or path, and the declaration. Looked up once."""
    found: dict[str, tuple[str, FieldDefinition]] | None = handler.opt.get("declared")
    if found is None:
        fields = handler.parsed_fn_signature.parameters.items()
        found = {name: (getattr(field.kwarg_definition, "name", None) or name, field) for name, field in fields}
        handler.opt["declared"] = found
    return found

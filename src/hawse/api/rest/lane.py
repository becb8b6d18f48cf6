"""The short way from a path to its handler, for requests that are plainly right.

Theory of operation. Litestar declares the operations, makes the OpenAPI document of them, and refuses what is wrong.
Its layers cost as much as the change that a request makes (decision 0005), and a request that is plainly right needs
none of them: its method and path are those of an operation, its path parameters are within their declared bounds, it
has no query and an ordinary Host. `Lanes` is made from Litestar's own routes and declarations, so there is nothing to
keep in step. Whatever is not plainly right is not judged here: `found` is None, and Litestar has the request untouched.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from litestar import Request
from litestar.params import PathParameter, QueryParameter
from litestar.routes import HTTPRoute

from hawse.api.rest.caller import AnyRequest, Visit
from hawse.api.rest.problem import refusal
from hawse.api.rest.response import Made

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.handlers import HTTPRouteHandler
    from litestar.types import HTTPScope, Receive, Send

_HOST = re.compile(rb"[0-9A-Za-z._:\-\[\]]*")  # what every reader takes for a host
Handle = Callable[..., Awaitable[Made]]
Call = tuple[Handle, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a path parameter is declared to be."""

    length_min: int
    length_max: int
    pattern: re.Pattern[str]

    def hold(self, text: str) -> bool:
        return self.length_min <= len(text) <= self.length_max and self.pattern.search(text) is not None


@dataclass(frozen=True, slots=True)
class Lane:
    """One operation. path: with a group for each parameter."""

    path: re.Pattern[str]
    bounds: tuple[Bounds, ...]
    handle: Handle

    @classmethod
    def of(cls, route: HTTPRoute, handler: HTTPRouteHandler) -> Lane | None:
        """None: it has a path parameter that is no bounded text, or that it does not take; or it needs a query."""
        taken_all = handler.parsed_fn_signature.parameters.values()
        if any(isinstance(one.kwarg_definition, QueryParameter) and one.is_required for one in taken_all):
            return None
        pattern, bounds = "", []
        for part in route.path_components:
            if isinstance(part, str):
                pattern += "/" + re.escape(part)
                continue
            taken = handler.parsed_fn_signature.parameters.get(part.name)
            declared = taken and taken.kwarg_definition
            if part.type is not str or not isinstance(declared, PathParameter):
                return None
            schema = declared.schema_extra or {}  # where fields.py declares what the domain checks
            if not schema.keys() >= {"min_length", "max_length", "pattern"}:
                return None
            pattern += f"/(?P<{part.name}>[^/]+)"
            bounds.append(Bounds(schema["min_length"], schema["max_length"], re.compile(schema["pattern"])))
        return cls(re.compile(pattern), tuple(bounds), handler.fn)

    def matched(self, path: str) -> dict[str, str] | None:
        """The path's parameters; None when it is another path, or a parameter is out of bounds."""
        found = self.path.fullmatch(path)
        if found is None:
            return None
        for bounds, text in zip(self.bounds, found.groups(), strict=True):
            if not bounds.hold(text):
                return None
        return found.groupdict()


class Lanes:
    """All lanes, by method and number of slashes."""

    def __init__(self, app: Litestar, handlers: Iterable[HTTPRouteHandler]) -> None:
        """handlers: those that a request may reach without Litestar."""
        functions = {handler.fn for handler in handlers}
        self._lanes: dict[tuple[str, int], list[Lane]] = {}
        for route in app.routes:
            if isinstance(route, HTTPRoute):
                for handler in route.route_handlers:
                    if handler.fn in functions and (lane := Lane.of(route, handler)) is not None:
                        for method in handler.http_methods:
                            self._lanes.setdefault((method, len(route.path_components)), []).append(lane)

    def found(self, scope: HTTPScope, visit: Visit) -> Call | None:
        """The call that the request asks for; None: Litestar is to say."""
        if scope["query_string"] or not _HOST.fullmatch(visit.headers.get(b"host", b"")):
            return None
        path = scope["path"]
        for lane in self._lanes.get((scope["method"], path.count("/")), ()):
            parameters = lane.matched(path)
            if parameters is not None:
                return lane.handle, parameters
        return None


async def served(call: Call, scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Call the handler and send its answer, or the problem that it raised. What fails later is the caller's to tell."""
    handle, parameters = call
    request: AnyRequest = Request(scope, receive, send)
    try:
        answer = await handle(request=request, **parameters)
    except Exception as error:
        answer = refusal(request, error)
    await answer.serve(scope, receive, send)

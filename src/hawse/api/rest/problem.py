"""Errors as problem documents (RFC 9457): the columns of `domain.errors`, and nothing of our insides.

What HTTP itself refuses (no such path, a wrong method, a request that is no HTTP) keeps HTTP's status code and uses the
code of the nearest domain error.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.exceptions import HTTPException, ValidationException

from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.parameter import not_valid
from hawse.api.rest.response import Answer, Header, answered
from hawse.domain.errors import Denied, InternalError, Invalid, NotFound, Problem
from hawse.services.world import Answered

MEDIA_TYPE = "application/problem+json"
_TYPE = (b"content-type", MEDIA_TYPE.encode())
_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder(enc_hook=str).encode


class ProblemDocument(msgspec.Struct, kw_only=True):
    """What went wrong, for programs (`code`, `retry`, further facts) and for people (`detail`, `next`)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    retry: bool
    next: str
    request: str


def document(problem: Problem, *, status: int, request: str) -> bytes:
    """The problem as JSON. Facts stand beside the fixed fields and never replace one."""
    fixed = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": problem.code,
        "detail": problem.detail,
        "retry": problem.retry,
        "next": problem.next_step,
        "request": request,
    }
    return _encode({**problem.facts, **fixed})


def answer(
    request: AnyRequest, problem: Problem, *, status: int | None = None, headers: Iterable[Header] = ()
) -> Answer:
    """The response that tells the problem; with Retry-After where asking again helps by itself."""
    code = status or problem.http
    told = [_TYPE, *headers]
    if problem.retry and code in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        told.append((b"retry-after", b"1"))
    return Answer(document(problem, status=code, request=visit_of(request).id), code, told)


def on_problem(request: AnyRequest, error: Problem) -> Answer:
    """A domain error, as it is."""
    visit = visit_of(request)
    if error.http >= 500:
        _log.warning("request %s: %s: %s", visit.id, error.code, error.detail, extra=visit.concerns())
    if isinstance(error, Denied):
        visit.denied = error
    return answer(request, error)


def on_http(request: AnyRequest, error: HTTPException) -> Answer:
    """What Litestar refused."""
    headers = [(b"allow", value.encode()) for name, value in (error.headers or {}).items() if name.lower() == "allow"]
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return answer(request, NotFound("there is no such path", next_step="GET /schema lists all paths"))
        case HTTPStatus.METHOD_NOT_ALLOWED:
            problem = Invalid(f"{request.method} is not possible here")
            return answer(request, problem, status=error.status_code, headers=headers)
        case HTTPStatus.BAD_REQUEST if isinstance(error, ValidationException):
            return answer(request, not_valid(request, error.extra))
        case status if status < 500:
            return answer(request, Invalid(error.detail), status=status, headers=headers)
    return on_mistake(request, error)


def on_mistake(request: AnyRequest, error: Exception) -> Answer:
    """Our bug: the log has the traceback, the caller gets the request's id."""
    visit = visit_of(request)
    where = request.scope["path"]
    _log.error("request %s: %s %s failed", visit.id, request.method, where, exc_info=error, extra=visit.concerns())
    return answer(request, mistake(visit.id))


def mistake(visit_id: str) -> InternalError:
    """What the caller hears of our bug."""
    return InternalError(f"hawse made a mistake; the coordinator's log has it under request {visit_id}")


def on_answered(_request: AnyRequest, error: Answered) -> Answer:
    """A retry: the first answer again."""
    first = error.answer
    version = msgspec.json.decode(first.body, type=_Versioned).version
    return answered(first.body, version=version, status=first.status, headers=[(b"idempotency-replayed", b"true")])


class _Versioned(msgspec.Struct):
    version: int | None = None


HANDLERS: dict[int | type[Exception], Any] = {
    Problem: on_problem,
    Answered: on_answered,
    HTTPException: on_http,
    Exception: on_mistake,
}


def refusal(request: AnyRequest, error: Exception) -> Answer:
    """The answer to what a handler raised, as Litestar would find it."""
    tell = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
    told: Answer = tell(request, error)
    return told


__all__ = ["HANDLERS", "MEDIA_TYPE", "ProblemDocument", "answer", "document", "refusal"]

"""Answers whose bytes are made already: JSON that may also stand in the store as a request's first answer.

Sent as they are: Litestar's general response looks at encodings, cookies and background tasks, which there are none of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from litestar import Response

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

Header = tuple[bytes, bytes]
_JSON = (b"content-type", b"application/json")


class Made(Response[Any], ABC):
    """What a handler returns: it sends itself. Nothing of Response's is used."""

    def __init__(self) -> None: ...

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        return self.serve

    @abstractmethod
    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Answer(Made):
    """A whole answer: status, headers, bytes."""

    def __init__(self, body: bytes, status: int, headers: Iterable[Header]) -> None:
        told = [*headers] if status == 204 else [*headers, (b"content-length", b"%d" % len(body))]  # RFC 9110, 8.6
        self._head: Any = {"type": "http.response.start", "status": status, "headers": told}
        self._body: Any = {"type": "http.response.body", "body": body, "more_body": False}

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(self._head)
        await send(self._body)


def answered(body: bytes, *, version: int | None = None, status: int = 200, headers: Iterable[Header] = ()) -> Answer:
    """JSON bytes, with the object's version as ETag."""
    if version is not None:
        return Answer(body, status, (_JSON, (b"etag", b'"%d"' % version), *headers))
    return Answer(body, status, (_JSON, *headers))

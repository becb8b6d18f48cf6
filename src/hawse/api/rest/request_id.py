"""Request ids: a change that is asked for twice with the same `Idempotency-Key` is made once.

The first answer is stored in the transaction of the change itself, so there is no moment at which one is there without
the other, and of two requests at the same time one makes the change.
Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from hawse.api.rest.body import raw_body
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.limits import KEY_LENGTH_MAX
from hawse.domain.errors import Invalid
from hawse.services.world import Caller, Request

HEADER = "idempotency-key"
_DIGESTED = ("if-match",)  # headers that are part of what is asked
_KEY = re.compile(rf"[\x21-\x7e]{{1,{KEY_LENGTH_MAX}}}")
T = TypeVar("T")


class Once(Generic[T]):
    """One change: its caller, and its result as it goes to the client and into the store."""

    def __init__(self, caller: Caller, status: int, encode: Callable[[T], bytes]) -> None:
        self.caller = caller
        self.status = status
        self._encode = encode
        self._made: tuple[T, bytes] | None = None

    def stored(self, result: Any) -> tuple[int, bytes]:
        """The answer to keep; called inside the transaction, again if that is tried again."""
        body = self._encode(result)
        self._made = (result, body)
        return self.status, body

    def body(self, result: T) -> bytes:
        """The answer to send: the very bytes that were kept, if any were."""
        if self._made is not None and self._made[0] is result:
            return self._made[1]
        return self._encode(result)


async def once(request: AnyRequest, status: int, encode: Callable[[T], bytes]) -> Once[T]:
    """The caller of a changing request, with the request id if the client gave one. Raises Invalid."""
    visit = visit_of(request)
    caller, key = visit.caller, visit.header(HEADER)
    if key is None:
        return Once(caller, status, encode)
    if not _KEY.fullmatch(key):
        raise Invalid(f"Idempotency-Key has 1 to {KEY_LENGTH_MAX} visible ASCII characters", limit=KEY_LENGTH_MAX)
    made: Once[T] = Once(caller, status, encode)
    made.caller = replace(caller, request=Request(id=key, digest=await _digest(request), encode=made.stored))
    return made


async def _digest(request: AnyRequest) -> str:
    """What was asked: method, path, query, the headers that matter, body."""
    scope, visit = request.scope, visit_of(request)
    digest = hashlib.blake2b(digest_size=20)
    parts = [scope["method"].encode(), scope["raw_path"], scope["query_string"]]
    parts += [visit.header(name, "").encode("latin-1") for name in _DIGESTED]
    for part in (*parts, await raw_body(request)):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()

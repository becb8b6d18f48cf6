"""Answers whose bytes are made already: JSON that may also stand in the store as a request's first answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Response

from hawse.api.rest.version import tag


def answered(
    body: bytes, *, version: int | None = None, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[Any]:
    """JSON bytes, with the object's version as ETag."""
    told = dict(headers or {})
    if version is not None:
        told |= tag(version)
    return Response(body, status_code=status, media_type="application/json", headers=told)

"""Pages: `{items, next}`; `next` is what to ask with as `after`, null at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import msgspec
from litestar import Response

from hawse.api.rest.response import answered


class _Named(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T")
N = TypeVar("N", bound=_Named)
_encode = msgspec.json.Encoder().encode


class Page(msgspec.Struct, Generic[T]):
    """Some items by age, and where the next page begins."""

    items: list[T]
    next: str | None


def page_of(rows: Sequence[N], *, after: str, limit: int) -> Response[Page[N]]:
    """One page of rows that are all here, in the order of their ids."""
    behind = [row for row in rows if row.id > after] if after else rows
    items = behind[:limit]
    return answered(_encode({"items": items, "next": items[-1].id if len(behind) > limit else None}))

"""`hawse.aio`: the asyncio twins of `hawse.open` and `hawse.connect`.

Both may be awaited, or entered directly: `async with hawse.aio.open("shop") as s: ...`
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from hawse.client._async.attachment import Attachment
from hawse.client._async.face import connect as _connect
from hawse.client._async.face import open_session as _open_session
from hawse.client._async.job import Job
from hawse.client._async.server import Server
from hawse.client._async.session import Session


class _Closable(Protocol):
    async def aclose(self) -> None: ...


T = TypeVar("T", bound=_Closable)


class Opening(Generic[T]):
    """Something that opens when awaited or entered."""

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._made: T | None = None

    def __await__(self) -> Generator[Any, None, T]:
        return self._make().__await__()

    async def __aenter__(self) -> T:
        self._made = await self._make()
        return self._made

    async def __aexit__(self, *_: object) -> None:
        if self._made is not None:
            await self._made.aclose()


def connect(server: str | None = None, *, start: str = "auto") -> Opening[Server]:
    """Connect to the user's coordinator. See hawse.connect."""
    return Opening(lambda: _connect(server, start=start))


def open(
    name: str | None = None,
    *,
    create: bool = True,
    server: str | None = None,
    start: str = "auto",
    lease: str | None = None,
    policies: Mapping[str, Any] | None = None,
    description: str = "",
    labels: Mapping[str, str] | None = None,
) -> Opening[Session]:
    """The living session with this name, or a new one. See hawse.open."""
    return Opening(
        lambda: _open_session(
            name,
            create=create,
            server=server,
            start=start,
            lease=lease,
            policies=policies,
            description=description,
            labels=labels,
        )
    )


__all__ = ["Attachment", "Job", "Opening", "Server", "Session", "connect", "open"]

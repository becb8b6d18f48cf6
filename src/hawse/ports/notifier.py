"""What tells people: one notifier for each means, and who people are.

A notifier is stateless: it is given everything, tries once, and says how it went. When to try again is not its matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hawse.domain.notice import Notice


@dataclass(frozen=True, slots=True)
class Parcel:
    """One notice on its way. document: what programs get, as JSON (spec 10, section 4). host: where it happened.

    secret: of its channel; it must not be shown anywhere. now: when this try began, Unix seconds.
    """

    notice: Notice
    settings: Mapping[str, Any]
    document: Mapping[str, Any]
    host: str
    now: float
    secret: bytes | None = field(default=None, repr=False)


class Notifier(Protocol):
    """Sends over one means."""

    async def send(self, parcel: Parcel) -> None:
        """Try once. Returned: the receiver has taken it.

        Raises Unavailable (another try may help) or Invalid (none will), with a cause for people, in which no secret
        stands. If cancelled, also by the caller's deadline: it may or may not have been taken; nothing is left running.
        """
        ...


class People(Protocol):
    """Who principals are, as far as this coordinator can know while they do not call."""

    async def groups(self, principal: str) -> frozenset[str] | None:
        """Their groups as principals; None: there is no such user any more. In bounded time: none, if unsure."""
        ...

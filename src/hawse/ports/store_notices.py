"""What keeps channels and notices: the part of `ports/store.py` that tells people.

Neither belongs to a session, so no change of them is an event. An event whose kind is told (domain/notice_words.py)
stores the effect `SendNotice(session, seq)` in its own transaction, if any channel is on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from hawse.domain.channel import Channel
from hawse.domain.notice import Notice


class NoticeView(Protocol):
    """Reads. Unknown ids raise NotFound."""

    def channel(self, id: str) -> Channel: ...
    def channel_named(self, principal: str, name: str) -> Channel: ...
    def channels(self, principal: str) -> list[Channel]:
        """One person's, by age."""
        ...

    def channels_on(self, principals: Collection[str] | None = None) -> list[Channel]:
        """Those that are on, by age: of these principals, or (None) of everybody."""
        ...

    def notice(self, id: str) -> Notice: ...
    def notices(
        self, *, principal: str | None = None, channel: str | None = None, state: str | None = None, before: str = "",
        limit: int = 100,
    ) -> list[Notice]:  # fmt: skip
        """Newest first, with ids less than `before` ("": from the newest): of a channel, or of a principal.

        1 <= limit <= 1000, else Invalid.
        """
        ...

    def notice_counts(self, channel: str) -> Mapping[str, int]:
        """How many there are, by state; states without one are left out."""
        ...

    def notices_due(self, now: float, limit: int, *, without: Sequence[str] = ()) -> list[Notice]:
        """Waiting ones, longest due first. without: channels that are left out."""
        ...

    def next_notice_at(self, after: float) -> float | None:
        """The earliest due time of a waiting one that is greater than `after`."""
        ...


class NoticeUnit(NoticeView, Protocol):
    """Writes of one transaction."""

    def add_channel(self, channel: Channel) -> None:
        """Raises Clash (the principal has one of this name), Invalid."""
        ...

    def save_channel(self, before: Channel, after: Channel) -> Channel:
        """With the next version. Raises Conflict (the version moved), NotFound, Clash, Invalid."""
        ...

    def remove_channel(self, channel: Channel) -> None:
        """With its notices and its secret. Raises Conflict, NotFound."""
        ...

    def add_notice(self, notice: Notice) -> bool:
        """False: this event was told over this channel before, and nothing is written. Raises NotFound (the channel),
        Invalid."""
        ...

    def save_notice(self, before: Notice, after: Notice) -> Notice:
        """With the next version; what it tells stays. Raises Conflict, NotFound, Invalid."""
        ...

    def forget_notices(self, channel: str, *, keep: int) -> int:
        """Remove the oldest that are over, beyond the `keep` newest; how many were removed."""
        ...

    def replace_secret(self, owner: str, secret: bytes) -> None:
        """Keep a secret, whether there is one or not. A channel's is kept as it is: it must sign, or log in."""
        ...

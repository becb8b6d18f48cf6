"""Channels and notices of the memory store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol, TypeVar

from hawse.adapters.store.fields import check_text, from_json, to_json
from hawse.domain import channel as channels
from hawse.domain import notice as notices
from hawse.domain.channel import Channel
from hawse.domain.effect import Effect, SendNotice
from hawse.domain.errors import Clash, Conflict, Invalid, NotFound
from hawse.domain.notice import Notice

T = TypeVar("T")
PAGE_MAX = 1000
ABSENT = object()


class _Disk(Protocol):
    """The part of a MemoryDisk that this needs."""

    channels: dict[str, Channel]
    notices: dict[str, Notice]
    secrets: dict[str, bytes]


def paged(found: Iterable[T], limit: int) -> list[T]:
    """The first of them. Raises Invalid."""
    if not 1 <= limit <= PAGE_MAX:
        raise Invalid(f"limit {limit} is not within 1 to {PAGE_MAX}")
    return list(islice(found, limit))


class MemoryNoticeView:
    """Reads; see ports/store_notices.py."""

    _disk: Any  # a MemoryDisk

    def channel(self, id: str) -> Channel:
        disk: _Disk = self._disk
        if id not in disk.channels:
            raise NotFound(f"there is no channel {id}", channel=id)
        return disk.channels[id]

    def channel_named(self, principal: str, name: str) -> Channel:
        for channel in self.channels(principal):
            if channel.name == name:
                return channel
        raise NotFound(f"there is no channel {name!r}", channel=name)

    def channels(self, principal: str) -> list[Channel]:
        return [one for one in self._every_channel() if one.principal == principal]

    def channels_on(self, principals: Collection[str] | None = None) -> list[Channel]:
        on = [one for one in self._every_channel() if one.state == channels.S.ON]
        return on if principals is None else [one for one in on if one.principal in principals]

    def _every_channel(self) -> list[Channel]:
        found: Iterable[Channel] = self._disk.channels.values()
        return sorted(found, key=lambda one: one.id)

    def notice(self, id: str) -> Notice:
        disk: _Disk = self._disk
        if id not in disk.notices:
            raise NotFound(f"there is no notice {id}", notice=id)
        return disk.notices[id]

    def notices(
        self, *, principal: str | None = None, channel: str | None = None, state: str | None = None, before: str = "",
        limit: int = 100,
    ) -> list[Notice]:  # fmt: skip
        found = (
            one for one in sorted(self._disk.notices.values(), key=lambda one: one.id, reverse=True)
            if (one.channel == channel if channel is not None else one.principal == (principal or ""))
            and state in (None, one.state) and (not before or one.id < before)
        )  # fmt: skip
        return paged(found, limit)

    def notice_counts(self, channel: str) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for one in self._disk.notices.values():
            if one.channel == channel:
                counts[one.state.value] = counts.get(one.state.value, 0) + 1
        return counts

    def notices_due(self, now: float, limit: int, *, without: Sequence[str] = ()) -> list[Notice]:
        due = [one for one in self._waiting() if one.due_at <= now and one.channel not in without]
        return paged(sorted(due, key=lambda one: (one.due_at, one.id)), limit)

    def next_notice_at(self, after: float) -> float | None:
        return min((one.due_at for one in self._waiting() if one.due_at > after), default=None)

    def _waiting(self) -> list[Notice]:
        return [one for one in self._disk.notices.values() if one.state == notices.S.WAITING]


class MemoryNoticeUnit(MemoryNoticeView):
    """Writes that can be undone; see ports/store_notices.py."""

    _put: Callable[[dict[Any, Any], Any, Any], None]
    _add: Callable[[str, Effect, float], None]
    drop_secret: Callable[[str], None]

    def _tell(self, session: str, seq: int, now: float) -> None:
        if self.channels_on():
            self._add(session, SendNotice(session, seq), now)

    def add_channel(self, channel: Channel) -> None:
        check_text((channel.principal, channel.name, *channel.kinds, *channel.sessions))
        self._check_channel_name(channel)
        self._put(self._disk.channels, channel.id, _stored_channel(channel))

    def save_channel(self, before: Channel, after: Channel) -> Channel:
        check_text((after.name, *after.kinds, *after.sessions))
        if after.name != before.name:
            self._check_channel_name(after)
        self._check_version(self.channel(before.id), before)
        kept = replace(_stored_channel(after), version=before.version + 1)
        self._put(self._disk.channels, before.id, kept)
        return kept

    def remove_channel(self, channel: Channel) -> None:
        self._check_version(self.channel(channel.id), channel)
        for notice in [one for one in self._disk.notices.values() if one.channel == channel.id]:
            self._put(self._disk.notices, notice.id, ABSENT)
        self.drop_secret(channel.id)
        self._put(self._disk.channels, channel.id, ABSENT)

    def _check_channel_name(self, channel: Channel) -> None:
        for other in self.channels(channel.principal):
            if other.name == channel.name and other.id != channel.id:
                raise Clash(f"you have a channel {channel.name!r} already", next_step="choose another --name")

    def _check_version(self, present: Channel | Notice, before: Channel | Notice) -> None:
        if present.version != before.version:
            raise Conflict(f"{before.id} was changed since version {before.version}", version=before.version)

    def add_notice(self, notice: Notice) -> bool:
        check_text((notice.subject, notice.text, notice.command, notice.cause))
        self.channel(notice.channel)
        key = notice.channel, notice.session, notice.seq
        if notice.seq and any((one.channel, one.session, one.seq) == key for one in self._disk.notices.values()):
            return False
        self._put(self._disk.notices, notice.id, replace(notice, body=from_json(to_json(notice.body))))
        return True

    def save_notice(self, before: Notice, after: Notice) -> Notice:
        check_text((after.cause,))
        self._check_version(self.notice(before.id), before)
        kept = replace(after, version=before.version + 1)
        self._put(self._disk.notices, before.id, kept)
        return kept

    def forget_notices(self, channel: str, *, keep: int) -> int:
        every = sorted((one for one in self._disk.notices.values() if one.channel == channel), key=lambda one: one.id)
        old = [one for one in every[: max(0, len(every) - keep)] if one.state != notices.S.WAITING]
        for notice in old:
            self._put(self._disk.notices, notice.id, ABSENT)
        return len(old)

    def replace_secret(self, owner: str, secret: bytes) -> None:
        self._put(self._disk.secrets, owner, secret)

    def _remove_notices(self, session: str) -> None:
        for notice in [one for one in self._disk.notices.values() if one.session == session]:
            self._put(self._disk.notices, notice.id, ABSENT)


def _stored_channel(channel: Channel) -> Channel:
    return replace(channel, settings=from_json(to_json(channel.settings)))

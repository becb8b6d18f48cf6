"""Channels and notices over named statements; what SQLite and PostgreSQL have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hawse.adapters.store import rows
from hawse.adapters.store.fields import check_text, effect_to_json, to_json
from hawse.adapters.store.rows import Columns, Parameters
from hawse.domain.channel import Channel
from hawse.domain.effect import SendNotice
from hawse.domain.errors import Clash, Conflict, Invalid, NotFound
from hawse.domain.notice import Notice

PAGE_MAX = 1000
LAST = "~"  # behind every id: ids are hexadecimal


def check_page(limit: int) -> int:
    """The limit, if it is one. Raises Invalid."""
    if not 1 <= limit <= PAGE_MAX:
        raise Invalid(f"limit {limit} is not within 1 to {PAGE_MAX}")
    return limit


class SqlNoticeView(ABC):
    """Reads; see ports/store_notices.py."""

    @abstractmethod
    def _all(self, name: str, parameters: Parameters) -> list[Columns]:
        """All rows that a statement gives."""

    def _one(self, name: str, parameters: Parameters) -> Columns | None:
        """The first row, if any."""
        found = self._all(name, parameters)
        return found[0] if found else None

    def channel(self, id: str) -> Channel:
        row = self._one("channel_by_id", {"id": id})
        if row is None:
            raise NotFound(f"there is no channel {id}", channel=id)
        return rows.channel_from(row)

    def channel_named(self, principal: str, name: str) -> Channel:
        row = self._one("channel_named", {"principal": principal, "name": name})
        if row is None:
            raise NotFound(f"there is no channel {name!r}", channel=name)
        return rows.channel_from(row)

    def channels(self, principal: str) -> list[Channel]:
        return [rows.channel_from(row) for row in self._all("channels_of_principal", {"principal": principal})]

    def channels_on(self, principals: Collection[str] | None = None) -> list[Channel]:
        if principals is None:
            return [rows.channel_from(row) for row in self._all("channels_on", {})]
        found = self._all("channels_on_of", {"principals": to_json(sorted(principals))})
        return [rows.channel_from(row) for row in found]

    def notice(self, id: str) -> Notice:
        row = self._one("notice_by_id", {"id": id})
        if row is None:
            raise NotFound(f"there is no notice {id}", notice=id)
        return rows.notice_from(row)

    def notices(
        self, *, principal: str | None = None, channel: str | None = None, state: str | None = None, before: str = "",
        limit: int = 100,
    ) -> list[Notice]:  # fmt: skip
        parameters: dict[str, Any] = {"before": before or LAST, "limit": check_page(limit)}
        name = "notices_of_principal"
        if channel is not None:
            name, parameters["channel"] = "notices_of_channel", channel
        else:
            parameters["principal"] = principal or ""
        if state is not None:
            name, parameters["state"] = f"{name}_in_state", state
        return [rows.notice_from(row) for row in self._all(name, parameters)]

    def notice_counts(self, channel: str) -> Mapping[str, int]:
        return {row[0]: int(row[1]) for row in self._all("notice_counts", {"channel": channel})}

    def notices_due(self, now: float, limit: int, *, without: Sequence[str] = ()) -> list[Notice]:
        parameters = {"now": now, "limit": check_page(limit), "without": to_json(list(without))}
        return [rows.notice_from(row) for row in self._all("notices_due", parameters)]

    def next_notice_at(self, after: float) -> float | None:
        row = self._one("notice_next_at", {"after": after})
        return None if row is None else row[0]


class SqlNoticeUnit(SqlNoticeView):
    """Writes of one transaction; see ports/store_notices.py. effects: whether it stored any."""

    effects: bool

    @abstractmethod
    def _run(self, name: str, parameters: Parameters) -> int:
        """Run a statement that writes; return how many rows it touched."""

    @abstractmethod
    def _spend(self, count: int) -> None:
        """Tell how many rows the next statement may touch, where a database cares."""

    @abstractmethod
    def drop_secret(self, owner: str) -> None: ...

    def _tell(self, session: str, seq: int, now: float) -> None:
        """An event that is told was appended: let its notices be made, if anybody wants any."""
        _, body = effect_to_json(SendNotice(session, seq))
        if self._run("effect_add_if_told", {"session": session, "body": body, "due_at": now}) > 0:
            self.effects = True

    def add_channel(self, channel: Channel) -> None:
        check_text((channel.principal, channel.name, *channel.kinds, *channel.sessions))
        self._check_channel_name(channel)
        self._run("channel_insert", rows.channel_parameters(channel))

    def save_channel(self, before: Channel, after: Channel) -> Channel:
        check_text((after.name, *after.kinds, *after.sessions))
        if after.name != before.name:
            self._check_channel_name(after)
        if not self._run("channel_update", dict(rows.channel_parameters(after), version=before.version)):
            raise self._moved_row("channel", before.id, before.version)
        return rows.renewed(after, before.version + 1)

    def remove_channel(self, channel: Channel) -> None:
        present = self.channel(channel.id)
        if present.version != channel.version:
            raise self._moved_row("channel", channel.id, channel.version)
        self._spend(sum(self.notice_counts(channel.id).values()))
        self._run("notices_remove_of_channel", {"channel": channel.id})
        self.drop_secret(channel.id)
        self._run("channel_remove", {"id": channel.id, "version": channel.version})

    def _check_channel_name(self, channel: Channel) -> None:
        row = self._one("channel_named", {"principal": channel.principal, "name": channel.name})
        if row is not None and row[0] != channel.id:
            raise Clash(f"you have a channel {channel.name!r} already", next_step="choose another --name")

    def add_notice(self, notice: Notice) -> bool:
        check_text((notice.subject, notice.text, notice.command, notice.cause))
        self.channel(notice.channel)
        event = {"channel": notice.channel, "session": notice.session, "seq": notice.seq}
        if self._one("notice_of_event", event) is not None:
            return False
        self._run("notice_insert", rows.notice_parameters(notice))
        return True

    def save_notice(self, before: Notice, after: Notice) -> Notice:
        check_text((after.cause,))
        if not self._run("notice_update", dict(rows.notice_parameters(after), version=before.version)):
            raise self._moved_row("notice", before.id, before.version)
        return rows.renewed(after, before.version + 1)

    def forget_notices(self, channel: str, *, keep: int) -> int:
        self._spend(max(0, sum(self.notice_counts(channel).values()) - keep))
        return self._run("notices_forget", {"channel": channel, "keep": keep})

    def replace_secret(self, owner: str, secret: bytes) -> None:
        self.drop_secret(owner)
        self._run("secret_keep", {"owner": owner, "hash": secret})

    def _moved_row(self, noun: str, id: str, version: int) -> Conflict | NotFound:
        """Why an update found no row."""
        if self._one(f"{noun}_by_id", {"id": id}) is None:
            return NotFound(f"there is no {noun} {id} any more")
        return Conflict(f"{noun} {id} was changed since version {version}", version=version)

"""How one wants to be told: channels, and the notices that go over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hawse.client.link_async import now
from hawse.client.names import did_you_mean, quoted
from hawse.client.records_notices import ChannelInfo, NoticeInfo
from hawse.domain.errors import NotFound

if TYPE_CHECKING:
    from hawse.client._async.transport import Transport

PAGE = 200
WAIT_S = 30.0  # one long poll
TRY_S = 45.0  # longer than the coordinator's deadline of one try


class Notices:
    """`server.notices`: one's own channels and notices."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def add(
        self,
        means: str,
        settings: Mapping[str, Any],
        *,
        name: str | None = None,
        kinds: Sequence[str] | None = None,
        sessions: Sequence[str] = (),
        secret: str | None = None,
    ) -> ChannelInfo:
        """Add a channel. means: "webhook", "mail", "command" or "desktop". `secret` of the answer is told only here.

        settings, kinds, sessions, secret: see `POST /v1/channels`. Raises Invalid, Denied, Clash, LimitReached.
        """
        body = {
            "means": means, "settings": dict(settings), "name": name, "kinds": None if kinds is None else list(kinds),
            "sessions": list(sessions), "secret": secret,
        }  # fmt: skip
        body = {key: value for key, value in body.items() if value is not None}
        return ChannelInfo((await self._transport.request("POST", "/v1/channels", body=body)).json())

    async def channels(self) -> list[ChannelInfo]:
        """All of them, by age."""
        page = (await self._transport.request("GET", "/v1/channels", query={"limit": PAGE})).json()
        return [ChannelInfo(item) for item in page["items"]]

    async def channel(self, name: str) -> ChannelInfo:
        """The channel of this name or id. Raises NotFound, with names that are near."""
        try:
            return ChannelInfo((await self._transport.request("GET", f"/v1/channels/{quoted(name)}")).json())
        except NotFound as error:
            near = did_you_mean(name, [one.name for one in await self.channels()])
            raise NotFound(f"you have no channel {name!r}{near}", next_step="hawse notify ls lists yours") from error

    async def change(self, channel: str, /, *, version: int | None = None, **changes: Any) -> ChannelInfo:
        """Change name, state ("on", "off"), settings, kinds, sessions or secret. Raises NotFound, Invalid, Conflict."""
        path = f"/v1/channels/{quoted(channel)}"
        return ChannelInfo((await self._transport.request("PATCH", path, body=changes, version=version)).json())

    async def remove(self, name: str) -> ChannelInfo:
        """Remove a channel with its notices and its secret. Raises NotFound."""
        return ChannelInfo((await self._transport.request("DELETE", f"/v1/channels/{quoted(name)}")).json())

    async def test(self, name: str) -> NoticeInfo:
        """Send a test over a channel; the notice as it waits. Raises NotFound, IllegalMove (it is off)."""
        return NoticeInfo((await self._transport.request("POST", f"/v1/channels/{quoted(name)}/test")).json())

    async def each(self, *, state: str = "all", channel: str = "") -> AsyncIterator[NoticeInfo]:
        """The notices, the newest first. state: "waiting", "sent", "failed", "withdrawn" or "all"."""
        after: str | None = None
        while True:
            query = {"state": state, "channel": channel or None, "limit": PAGE, "after": after}
            page = (await self._transport.request("GET", "/v1/notices", query=query)).json()
            for item in page["items"]:
                yield NoticeInfo(item)
            after = page.get("next")
            if not after:
                return

    async def get(self, id: str) -> NoticeInfo:
        """One notice. Raises NotFound."""
        return NoticeInfo((await self._transport.request("GET", f"/v1/notices/{quoted(id)}")).json())

    async def outcome(self, id: str, *, tries: int = 0, timeout_s: float = TRY_S) -> NoticeInfo:
        """The notice when it was tried more than `tries` times or is over, or as it is then. Raises NotFound."""
        deadline = now() + timeout_s
        while True:
            wait_s = max(0.0, min(WAIT_S, deadline - now()))
            path, query = f"/v1/notices/{quoted(id)}", {"wait_s": round(wait_s, 3), "tries": tries}
            answer = await self._transport.request("GET", path, query=query, wait_s=wait_s + WAIT_S)
            found = NoticeInfo(answer.json())
            if found.has_outcome(tries) or now() >= deadline:
                return found

    async def send_again(self, id: str) -> NoticeInfo:
        """Send a notice that was not sent: now, with the same id. Raises NotFound, IllegalMove (it was sent)."""
        return NoticeInfo((await self._transport.request("POST", f"/v1/notices/{quoted(id)}/send")).json())

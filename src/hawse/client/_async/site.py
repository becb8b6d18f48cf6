"""What a site service has of its own: who one is, users, tokens, projects, the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from hawse.client._async.transport import Transport
from hawse.client.names import quoted
from hawse.client.records import SessionInfo
from hawse.client.records_site import AuditInfo, Me, NewToken, Out, ProjectInfo, TokenInfo, UserInfo

PAGE = 500
WAIT_S = 50.0  # of one long poll


class Site:
    """`Server.site`. What is for admins raises Denied for others."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def me(self) -> Me:
        """Who the coordinator takes us for."""
        return Me((await self._transport.request("GET", "/v1/me")).json())

    # -- users

    async def users(self) -> list[UserInfo]:
        """All users by name, removed ones too."""
        return [UserInfo(one) for one in await self._all("/v1/users")]

    async def user(self, name: str) -> UserInfo:
        """One user. Raises NotFound, Denied."""
        return UserInfo((await self._transport.request("GET", f"/v1/users/{quoted(name)}")).json())

    async def add_user(self, name: str, **facts: Any) -> UserInfo:
        """A new user. facts: uids, groups, project, is_admin, about. Raises Denied, Invalid, Clash."""
        return UserInfo((await self._transport.request("POST", "/v1/users", body={"name": name, **facts})).json())

    async def change_user(self, name: str, *, version: int | None = None, **facts: Any) -> UserInfo:
        """Other facts; version: only if nobody was faster. Raises NotFound, Denied, Invalid, Clash, Conflict."""
        path = f"/v1/users/{quoted(name)}"
        return UserInfo((await self._transport.request("PATCH", path, body=facts, version=version)).json())

    async def disable_user(self, name: str) -> Out:
        """Shut him out until he is enabled again; who is attached is cut. Raises NotFound, Denied."""
        return Out((await self._transport.request("POST", f"/v1/users/{quoted(name)}/disable")).json())

    async def enable_user(self, name: str) -> UserInfo:
        """Let him in again. Raises NotFound, Denied, IllegalMove."""
        return UserInfo((await self._transport.request("POST", f"/v1/users/{quoted(name)}/enable")).json())

    async def remove_user(self, name: str) -> Out:
        """Shut him out for good; his sessions stay. Raises NotFound, Denied."""
        return Out((await self._transport.request("DELETE", f"/v1/users/{quoted(name)}")).json())

    async def give(self, session: str, user: str) -> SessionInfo:
        """Give a session to another user. Raises NotFound, Denied, IllegalMove."""
        path = f"/v1/sessions/{quoted(session)}/give"
        return SessionInfo((await self._transport.request("POST", path, body={"user": user})).json())

    # -- tokens

    async def tokens(self, user: str | None = None) -> list[TokenInfo]:
        """One's own tokens, or one user's, without their secrets."""
        return [TokenInfo(one) for one in await self._all("/v1/tokens", user=user)]

    async def make_token(
        self,
        name: str,
        *,
        user: str | None = None,
        expires_at: float | None = None,
        project: str | None = None,
        read_only: bool = False,
    ) -> NewToken:
        """A new token; its secret is told only now. Raises Denied, Invalid, Clash, LimitReached."""
        body = {"name": name, "user": user, "expires_at": expires_at, "project": project, "read_only": read_only}
        return NewToken((await self._transport.request("POST", "/v1/tokens", body=body)).json())

    async def renew_token(self, name: str, *, user: str | None = None) -> NewToken:
        """Another secret; the present one opens nothing from now on. Raises NotFound, Denied, Expired."""
        path = f"/v1/tokens/{quoted(name)}/renew"
        return NewToken((await self._transport.request("POST", path, query={"user": user})).json())

    async def revoke_token(self, name: str, *, user: str | None = None) -> TokenInfo:
        """It opens nothing from now on. Raises NotFound, Denied."""
        path = f"/v1/tokens/{quoted(name)}"
        return TokenInfo((await self._transport.request("DELETE", path, query={"user": user})).json())

    # -- projects

    async def projects(self) -> list[ProjectInfo]:
        """Those that one is a member of; for admins all."""
        return [ProjectInfo(one) for one in await self._all("/v1/projects")]

    async def project(self, name: str) -> ProjectInfo:
        """One project, with what is used of its quotas. Raises NotFound, Denied."""
        return ProjectInfo((await self._transport.request("GET", f"/v1/projects/{quoted(name)}")).json())

    async def add_project(self, name: str, **facts: Any) -> ProjectInfo:
        """A new project. facts: as REST's NewProject. Raises Denied, Invalid, Clash."""
        body = {"name": name, **facts}
        return ProjectInfo((await self._transport.request("POST", "/v1/projects", body=body)).json())

    async def change_project(
        self,
        name: str,
        facts: Mapping[str, Any],
        *,
        members_added: Sequence[str] = (),
        members_dropped: Sequence[str] = (),
        version: int | None = None,
    ) -> ProjectInfo:
        """Other limits, policies, members. facts: REST's ProjectChange. Raises NotFound, Denied, Invalid, Conflict."""
        body = {**facts, "members_added": list(members_added), "members_dropped": list(members_dropped)}
        path = f"/v1/projects/{quoted(name)}"
        return ProjectInfo((await self._transport.request("PATCH", path, body=body, version=version)).json())

    async def retire_project(self, name: str) -> ProjectInfo:
        """No session begins in it any more. Raises NotFound, Denied."""
        return ProjectInfo((await self._transport.request("POST", f"/v1/projects/{quoted(name)}/retire")).json())

    async def revive_project(self, name: str) -> ProjectInfo:
        """Sessions may begin in it again. Raises NotFound, Denied."""
        return ProjectInfo((await self._transport.request("POST", f"/v1/projects/{quoted(name)}/revive")).json())

    # -- the audit log

    async def audit(self, first: int = 1, *, follow: bool = False) -> AsyncIterator[AuditInfo]:
        """Entries from a number on; follow: those to come, too, for ever. Raises Denied."""
        while True:
            query = {"from": first, "limit": PAGE, "wait_s": WAIT_S if follow else None}
            answer = await self._transport.request("GET", "/v1/audit", query=query, wait_s=WAIT_S + 30.0)
            page = answer.json()
            for item in page["items"]:
                yield AuditInfo(item)
            first = page["next"]
            if not follow and first > page["last"]:
                return

    async def last_audit(self) -> int:
        """The newest entry's number."""
        query = {"from": 2**53 - 1, "limit": 1}
        last: int = (await self._transport.request("GET", "/v1/audit", query=query)).json()["last"]
        return last

    async def _all(self, path: str, **query: Any) -> list[Any]:
        found: list[Any] = []
        after: str | None = None
        while True:
            asked = {"limit": PAGE, "after": after, **query}
            page = (await self._transport.request("GET", path, query=asked)).json()
            found += page["items"]
            after = page.get("next")
            if not after:
                return found

"""One coordinator: its sessions and how it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from hawse.client._async.notices import Notices
from hawse.client._async.session import Session
from hawse.client._async.site import Site
from hawse.client._async.transport import Transport
from hawse.client._async.way import answer_of
from hawse.client.find import Endpoint
from hawse.client.names import did_you_mean, quoted
from hawse.client.records import GrantInfo, SessionInfo, Status
from hawse.client.spec import Surroundings, surroundings_from
from hawse.domain.errors import NotFound
from hawse.domain.ids import checked_name

PAGE = 200
PREFIX_LENGTH_MIN = 4
NAMES_SEARCHED_MAX = 2000  # for an id's beginning or a name that was mistyped


class Server:
    """A connection to a coordinator. Leaving its block, or aclose(), disconnects; nothing ends by it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.transport = Transport(endpoint)
        self._around: Surroundings | None = None
        self.site = Site(self.transport)

    @property
    def notices(self) -> Notices:
        """How one wants to be told: one's own channels and notices."""
        return Notices(self.transport)

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Disconnect. Safe to call twice."""
        await self.transport.aclose()

    async def status(self) -> Status:
        """How the coordinator is. Raises Unavailable."""
        return Status((await self.transport.request("GET", "/v1/status")).json())

    async def surroundings(self) -> Surroundings | None:
        """What a job gets that is told nothing else: over ssh, what a login there gives; over https, what the service
        says of one's account there; None: the caller's own.

        Asked once. Raises Unavailable, Denied, Broken.
        """
        place = self.transport.endpoint
        if place.is_remote and self._around is None:
            told = (
                await answer_of(place, "surroundings")
                if place.by_ssh
                else (await self.transport.request("GET", "/v1/surroundings")).body
            )
            self._around = surroundings_from(told)
        return self._around

    async def session(self, name: str) -> Session:
        """The session with this alias (a living one, else the one that ended last), id, or unique beginning of an id;
        or the only living one of that name in one's other projects, where none is named.

        Raises NotFound (with names that are near), Denied.
        """
        try:
            answer = await self.transport.request("GET", f"/v1/sessions/{quoted(name)}")
        except NotFound as error:
            return await self._near(name, error)
        return Session(self, SessionInfo(answer.json()))

    async def redeem(self, secret: str) -> GrantInfo:
        """Turn a link's secret into a grant of one's own; its `session` is the id. Safe to repeat.

        Raises Denied (it opens nothing), Expired, Invalid.
        """
        body = {"secret": secret}
        return GrantInfo((await self.transport.request("POST", "/v1/links/redeem", body=body)).json())

    async def roles(self) -> dict[str, Any]:
        """The authorization table: `roles` (name: capabilities), `verbs` (each with name, command, needs, roles)."""
        table: dict[str, Any] = (await self.transport.request("GET", "/v1/roles")).json()
        return table

    async def sessions(
        self, state: str = "living", *, limit: int | None = None, whose: str = "all", project: str | None = None
    ) -> list[Session]:
        """The sessions by age. state: "living", "ended" or "all". whose: "mine", "shared" (by others) or "all";
        "everyone": everybody's, for admins of a site. project: only of this one."""
        found: list[Session] = []
        async for session in self.each_session(state, whose=whose, project=project):
            found.append(session)
            if limit is not None and len(found) >= limit:
                break
        return found

    async def each_session(
        self, state: str = "living", *, whose: str = "all", project: str | None = None
    ) -> AsyncIterator[Session]:
        """The same, page by page, for very many."""
        after: str | None = None
        while True:
            query = {"state": state, "limit": PAGE, "after": after, "whose": None if whose == "all" else whose}
            query["project"] = project
            page = (await self.transport.request("GET", "/v1/sessions", query=query)).json()
            for item in page["items"]:
                yield Session(self, SessionInfo(item))
            after = page.get("next")
            if not after:
                return

    async def create(
        self,
        alias: str | None = None,
        *,
        job: dict[str, Any] | None = None,
        lease: str | None = None,
        lease_until: float | None = None,
        lease_s: float | None = None,
        lease_else: str = "never",
        project: str | None = None,
        policies: Mapping[str, Any] | None = None,
        description: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Session:
        """A new session. job: from hawse.client.spec.job_spec. policies: what is set for it; see Session.policies.

        lease: "never", "jobs" (ends with its last job), or "until" (lease_until, Unix seconds, or lease_s seconds from
        now by the coordinator's clock); None: what its project says, else lease_else. project: None: HAWSE_PROJECT,
        else one's own.
        Raises Clash (a living session has the alias), Invalid, LimitReached (a quota of its project).
        """
        if alias is not None:
            checked_name(alias, "the name")
        body: dict[str, Any] = {"alias": alias, "description": description, "labels": dict(labels or {})}
        body |= {"lease": lease, "job": job, "project": project}
        body |= {"lease_else": lease_else if lease is None and lease_else != "never" else None}
        body |= {"lease_until": lease_until, "lease_s": lease_s, "policies": dict(policies) if policies else None}
        body = {key: value for key, value in body.items() if value is not None}
        answer = await self.transport.request("POST", "/v1/sessions", body=body)
        return Session(self, SessionInfo(answer.json()))

    async def _near(self, name: str, error: NotFound) -> Session:
        known: list[Session] = []
        async for session in self.each_session("all"):
            known.append(session)
            if len(known) >= NAMES_SEARCHED_MAX:
                break
        elsewhere = [one for one in known if one.info.alias == name and not one.info.is_over]
        if len(elsewhere) == 1 and not self.transport.endpoint.project:
            return elsewhere[0]  # the only one of that name, in another project than one's own
        if elsewhere:
            places = ", ".join(f"{one.info.project} ({one.id})" for one in elsewhere[:5])
            raise NotFound(
                f"there is no session {name!r} in this project, but in {places}",
                next_step="say which: HAWSE_PROJECT, or give the id",
            )
        if len(name) >= PREFIX_LENGTH_MIN and not name.strip("0123456789abcdef-"):
            matches = [session for session in known if session.id.startswith(name)]
            if len(matches) == 1:
                return matches[0]
            if matches:
                names = ", ".join(f"{session.id} ({session.name})" for session in matches[:5])
                raise NotFound(
                    f"{len(matches)} sessions have ids that begin with {name}: {names}", next_step="give more of the id"
                )
        if error.facts.get("noun", "session") != "session":
            raise error
        near = did_you_mean(name, (session.name for session in known))
        living = any(not session.info.is_over for session in known)
        hint = "hawse ls shows yours" if living else "hawse new starts one"
        raise NotFound(f"there is no session {name!r}{near}", next_step=hint) from error

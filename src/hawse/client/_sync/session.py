"""A session: its jobs, its events, its end."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from hawse.client._sync.job import Job
from hawse.client.link import LinkBroken
from hawse.client.link_sync import now, pause
from hawse.client.names import quoted
from hawse.client.records import (
    AttachmentInfo,
    Control,
    EventInfo,
    GrantInfo,
    JobInfo,
    Link,
    PolicyInfo,
    SessionInfo,
    Taken,
)
from hawse.client.spec import job_spec
from hawse.client.sse import EventStream
from hawse.domain.errors import Broken, Unavailable
from hawse.domain.ids import checked_name

if TYPE_CHECKING:
    from hawse.client._sync.server import Server
    from hawse.client.spec import Text

EVENT_BYTES_MAX = 4 * 1024 * 1024
EVENTS_PAGE = 500
ATTACHMENTS_MAX = 1000  # of one session
SILENCE_S = 60.0  # the feed sends a comment at least every 15 s
WAIT_PIECE_S = 20.0
END = "end"  # the feed's last word: the session has ended and all its events were sent


class Session:
    """A durable session. As a context manager it disconnects on the way out; it never ends by that.

    Its attributes are as of the last answer; refresh() asks again.
    """

    def __init__(self, server: Server, info: SessionInfo, *, owns_server: bool = False) -> None:
        self.server = server
        self.info = info
        self._owns_server = owns_server

    def __repr__(self) -> str:
        return f"<Session {self.name} {self.state} {self.id}>"

    @property
    def id(self) -> str:
        """The id, valid until the session's history is removed."""
        return self.info.id

    @property
    def name(self) -> str:
        """The alias, or the id when there is none."""
        return self.info.name

    @property
    def state(self) -> str:
        """new, waiting, active, draining or ended."""
        return self.info.state

    @property
    def path(self) -> str:
        """Its place in REST."""
        return f"/v1/sessions/{self.info.id}"

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; the work goes on. Safe to call twice."""
        if self._owns_server:
            self.server.close()

    def refresh(self) -> SessionInfo:
        """Ask how it is now."""
        self.info = SessionInfo((self.server.transport.request("GET", self.path)).json())
        return self.info

    def run(
        self,
        argv: Sequence[Text],
        *,
        tty: bool | tuple[int, int] = False,
        env: Mapping[str, str] | None = None,
        cwd: Text | None = None,
        umask: int | None = None,
        stdin: str = "null",
        name: str | None = None,
        on_lost: str = "report",
        grace_s: float | None = None,
        log_on_full: str = "block",
        leftovers: str = "end",
        on_error: str | None = None,
        retries_max: int = 0,
    ) -> Job:
        """Add a job and start it; does not wait for its end.

        env, cwd, umask: None takes the caller's; over ssh, those of a login there.
        tty: True, or (columns, rows). stdin: "open" for attach().send().
        on_lost: "report" or "restart" when its runner or host died. log_on_full: "block" or "drop".
        on_error: "report", "restart" (at most retries_max times) or "end" (the session) when it fails; None: what the
        session's policies say.
        Raises Invalid, IllegalMove (the session has ended), Clash (a job has the name).
        """
        spec = job_spec(
            argv,
            around=self.server.surroundings(),
            env=env,
            cwd=cwd,
            umask=umask,
            tty=tty,
            stdin=stdin,
            name=name,
            on_lost=on_lost,
            grace_s=grace_s,
            log_on_full=log_on_full,
            leftovers=leftovers,
            on_error=on_error,
            retries_max=retries_max,
        )
        return self.add(spec)

    def add(self, spec: dict[str, Any]) -> Job:
        """Add a job from a ready specification."""
        answer = self.server.transport.request("POST", f"{self.path}/jobs", body=spec)
        return Job(self, JobInfo(answer.json()))

    def jobs(self) -> list[Job]:
        """All its jobs, by age."""
        return [Job(self, info) for info in (self.refresh()).jobs]

    def job(self, name: str) -> Job:
        """The job with this name or id. Raises NotFound."""
        answer = self.server.transport.request("GET", f"{self.path}/jobs/{quoted(name)}")
        return Job(self, JobInfo(answer.json()))

    def attachments(self) -> list[AttachmentInfo]:
        """Who is attached now."""
        return (self.refresh()).attachments

    def who(self) -> list[AttachmentInfo]:
        """Who is attached now; active_at and typed_at are asked of the runners."""
        path, query = f"{self.path}/attachments", {"activity": "live", "limit": ATTACHMENTS_MAX}
        found = (self.server.transport.request("GET", path, query=query)).json()
        return [AttachmentInfo(one) for one in found["items"]]

    def take(self, attachment: str) -> Control:
        """Give control of its job to one of your own attachments, at once. Raises NotFound, Denied, IllegalMove."""
        path = f"{self.path}/attachments/{quoted(attachment)}/take"
        return Control((self.server.transport.request("POST", path, body={})).json())

    def detach(self, attachment: str) -> AttachmentInfo:
        """Detach somebody; the work goes on. Safe to repeat. Raises NotFound."""
        path = f"{self.path}/attachments/{quoted(attachment)}"
        return AttachmentInfo((self.server.transport.request("DELETE", path)).json())

    def grants(self) -> list[GrantInfo]:
        """The live grants and links, by age; who may not share it sees his own."""
        found: list[GrantInfo] = []
        after: str | None = None
        while True:
            query = {"limit": EVENTS_PAGE, "after": after}
            page = (self.server.transport.request("GET", f"{self.path}/grants", query=query)).json()
            found += [GrantInfo(item) for item in page["items"]]
            after = page.get("next")
            if not after:
                return found

    def share(
        self, principal: str, role: str = "observer", *, can: Sequence[str] = (), expires_at: float | None = None
    ) -> GrantInfo:
        """Give somebody a role here, or change the one that he has.

        principal: "uid:1000", "user:alice", "group:staff". role: "observer", "operator", "owner". can: narrows it, each
        "noun:verb" or "noun:verb@job". expires_at: Unix seconds. Raises Invalid, Denied (more than you have yourself).
        """
        body = {"principal": principal, "role": role, "can": list(can), "expires_at": expires_at}
        return GrantInfo((self.server.transport.request("POST", f"{self.path}/grants", body=body)).json())

    def link(
        self,
        role: str = "observer",
        *,
        can: Sequence[str] = (),
        expires_at: float | None = None,
        uses_max: int | None = 1,
    ) -> Link:
        """Make a link: who shows its secret gets this role. uses_max: for how many; None: no bound."""
        body = {"role": role, "can": list(can), "expires_at": expires_at, "uses_max": uses_max}
        made = (self.server.transport.request("POST", f"{self.path}/links", body=body)).json()
        return Link(GrantInfo(made["link"]), made["secret"])

    def unshare(self, whom: str) -> Taken:
        """Take back what a principal, a grant or a link (its id) gives; who is attached by it is cut off at once.

        Raises NotFound (it is not shared so), Denied.
        """
        path = f"{self.path}/grants/{quoted(whom)}"
        return Taken((self.server.transport.request("DELETE", path)).json())

    def describe(
        self,
        *,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        alias: str | None = None,
        version: int | None = None,
    ) -> SessionInfo:
        """Change what people read about it; None leaves as is.

        version: refuse when somebody changed it since (Conflict).
        """
        if alias is not None:
            checked_name(alias, "the name")
        body = {"description": description, "labels": labels, "alias": alias}
        body = {key: value for key, value in body.items() if value is not None}
        answer = self.server.transport.request("PATCH", self.path, body=body, version=version)
        self.info = SessionInfo(answer.json())
        return self.info

    def extend(self, by_s: float) -> SessionInfo:
        """Push the end of a lease that has one by so many seconds. Raises Invalid (no end is set), Expired."""
        answer = self.server.transport.request("POST", f"{self.path}/extend", body={"by_s": by_s})
        self.info = SessionInfo(answer.json())
        return self.info

    def set_lease(self, lease: str, until: float | None = None) -> SessionInfo:
        """When it ends by itself: "never", "jobs" (with its last job), or "until" a time (Unix seconds)."""
        answer = self.server.transport.request("PATCH", self.path, body={"lease": lease, "lease_until": until})
        self.info = SessionInfo(answer.json())
        return self.info

    def policies(self) -> list[PolicyInfo]:
        """All policies: each with the value that counts, and where it was set."""
        page = (self.server.transport.request("GET", f"{self.path}/policies")).json()
        return [PolicyInfo(item) for item in page["items"]]

    def set_policies(self, policies: Mapping[str, Any]) -> SessionInfo:
        """Set some policies; the value None takes one away, so that the next farther one counts. Raises Invalid."""
        answer = self.server.transport.request("PATCH", self.path, body={"policies": dict(policies)})
        self.info = SessionInfo(answer.json())
        return self.info

    def end(self, *, grace_s: float | None = None, wait_s: float = 0.0) -> SessionInfo:
        """Stop its jobs in order and end it. Safe to repeat.

        grace_s: between SIGTERM and SIGKILL; None: each job's own. wait_s: how long to wait until it has ended; the
        answer tells how far it is.
        """
        deadline = now() + wait_s
        answer = self.server.transport.request("DELETE", self.path, query={"grace_s": grace_s})
        self.info = SessionInfo(answer.json())
        while not self.info.is_over and now() < deadline:
            living = next((job for job in self.info.jobs if not job.is_over), None)
            if living is not None:
                Job(self, living).wait(min(WAIT_PIECE_S, deadline - now()))
            else:
                pause(0.05)  # its jobs are over; the session follows in the next transaction
            self.refresh()
        return self.info

    def events(self, from_: int = 1, *, follow: bool = False) -> Generator[EventInfo, None, None]:
        """Its events from number from_ on, without gap or duplicate; with follow also those to come, until it has
        ended.

        A broken link is mended and the feed goes on after the last event. Raises Broken for a gap.
        """
        next_seq = max(1, from_)
        broken_at: float | None = None
        while True:
            source = self._feed(next_seq) if follow else self._pages(next_seq)
            try:
                with closing(source):
                    for event in source:
                        if event.seq < next_seq:
                            continue
                        if event.seq > next_seq:
                            raise Broken(f"session {self.name}: event {event.seq} came where {next_seq} was expected")
                        next_seq = event.seq + 1
                        broken_at = None
                        yield event
            except (LinkBroken, Unavailable) as error:
                broken_at = broken_at or now()
                if now() - broken_at > self.server.transport.endpoint.mend_s_max:
                    raise Unavailable(
                        f"the event feed broke: {error}", next_step=f"hawse events {self.name} --from {next_seq}"
                    ) from error
                pause(0.1)
                continue
            if not follow or ((self.refresh()).last_seq < next_seq and self.info.is_over):
                return

    def _pages(self, from_: int) -> Generator[EventInfo, None, None]:
        while True:
            query = {"from": from_, "limit": EVENTS_PAGE}
            page = (self.server.transport.request("GET", f"{self.path}/events", query=query)).json()
            for item in page["items"]:
                event = EventInfo(item)
                yield event
                from_ = event.seq + 1
            if not page.get("next") or not page["items"]:
                return

    def _feed(self, from_: int) -> Generator[EventInfo, None, None]:
        stream = EventStream(message_bytes_max=EVENT_BYTES_MAX)
        headers = {"Accept": "text/event-stream"}
        source = self.server.transport.stream(
            f"{self.path}/events",
            query={"from": from_},
            headers=headers,
            silence_s=SILENCE_S,
        )
        with closing(source):
            for data in source:
                for _, kind, text in stream.feed(data):
                    if kind == END:
                        return
                    yield EventInfo(json.loads(text))
# Generated from _async/session.py by tools/twins.py; edit that file, not this one.

"""A job: wait for it, signal it, read what it printed, attach to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from hawse.client.link_async import now
from hawse.client.log_answer import log_piece, shown_screen
from hawse.client.names import quoted
from hawse.client.records import Admission, Chunk, JobInfo, LogPiece, Moment, Outcome, ShownScreen
from hawse.domain.errors import Invalid, LimitReached, NotFound

if TYPE_CHECKING:
    from hawse.client._async.attachment import Attachment
    from hawse.client._async.session import Session

WAIT_PIECE_S = 25.0  # of one request; the coordinator allows 60
ANSWER_MARGIN_S = 30.0
LOG_PIECE_BYTES = 1024 * 1024
MOMENTS = 5000  # of one request


class Job:
    """One command of a session. Its attributes are as of the last answer; refresh() asks again."""

    def __init__(self, session: Session, info: JobInfo) -> None:
        self.session = session
        self.info = info

    def __repr__(self) -> str:
        return f"<Job {self.session.name}/{self.name} {self.state} {self.id}>"

    @property
    def id(self) -> str:
        """The id."""
        return self.info.id

    @property
    def name(self) -> str:
        """The name, unique in its session."""
        return self.info.name

    @property
    def state(self) -> str:
        """pending, starting, running, stopping or ended."""
        return self.info.state

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; of a job that was started again, how the attempt before ended."""
        return self.info.outcome

    @property
    def path(self) -> str:
        """Its place in REST."""
        return f"{self.session.path}/jobs/{self.info.id}"

    async def refresh(self) -> JobInfo:
        """Ask how it is now."""
        self.info = JobInfo((await self.session.server.transport.request("GET", self.path)).json())
        return self.info

    async def wait(self, timeout: float | None = None, *, until: str = "ended") -> JobInfo:
        """Wait until it has ended (or "started"), at most `timeout` seconds; then as it is.

        If cancelled nothing is left behind. It does not raise at the timeout: look at `state`.
        """
        if timeout is not None and not timeout >= 0:
            raise Invalid(f"a timeout of {timeout:g} s is not possible; None waits for as long as it takes")
        deadline = None if timeout is None else now() + timeout
        while True:
            left = WAIT_PIECE_S if deadline is None else max(0.0, min(WAIT_PIECE_S, deadline - now()))
            answer = await self.session.server.transport.request(
                "GET",
                self.path,
                query={"wait_s": round(left, 3), "until": until},
                wait_s=left + ANSWER_MARGIN_S,
            )
            self.info = JobInfo(answer.json())
            done = self.info.is_over or (until == "started" and self.info.pid is not None)
            if done or (deadline is not None and now() >= deadline):
                return self.info

    async def result(self, timeout: float | None = None) -> Outcome:
        """How it ended; waits for it. Raises LimitReached when it has not ended within `timeout` seconds."""
        info = await self.wait(timeout)
        if not info.is_over:
            raise LimitReached(f"job {self.session.name}/{self.name} has not ended within {timeout:g} s")
        return info.outcome or Outcome({"kind": "lost", "cause": "no outcome was recorded"})

    async def stop(self, *, grace_s: float | None = None) -> JobInfo:
        """SIGTERM, grace, SIGKILL of everything it started. Does not wait. Safe to repeat."""
        answer = await self.session.server.transport.request("DELETE", self.path, query={"grace_s": grace_s})
        self.info = JobInfo(answer.json())
        return self.info

    async def signal(self, name: str) -> None:
        """Send a signal ("INT", "SIGUSR1", "10") to its process group. Raises Invalid, IllegalMove."""
        await self.session.server.transport.request("POST", f"{self.path}/signal", body={"signal": name})

    async def admission(
        self, mode: str, *, where: str = "", resume: str | None = None, policy: str | None = None
    ) -> Admission:
        """A ticket for its runner; without an address when the job has ended. mode: "control", "watch" or "read".

        policy: "share", "steal" or "reject", when another one may control it, too; None: as the session says.
        """
        body: dict[str, Any] = {"job": self.info.id, "mode": mode, "where": where}
        if resume:
            body["attachment"] = resume
        if policy:
            body["policy"] = policy
        answer = await self.session.server.transport.request("POST", f"{self.session.path}/attachments", body=body)
        made = Admission(answer.json())
        self.info = made.job
        return made

    async def attach(
        self,
        mode: str = "control",
        *,
        from_: int | str = "screen",
        where: str = "",
        size: tuple[int, int] = (0, 0),
        policy: str | None = None,
    ) -> Attachment:
        """Attach to it: iterate over its output, send input. Leave the block to detach; the work goes on.

        from_: a log offset, "screen" (what restores a terminal, then what comes) or "end". size: (columns, rows).
        policy: "share", "steal" or "reject", when another one may control it, too; None: as the session says. Of
        several one has control (`holds`); take() gives it to this one. Raises Held (policy reject), Denied.
        """
        from hawse.client._async.attachment import Attachment  # 6 ms of CPU that listing sessions can do without

        made = Attachment(self, mode=mode, from_=from_, where=where, size=size, policy=policy)
        await made.open()
        return made

    async def read(
        self,
        from_: int | None = None,
        *,
        limit: int = LOG_PIECE_BYTES,
        tail: int | None = None,
        since: float | None = None,
    ) -> LogPiece:
        """One piece of what it printed. At most one of from_ (offset), tail (lines), since (Unix seconds)."""
        query = {"from": from_, "limit": limit, "tail": tail, "since": since}
        path = f"{self.session.path}/logs/{quoted(self.info.id)}"
        try:
            return log_piece(await self.session.server.transport.request("GET", path, query=query))
        except NotFound as error:
            if error.facts.get("noun") != "log":
                raise
            return LogPiece([], 0, 0)  # it has not started yet, or never will

    async def logs(
        self,
        from_: int | None = None,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """What it printed, from an offset (default: the start), the last lines or a time on; with follow also what
        comes.

        A broken link is mended and goes on at its byte. Gaps and damage are told in Chunk.problem.
        """
        piece = await self.read(from_, tail=tail, since=since)
        while True:
            for chunk in piece.chunks:
                yield chunk
            if piece.next >= piece.end:
                break
            piece = await self.read(piece.next)
        if not follow:
            return
        from hawse.client._async.attachment import Attachment

        async with Attachment(self, mode="read", from_=piece.next) as feed:
            async with aclosing(feed.output()) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def timing(self, from_: int = 0) -> AsyncGenerator[Moment, None]:
        """When what it printed was printed, from an offset on to the end as of now; sizes, attempts and gaps too."""
        path = f"{self.session.path}/logs/{quoted(self.info.id)}/timing"
        query: dict[str, Any] = {"from": from_, "skip": 0, "limit": MOMENTS}
        while True:
            page = (await self.session.server.transport.request("GET", path, query=query)).json()
            for item in page["items"]:
                yield Moment(item)
            if not page["items"]:
                return
            query |= {"from": page["next"], "skip": page["skip"]}

    async def screen(self, at: int) -> ShownScreen:
        """What to write to a terminal so that it shows what the job's showed when it had printed `at` bytes."""
        path = f"{self.session.path}/logs/{quoted(self.info.id)}/screen"
        return shown_screen(await self.session.server.transport.request("GET", path, query={"at": at}))

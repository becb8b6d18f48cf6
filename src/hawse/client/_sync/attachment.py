"""An attachment: a direct link to a job's runner, by a ticket from the coordinator. It mends itself at its byte.

The link may break at any time (a killed runner's host, a restarted machine's network, a reader that was too slow). As
long as the runner did not say EXIT or DETACH, a new ticket is fetched and the output goes on at the next byte. When
the job has ended meanwhile, the rest is read from its log. So output() gives every byte from its start exactly once,
or says what is missing. Input is not repeated: whether the job read what was sent into a link that broke is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, NoReturn

from hawse.client._sync.way import to_runner
from hawse.client.link import LinkAbsent, LinkBroken, LinkLate
from hawse.client.link_sync import Link, now, pause
from hawse.client.problems import problem_from
from hawse.client.records import AttachmentInfo, Chunk, JobInfo, Outcome
from hawse.domain.errors import Broken, Fenced, Problem, Unavailable
from hawse.wire import terminal
from hawse.wire.errors import WireError
from hawse.wire.frame import FrameReader, frame

if TYPE_CHECKING:
    from hawse.client._sync.job import Job

ENTRY_S = 10.0
SEND_S = 60.0
SILENCE_S = 300.0  # nothing follows from silence on a local socket; the wait is only renewed
READ_BYTES = 256 * 1024
RESTORE_SOURCE = 0


class Attachment:
    """Iterate over output(); send() input. Leaving the block detaches; the work goes on.

    offset: of the next byte to come. holds: it has control: what others send goes nowhere. outcome: how the job ended,
    once that is known. reason, message: why it was detached. Chunks with source 0 restore a terminal's screen and are
    not part of the log.
    """

    def __init__(
        self,
        job: Job,
        *,
        mode: str = "control",
        from_: int | str = "screen",
        where: str = "",
        size: tuple[int, int] = (0, 0),
        policy: str | None = None,
    ) -> None:
        self.job = job
        self.mode = mode
        self.where = where
        self.size = size
        self.info: AttachmentInfo | None = None
        self.outcome: Outcome | None = None
        self.offset = from_ if isinstance(from_, int) else 0
        self.reason = ""
        self.message = ""
        self.holds = False
        self.policy = policy
        self._start: int | str = from_
        self._link: Link | None = None
        self._frames = FrameReader(body_bytes_max=terminal.SERVER_BODY_BYTES_MAX)
        self._is_over = False
        self._failure: Exception | None = None

    def __enter__(self) -> Attachment:
        if self._link is None and not self._is_over:
            self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    @property
    def is_linked(self) -> bool:
        """Is there a link to the runner now?"""
        return self._link is not None

    def open(self) -> None:
        """Link to the runner; nothing is linked when the job has ended. Raises Unavailable, NotFound, Denied."""
        try:
            self._enter()
        except LinkBroken as error:
            raise Unavailable(
                f"job {self.job.name} cannot be reached: {error}", next_step=f"hawse show {self.job.session.name}"
            ) from error

    def _enter(self) -> None:
        resume = self.info.id if self.info else None
        try:
            admission = self.job.admission(self.mode, where=self.where, resume=resume, policy=self.policy)
        except Fenced as error:  # it was detached while its link was broken
            self._is_over = True
            self.reason = str(error.facts.get("reason") or "asked")
            self.message = str(error.facts.get("message") or error.detail)
            return
        self.info = admission.attachment or self.info
        if not admission.address:
            self._ended(admission.job)
            return
        link = self._reach(admission.address)
        if link is None:
            return
        try:
            self._frames = FrameReader(body_bytes_max=terminal.SERVER_BODY_BYTES_MAX)
            columns, rows = self.size
            hello = terminal.hello(ticket=admission.ticket, start=self._start, columns=columns, rows=rows)
            link.send(hello, now() + ENTRY_S)
        except BaseException:
            link.close()
            raise
        self._link = link

    def _reach(self, address: str) -> Link | None:
        """The runner's link; None when the job has ended meanwhile. Raises LinkBroken.

        Its runner may be on its way, and that of a short job may have gone before its end was told.
        """
        endpoint = self.job.session.server.transport.endpoint
        for until in ("started", "ended"):
            try:
                return to_runner(endpoint, self.job.id, address, now() + ENTRY_S)
            except LinkAbsent:
                job = self.job.wait(ENTRY_S, until=until)
                if job.is_over:
                    self._ended(job)
                    return None
        return to_runner(endpoint, self.job.id, address, now() + ENTRY_S)

    def _ended(self, job: JobInfo) -> None:
        self._is_over = True
        self.outcome = job.outcome

    def output(self) -> Generator[Chunk, None, None]:
        """What the job prints, until it has ended or this attachment is detached.

        Raises Unavailable when the link stays broken (for a minute; over ssh for a day), Broken when the runner speaks
        nonsense.
        """
        broken_at: float | None = None
        while True:
            try:
                if self._link is None and not self._is_over:
                    self.open()
                if self._link is None:
                    break
                for chunk in self._received(self._link):
                    broken_at = None
                    if chunk.data or chunk.problem:
                        yield chunk
            except (LinkBroken, Unavailable) as error:
                self._unlink()
                broken_at = broken_at or now()
                if now() - broken_at > self.job.session.server.transport.endpoint.mend_s_max:
                    raise Unavailable(
                        f"the link to job {self.job.name} stays broken: {error}",
                        next_step=f"hawse show {self.job.session.name}",
                    ) from error
                pause(0.05 if now() - broken_at < 1 else 0.5)
        if not self.reason and self._start != "end" and self._start != "screen":
            with closing(self._rest()) as rest:
                for chunk in rest:
                    yield chunk

    def _rest(self) -> Generator[Chunk, None, None]:
        """What the log has and the link did not bring."""
        with closing(self.job.logs(self.offset)) as chunks:
            for chunk in chunks:
                self.offset = max(self.offset, chunk.offset + len(chunk.data))
                yield chunk

    def _received(self, link: Link) -> list[Chunk]:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            self._fail(failure)
        try:
            data = link.receive(READ_BYTES, now() + SILENCE_S)
        except LinkLate:
            return []
        if not data:
            raise LinkBroken("the runner closed the link")
        chunks: list[Chunk] = []
        try:
            for kind, body in self._frames.feed(data):
                chunks += self._frame(link, kind, body)
        except (WireError, ValueError, LinkBroken, Problem) as error:
            if not chunks:
                self._fail(error)
            self._failure = error  # first what came before it
        return chunks

    def _fail(self, error: Exception) -> NoReturn:
        self._unlink()
        if isinstance(error, WireError | ValueError):
            raise Broken(f"the runner of job {self.job.name} sent nonsense: {error}") from error
        raise error

    def _frame(self, link: Link, kind: int, body: bytes) -> list[Chunk]:
        if kind == terminal.OUTPUT:
            offset, source, data = terminal.parse_output(body)
            return self._placed(offset, source, data)
        if kind == terminal.RESTORE:
            return [Chunk(self.offset, body, RESTORE_SOURCE)]
        if kind == terminal.WELCOME:
            welcome = terminal.parse_welcome(body)
            gap = isinstance(self._start, int) and welcome.offset > self.offset
            problem = f"bytes {self.offset} to {welcome.offset} are gone" if gap else ""
            self.offset = self._start = welcome.offset
            self.holds = welcome.holds
            return [Chunk(self.offset, b"", problem=problem)]
        if kind == terminal.PING:
            link.send(terminal.pong(body), now() + SEND_S)
        elif kind == terminal.NOTICE:
            said = json.loads(body)
            if said.get("kind") == "control":
                self.holds = bool(said.get("holds"))
            return [Chunk(self.offset, b"", problem=str(said.get("detail") or said.get("kind")))]
        elif kind == terminal.EXIT:
            self.outcome = Outcome(json.loads(body))
            self._is_over = True
            self._start = "end"  # the runner says EXIT after the last byte: nothing is left to read
            self._unlink()
        elif kind == terminal.DETACH:
            reason, self.message = terminal.parse_detach(body)
            if reason == "ended":
                raise LinkBroken("the job has ended")  # perhaps before its last bytes came: the log has them
            self.reason = reason
            self._is_over = True
            self._unlink()
        elif kind == terminal.ERROR:
            self._refused(json.loads(body))
        return []

    def _placed(self, offset: int, source: int, data: bytes) -> list[Chunk]:
        """Output at its place: a repeated part is cut off, a hole is told."""
        problem = f"bytes {self.offset} to {offset} are missing" if offset > self.offset else ""
        if offset < self.offset:
            data = data[self.offset - offset :]
            offset = self.offset
        self.offset = self._start = offset + len(data)
        return [Chunk(offset, data, source, problem)]

    def _refused(self, said: dict[str, object]) -> None:
        self._unlink()
        code = str(said.get("code"))
        if code.startswith("ticket_") or code in ("busy", "silent", "ended"):
            raise LinkBroken(str(said.get("detail")))  # a new ticket may do
        self._is_over = True
        problem: Problem = problem_from(502, {"code": code, "detail": said.get("detail"), "next": said.get("next")})
        raise problem

    def send(self, data: bytes) -> None:
        """Type into the job. Raises Unavailable when there is no link now; one sender at a time."""
        self._say(terminal.input_frames(data))

    def close_input(self) -> None:
        """Close the job's standard input (pipes only)."""
        self._say(frame(terminal.INPUT_END))

    def resize(self, columns: int, rows: int) -> None:
        """Tell the size of the terminal that shows it."""
        self.size = (columns, rows)
        self._say(terminal.resize(columns, rows))

    def signal(self, name: str) -> None:
        """Send a signal ("INT") to the job's process group."""
        self._say(terminal.message(terminal.SIGNAL, signal=name))

    def _say(self, frames: bytes) -> None:
        if self._link is None:
            raise Unavailable(f"there is no link to job {self.job.name} now")
        try:
            self._link.send(frames, now() + SEND_S)
        except LinkBroken as error:
            raise Unavailable(f"the link to job {self.job.name} broke: {error}") from error

    def take(self) -> None:
        """Take control from whoever has it. `holds` tells when the runner knows. Raises Unavailable, Denied."""
        if self.info is None:
            raise Unavailable(f"there is no attachment to job {self.job.name} now")
        self.job.session.take(self.info.id)

    def detach(self) -> None:
        """Leave; the work goes on. Safe to call twice."""
        link = self._link
        if link is not None and not self._is_over:
            try:
                link.send(terminal.detach("asked"), now() + 2)
            except LinkBroken:
                pass  # then it is lost instead of asked for: the work goes on all the same
        self._is_over = True
        self.reason = self.reason or "asked"
        self._unlink()

    def _unlink(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()
# Generated from _async/attachment.py by tools/twins.py; edit that file, not this one.

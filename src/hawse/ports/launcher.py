"""What starts jobs and finds them again.

A launcher never starts the same (job, attempt) twice, however often it is asked, and never confuses two runners: it
recognises one by the incarnation and by the job's secret.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hawse.domain.job import LogState, Outcome
from hawse.ports.store import Order


@dataclass(frozen=True, slots=True)
class Start:
    """Everything one attempt needs. env additions (HAWSE_SESSION ...) are already in the order.

    holder, fence: who has control of the job as it starts; a ticket of before must not say otherwise to a new runner.
    owner: the principal whose session it is.
    """

    session: str
    job: str
    attempt: int
    incarnation: str
    order: Order
    tty: bool
    grace_s: float
    holder: str = ""
    fence: int = 0
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """The main process runs (or ran). at: when it started, Unix seconds; None: just now."""

    job: str
    attempt: int
    pid: int
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The job is over:

    exited, signalled, failed to start, or lost (nobody saw its end). at: when, Unix seconds; None: just now.
    is_swept: False for a lost one whose left_behind is still to be ended: ask for `sweep`.
    """

    job: str
    attempt: int
    outcome: Outcome
    log_end: int | None = None
    left_behind: tuple[Mapping[str, Any], ...] = ()
    at: float | None = None
    is_swept: bool = True


@dataclass(frozen=True, slots=True)
class Swept:
    """The sweep of a lost attempt is over. survived: what could not be ended in time, each {pid, command}."""

    job: str
    attempt: int
    survived: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class LogChanged:
    job: str
    attempt: int
    log: LogState


@dataclass(frozen=True, slots=True)
class Linked:
    """A client showed a good ticket for this attachment."""

    job: str
    attachment: str


@dataclass(frozen=True, slots=True)
class Quiet:
    """How long an attachment has been quiet, seconds. active_s: since it typed or took output; typed_s: since it typed,
    None: it never did. Spans, since a runner's clock is not the coordinator's."""

    active_s: float
    typed_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unlinked:
    """The link of an attachment ended.

    reason: "asked" (its client said goodbye), "lost", "slow", "ended" or what a cut gave. quiet: as of then; None: not
    told.
    """

    job: str
    attachment: str
    reason: str
    cursor: int
    quiet: Quiet | None = None


@dataclass(frozen=True, slots=True)
class Links:
    """All attachments that a runner has now; said after each (re)connection. Others of that job have no link."""

    job: str
    attachments: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A runner refused somebody.

    reason: "ticket_used", "ticket_forged" ..., "read_only" (it typed and may not). attachment: as far as it is known.
    uid: of the process at the other end. count: so often since the last report of the same.
    """

    job: str
    reason: str
    attachment: str = ""
    uid: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Waits:
    """The output of a job that is watched is quiet, and its program reads the terminal.

    pid, command: of that program. at: when it was looked at, Unix seconds; the same one again is the same report.
    """

    job: str
    attempt: int
    pid: int
    command: str
    at: float


Report = Started | Ended | Swept | LogChanged | Linked | Unlinked | Links | Refused | Waits


class Launcher(Protocol):
    """Reports come at least once; handling them twice must be harmless. A report is only acknowledged to its runner
    after the loop body that got it has finished, so an unhandled one comes again."""

    async def start(self, start: Start) -> None:
        """Make sure that this attempt has been started. What becomes of it comes as a report (Started, Ended).

        Raises Unavailable when it can't be known now whether it started (ask again; it will not be started twice).
        """
        ...

    async def adopt(self, start: Start) -> None:
        """Find the runner of an attempt that an earlier coordinator started, and follow its reports from now on.

        When there is none any more, a report says what became of the job: its recorded end, or lost with the cause;
        never started counts as lost too. Raises Unavailable (ask again).
        """
        ...

    async def stop(self, job: str, attempt: int, *, grace_s: float) -> None:
        """SIGTERM, grace, SIGKILL of all it started; a sweep that goes on is hurried.

        Returns when asked; the end comes as a report. Nothing to do: no error.
        """
        ...

    async def sweep(self, job: str, attempt: int, *, grace_s: float) -> None:
        """SIGTERM, grace, SIGKILL of what an attempt left behind whose runner is dead.

        Returns when begun; a report (Swept) tells its end, which comes whatever those processes do. Safe to repeat:
        one that goes on is left to go on. Cut short by the coordinator's end, it is begun anew by the next one.
        """
        ...

    async def signal(self, job: str, signal: int) -> None:
        """Send a signal to the job's main process group. Raises NotFound when it has no runner, Unavailable."""
        ...

    async def cut(self, job: str, attachment: str, *, reason: str, message: str) -> None:
        """Detach one attachment, and let no ticket for it in any more. Its runner is gone: no error.

        Raises Unavailable when the runner lives and can't be reached (ask again).
        """
        ...

    async def control(self, job: str, attachment: str, *, fence: int, who: str, message: str) -> None:
        """Give control of the job to one attachment ("": to nobody), unless its runner knows a newer fence.

        who: the attachment, message: how it came to that, both in words for people. Its runner is gone: no error.
        Raises Unavailable when the runner lives and can't be reached (ask again).
        """
        ...

    async def activity(self, job: str) -> Mapping[str, Quiet]:
        """When the attachments that its runner has now were last active, by id. Its runner is gone: nothing.

        Raises Unavailable when the runner lives and can't be reached.
        """
        ...

    async def watch(self, job: str, *, quiet_s: float) -> None:
        """Have a job with a terminal looked at, once its output was quiet for so long, whether it waits for somebody
        (the report Waits); 0: no more. It holds for this attempt, also when its link breaks and comes back.

        Never fails: a runner that is not reached now, or is older than this, is told later, or never.
        """
        ...

    async def forget(self, job: str, attempt: int) -> None:
        """The end is committed;

        the runner may go, its records of identity too. The log stays. Nothing to do: no error.
        """
        ...

    def address(self, job: str) -> str:
        """Where clients of this host reach the runner: the path of its Unix socket."""
        ...

    def listener_uid(self, job: str) -> int:
        """The uid that listens at the runner's address; whoever else answers there is not the runner."""
        ...

    def reports(self) -> AsyncIterator[Report]:
        """All reports, in order per job. One reader."""
        ...

    async def remove(self, job: str) -> None:
        """Remove a job's log and records. Safe to repeat."""
        ...

    async def let_go(self) -> None:
        """Another coordinator leads: drop the links to all runners, which have room for one, and every report that was
        not taken. It can be used again. Safe to repeat."""
        ...

    async def aclose(self) -> None:
        """Let go of all runners; they go on. Safe to call twice."""
        ...

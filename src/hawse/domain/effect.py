"""What must happen after a commit. Stored in the outbox with the change, done at least once, harmless when repeated."""

from __future__ import annotations

from dataclasses import dataclass

from hawse.domain.ids import AttachmentId, JobId, SessionId


@dataclass(frozen=True, slots=True)
class StartJob:
    """Start this attempt of a job, unless its claim exists."""

    job: JobId
    attempt: int


@dataclass(frozen=True, slots=True)
class StopJob:
    """SIGTERM, grace, SIGKILL of everything the job started."""

    job: JobId
    attempt: int
    grace_s: float


@dataclass(frozen=True, slots=True)
class SweepJob:
    """SIGTERM, grace, SIGKILL of what a lost attempt left behind."""

    job: JobId
    attempt: int


@dataclass(frozen=True, slots=True)
class CutAttachment:
    """Tell a runner to detach one attachment. message: why and by whom, in words; empty: the reason says it."""

    job: JobId
    attachment: AttachmentId
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class ForgetRunner:
    """The exit is committed: the runner may go."""

    job: JobId
    attempt: int


@dataclass(frozen=True, slots=True)
class RemoveHistory:
    """Retention is over: remove a session's logs and records."""

    session: SessionId


@dataclass(frozen=True, slots=True)
class SetControl:
    """Tell a runner which attachment holds control (None: nobody). A runner refuses a fence that is not newer.

    words: how it came to that, for who lost it.
    """

    job: JobId
    attachment: AttachmentId | None
    fence: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class SignalJob:
    """Send a signal to a job's main process group, as a policy asks."""

    job: JobId
    attempt: int
    signal: int


@dataclass(frozen=True, slots=True)
class CheckClock:
    """Look whether this clock of a session has run out, from what is stored then. clock: see domain/clock.py.

    at: the warning or deadline that it is for, Unix seconds; what was due before that has been told.
    """

    session: SessionId
    clock: str
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class SendNotice:
    """Make the notices of one event, for every channel that wants one. seq 0: only look which are due, and whose jobs
    are to be watched for waiting: channels, or a notice, were changed by hand.

    Sending is not done by the outbox: notices carry their own due times (services/courier.py), so that a channel that
    hangs holds up nothing else.
    """

    session: str
    seq: int = 0


Effect = (
    StartJob
    | StopJob
    | SweepJob
    | CutAttachment
    | ForgetRunner
    | RemoveHistory
    | SetControl
    | SignalJob
    | CheckClock
    | SendNotice
)


@dataclass(frozen=True, slots=True)
class Later:
    """Do the effect not before `at` (Unix seconds). It is stored at once, so it comes whatever dies meanwhile."""

    effect: Effect
    at: float


EFFECTS: dict[str, type[Effect]] = {
    "start_job": StartJob,
    "stop_job": StopJob,
    "sweep_job": SweepJob,
    "cut_attachment": CutAttachment,
    "forget_runner": ForgetRunner,
    "remove_history": RemoveHistory,
    "set_control": SetControl,
    "signal_job": SignalJob,
    "check_clock": CheckClock,
    "send_notice": SendNotice,
}
NAMES: dict[type[Effect], str] = {kind: name for name, kind in EFFECTS.items()}

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
    """Tell a runner to detach one attachment, with the reason."""

    job: JobId
    attachment: AttachmentId
    reason: str


@dataclass(frozen=True, slots=True)
class ForgetRunner:
    """The exit is committed: the runner may go."""

    job: JobId
    attempt: int


@dataclass(frozen=True, slots=True)
class RemoveHistory:
    """Retention is over: remove a session's logs and records."""

    session: SessionId


Effect = StartJob | StopJob | SweepJob | CutAttachment | ForgetRunner | RemoveHistory
EFFECTS: dict[str, type[Effect]] = {
    "start_job": StartJob,
    "stop_job": StopJob,
    "sweep_job": SweepJob,
    "cut_attachment": CutAttachment,
    "forget_runner": ForgetRunner,
    "remove_history": RemoveHistory,
}
NAMES: dict[type[Effect], str] = {kind: name for name, kind in EFFECTS.items()}

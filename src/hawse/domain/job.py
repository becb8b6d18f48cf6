"""A job: one command of a session, with a runner that outlives everyone who looks at it.

A job is started at most once per attempt. Whoever starts it first writes a claim that names (job, attempt,
incarnation); the incarnation is how a runner is recognised again, never its process id alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from hawse.domain.effect import Effect, Later, StartJob, StopJob, SweepJob
from hawse.domain.errors import Invalid
from hawse.domain.ids import JobId, SessionId, checked_name
from hawse.domain.table import moved

GRACE_S_DEFAULT = 10.0  # docker stop's default; long enough for a checkpointing editor, short enough to wait for
GRACE_S_MAX = 3600.0
ATTEMPTS_MAX = 100
LEFT_BEHIND_MAX = 100  # told; all are ended
RETRY_S = 1.0  # before the second attempt; doubled for each further one
RETRY_S_MAX = 300.0  # soon enough for what comes back by itself, seldom enough for what does not


class S(StrEnum):
    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    LOST = "lost"
    ENDED = "ended"


class E(StrEnum):
    START_ASKED = "start_asked"
    STARTED = "started"
    START_FAILED = "start_failed"
    LOG_CHANGED = "log_changed"
    STOP_ASKED = "stop_asked"
    EXITED = "exited"
    LOST = "lost"
    SWEPT = "swept"
    RESTARTED = "restarted"
    RETRIED = "retried"


JOB: Mapping[tuple[S, E], S] = {
    (S.PENDING, E.START_ASKED): S.STARTING,
    (S.PENDING, E.STOP_ASKED): S.ENDED,  # there is no runner to stop
    (S.STARTING, E.STARTED): S.RUNNING,
    (S.STARTING, E.START_FAILED): S.ENDED,
    (S.STARTING, E.STOP_ASKED): S.STOPPING,
    (S.STARTING, E.EXITED): S.ENDED,  # so short that its start was never seen
    (S.STARTING, E.RETRIED): S.PENDING,  # it failed; its next attempt starts at start_at
    (S.STARTING, E.LOST): S.LOST,
    (S.RUNNING, E.LOG_CHANGED): S.RUNNING,
    (S.RUNNING, E.STOP_ASKED): S.STOPPING,
    (S.RUNNING, E.EXITED): S.ENDED,
    (S.RUNNING, E.RETRIED): S.PENDING,
    (S.RUNNING, E.LOST): S.LOST,
    (S.STOPPING, E.STARTED): S.STOPPING,  # its start was under way when the stop was asked
    (S.STOPPING, E.START_FAILED): S.ENDED,
    (S.STOPPING, E.LOG_CHANGED): S.STOPPING,
    (S.STOPPING, E.STOP_ASKED): S.STOPPING,
    (S.STOPPING, E.EXITED): S.ENDED,
    (S.STOPPING, E.LOST): S.LOST,
    (S.LOST, E.STOP_ASKED): S.LOST,  # hurries the sweep, and there is no next attempt
    (S.LOST, E.SWEPT): S.ENDED,  # in the same change as `lost` when it left nothing to end
    (S.LOST, E.RESTARTED): S.STARTING,
    (S.ENDED, E.STOP_ASKED): S.ENDED,
}
START, FINAL = S.PENDING, frozenset({S.ENDED})
LIVING = frozenset(S) - FINAL
WITH_RUNNER = frozenset({S.STARTING, S.RUNNING, S.STOPPING})


class OutcomeKind(StrEnum):
    EXITED = "exited"
    SIGNALLED = "signalled"
    LOST = "lost"  # nobody saw its end; cause says why
    FAILED = "failed"  # it never ran; cause says why


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: a code (exited), a signal number (signalled) or a cause in words (lost, failed)."""

    kind: OutcomeKind
    code: int | None = None
    signal: int | None = None
    cause: str = ""

    @property
    def exit_code(self) -> int:
        """The code that a shell would show.

        Source: POSIX shell, 2.8.2: 126 not executable, 127 not found, 128 + n for signal n. A lost job has no code of
        its own: 1.
        """
        match self.kind:
            case OutcomeKind.EXITED:
                return self.code if self.code is not None else 1
            case OutcomeKind.SIGNALLED:
                return 128 + (self.signal or 0)
            case OutcomeKind.FAILED:
                return self.code if self.code is not None else 126
            case OutcomeKind.LOST:
                return 1


NEVER_STARTED = Outcome(OutcomeKind.LOST, cause="it was never started")  # nothing of it was found
STOPPED_BEFORE_START = Outcome(OutcomeKind.FAILED, cause="it was stopped first")


class OnLost(StrEnum):
    """What is done when a job's runner or host died: tell only, or start it again (next attempt)."""

    REPORT = "report"
    RESTART = "restart"


class OnError(StrEnum):
    """What is done when a job failed: tell only, start it again (a bounded number of times), or end its session."""

    REPORT = "report"
    RESTART = "restart"
    END = "end"


@dataclass(frozen=True, slots=True)
class LogState:
    """What the runner last told of the output log.

    state: ok, blocked (the job waits for room), dropping (bytes are lost, counted).
    """

    state: str = "ok"
    cause: str = ""
    since: float | None = None
    bytes_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One command of a session.

    command: what people read (argv, undecodable bytes replaced). left_behind: processes found after the end, each {pid,
    command}, with `survived` where one could not be ended. outcome of a job that is lost or was restarted: how its
    attempt ended; left_behind of a restarted one: what of that attempt may still live. on_error, retries_max: what its
    command asked for; None: what the session's policies say when it fails. start_at: a pending job starts then
    (back-off), Unix seconds.
    """

    id: JobId
    session: SessionId
    name: str
    state: S
    command: tuple[str, ...]
    tty: bool
    created_at: float
    on_lost: OnLost = OnLost.REPORT
    placement: str = "local"
    attempt: int = 1
    incarnation: str = ""
    pid: int | None = None
    version: int = 1
    started_at: float | None = None
    ended_at: float | None = None
    grace_s: float = GRACE_S_DEFAULT
    stop_reason: str = ""
    outcome: Outcome | None = None
    log: LogState = field(default_factory=LogState)
    log_end: int | None = None
    left_behind: tuple[Mapping[str, Any], ...] = ()
    on_error: OnError | None = None
    retries_max: int = 0
    start_at: float | None = None


def created(
    *,
    id: JobId,
    session: SessionId,
    name: str,
    command: tuple[str, ...],
    tty: bool,
    now: float,
    incarnation: str,
    on_lost: OnLost = OnLost.REPORT,
    grace_s: float = GRACE_S_DEFAULT,
    on_error: OnError | None = None,
    retries_max: int = 0,
) -> tuple[Job, tuple[Effect, ...]]:
    """A local job starts at once: its start is an effect, done after the commit. Raises Invalid."""
    if not command:
        raise Invalid("the command is empty")
    if not 0 <= retries_max < ATTEMPTS_MAX:
        raise Invalid(f"{retries_max} retries are not possible: 0 to {ATTEMPTS_MAX - 1}")
    job = Job(
        id=id,
        session=session,
        name=checked_name(name, "the job's name"),
        state=START,
        command=command,
        tty=tty,
        created_at=now,
        on_lost=on_lost,
        incarnation=incarnation,
        grace_s=checked_grace(grace_s),
        on_error=on_error,
        retries_max=retries_max,
    )
    return start_asked(job), (StartJob(job=job.id, attempt=job.attempt),)


def start_asked(job: Job) -> Job:
    """A pending job whose time has come. Raises IllegalMove."""
    return replace(job, state=moved(JOB, job.state, E.START_ASKED, f"job {job.name}"), start_at=None)


def checked_grace(grace_s: float) -> float:
    """The grace period, if it is one. Raises Invalid."""
    if not 0 <= grace_s <= GRACE_S_MAX:
        raise Invalid(f"a grace period of {grace_s:g} s is not possible: 0 to {GRACE_S_MAX:g} s")
    return grace_s


def started(job: Job, *, attempt: int, pid: int, now: float) -> Job:
    """Its runner has started it. An old attempt's report changes nothing."""
    if attempt != job.attempt or job.state in (S.LOST, S.ENDED) or job.pid is not None:
        return job
    return replace(job, state=moved(JOB, job.state, E.STARTED, f"job {job.name}"), pid=pid, started_at=now)


def stop_asked(job: Job, *, grace_s: float | None, reason: str, now: float) -> tuple[Job, tuple[Effect, ...]]:
    """Ask for its end:

    SIGTERM, grace, SIGKILL. Safe to repeat; a shorter grace than the one asked before hurries it up. A job that was
    asked to stop has a stop_reason, whatever becomes of it: it is never started again. A pending one ends at once, as
    its last attempt did.
    """
    grace = job.grace_s if grace_s is None else checked_grace(grace_s)
    after = moved(JOB, job.state, E.STOP_ASKED, f"job {job.name}")
    if job.state == S.ENDED or (job.stop_reason and grace >= job.grace_s):
        return job, ()
    stopping = replace(job, state=after, grace_s=grace, stop_reason=job.stop_reason or reason or "asked")
    if after == S.ENDED:
        return replace(stopping, ended_at=now, start_at=None, outcome=job.outcome or STOPPED_BEFORE_START), ()
    return stopping, (StopJob(job=job.id, attempt=job.attempt, grace_s=grace),)


def log_changed(job: Job, *, attempt: int, log: LogState) -> Job:
    """The output log blocks, drops, or is well again."""
    if attempt != job.attempt or job.state not in (S.RUNNING, S.STOPPING):
        return job
    return replace(job, state=moved(JOB, job.state, E.LOG_CHANGED, f"job {job.name}"), log=log)


def ended(
    job: Job,
    *,
    attempt: int,
    outcome: Outcome,
    now: float,
    log_end: int | None = None,
    left_behind: tuple[Mapping[str, Any], ...] = (),
    is_swept: bool = True,
    next_incarnation: str = "",
    on_error: OnError = OnError.REPORT,
    retries_max: int = 0,
) -> tuple[Job, tuple[Effect | Later, ...]]:
    """It exited, failed to start, or was lost. An old attempt's report, or a second one, changes nothing.

    is_swept: False for a lost job whose left_behind must be ended first: it stays lost until `swept`. Else see there
    for what becomes of a lost job. next_incarnation: the identity of the next attempt, needed only where a restart is
    possible. on_error, retries_max: the error policy that counts; a job that failed and may be tried again is pending
    until start_at. Attempts after a loss count as retries, too.
    """
    if attempt != job.attempt or job.state in (S.LOST, S.ENDED):
        return job, ()
    if outcome == NEVER_STARTED and job.stop_reason:  # nobody lost it: its stop came first
        outcome = STOPPED_BEFORE_START
    after = replace(job, outcome=outcome, log_end=log_end, left_behind=left_behind)
    if outcome.kind == OutcomeKind.LOST:
        lost = replace(after, state=moved(JOB, job.state, E.LOST, f"job {job.name}"))
        if not is_swept:
            return lost, (SweepJob(job=job.id, attempt=attempt),)
        return _over(lost, now=now, next_incarnation=next_incarnation)
    if (
        on_error == OnError.RESTART
        and is_failure(outcome)
        and job.attempt <= retries_max
        and _may_go_on(job, next_incarnation)
    ):
        return _retried(after, now=now, next_incarnation=next_incarnation)
    event = E.START_FAILED if outcome.kind == OutcomeKind.FAILED and job.state != S.RUNNING else E.EXITED
    return replace(after, state=moved(JOB, job.state, event, f"job {job.name}"), ended_at=now), ()


def is_failure(outcome: Outcome) -> bool:
    """Is this what an error policy is for? A lost job is not: on_lost is for that."""
    return outcome.kind != OutcomeKind.LOST and outcome.exit_code != 0


def retry_s(attempt: int) -> float:
    """How long to wait after this attempt failed: 1, 2, 4 ... 300 s."""
    return min(RETRY_S_MAX, RETRY_S * 2.0 ** min(attempt - 1, 30))


def _retried(failed: Job, *, now: float, next_incarnation: str) -> tuple[Job, tuple[Later, ...]]:
    start_at = now + retry_s(failed.attempt)
    again = replace(
        _next_attempt(failed, next_incarnation),
        state=moved(JOB, failed.state, E.RETRIED, f"job {failed.name}"),
        start_at=start_at,
    )
    return again, (Later(StartJob(job=again.id, attempt=again.attempt), start_at),)


def swept(
    job: Job,
    *,
    attempt: int,
    now: float,
    survived: tuple[Mapping[str, Any], ...] = (),
    next_incarnation: str = "",
) -> tuple[Job, tuple[Effect, ...]]:
    """What a lost job had left behind is ended, but for `survived`, which could not be in time and is told.

    Only now it has ended or, when it is marked so, is started again as its next attempt: two attempts never run side
    by side. An old attempt's report, or a second one, changes nothing.
    """
    if attempt != job.attempt or job.state != S.LOST:
        return job, ()
    living = tuple({**one, "survived": True} for one in survived)
    numbers = {one.get("pid") for one in survived}
    ended_ones = tuple(one for one in job.left_behind if one.get("pid") not in numbers)
    told = living if _is_restarted(job, next_incarnation) else (*living, *ended_ones)
    return _over(replace(job, left_behind=told[:LEFT_BEHIND_MAX]), now=now, next_incarnation=next_incarnation)


def _is_restarted(job: Job, next_incarnation: str) -> bool:
    return job.on_lost == OnLost.RESTART and _may_go_on(job, next_incarnation)


def _may_go_on(job: Job, next_incarnation: str) -> bool:
    return not job.stop_reason and job.attempt < ATTEMPTS_MAX and next_incarnation != ""


def _next_attempt(job: Job, incarnation: str) -> Job:
    return replace(job, attempt=job.attempt + 1, incarnation=incarnation, pid=None, started_at=None, log=LogState())


def _over(lost: Job, *, now: float, next_incarnation: str) -> tuple[Job, tuple[Effect, ...]]:
    """A lost job of which nothing is left to end."""
    if not _is_restarted(lost, next_incarnation):
        return replace(lost, state=moved(JOB, lost.state, E.SWEPT, f"job {lost.name}"), ended_at=now), ()
    again = replace(
        _next_attempt(lost, next_incarnation), state=moved(JOB, lost.state, E.RESTARTED, f"job {lost.name}")
    )
    return again, (StartJob(job=lost.id, attempt=again.attempt),)

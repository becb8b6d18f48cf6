"""Which events are told, to whom, and in which words: a pure table, event kind -> words.

Each word comes with the exact command to type. What an event's own fields do not say is in the facts: the session, and
the job, attachment or grant that the event is about, as they are when the notice is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hawse.domain.attachment import Attachment, Reason
from hawse.domain.event import Event
from hawse.domain.grant import Grant
from hawse.domain.ids import storable
from hawse.domain.job import Job, Outcome, OutcomeKind, is_failure
from hawse.domain.job import S as JobState
from hawse.domain.notice import Kind
from hawse.domain.session import Session

SUBJECT_LENGTH_MAX = 200
TEXT_LENGTH_MAX = 2000
# The ones that people meet. Source: asm-generic/signal.h of Linux; the domain knows no system, so not Python's names.
SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
    10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU",
}  # fmt: skip
EVERYBODY = ""  # who may see the session (and the job, where there is one)


@dataclass(frozen=True, slots=True)
class Facts:
    """job, attachment, grant: what the event is about, where it is there."""

    event: Event
    session: Session
    job: Job | None = None
    attachment: Attachment | None = None
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """What to tell. whom: the principal (or group) that it is for, or EVERYBODY. job: its name, "" without one.

    detail: facts for programs.
    """

    kind: Kind
    subject: str
    text: str
    command: str
    whom: str = EVERYBODY
    job: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def words_of(facts: Facts) -> Words | None:
    """What is told of an event; None: nothing."""
    say = TOLD.get(facts.event.kind)
    return None if say is None else say(facts)


def test_words(channel: str) -> Words:
    """Of a notice that somebody asked for, to see whether it comes."""
    return Words(
        Kind.TEST, f"test of channel {channel}", f"This is a test of channel {channel}: it works.", "hawse notify log"
    )


# -- jobs -------------------------------------------------------------------------------------------------------------


def _started(facts: Facts) -> Words | None:
    job = facts.job
    if job is None:
        return None
    label = f"{facts.session.name}/{job.name}"
    detail = {"attempt": job.attempt, "pid": job.pid}
    return _words(
        Kind.JOB_STARTED, f"{label} has started", f"{_shown(job)} runs.", f"hawse attach {label}", job, detail
    )


def _ended(facts: Facts) -> Words | None:
    job, outcome = facts.job, facts.job.outcome if facts.job is not None else None
    if job is None or outcome is None or facts.event.before.get("state") == JobState.LOST:
        return None  # a lost one was told when it was lost
    label = f"{facts.session.name}/{job.name}"
    kind, how = Kind.JOB_ENDED, _how(outcome)
    if outcome.kind == OutcomeKind.LOST:
        kind = Kind.JOB_LOST
    elif is_failure(outcome) and not job.stop_reason:
        kind = Kind.JOB_FAILED
    verb = {Kind.JOB_ENDED: "has ended", Kind.JOB_FAILED: "failed", Kind.JOB_LOST: "was lost"}[kind]
    text = f"{_shown(job)}: {how}."
    if job.stop_reason:
        text += f" Its end was asked for: {job.stop_reason}."
    return _words(kind, f"{label} {verb}: {how}", text, f"hawse logs {label}", job, _outcome(job, outcome))


def _lost(facts: Facts) -> Words | None:
    job = facts.job
    if job is None:
        return None
    label = f"{facts.session.name}/{job.name}"
    how = _how(job.outcome) if job.outcome is not None else "its runner died"
    text = f"{_shown(job)}: {how}."
    return _words(
        Kind.JOB_LOST, f"{label} was lost: {how}", text, f"hawse show {label}", job, _outcome(job, job.outcome)
    )


def _again(facts: Facts) -> Words | None:
    """It was restarted after a loss (a loss that was told already says no more), or is retried after a failure."""
    job, outcome = facts.job, facts.job.outcome if facts.job is not None else None
    if job is None or outcome is None or facts.event.before.get("state") == JobState.LOST:
        return None
    label = f"{facts.session.name}/{job.name}"
    kind = Kind.JOB_LOST if outcome.kind == OutcomeKind.LOST else Kind.JOB_FAILED
    verb = "was lost" if kind == Kind.JOB_LOST else "failed"
    text = f"{_shown(job)}: {_how(outcome)}. It is started again, as attempt {job.attempt}."
    return _words(
        kind, f"{label} {verb} and is started again: {_how(outcome)}", text, f"hawse show {label}", job,
        _outcome(job, outcome),
    )  # fmt: skip


def _waits(facts: Facts) -> Words | None:
    job = facts.job
    if job is None:
        return None
    label = f"{facts.session.name}/{job.name}"
    program = str(facts.event.detail.get("command", "")) or _shown(job)
    text = f"{program} prints nothing and reads its terminal."
    return _words(
        Kind.JOB_WAITS, f"{label} waits for you", text, f"hawse attach {label}", job, dict(facts.event.detail)
    )


# -- sessions ---------------------------------------------------------------------------------------------------------


def _warned(facts: Facts) -> Words | None:
    detail, name = facts.event.detail, facts.session.name
    kinds = {"lease": Kind.LEASE_ENDS, "connect_by": Kind.CONNECT_BY}
    kind = kinds.get(str(detail.get("clock")))
    if kind is None:
        return None
    left, at = _span(float(detail.get("left_s", 0.0))), _moment(float(detail.get("deadline", 0.0)))
    if kind == Kind.LEASE_ENDS:
        subject, text = f"{name} ends in {left}", f"The lease of session {name} is over at {at}; its jobs end then."
    else:
        subject = f"{name} ends in {left} unless you attach"
        text = f"Nobody has attached to session {name} since its job started; it ends at {at}."
    return _words(kind, subject, text, str(detail.get("command", "")), None, dict(detail))


def _session_ended(facts: Facts) -> Words | None:
    session = facts.session
    reason = session.end_reason or "asked"
    by = f" {session.ended_by} ended it." if session.ended_by not in ("", "hawse") else ""
    detail = {"reason": session.end_reason, "ended_by": session.ended_by}
    text = f"Session {session.name} is over: {reason}.{by}"
    return _words(
        Kind.SESSION_ENDED, f"{session.name} has ended: {reason}", text, f"hawse show {session.id}", None, detail
    )


def _refused(facts: Facts) -> Words | None:
    event, name = facts.event, facts.session.name
    capability, where = event.detail.get("capability", ""), event.detail.get("where", "")
    count = event.detail.get("count", 1)
    often = f", {count} times" if isinstance(count, int) and count > 1 else ""
    text = f"{event.by} tried {event.detail.get('what', 'something')} ({capability}) in session {name}{often}"
    text += f", from {where}." if where else "."
    return _words(
        Kind.REFUSED, f"{event.by} was refused {capability} in {name}{often}", text, f"hawse events {name}", None,
        dict(event.detail), whom=facts.session.owner,
    )  # fmt: skip


# -- people -----------------------------------------------------------------------------------------------------------


def _detached(facts: Facts) -> Words | None:
    """Only somebody whose place was taken needs to be told."""
    if facts.attachment is None or facts.event.after.get("reason") != Reason.STOLEN:
        return None
    by = facts.attachment.detached_by or facts.event.by
    label = _label(facts)
    text = f"{by} took your place at {label}. The work goes on."
    return _words(
        Kind.TAKEN_OVER, f"{by} took over {label}", text, f"hawse attach {label}", facts.job,
        {"by": by, "where": facts.attachment.where}, whom=facts.attachment.who,
    )  # fmt: skip


def _control_taken(facts: Facts) -> Words | None:
    """`detail.from_who` had it. Who takes it from a terminal of his own needs no word; where nobody had it, nobody."""
    by, loser = facts.event.by, str(facts.event.detail.get("from_who", ""))
    if not loser or by == loser:
        return None
    label = _label(facts)
    text = f"{by} has control of {label} now; you still see it."
    return _words(
        Kind.TAKEN_OVER, f"{by} took control of {label}", text, f"hawse take {label}", facts.job,
        {"by": by}, whom=loser,
    )  # fmt: skip


def _shared(facts: Facts) -> Words | None:
    """Links are handed over by hand; who turned one into a role of his own knows that."""
    grant, name = facts.grant, facts.session.name
    if grant is None or grant.principal is None or grant.principal == facts.event.by or grant.state != "live":
        return None
    until = f" until {_moment(grant.expires_at)}" if grant.expires_at is not None else ""
    only = f" (only {', '.join(grant.can)})" if grant.can else ""
    text = f"{facts.event.by} made you {grant.role} of session {name}{only}{until}."
    detail = {"role": grant.role.value, "can": list(grant.can), "expires_at": grant.expires_at}
    return _words(
        Kind.SHARED, f"{facts.event.by} shares {name} with you", text, f"hawse show {facts.session.id}", None, detail,
        whom=grant.principal,
    )  # fmt: skip


TOLD: Mapping[str, Callable[[Facts], Words | None]] = {
    "job.started": _started,
    "job.ended": _ended,
    "job.lost": _lost,
    "job.restarted": _again,
    "job.retried": _again,
    "job.waits": _waits,
    "session.warned": _warned,
    "session.ended": _session_ended,
    "session.refused": _refused,
    "attachment.detached": _detached,
    "attachment.control_taken": _control_taken,
    "grant.created": _shared,
    "grant.changed": _shared,
}
# Events that are looked at when anybody listens: what is told, and what changes who may be told.
HEARD = frozenset({*TOLD, "grant.revoked", "grant.expired"})


# -- how it is said ---------------------------------------------------------------------------------------------------


def _words(
    kind: Kind, subject: str, text: str, command: str, job: Job | None, detail: Mapping[str, Any], whom: str = EVERYBODY
) -> Words:
    return Words(
        kind,
        _line(subject, SUBJECT_LENGTH_MAX),
        _line(text, TEXT_LENGTH_MAX),
        _line(command, SUBJECT_LENGTH_MAX),
        whom,
        job.name if job is not None else "",
        detail,
    )


def _line(text: str, length_max: int) -> str:
    """One line that every store, mail and terminal takes: what a command or a reason holds may be anything."""
    plain = "".join(c if c.isprintable() else " " for c in storable(text, characters_max=length_max))
    return plain if len(text) <= length_max else plain[:-3] + "..."


def _label(facts: Facts) -> str:
    return facts.session.name if facts.job is None else f"{facts.session.name}/{facts.job.name}"


def _shown(job: Job) -> str:
    return _line(" ".join(job.command), 200)


def _how(outcome: Outcome) -> str:
    match outcome.kind:
        case OutcomeKind.EXITED:
            return f"exit code {outcome.exit_code}"
        case OutcomeKind.SIGNALLED:
            return f"killed by {SIGNALS.get(outcome.signal or 0, f'signal {outcome.signal}')}"
        case OutcomeKind.FAILED:
            return outcome.cause or "it could not be started"
        case OutcomeKind.LOST:
            return outcome.cause or "nobody saw its end"


def _outcome(job: Job, outcome: Outcome | None) -> dict[str, Any]:
    if outcome is None:
        return {"attempt": job.attempt}
    return {
        "outcome": outcome.kind.value, "code": outcome.code, "signal": outcome.signal, "cause": outcome.cause,
        "exit_code": outcome.exit_code, "attempt": job.attempt, "stop_reason": job.stop_reason,
    }  # fmt: skip


def _span(seconds: float) -> str:
    """30 min, 2 h 5 min, 40 s."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

"""States, outcomes, ages and sizes in words."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from hawse.client.records import JobInfo, Outcome, SessionInfo, Trouble

SHORT_ID_LENGTH = 13  # of a UUIDv7: its milliseconds; a unique beginning is as good as the whole id
ENDS_MAX = 3  # jobs named in one line
_STEPS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def duration(seconds: float) -> str:
    """Seconds in at most two units: 42s, 3m, 2h 5m, 4d."""
    whole = max(0, int(seconds))
    for at, (size, unit) in enumerate(_STEPS):
        if whole >= size:
            first, rest = divmod(whole, size)
            text = f"{first}{unit}"
            if first < 10 and at + 1 < len(_STEPS) and unit != "m":
                size, unit = _STEPS[at + 1]
                text += f" {rest // size}{unit}" if rest // size else ""
            return text
    return "0s"


def age(then: float | None, now: float) -> str:
    """How long ago; "-" when it never was."""
    return "-" if then is None else duration(now - then)


def moment(then: float | None) -> str:
    """A point in time, local: 2025-03-04 17:05:06."""
    return "-" if then is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(then))


def size(count: int) -> str:
    """Bytes in the largest unit that keeps two digits: 512 B, 34 KiB, 1.2 GiB."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def short_id(id: str) -> str:
    """The beginning of an id, for a listing."""
    return id[:SHORT_ID_LENGTH]


def signal_name(number: int) -> str:
    """SIGTERM, or the number in words."""
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def outcome(value: Outcome | None) -> str:
    """How a job ended."""
    if value is None:
        return ""
    if value.kind == "exited":
        return f"exit code {value.code}"
    if value.kind == "signalled":
        return f"killed by {signal_name(value.signal or 0)}"
    if value.kind == "lost":
        return f"lost: {value.cause}"
    return f"never started: {value.cause}"


def job_state(job: JobInfo) -> str:
    """A job's state with how it ended."""
    if job.state == "lost" and job.outcome:
        return f"{outcome(job.outcome)}; what it left behind is being ended"
    return f"ended, {outcome(job.outcome)}" if job.is_over and job.outcome else job.state


def trouble(value: Trouble) -> str:
    """Why what is shown may be old."""
    return f"nothing new can be written down since {moment(value.since)}, so this may be old: {value.cause}"


def left_behind(entry: Mapping[str, Any]) -> str:
    """A process that a job left behind."""
    words = f"{entry.get('pid')} {entry.get('command')}"
    return f"{words} (could not be ended)" if entry.get("survived") else words


def session_end(session: SessionInfo) -> str:
    """What ended and why: one line for a listing."""
    if not session.is_over:
        return "; ".join(_ends([job for job in session.jobs if job.is_over]))
    told = _ends(session.jobs)
    if not told and session.jobs:
        told = [outcome(session.jobs[-1].outcome)]
    why = "" if session.end_reason in ("", "its last job ended") else session.end_reason
    if why == "asked":
        why = "ended by its owner" if session.ended_by == session.owner else f"ended by {session.ended_by}"
    return "; ".join(part for part in (*told, why) if part)


def _ends(jobs: Sequence[JobInfo]) -> list[str]:
    """The first jobs that did not end well, and how many more."""
    told = [f"{job.name}: {outcome(job.outcome)}" for job in jobs if _is_remarkable(job)]
    more = len(told) - ENDS_MAX
    return [*told[:ENDS_MAX], f"and {more} more"] if more > 0 else told


def _is_remarkable(job: JobInfo) -> bool:
    return job.outcome is not None and job.outcome.exit_code != 0


def command(argv: list[str]) -> str:
    """A command as one would type it."""
    from shlex import join

    return join(argv)

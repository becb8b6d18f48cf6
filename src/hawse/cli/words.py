"""States, outcomes, ages and sizes in words."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from hawse.client.records import AttachmentInfo, JobInfo, Outcome, SessionInfo, Trouble

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
    if job.state == "pending" and job.start_at and job.outcome:
        return f"pending: {outcome(job.outcome)}; attempt {job.attempt} starts {moment(job.start_at)}"
    return f"ended, {outcome(job.outcome)}" if job.is_over and job.outcome else job.state


def control(one: AttachmentInfo) -> str:
    """What an attachment has to say about control of its job."""
    return "has" if one.holds else "may" if one.mode == "control" else "-"


def trouble(value: Trouble) -> str:
    """Why what is shown may be old."""
    return f"nothing new can be written down since {moment(value.since)}, so this may be old: {value.cause}"


def left_behind(entry: Mapping[str, Any]) -> str:
    """A process that a job left behind."""
    words = f"{entry.get('pid')} {entry.get('command')}"
    return f"{words} (could not be ended)" if entry.get("survived") else words


def short(seconds: float) -> str:
    """A setting in seconds as one types it: 90s, 10m, 1h30m; 0: never."""
    if seconds < 1:
        return "never" if seconds <= 0 else f"{seconds:g}s"
    text, left = "", round(seconds)
    for size_s, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        text += f"{left // size_s}{unit}" if left >= size_s else ""
        left %= size_s
    return text


def policy_value(name: str, value: Any) -> str:
    """A policy's value in words."""
    if isinstance(value, list):
        return ", ".join(map(short, value)) or "none"
    if name == "on_disconnect_s" and not value:
        return "at once"
    return short(value) if name.endswith("_s") else str(value)


def clock_left(session: SessionInfo, now: float) -> str:
    """When a session ends by itself."""
    if session.lease == "until" and session.lease_until is not None:
        left_s = session.lease_until - now
        left = f"in {duration(left_s)}" if left_s >= 0 else "its time is over"
        return f"ends {moment(session.lease_until)}, {left}"
    return {"never": "never ends by itself", "jobs": "ends with its last job"}.get(session.lease, session.lease)


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

"""What a runner's REPORT means in the port's words. Source: spec 04, section 5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hawse.domain.ids import storable
from hawse.domain.job import LogState, Outcome, OutcomeKind
from hawse.ports.launcher import (
    Ended,
    Linked,
    Links,
    LogChanged,
    Quiet,
    Refused,
    Report,
    Start,
    Started,
    Unlinked,
    Waits,
)

LEFT_BEHIND_MAX = 100
COMMAND_LENGTH_MAX = 200
CAUSE_LENGTH_MAX = 5000  # it may name a command or a directory: PATH_MAX is 4096
INTEGER_MAX = 2**63 - 1  # no store keeps more


def reports(start: Start, value: Mapping[str, Any], *, now: float) -> list[Report]:
    """The reports in one REPORT, in order. A kind that a newer runner may say is left alone."""
    match value.get("kind"):
        case "state":
            return _state(start, value, now)
        case "started":
            return [_started(start, value)]
        case "exited":
            return [ended(start, value)]
        case "log":
            return [LogChanged(start.job, start.attempt, _log(value, now))]
        case "attached":
            return [Linked(start.job, str(value.get("attachment", "")))]
        case "detached":
            return [
                Unlinked(
                    start.job,
                    str(value.get("attachment", "")),
                    str(value.get("reason", "lost")),
                    _count(value.get("cursor")),
                    _quiet(value),
                )
            ]
        case "refused":
            return [_refused(start, value)]
        case "waits":
            command = _text(value.get("command", ""), COMMAND_LENGTH_MAX)
            at = _time(value.get("at")) or now
            return [Waits(start.job, start.attempt, _count(value.get("pid")), command, at)]
        case _:
            return []


def _refused(start: Start, value: Mapping[str, Any]) -> Refused:
    uid = value.get("uid")
    return Refused(
        start.job,
        str(value.get("reason", "")),
        str(value.get("attachment", "")),
        uid if isinstance(uid, int) else None,
        max(1, _count(value.get("count"))),
    )


def quiet(value: Mapping[str, Any]) -> dict[str, Quiet]:
    """What a runner answers to `activity`, by attachment."""
    told = value.get("attachments")
    listed = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    found = {str(one.get("attachment")): _quiet(one) for one in listed}
    return {id: one for id, one in found.items() if one is not None}


def _quiet(value: Mapping[str, Any]) -> Quiet | None:
    active_s = _span(value.get("active_s"))
    return None if active_s is None else Quiet(active_s, _span(value.get("typed_s")))


def _state(start: Start, value: Mapping[str, Any], now: float) -> list[Report]:
    found: list[Report] = []
    if value.get("pid"):
        found.append(_started(start, value))
    links = value.get("attachments")
    if isinstance(links, list):
        found.append(
            Links(
                start.job,
                {str(one.get("attachment")): _count(one.get("cursor")) for one in links if isinstance(one, dict)},
            )
        )
    log = value.get("log")
    if isinstance(log, dict):
        found.append(LogChanged(start.job, start.attempt, _log({**log, "cause": _why_not(log)}, now)))
    if isinstance(value.get("outcome"), dict):
        found.append(ended(start, value))
    return found


def _started(start: Start, value: Mapping[str, Any]) -> Started:
    return Started(start.job, start.attempt, _count(value.get("pid")), at=_time(value.get("started_at")))


def ended(start: Start, value: Mapping[str, Any]) -> Ended:
    """The end, from a report or from exit.json."""
    end = value.get("end", value.get("log_end"))
    behind = value.get("left_behind")
    return Ended(
        start.job,
        start.attempt,
        outcome(value.get("outcome")),
        log_end=_integer(end),
        left_behind=tuple(
            {"pid": _count(one.get("pid")), "command": _text(one.get("command", ""), COMMAND_LENGTH_MAX)}
            for one in (behind if isinstance(behind, list) else [])[:LEFT_BEHIND_MAX]
            if isinstance(one, dict)
        ),
        at=_time(value.get("ended_at")),
    )


def outcome(value: object) -> Outcome:
    """An outcome as its runner wrote it; what cannot be read is told as such, never guessed."""
    if not isinstance(value, dict) or value.get("kind") not in tuple(OutcomeKind):
        return Outcome(OutcomeKind.LOST, cause=f"its recorded end cannot be read: {_text(value, 100)}")
    return Outcome(
        OutcomeKind(value["kind"]),
        code=_integer(value.get("code")),
        signal=_integer(value.get("signal")),
        cause=_text(value.get("cause", ""), CAUSE_LENGTH_MAX),
    )


def _why_not(log: Mapping[str, Any]) -> object:
    """A `state` tells the last error number in any case; it means something only where bytes are not taken."""
    return "" if log.get("state") == "ok" else log.get("cause", "")


def _log(value: Mapping[str, Any], now: float) -> LogState:
    state = value.get("state")
    cause = _text(value.get("cause", ""), CAUSE_LENGTH_MAX)
    if state not in ("blocked", "dropping"):
        return LogState(cause=cause, since=now if cause else None, bytes_dropped=_count(value.get("dropped")))
    return LogState(
        state=state,
        cause=cause,
        since=_time(value.get("since")) or now,
        bytes_dropped=_count(value.get("dropped")),
    )


def _text(value: object, characters_max: int) -> str:
    return storable(str(value), characters_max=characters_max)


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and -INTEGER_MAX <= value <= INTEGER_MAX else None


def _count(value: object) -> int:
    return max(0, _integer(value) or 0)


def _span(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and 0 <= value <= INTEGER_MAX else None


def _time(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and 0 < value <= INTEGER_MAX else None

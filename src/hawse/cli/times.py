"""Durations and times as people type them: one reader for all commands. words.py says them."""

from __future__ import annotations

import re
import time

from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([wdhms])")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[wdhms])+")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9][0-9])(?::([0-9][0-9]))?")
DURATIONS = "a duration is a number with w, d, h, m or s, or several: 10m, 1h30m, 2d"
TIMES = "a time is 2026-03-04 17:30, 2026-03-04T17:30:00Z, 17:30 (the next one), or a duration from now: 8h"


def duration(text: str, what: str = "the duration") -> float:
    """Seconds. Raises Invalid."""
    if text == "0":
        return 0.0
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    if not _DURATION.fullmatch(text) or "".join(map("".join, parts)) != text or len(set(units)) != len(units):
        hint = f"; {text}m for minutes, {text}s for seconds" if text.isdecimal() else ""
        raise Invalid(f"{what} {text!r} is not a duration{hint}", next_step=DURATIONS)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def moment(text: str, now: float, what: str = "the time") -> float:
    """Unix seconds of a time, local where it names no zone. Raises Invalid."""
    if _DURATION.fullmatch(text):
        return now + duration(text, what)
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        return _next(int(clock[1]), int(clock[2]), int(clock[3] or 0), now, f"{what} {text!r}")
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise Invalid(f"{what} {text!r} is no time", next_step=TIMES) from None


def _next(hour: int, minute: int, second: int, now: float, what: str) -> float:
    """The next time that a wall clock shows this."""
    if hour > 23 or minute > 59 or second > 59:
        raise Invalid(f"{what} is no time of day", next_step=TIMES)
    local = time.localtime(now)
    for days in (0, 1, 2):
        date = (local.tm_year, local.tm_mon, local.tm_mday + days, hour, minute, second, 0, 0, -1)
        found = time.mktime(date)
        if found > now:
            return found
    raise Invalid(f"{what} does not come", next_step=TIMES)


def policy(text: str) -> dict[str, Any]:
    """KEY=VALUE of `hawse policy set` as REST takes it. Raises Invalid; what a value may be the coordinator says.

    Values of policies in seconds are durations. `on_disconnect=end:10m`, `on_disconnect=signal:HUP:10m` and
    `on_error=restart:3` set several at once. Nothing behind the sign takes a policy away.
    """
    key, sign, value = text.partition("=")
    key = key.strip().replace("-", "_")
    if not sign or not key:
        raise Invalid(f"{text!r} is not KEY=VALUE", next_step="hawse policy show NAME lists the keys")
    if not value:
        return {key: None}
    if key == "on_disconnect":
        return on_disconnect(value)
    if key == "on_error":
        how, retries_max = on_error(value)
        return {"on_error": how} if retries_max is None else {"on_error": how, "on_error_retries": retries_max}
    if key.endswith("_warnings_s"):
        return {key: [duration(one, key) for one in value.split(",")] if value != "none" else []}
    if key.endswith("_s"):
        return {key: 0.0 if value == "never" else duration(value, key)}
    if key == "on_error_retries":
        return {key: _count(value)}
    return {key: value}


def on_disconnect(text: str) -> dict[str, Any]:
    """keep, end:TIME or signal:NAME:TIME as policies. Raises Invalid."""
    how, *rest = text.split(":")
    if how == "keep" and not rest:
        return {"on_disconnect": "keep"}
    if how == "end" and len(rest) <= 1:
        return {"on_disconnect": how, "on_disconnect_s": duration(rest[0], "on-disconnect") if rest else 0.0}
    if how == "signal" and len(rest) <= 2:
        name, after = (rest[0] if rest else "HUP"), (rest[1] if len(rest) == 2 else "0")
        after_s = duration(after, "on-disconnect")
        return {"on_disconnect": how, "on_disconnect_signal": name, "on_disconnect_s": after_s}
    raise Invalid(f"on-disconnect {text!r} is not possible", next_step="keep, end:10m or signal:HUP:10m")


def on_error(text: str) -> tuple[str, int | None]:
    """report, restart, restart:N or end: what to do, and how often. Raises Invalid."""
    how, sign, count = text.partition(":")
    if how not in ("report", "restart", "end") or (sign and how != "restart"):
        raise Invalid(f"on-error {text!r} is not possible", next_step="report, restart:3 or end")
    return how, _count(count) if sign else None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 3:
        raise Invalid(f"{text!r} is not a number of retries", next_step="restart:3")
    return int(text)

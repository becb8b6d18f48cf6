"""A point in time as a person gives it."""

from __future__ import annotations

import re
import time

from hawse.domain.errors import Invalid

_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
DAY_S = 86400


def moment_of(text: str, *, now: float) -> float:
    """Unix seconds: "2h30m" (from now), "17:30" (the next one), "2025-03-04", "2025-03-04 17:30"; local time.

    Raises Invalid.
    """
    plain = text.strip()
    parts = _PART.findall(plain)
    if parts and "".join(number + unit for number, unit in parts) == plain:
        return now + sum(float(number) * _SECONDS[unit] for number, unit in parts)
    for form in _FORMS:
        try:
            return time.mktime(time.strptime(plain, form))
        except (ValueError, OverflowError):
            continue
    try:
        today = time.strptime(plain, "%H:%M")
    except ValueError:
        raise Invalid(
            f"{text!r} is no time", next_step='give how long (2h30m, 7d), or until when (17:30, "2025-03-04 17:30")'
        ) from None
    local = time.localtime(now)
    for day in (0, 1):
        at = time.mktime((*local[:2], local.tm_mday + day, today.tm_hour, today.tm_min, 0, 0, 0, -1))
        if at > now:
            return at
    raise Invalid(f"{text!r} is no time of today or tomorrow")

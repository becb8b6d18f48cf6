"""Policies of a session: what they are, their defaults, and which one counts.

A policy is set for a project, for a session, or by a command for one attachment or job; what is set nearest counts. A
session stores only what was set for it. `effective` tells the value and where it was set.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hawse.domain.errors import Invalid
from hawse.domain.job import ATTEMPTS_MAX, OnError

SECONDS_MAX = 366 * 86400.0  # a year: longer waits are "never"
WARNINGS_MAX = 10
_SIGNAL = re.compile(r"[A-Z0-9+-]{1,16}")


class Source(StrEnum):
    """Where a value was set, from far to near."""

    DEFAULT = "default"
    PROJECT = "project"
    SESSION = "session"
    COMMAND = "command"


class OnDisconnect(StrEnum):
    """What follows when nobody is attached any more."""

    KEEP = "keep"
    END = "end"  # the session, after on_disconnect_s
    SIGNAL = "signal"  # its jobs, after on_disconnect_s


class Attach(StrEnum):
    """What happens when somebody attaches with control to a job that another one may control, too."""

    REJECT = "reject"  # the newcomer is told who is there
    SHARE = "share"  # both stay; the first one has control until the other takes it
    STEAL = "steal"  # the older one is detached and told by whom


ATTACH_RANK: Mapping[Attach, int] = {Attach.REJECT: 0, Attach.SHARE: 1, Attach.STEAL: 2}  # from mild to strong


def exceeds(asked: Attach, policy: Attach) -> bool:
    """Does an attach that asks for this want more than the session's policy gives to everybody?"""
    return ATTACH_RANK[asked] > ATTACH_RANK[policy]


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy. check: the value as it is kept, from what was given; raises Invalid. what: for people."""

    default: Any
    what: str
    check: Callable[[str, Any], Any]


def _choice(of: type[StrEnum]) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in frozenset(of):
            raise Invalid(f"policy {name}: {str(value)[:40]!r} is none of {', '.join(of)}")
        return str(value)

    return check


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Invalid(f"policy {name}: {str(value)[:40]!r} is no number of seconds")
    if not 0 <= value <= SECONDS_MAX:
        raise Invalid(f"policy {name}: {value:g} s is not possible: 0 to {SECONDS_MAX:g} s")
    return float(value)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < ATTEMPTS_MAX:
        raise Invalid(f"policy {name}: {str(value)[:40]!r} is no whole number from 0 to {ATTEMPTS_MAX - 1}")
    return value


def _signal(name: str, value: Any) -> str:
    text = str(value).upper().removeprefix("SIG")
    if not _SIGNAL.fullmatch(text):
        raise Invalid(f"policy {name}: {str(value)[:20]!r} is no signal", next_step="kill -l lists the names")
    return text


def _warnings(name: str, value: Any) -> list[float]:
    if not isinstance(value, (list, tuple)) or len(value) > WARNINGS_MAX:
        raise Invalid(f"policy {name}: a list of at most {WARNINGS_MAX} numbers of seconds is needed")
    return sorted({_seconds(name, one) for one in value}, reverse=True)


POLICIES: Mapping[str, Policy] = {
    "attach": Policy(
        Attach.SHARE.value, "when a second one attaches to a job: share, steal or reject", _choice(Attach)
    ),
    "control_idle_s": Policy(600.0, "who typed nothing for so long gives control to who waits; 0: never", _seconds),
    "idle_s": Policy(43200.0, "who types nothing and is shown nothing for so long is detached; 0: never", _seconds),
    "connect_by_s": Policy(0.0, "somebody must attach so soon after a job's start; 0: nobody must", _seconds),
    "on_disconnect": Policy(OnDisconnect.KEEP.value, "when nobody is attached any more", _choice(OnDisconnect)),
    "on_disconnect_s": Policy(0.0, "... after this time", _seconds),
    "on_disconnect_signal": Policy("HUP", "... this signal", _signal),
    "on_error": Policy(
        OnError.REPORT.value, "when a job fails: tell, start it again, or end the session", _choice(OnError)
    ),
    "on_error_retries": Policy(3, "... start it again so often", _count),
    "lease_warnings_s": Policy([1800.0, 600.0, 120.0], "warn so long before the lease ends", _warnings),
    "connect_by_warnings_s": Policy([120.0], "warn so long before the connect-by deadline", _warnings),
}
COUNTS = frozenset({"on_error_retries"})
STARTING_CLOCKS = frozenset({"connect_by_s", "on_disconnect", "on_disconnect_s", "control_idle_s", "idle_s"})


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it was set."""

    value: Any
    source: Source


def check_names(policies: Iterable[str]) -> None:
    """Raises Invalid for a name that no policy has."""
    for name in policies:
        if name not in POLICIES:
            raise Invalid(f"there is no policy {name[:60]!r}", next_step=f"known policies: {', '.join(POLICIES)}")


def checked(policies: Mapping[str, Any]) -> dict[str, Any]:
    """The policies as they are kept. Raises Invalid (unknown, or a value that is none)."""
    check_names(policies)
    return {name: POLICIES[name].check(name, value) for name, value in policies.items()}


def effective(
    *, session: Mapping[str, Any], project: Mapping[str, Any] | None = None, command: Mapping[str, Any] | None = None
) -> dict[str, Setting]:
    """All policies, each with the nearest value. A stored value that this version does not know is passed over."""
    found = {}
    for name, policy in POLICIES.items():
        found[name] = Setting(policy.default, Source.DEFAULT)
        for source, given in ((Source.PROJECT, project), (Source.SESSION, session), (Source.COMMAND, command)):
            if given is not None and name in given:
                found[name] = Setting(given[name], source)
    return found

"""A project: whose sessions count together, how many there may be, how long they live, what counts for them.

The project `default` is there without being made: everybody is a member, and it sets no bound, until an admin says
otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from hawse.domain.errors import IllegalMove, Invalid, LimitReached, TooLarge
from hawse.domain.grant import checked_principal
from hawse.domain.ids import checked_name, checked_text
from hawse.domain.policy import SECONDS_MAX, check_names, checked
from hawse.domain.table import moved

DEFAULT = "default"
EVERYONE = "everyone"  # as a member: whoever is let in
MEMBERS_MAX = 1000  # groups are for more
COUNT_MAX = 1_000_000
ABOUT_LENGTH_MAX = 1000


class S(StrEnum):
    ACTIVE = "active"
    RETIRED = "retired"  # its sessions go on; no new one begins


class E(StrEnum):
    CHANGED = "changed"
    RETIRED = "retired"
    REVIVED = "revived"


PROJECT: Mapping[tuple[S, E], S] = {
    (S.ACTIVE, E.CHANGED): S.ACTIVE,
    (S.ACTIVE, E.RETIRED): S.RETIRED,
    (S.ACTIVE, E.REVIVED): S.ACTIVE,
    (S.RETIRED, E.CHANGED): S.RETIRED,
    (S.RETIRED, E.RETIRED): S.RETIRED,
    (S.RETIRED, E.REVIVED): S.ACTIVE,
}
START, FINAL = S.ACTIVE, frozenset[S]()


@dataclass(frozen=True, slots=True)
class Project:
    """sessions_max: living ones; jobs_max: jobs that are not over, in all its sessions; None: no bound. lease_s: how
    long a session lives for which nobody says it; lease_s_max: at most, from its creation; seconds. policies: what
    counts for its sessions where they set nothing themselves (domain/policy.py). members: principals, or "everyone".
    """

    name: str
    state: S
    created_at: float
    created_by: str
    sessions_max: int | None = None
    jobs_max: int | None = None
    lease_s: float | None = None
    lease_s_max: float | None = None
    policies: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    about: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True)
class Use:
    """What of a project's quota is used: living sessions, jobs that are not over."""

    sessions: int
    jobs: int


def implied() -> Project:
    """The project `default` as long as nobody made it."""
    return Project(name=DEFAULT, state=START, created_at=0.0, created_by="hawse", members=(EVERYONE,))


def unknown(name: str) -> Project:
    """What stands for a project that nobody knows (a restored session's): no member, no bound."""
    return Project(name=name, state=START, created_at=0.0, created_by="hawse")


def created(*, name: str, by: str, now: float, **facts: Any) -> Project:
    """facts: as for `changed`. Raises Invalid, TooLarge."""
    members = (EVERYONE,) if name == DEFAULT else ()
    made = Project(checked_name(name, "the project's name"), START, now, by, members=members)
    return changed(made, **facts)


def changed(project: Project, **facts: Any) -> Project:
    """Other limits, policies, members or words, by the fields' names. policies: a value None takes one away.

    Raises Invalid, TooLarge.
    """
    kept: dict[str, Any] = {}
    for name, value in facts.items():
        if name in ("sessions_max", "jobs_max"):
            kept[name] = _count(name, value)
        elif name in ("lease_s", "lease_s_max"):
            kept[name] = _seconds(name, value)
        elif name == "members":
            kept[name] = checked_members(value)
        elif name == "policies":
            kept[name] = _policies(project.policies, value)
        elif name == "about":
            kept[name] = _about(value)
        else:
            raise Invalid(f"a project has no {name[:60]!r}")
    after = replace(project, state=moved(PROJECT, project.state, E.CHANGED, f"project {project.name}"), **kept)
    if after.lease_s is not None and after.lease_s_max is not None and after.lease_s > after.lease_s_max:
        raise Invalid(f"a session would live {after.lease_s:g} s by default, and {after.lease_s_max:g} s at most")
    return after


def _count(name: str, value: int | None) -> int | None:
    if value is not None and not 0 <= value <= COUNT_MAX:
        raise Invalid(f"{name} {value} is not possible: 0 to {COUNT_MAX}, or none")
    return value


def _seconds(name: str, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and 0 < value <= SECONDS_MAX):
        raise Invalid(f"{name} {value:g} s is not possible: more than 0, at most {SECONDS_MAX:g} s, or none")
    return value


def _policies(present: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    check_names(given)
    kept = {name: value for name, value in present.items() if name not in given}
    return kept | checked({name: value for name, value in given.items() if value is not None})


def _about(text: str) -> str:
    if len(text) > ABOUT_LENGTH_MAX:
        raise TooLarge(f"the description has {len(text)} characters; at most {ABOUT_LENGTH_MAX} are allowed")
    return checked_text(text, "the description")


def checked_members(members: Iterable[str]) -> tuple[str, ...]:
    """Each once, sorted. Raises Invalid, TooLarge."""
    found = tuple(sorted(set(members)))
    if len(found) > MEMBERS_MAX:
        raise TooLarge(
            f"{len(found)} members are too many; at most {MEMBERS_MAX} are allowed", next_step="name a group"
        )
    for one in found:
        if one != EVERYONE:
            checked_principal(one)
    return found


def retired(project: Project) -> Project:
    """Nothing new begins in it. Safe to repeat."""
    return replace(project, state=moved(PROJECT, project.state, E.RETIRED, f"project {project.name}"))


def revived(project: Project) -> Project:
    """Sessions may begin in it again. Safe to repeat."""
    return replace(project, state=moved(PROJECT, project.state, E.REVIVED, f"project {project.name}"))


def is_member(project: Project, principals: Collection[str]) -> bool:
    """Is one of these a member, or everybody?"""
    return any(one == EVERYONE or one in principals for one in project.members)


def check_room(project: Project, use: Use, *, sessions: int = 0, jobs: int = 0) -> None:
    """Is there room for so many more? use: as it is now.

    Raises LimitReached (which quota, how much of it is used), IllegalMove (it is retired: no session begins in it).
    """
    if sessions and project.state == S.RETIRED:
        raise IllegalMove(
            f"project {project.name} is retired; nothing new begins in it", next_step="choose another: hawse project ls"
        )
    quotas = (
        ("living sessions", sessions, use.sessions, project.sessions_max, f"hawse ls --project {project.name}"),
        ("jobs that are not over", jobs, use.jobs, project.jobs_max, "wait for one to end, or end one"),
    )
    for what, more, used, most, step in quotas:
        if more and most is not None and used + more > most:
            raise LimitReached(
                f"project {project.name} has {used} {what}; its quota is {most}",
                next_step=f"{step}; an admin can raise the quota: hawse project set",
                project=project.name, quota=what, used=used, limit=most,
            )  # fmt: skip

"""A user of a site service: a name that stands for a person, whichever way the person comes in.

The name is the principal `user:NAME`; sessions and grants hold that, so a name is never given to somebody else: a
removed user's name stays taken. A person comes with a token of the user's, or as one of the user's uids on the
service's own host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from hawse.domain.errors import Invalid, TooLarge
from hawse.domain.grant import GROUP, checked_principal
from hawse.domain.ids import NAME_LENGTH_MAX, checked_text
from hawse.domain.table import moved

USER = "user:"
UIDS_MAX = 16
GROUPS_MAX = 64
UID_MAX = 2**32 - 2  # the last one means "none". Source: chown(2)
ABOUT_LENGTH_MAX = 200


class S(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"
    REMOVED = "removed"


class E(StrEnum):
    CHANGED = "changed"
    DISABLED = "disabled"
    ENABLED = "enabled"
    REMOVED = "removed"


USERS: Mapping[tuple[S, E], S] = {
    (S.ACTIVE, E.CHANGED): S.ACTIVE,
    (S.ACTIVE, E.DISABLED): S.DISABLED,
    (S.ACTIVE, E.ENABLED): S.ACTIVE,
    (S.ACTIVE, E.REMOVED): S.REMOVED,
    (S.DISABLED, E.CHANGED): S.DISABLED,
    (S.DISABLED, E.DISABLED): S.DISABLED,
    (S.DISABLED, E.ENABLED): S.ACTIVE,
    (S.DISABLED, E.REMOVED): S.REMOVED,
    (S.REMOVED, E.REMOVED): S.REMOVED,
}
START, FINAL = S.ACTIVE, frozenset({S.REMOVED})


@dataclass(frozen=True, slots=True)
class User:
    """name: without "user:". uids: of the service's host, as which he may come. groups: "group:staff", beside those
    that his uid has on that host. project: where his sessions are unless he says otherwise. about: for people.
    """

    name: str
    state: S
    created_at: float
    created_by: str
    uids: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()
    project: str = "default"
    is_admin: bool = False
    about: str = ""
    version: int = 1

    @property
    def principal(self) -> str:
        return USER + self.name


def created(
    *,
    name: str,
    by: str,
    now: float,
    uids: Iterable[int] = (),
    groups: Iterable[str] = (),
    project: str = "default",
    is_admin: bool = False,
    about: str = "",
) -> User:
    """Raises Invalid (a name, uid or group that is none), TooLarge."""
    user = User(name=checked_user(name), state=START, created_at=now, created_by=by)
    return changed(user, uids=uids, groups=groups, project=project, is_admin=is_admin, about=about)


def checked_user(name: str) -> str:
    """The name, if it can be a user's. Raises Invalid."""
    if ":" in name:
        raise Invalid(f"{name[:NAME_LENGTH_MAX]!r} is no user's name", next_step="give the name alone: alice")
    if len(name) > NAME_LENGTH_MAX - len(USER):
        raise Invalid(f"a user's name has at most {NAME_LENGTH_MAX - len(USER)} characters, not {len(name)}")
    try:
        checked_principal(USER + name)
    except Invalid as error:
        raise Invalid(
            f"{name[:NAME_LENGTH_MAX]!r} is no user's name: letters, digits, '.', '_', '@', '+' and '-' are allowed,"
            " and it starts with a letter, a digit or '_'"
        ) from error
    return name


def changed(
    user: User,
    *,
    uids: Iterable[int] | None = None,
    groups: Iterable[str] | None = None,
    project: str | None = None,
    is_admin: bool | None = None,
    about: str | None = None,
) -> User:
    """Other facts about him; None leaves one as it is. Raises Invalid, TooLarge, IllegalMove (he is removed)."""
    return replace(
        user,
        state=moved(USERS, user.state, E.CHANGED, f"user {user.name}"),
        uids=user.uids if uids is None else _uids(uids),
        groups=user.groups if groups is None else _groups(groups),
        project=user.project if project is None else project,
        is_admin=user.is_admin if is_admin is None else is_admin,
        about=user.about if about is None else _about(about),
    )


def _uids(uids: Iterable[int]) -> tuple[int, ...]:
    found = tuple(dict.fromkeys(uids))
    if len(found) > UIDS_MAX:
        raise TooLarge(f"{len(found)} uids are too many for one user; at most {UIDS_MAX} are allowed")
    for uid in found:
        if not 0 <= uid <= UID_MAX:
            raise Invalid(f"{uid} is no uid: 0 to {UID_MAX}")
    return found


def _groups(groups: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(groups))
    if len(found) > GROUPS_MAX:
        raise TooLarge(f"{len(found)} groups are too many for one user; at most {GROUPS_MAX} are allowed")
    for group in found:
        if not checked_principal(group).startswith(GROUP):
            raise Invalid(f"{group!r} is no group", next_step="write group:NAME")
    return found


def _about(text: str) -> str:
    if len(text) > ABOUT_LENGTH_MAX:
        raise TooLarge(f"what is said about him has {len(text)} characters; at most {ABOUT_LENGTH_MAX} are allowed")
    return checked_text(text, "what is said about him")


def disabled(user: User) -> User:
    """He may not come in until he is enabled again. Safe to repeat. Raises IllegalMove."""
    return replace(user, state=moved(USERS, user.state, E.DISABLED, f"user {user.name}"))


def enabled(user: User) -> User:
    """He may come in. Safe to repeat. Raises IllegalMove: a removed one stays removed."""
    return replace(user, state=moved(USERS, user.state, E.ENABLED, f"user {user.name}"))


def removed(user: User) -> User:
    """He never comes again; his name stays taken, his uids are free. Safe to repeat."""
    state = moved(USERS, user.state, E.REMOVED, f"user {user.name}")
    return replace(user, state=state, uids=(), groups=(), is_admin=False)

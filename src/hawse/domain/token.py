"""A token: what a program or a person shows instead of a uid, `hwt_<id>_<secret>`.

The id is public and finds the row; of the secret only a hash is kept (domain/user.py says who a user is). A token may
be narrower than its user: to one project, or to looking.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from hawse.domain.errors import Invalid
from hawse.domain.ids import TokenId, checked_name
from hawse.domain.table import moved

PREFIX = "hwt"
SECRET_BYTES = 32
LENGTH_MAX = 200  # of what is shown as a token; ours have 80 characters
LIVE_MAX = 100  # of one user
USED_STEP_S = 300.0  # the time of the last use is kept to this grain: using a token is no write each time
_TEXT = re.compile(rf"{PREFIX}_([0-9a-f]{{32}})_([A-Za-z0-9_-]{{43}})")


class S(StrEnum):
    LIVE = "live"
    REVOKED = "revoked"


class E(StrEnum):
    REVOKED = "revoked"


TOKEN: Mapping[tuple[S, E], S] = {
    (S.LIVE, E.REVOKED): S.REVOKED,
    (S.REVOKED, E.REVOKED): S.REVOKED,
}
START, FINAL = S.LIVE, frozenset({S.REVOKED})


@dataclass(frozen=True, slots=True)
class Token:
    """user: whose, without "user:". name: what he calls it. expires_at: Unix seconds; None: never. project: the only
    one in which it is good; None: all of the user's. read_only: it looks and changes nothing. used_at: about when it
    was used last.
    """

    id: TokenId
    user: str
    name: str
    state: S
    created_at: float
    created_by: str
    expires_at: float | None = None
    project: str | None = None
    read_only: bool = False
    used_at: float | None = None
    version: int = 1


def created(
    *,
    id: TokenId,
    user: str,
    name: str,
    by: str,
    now: float,
    expires_at: float | None = None,
    project: str | None = None,
    read_only: bool = False,
) -> Token:
    """Raises Invalid."""
    if expires_at is not None and expires_at <= now:
        raise Invalid("the token would be over before it begins", next_step="give a time in the future")
    return Token(
        id=id, user=user, name=checked_name(name, "the token's name"), state=START, created_at=now, created_by=by,
        expires_at=expires_at, project=project, read_only=read_only,
    )  # fmt: skip


def is_good(token: Token, *, now: float) -> bool:
    """Does it open anything? Decided from what is stored, at each use."""
    return token.state == S.LIVE and (token.expires_at is None or now < token.expires_at)


def revoked(token: Token) -> Token:
    """It opens nothing any more. Safe to repeat."""
    return replace(token, state=moved(TOKEN, token.state, E.REVOKED, f"token {token.name}"))


def text_of(id: TokenId, random: bytes) -> str:
    """What is shown, once. random: SECRET_BYTES of them."""
    return f"{PREFIX}_{id.replace('-', '')}_{urlsafe_b64encode(random).rstrip(b'=').decode()}"


def parted(text: str) -> tuple[TokenId, str] | None:
    """The id and the secret in what somebody shows; None when it is no token of ours."""
    found = _TEXT.fullmatch(text) if len(text) <= LENGTH_MAX else None
    if found is None:
        return None
    id = found[1]
    return TokenId(f"{id[:8]}-{id[8:12]}-{id[12:16]}-{id[16:20]}-{id[20:]}"), found[2]

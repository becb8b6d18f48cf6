"""The token that this user shows: from HAWSE_TOKEN, from the file that HAWSE_TOKEN_FILE names, or from `token` in the
configuration folder. It is read when it is needed, sent to the named server alone, and shown nowhere.
"""

from __future__ import annotations

import os
import stat

from hawse.domain.errors import Denied, Invalid, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

BYTES_MAX = 4096
FILE = "token"


def token_from(environ: Mapping[str, str]) -> str:
    """The token; "" where there is none. Raises Invalid, Denied (others can read the file), Unavailable."""
    given = environ.get("HAWSE_TOKEN", "")
    if given:
        return checked(given, "HAWSE_TOKEN")
    named = environ.get("HAWSE_TOKEN_FILE", "")
    if named:
        return _read(named)
    from hawse.client.places import own_places

    path = f"{own_places(environ).config}/{FILE}"
    return _read(path) if os.path.exists(path) else ""


def checked(text: str, what: str) -> str:
    """The token without white space around it, if it can stand in a header. Raises Invalid, which does not show it."""
    token = text.strip()
    if not token.isascii() or not token.isprintable() or " " in token or len(token) > BYTES_MAX:
        raise Invalid(f"{what} holds no token", next_step="hawse token new NAME --out FILE makes one")
    return token


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
                raise Denied(f"{path} can be read by others", next_step=f"chmod 600 {path}; renew the token, too")
            text = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise Unavailable(f"the token in {path} can't be read: {error.strerror}") from error
    return checked(text, path)

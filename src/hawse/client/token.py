"""The token that says who we are to a server: HAWSE_TOKEN, or a file that only its user can read."""

from __future__ import annotations

import os
import stat

from hawse.domain.errors import Denied, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_BYTES_MAX = 512


def token_from(environ: Mapping[str, str]) -> str:
    """The token; empty when there is none. Raises Denied, Invalid; the token itself is never told."""
    from hawse.client.places import own_places

    given = environ.get("HAWSE_TOKEN", "").strip()
    if given:
        return given
    path = environ.get("HAWSE_TOKEN_FILE", "")
    chosen = path or f"{own_places(environ).config}/token"
    try:
        descriptor = os.open(chosen, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if path:
            raise Invalid(f"there is no token file {path}", next_step="HAWSE_TOKEN_FILE names it") from None
        return ""
    except OSError as error:
        raise Invalid(f"{chosen} cannot be read: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        if os.fstat(descriptor).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Denied(f"others can read the token in {chosen}", next_step=f"chmod 600 {chosen}")
        return file.read(TOKEN_BYTES_MAX).decode("ascii", "replace").strip()

"""How a job ended, as it stands in EXIT frames, reports and exit.json.

Source: spec 04; codes 126, 127 and 128 + n: POSIX shell, 2.8.2.
"""

from __future__ import annotations

from hawse.wire import fields
from hawse.wire.errors import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CAUSE_CHARACTERS_MAX = 4096


def exited(code: int) -> dict[str, Any]:
    """It returned a code."""
    return {"kind": "exited", "code": code}


def signalled(signal: int) -> dict[str, Any]:
    """A signal ended it."""
    return {"kind": "signalled", "signal": signal}


def lost(cause: str) -> dict[str, Any]:
    """Nobody saw its end."""
    return {"kind": "lost", "cause": cause[:CAUSE_CHARACTERS_MAX]}


def failed(cause: str, code: int) -> dict[str, Any]:
    """It never ran. code: what a shell would return, 127 not found, 126 otherwise."""
    return {"kind": "failed", "cause": cause[:CAUSE_CHARACTERS_MAX], "code": code}


def checked(value: dict[str, Any]) -> dict[str, Any]:
    """An outcome that somebody else wrote, with exactly its own fields. Raises Malformed."""
    what = "outcome"
    kind = fields.choice(value, "kind", what, of=("exited", "signalled", "lost", "failed"))
    if kind == "exited":
        return exited(fields.integer(value, "code", what, high=255))
    if kind == "signalled":
        return signalled(fields.integer(value, "signal", what, low=1, high=128))
    cause = fields.text(value, "cause", what, characters_max=CAUSE_CHARACTERS_MAX)
    if kind == "lost":
        return lost(cause)
    return failed(cause, fields.integer(value, "code", what, low=1, high=255, default=126))


def exit_code(outcome: dict[str, Any]) -> int:
    """The code that a shell would show; 1 for a lost job."""
    kind = outcome.get("kind")
    if kind == "exited" or kind == "failed":
        return int(outcome["code"])
    if kind == "signalled":
        return 128 + int(outcome["signal"])
    if kind == "lost":
        return 1
    raise Malformed("outcome: of an unknown kind")

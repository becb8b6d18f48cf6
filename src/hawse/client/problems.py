"""problem+json to the tree of hawse.domain.errors, and back to one sentence for a person."""

from __future__ import annotations

from hawse.domain import errors
from hawse.domain.errors import Broken, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STANDARD = frozenset({"type", "title", "status", "code", "detail", "retry", "next", "instance"})


def _codes() -> dict[str, type[Problem]]:
    found: dict[str, type[Problem]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, Problem):
            found[kind.code] = kind
    return found


def problem_from(status: int, body: Any) -> Problem:
    """The error that an answer stands for. An unknown code becomes the kind that has the same HTTP status."""
    fields = body if isinstance(body, dict) else {}
    codes = _codes()
    code = fields.get("code")
    kind = codes.get(code) if isinstance(code, str) else None
    if kind is None:
        kind = next((k for k in codes.values() if k.http == status), Broken)
    facts = {str(key): value for key, value in fields.items() if key not in _STANDARD}
    detail = fields.get("detail") or fields.get("title") or f"the coordinator answered {status}"
    made = kind(str(detail), next_step=str(fields.get("next") or ""))
    made.facts = facts
    return made

"""One thing that was looked at."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GOOD, NOTE, BAD = "good", "note", "bad"


class Finding:
    """level: good, note (works, with a limit one should know), bad (something will not work). advice: what to do."""

    __slots__ = ("advice", "facts", "level", "subject", "text")

    def __init__(self, subject: str, level: str, text: str, *, advice: str = "", **facts: Any) -> None:
        self.subject = subject
        self.level = level
        self.text = text
        self.advice = advice
        self.facts = facts

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return {"subject": self.subject, "level": self.level, "text": self.text, "advice": self.advice, **self.facts}

"""Who has control of a job: at most one attachment, decided by the newest fence. Pure.

The coordinator hands control out, each time with a higher fence; it comes by COMMAND and in tickets, in any order and
more than once. The highest fence that was ever seen wins, so an old word about control, or an old ticket, changes
nothing. Only the holder's bytes, signals and window size count; a holder that is not linked keeps control.
"""

from __future__ import annotations


class Token:
    """holder: an attachment's id, "" when nobody was given control yet. who: the holder, in words for other people."""

    __slots__ = ("fence", "holder", "who")

    def __init__(self, holder: str = "", fence: int = 0) -> None:
        self.holder = holder
        self.fence = fence
        self.who = ""

    def change(self, holder: str, fence: int, who: str) -> bool:
        """False: this is not newer than what is known, and nothing changed."""
        if fence <= self.fence:
            return False
        self.holder, self.fence, self.who = holder, fence, who
        return True

    @property
    def words(self) -> str:
        """Who has control, as a sentence."""
        return f"{self.who or 'somebody else'} has control" if self.holder else "nobody has control"

"""Tokens that opened nothing: how many lately, from where.

A source that shows many wrong tokens gets another answer and no more rows in the audit log; a good token from there is
taken all the same, since a login node may be the source of a hundred people. The table is bounded: what was tried
longest ago is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_S = 60.0
FAILURES_MAX = 10  # of one source in a window; then it is told to wait
TOLD_MAX = 60  # entries of the audit log in a window, of all sources
SOURCES_MAX = 10_000


@dataclass(slots=True)
class _Source:
    until: float
    count: int = 0


class Attempts:
    """In memory, one per coordinator."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._told = _Source(0.0)
        self._untold = 0

    def failed(self, source: str, *, now: float) -> bool:
        """Count one. False: it is one too many, and this source has to wait."""
        known = self._sources.pop(source, None)
        if known is None or not now < known.until <= now + WINDOW_S:  # a clock that was set back opens it anew
            known = _Source(now + WINDOW_S)
        self._sources[source] = known
        if len(self._sources) > SOURCES_MAX:
            del self._sources[next(iter(self._sources))]
        known.count += 1
        return known.count <= FAILURES_MAX

    def to_tell(self, *, now: float) -> int | None:
        """How many failures the next entry of the audit log stands for; None: it is not told by itself."""
        self._untold += 1
        if not now < self._told.until <= now + WINDOW_S:
            self._told = _Source(now + WINDOW_S)
        if self._told.count >= TOLD_MAX:
            return None
        self._told.count += 1
        count, self._untold = self._untold, 0
        return count

    @property
    def sources(self) -> int:
        """How many are remembered."""
        return len(self._sources)

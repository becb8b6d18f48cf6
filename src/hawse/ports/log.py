"""Reading what a job ever printed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a log. first: offset of data[0]; next: where to go on; end: the log's end as of now.

    first may be greater than what was asked when older bytes are gone. damaged: (offset, length, cause) of ranges in
    this piece whose checksum does not fit, or which were never written; with cause "unverified", of ranges in `data`
    that should have a checksum.
    spans: (offset, length, source) with source 1 stdout or terminal, 2 stderr.
    unverified: (offset, length) of ranges in `data` that have no checksum (yet). recorded: offset after the last byte
    of the log that has one.
    """

    data: bytes
    first: int
    next: int
    end: int
    damaged: tuple[tuple[int, int, str], ...] = ()
    spans: tuple[tuple[int, int, int], ...] = ()
    unverified: tuple[tuple[int, int], ...] = ()
    recorded: int = 0

    def until(self, offset: int) -> Piece:
        """The same piece, with nothing from this offset on: it goes on there."""
        if offset >= self.next:
            return self
        spans = tuple((at, min(length, offset - at), source) for at, length, source in self.spans if at < offset)
        return replace(
            self,
            data=self.data[: sum(length for _, length, _ in spans)],
            next=offset,
            damaged=tuple((at, min(length, offset - at), why) for at, length, why in self.damaged if at < offset),
            spans=spans,
            unverified=tuple((at, min(length, offset - at)) for at, length in self.unverified if at < offset),
        )


class LogReader(Protocol):
    """Plain functions:

    callers that must not block run them in a thread. Raises NotFound (no log), Unavailable (I/O error).
    """

    def read(self, job: str, *, offset: int, bytes_max: int) -> Piece:
        """From an offset on. Beyond the end: an empty piece."""
        ...

    def offset_at(self, job: str, time: float) -> int:
        """The offset of the first byte written at or after Unix time `time`; the end when there is none."""
        ...

    def offset_of_tail(self, job: str, lines: int) -> int:
        """Where the last `lines` lines begin."""
        ...

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


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened to a job's output. kind: output, resize, gap, attempt.

    time: Unix seconds, wall clock, may jump. Output and gaps have the `length` bytes from `offset` on; what has no
    bytes stands before the output at its offset. source: of output, 1 stdout or terminal, 2 stderr. columns, rows: of a
    resize. attempt: its number; the same one again (a log tells it once in a while) changes nothing. cause: of a gap,
    as in Piece.damaged.
    """

    kind: str
    offset: int
    time: float
    length: int = 0
    source: int = 0
    columns: int = 0
    rows: int = 0
    attempt: int = 0
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """Some moments. next, skip: where to go on, behind the first `skip` moments without bytes at `next`. end: the log's
    end as of now. No moments: there are no more as of now."""

    moments: tuple[Moment, ...]
    next: int
    skip: int
    end: int


@dataclass(frozen=True, slots=True)
class Screen:
    """What brings a terminal to where it was. data: to write to it. next: the offset to go on with, at most a few bytes
    before the one that was asked for. columns, rows: its size then, 0 when it is not known."""

    data: bytes
    next: int
    end: int
    columns: int
    rows: int


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

    def timing(self, job: str, *, offset: int, skip: int, limit: int) -> Timing:
        """When what was printed, from an offset on; moments cover every offset up to the end.

        Checksums are not looked at: reading the bytes does that.
        """
        ...

    def screen(self, job: str, *, offset: int) -> Screen:
        """The terminal as it was when the log had `offset` bytes, as far as a replay from the log can bring it back."""
        ...

"""Read a job's log: from any offset, while it is written or long after, with every damage told.

Damaged bytes are withheld, the rest is read on. Bytes without a record (the last moments, or all of a segment whose
index is missing) are returned and told as unverified. Source: spec 02, section 5.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from zlib import crc32

from hawse.runner.log_file import opened
from hawse.runner.recovery import segment_starts
from hawse.wire import segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

GONE, MISSING, DROPPED, CHECKSUM = "removed", "missing", "dropped", "checksum"
TAIL_BYTES_MAX = 16 * 1024 * 1024
INDEX_BYTES_MAX = 16 * 1024 * 1024  # of one segment; a writer begins another one at 1 MiB, others may write anything


class Piece:
    """What a read found.

    first: offset of data's first byte; next: where to go on; end: the log's end as of now.
    damaged: (offset, length, cause) of ranges between the asked offset and `next` that are not in `data`.
    unverified: (offset, length) of what is in `data` without a record; recorded: offset after the log's last record.
    spans: (offset, length, source) of what is in `data`, in order. Cause: removed (retention), missing (never reached
    the disk), dropped (the disk was full and the policy is to go on), checksum.
    """

    __slots__ = ("damaged", "data", "end", "first", "next", "recorded", "spans", "unverified")

    def __init__(self, offset: int, end: int) -> None:
        self.data = b""
        self.recorded = 0
        self.first = offset
        self.next = offset
        self.end = end
        self.damaged: list[tuple[int, int, str]] = []
        self.spans: list[tuple[int, int, int]] = []
        self.unverified: list[tuple[int, int]] = []


class OpenSegment:
    """An open segment with its index as far as it was read."""

    def __init__(self, directory: str, start: int) -> None:
        self.start = start
        self.name = f"{directory}/{segment.segment_name(start)}"
        self.fd = opened(f"{self.name}.seg")
        self.records: list[segment.Record] = []
        self.blocks: list[segment.Record] = []
        self._offsets: list[int] = []
        self._index_at = 0
        self.refresh()

    def refresh(self) -> None:
        """Read what was added to the index."""
        try:
            with open(opened(f"{self.name}.idx"), "rb") as file:
                file.seek(self._index_at)
                data = file.read(max(0, INDEX_BYTES_MAX - self._index_at))
        except FileNotFoundError:
            return
        records, _ = segment.decode_all(data)
        self._index_at += len(data) - len(data) % segment.RECORD_BYTES
        for record in records:
            self.records.append(record)
            if record.kind == segment.OUTPUT:
                self.blocks.append(record)
                self._offsets.append(record.offset)

    @property
    def size(self) -> int:
        return os.fstat(self.fd).st_size

    @property
    def promised(self) -> int:
        """End of the last record: bytes up to here were written once."""
        return self.blocks[-1].end if self.blocks else self.start

    def block(self, offset: int) -> tuple[segment.Record | None, int]:
        """The record that covers an offset, or None and the offset where the next record begins (or -1)."""
        at = bisect_right(self._offsets, offset) - 1
        if at >= 0 and offset < self.blocks[at].end:
            return self.blocks[at], -1
        return None, self._offsets[at + 1] if at + 1 < len(self._offsets) else -1

    def block_before(self, offset: int) -> segment.Record | None:
        """The last record that begins at or before an offset."""
        at = bisect_right(self._offsets, offset) - 1
        return self.blocks[at] if at >= 0 else None

    def source_before(self, offset: int) -> int:
        before = self.block_before(offset)
        return before.source if before is not None else 1

    def close(self) -> None:
        os.close(self.fd)


class LogReader:
    """The reading end of a log folder. Cheap to make; keeps one segment open. Raises OSError; FileNotFoundError: no
    log."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._segment: OpenSegment | None = None

    def close(self) -> None:
        """Let go of the open segment. Safe to repeat."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open_segment(self, start: int) -> OpenSegment:
        """The segment that starts at `start`, as far as it was read. Raises FileNotFoundError."""
        if self._segment is None or self._segment.start != start:
            self.close()
            self._segment = OpenSegment(self.directory, start)
        return self._segment

    def begin(self) -> int:
        """The oldest offset that is still there."""
        starts = segment_starts(self.directory)
        return starts[0] if starts else 0

    def end(self) -> int:
        """Offset after the last byte that was written."""
        starts = segment_starts(self.directory)
        return self._end(starts)

    def _end(self, starts: list[int]) -> int:
        if not starts:
            return 0
        last = self.open_segment(starts[-1])
        last.refresh()
        return max(last.start + last.size, last.promised)

    def read(self, offset: int, *, bytes_max: int) -> Piece:
        """From an offset on, at most `bytes_max` bytes; fewer are no sign of the end, only `next == end` is.

        Beyond the end: an empty piece.
        """
        starts = segment_starts(self.directory)
        piece = Piece(offset, self._end(starts))
        piece.recorded = self._segment.promised if starts and self._segment is not None else 0
        parts: list[bytes] = []
        room = bytes_max
        at = offset
        while room > 0 and at < piece.end:
            here = bisect_right(starts, at) - 1
            if here < 0:
                at = self._hole(piece, at, starts[0], GONE)
                continue
            try:
                found = self.open_segment(starts[here])
            except FileNotFoundError:  # retention was faster
                starts = segment_starts(self.directory)
                continue
            found.refresh()
            after = starts[here + 1] if here + 1 < len(starts) else piece.end
            if at >= found.start + found.size:
                at = self._hole(piece, at, after, self.cause(starts, here))
                continue
            data, at = self._run(piece, found, at, min(after, found.start + found.size), room)
            room -= len(data)
            parts.append(data)
        piece.data = b"".join(parts)
        piece.next = at
        if piece.spans:
            piece.first = piece.spans[0][0]
        return piece

    def read_all(self, begin: int, last: int) -> bytes:
        """The bytes from `begin` to `last`, without what is damaged. For short stretches: all of it is held."""
        parts = []
        while begin < last:
            piece = self.read(begin, bytes_max=last - begin)
            if piece.next <= begin:
                break
            parts.append(piece.data)
            begin = piece.next
        return b"".join(parts)

    def _hole(self, piece: Piece, at: int, until: int, cause: str) -> int:
        until = max(until, at + 1) if until <= at else until
        if piece.damaged and piece.damaged[-1][0] + piece.damaged[-1][1] == at and piece.damaged[-1][2] == cause:
            first, length, _ = piece.damaged.pop()
            piece.damaged.append((first, length + until - at, cause))
        else:
            piece.damaged.append((at, until - at, cause))
        return until

    def cause(self, starts: list[int], here: int) -> str:
        """Why there are no bytes between the end of segment number `here` and the next one."""
        if here + 1 >= len(starts):
            return MISSING
        try:
            with open(opened(f"{self.directory}/{segment.segment_name(starts[here + 1])}.idx"), "rb") as file:
                records, _ = segment.decode_all(file.read(segment.RECORD_BYTES))
        except OSError:
            return MISSING
        return DROPPED if records and records[0].kind == segment.GAP else MISSING

    def _run(self, piece: Piece, found: OpenSegment, at: int, stop: int, room: int) -> tuple[bytes, int]:
        """One block's part, or a run of bytes without a record."""
        record, next_at = found.block(at)
        if record is None:
            until = min(stop if next_at < 0 else min(stop, next_at), at + min(room, segment.BLOCK_BYTES_MAX))
            data = os.pread(found.fd, until - at, at - found.start)
            source = found.source_before(at)
        else:
            block = os.pread(found.fd, record.length, record.offset - found.start)
            if len(block) != record.length or crc32(block) != record.crc:
                return b"", self._hole(piece, at, min(record.end, max(stop, at + 1)), CHECKSUM)
            data = block[at - record.offset : at - record.offset + room]
            source = record.source
        if not data:
            return b"", self._hole(piece, at, stop, MISSING)
        if record is None:
            _add_unverified(piece, at, len(data))
        if piece.spans and piece.spans[-1][2] == source and piece.spans[-1][0] + piece.spans[-1][1] == at:
            first, length, _ = piece.spans.pop()
            piece.spans.append((first, length + len(data), source))
        else:
            piece.spans.append((at, len(data), source))
        return data, at + len(data)

    # -- finding a place ----------------------------------------------------------------------------------------------

    def offset_at(self, time_ns: int) -> int:
        """The offset of the first byte written at or after a time, to the grain of a record; the end when there is
        none."""
        starts = segment_starts(self.directory)
        end = self._end(starts)
        for here, start in enumerate(starts):
            found = self.open_segment(start)
            found.refresh()
            after = starts[here + 1] if here + 1 < len(starts) else end
            if here + 1 < len(starts) and found.blocks and found.blocks[-1].time_ns < time_ns:
                continue
            for record in found.blocks:
                if record.time_ns >= time_ns:
                    return record.offset
            if found.promised < after and os.fstat(found.fd).st_mtime_ns >= time_ns:
                return found.promised
        return end

    def offset_of_tail(self, lines: int) -> int:
        """Where the last `lines` lines begin, looking back at most 16 MiB; an unfinished last line counts as one."""
        starts = segment_starts(self.directory)
        end = self._end(starts)
        if lines <= 0 or not starts:
            return end
        wanted = lines
        stop = max(starts[0], end - TAIL_BYTES_MAX)
        at = end
        while at > stop:
            first = max(stop, at - segment.BLOCK_BYTES_MAX)
            piece = self.read(first, bytes_max=at - first)
            for offset in _line_ends(piece, before=at):
                if offset == end - 1:
                    continue
                wanted -= 1
                if wanted == 0:
                    return offset + 1
            at = first
        return stop

    def records(self, start: int) -> list[segment.Record]:
        """All records of the segment that starts at `start`."""
        found = self.open_segment(start)
        found.refresh()
        return found.records


def _line_ends(piece: Piece, *, before: int) -> Iterator[int]:
    """The offsets of the LFs in it, the last first. Holes have none; what is at `before` or later is left out."""
    at = len(piece.data)
    for offset, length, _ in reversed(piece.spans):
        at -= length
        stop = at + max(0, min(length, before - offset))
        while (stop := piece.data.rfind(b"\n", at, stop)) >= 0:
            yield offset + stop - at


def _add_unverified(piece: Piece, at: int, length: int) -> None:
    if piece.unverified and sum(piece.unverified[-1]) == at:
        first, before = piece.unverified.pop()
        at, length = first, before + length
    piece.unverified.append((at, length))

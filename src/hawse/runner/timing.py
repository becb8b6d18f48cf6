"""When a job's output was printed, and what happened to its terminal: the index of its log as moments.

A moment of output has the bytes from `offset` on, `length` of them; other moments have none and stand before the output
at their offset. Bytes without a record (the last moments, a lost index) get the nearest known time, so that the moments
cover every offset of the log: as output, or as a gap. Checksums are not looked at: reading the bytes does that.
"""

from __future__ import annotations

import os
from bisect import bisect_right

from hawse.runner.log_file import opened
from hawse.runner.reader import GONE, INDEX_BYTES_MAX, LogReader
from hawse.runner.recovery import segment_starts
from hawse.wire import segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from hawse.runner.reader import OpenSegment

OUTPUT, RESIZE, GAP, ATTEMPT = "output", "resize", "gap", "attempt"
SEGMENTS_BACK_MAX = 4096  # 64 GiB: how far a terminal's size is looked for


class Moment:
    """One thing that happened. time_ns: Unix, wall clock, may jump. value: source of output; columns << 16 | rows of a
    resize; number of an attempt. cause: why bytes of a gap are not there, see reader.py.
    """

    __slots__ = ("cause", "kind", "length", "offset", "time_ns", "value")

    def __init__(self, kind: str, offset: int, length: int, time_ns: int, value: int = 0, cause: str = "") -> None:
        self.kind = kind
        self.offset = offset
        self.length = length
        self.time_ns = time_ns
        self.value = value
        self.cause = cause

    def __repr__(self) -> str:
        return f"Moment({self.kind}, {self.offset}+{self.length}, {self.time_ns}, {self.value}, {self.cause!r})"


class Timing:
    """Some moments; where the next ones begin: at `next`, behind the first `skip` of those that have no bytes there.

    end: the log's end as of now.
    """

    __slots__ = ("end", "moments", "next", "skip")

    def __init__(self, moments: list[Moment], next: int, skip: int, end: int) -> None:
        self.moments = moments
        self.next = next
        self.skip = skip
        self.end = end


def timing(directory: str, offset: int, *, skip: int = 0, limit: int) -> Timing:
    """At most `limit` moments from an offset on. None: there are no more as of now.

    Output that began before the offset is told from the offset on. Raises OSError.
    """
    with LogReader(directory) as reader:
        end = reader.end()
        found: list[Moment] = []
        at, passed = offset, 0
        for moment in _moments(reader, offset, end):
            if moment.offset != at:
                at, passed = moment.offset, 0
            if moment.offset == offset and not moment.length and passed < skip:
                passed += 1
                continue
            if len(found) == limit:
                break
            found.append(moment)
            if moment.length:
                at, passed = moment.offset + moment.length, 0
            else:
                passed += 1
        return Timing(found, at, passed, end)


def size_at(directory: str, offset: int) -> tuple[int, int]:
    """The terminal's (columns, rows) as of an offset; (0, 0): it has none, or nothing is known. Raises OSError."""
    starts = segment_starts(directory)
    here = bisect_right(starts, offset)
    for start in starts[max(0, here - SEGMENTS_BACK_MAX) : here][::-1]:
        try:
            with open(opened(f"{directory}/{segment.segment_name(start)}.idx"), "rb") as file:
                data = file.read(INDEX_BYTES_MAX)
        except FileNotFoundError:
            continue
        found = None
        for record in _of_kind(data, segment.RESIZE):
            if record.offset <= offset and (found is None or record.offset >= found.offset):
                found = record
        if found is not None:
            return found.crc >> 16, found.crc & 0xFFFF
    return 0, 0


def _of_kind(data: bytes, kind: int) -> list[segment.Record]:
    """The good records of one kind; the others are not even decoded."""
    size = segment.RECORD_BYTES
    kinds = data[1 : len(data) - len(data) % size : size]
    places, at = [], kinds.find(kind)
    while at >= 0:
        places.append(at * size)
        at = kinds.find(kind, at + 1)
    return segment.decode_all(b"".join(data[place : place + size] for place in places))[0]


def _moments(reader: LogReader, offset: int, end: int) -> Iterator[Moment]:
    starts = segment_starts(reader.directory)
    if starts and offset < starts[0]:
        yield Moment(GAP, offset, starts[0] - offset, 0, cause=GONE)
    here = max(0, bisect_right(starts, offset) - 1)
    if here and starts[here] == offset:
        here -= 1  # something may have happened at its very end
    for number in range(here, len(starts)):
        try:
            found = reader.open_segment(starts[number])
        except FileNotFoundError:  # retention was faster
            continue
        found.refresh()
        after = starts[number + 1] if number + 1 < len(starts) else end
        yield from _of_segment(reader, found, starts, number, offset, after)


def _of_segment(
    reader: LogReader, found: OpenSegment, starts: list[int], number: int, offset: int, after: int
) -> Iterator[Moment]:
    """The moments of one segment, which ends where the next one begins: its points between its runs of bytes."""
    points = sorted(_points(found, offset), key=lambda moment: moment.offset)
    at = max(found.start, offset)
    stop = max(at, min(after, found.start + found.size))
    waiting = 0
    for run in _runs(found, at, stop):
        while waiting < len(points) and points[waiting].offset < run.offset + run.length:
            point = points[waiting]
            if point.offset > run.offset:  # never by the runner's own hand: it cuts its records there
                yield Moment(OUTPUT, run.offset, point.offset - run.offset, run.time_ns, run.value)
                run = Moment(OUTPUT, point.offset, run.offset + run.length - point.offset, run.time_ns, run.value)
            yield point
            waiting += 1
        yield run
    yield from points[waiting:]
    if stop < after:
        time_ns = found.blocks[-1].time_ns if found.blocks else _changed_ns(found)
        yield Moment(GAP, stop, after - stop, time_ns, cause=reader.cause(starts, number))


def _points(found: OpenSegment, offset: int) -> Iterator[Moment]:
    kinds = {segment.RESIZE: RESIZE, segment.ATTEMPT: ATTEMPT}
    for record in found.records:
        if record.kind in kinds and record.offset >= offset:
            yield Moment(kinds[record.kind], record.offset, 0, record.time_ns, record.crc)


def _runs(found: OpenSegment, at: int, stop: int) -> Iterator[Moment]:
    """Output from `at` to `stop`, without holes: blocks, and what has no record at the time of what was before it."""
    while at < stop:
        block, next_at = found.block(at)
        if block is not None:
            until = min(block.end, stop)
            yield Moment(OUTPUT, at, until - at, block.time_ns, block.source)
        else:
            until = stop if next_at < 0 else min(next_at, stop)
            before = found.block_before(at)
            time_ns = before.time_ns if before is not None and next_at >= 0 else _changed_ns(found)
            yield Moment(OUTPUT, at, until - at, time_ns, before.source if before is not None else 1)
        at = until


def _changed_ns(found: OpenSegment) -> int:
    return os.fstat(found.fd).st_mtime_ns

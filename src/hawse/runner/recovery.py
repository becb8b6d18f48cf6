"""Put the end of a log in order after a crash, so that the next attempt can go on after it.

A crash of the runner tears nothing but an index record; a crash of the host may also cut or zero the tail of the last
segment. Bytes that have no record get one here, flagged RECOVERED: its checksum says what was found, not what was
printed.
"""

from __future__ import annotations

import os

from hawse.wire import segment


def segment_starts(directory: str) -> list[int]:
    """The start offsets of a log's segments, in order."""
    return sorted(start for start in map(segment.segment_start, os.listdir(directory)) if start is not None)


def recover(directory: str, *, now_ns: int) -> int:
    """Mend the last segment's index. Returns the offset where new bytes go: after all that was written or promised."""
    starts = segment_starts(directory)
    if not starts:
        return 0
    start = starts[-1]
    name = f"{directory}/{segment.segment_name(start)}"
    seg = os.open(f"{name}.seg", os.O_RDONLY | os.O_CLOEXEC)
    index = os.open(f"{name}.idx", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o660)
    try:
        found = os.fstat(seg)
        data = _read_all(index)
        records, _ = segment.decode_all(data)
        torn = len(data) % segment.RECORD_BYTES
        if torn:
            os.ftruncate(index, len(data) - torn)
        promised = max((record.end for record in records), default=start)
        end = start + found.st_size
        at = max(promised, start)
        while at < end:
            block = os.pread(seg, min(segment.BLOCK_BYTES_MAX, end - at), at - start)
            if not block:
                break
            time_ns = min(found.st_mtime_ns, now_ns)
            os.write(
                index,
                segment.output_record(at, block, time_ns=time_ns, source=_source(records), flags=segment.RECOVERED),
            )
            at += len(block)
        return max(end, promised)
    finally:
        os.close(seg)
        os.close(index)


def _source(records: list[segment.Record]) -> int:
    for record in reversed(records):
        if record.kind == segment.OUTPUT:
            return record.source
    return 1


def _read_all(fd: int) -> bytes:
    parts = []
    at = 0
    while part := os.pread(fd, 1 << 20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)

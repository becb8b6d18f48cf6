"""What a newcomer's terminal is told before live output begins: a reset, a short replay, the modes.

Replayed bytes lose what must not happen twice, see wire/replay.py. Source: xterm's ctlseqs.
"""

from __future__ import annotations

import re

from hawse.runner.reader import LogReader
from hawse.runner.recovery import segment_starts
from hawse.runner.screen import Place, State, Tracker
from hawse.wire import terminal
from hawse.wire.frame import frame
from hawse.wire.replay import RESET, replayable
from hawse.wire.segment import last_checkpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes]

REPLAY_BYTES_MAX = 1024 * 1024  # from an exact place; about 20 ms of a fast terminal
TAIL_BYTES = 256 * 1024  # from an inexact one: a screen and some history
MAIN_BYTES = 64 * 1024  # of the main screen, while the alternate one is shown
PIECE_BYTES = 64 * 1024

_CURSOR = re.compile(rb"\x1b\[[0-9]*(?:;[0-9]*)?[Hd]")


class Restore:
    """RESTORE frames; the offset where live output goes on; whether the screen is exact or wants a redraw."""

    __slots__ = ("data", "is_exact", "offset")

    def __init__(self, data: bytes, *, offset: int, is_exact: bool) -> None:
        self.data = data
        self.offset = offset
        self.is_exact = is_exact

    @property
    def frames(self) -> list[bytes]:
        """As frames, at least one."""
        parts = range(0, len(self.data), PIECE_BYTES)
        return [frame(terminal.RESTORE, self.data[at : at + PIECE_BYTES]) for at in parts] or [frame(terminal.RESTORE)]


def restore(tracker: Tracker, read: Read, *, first: int) -> Restore:
    """Bring a terminal to where the tracker is. read(from, to): the log's bytes. first: the oldest offset that can be
    read."""
    end = tracker.boundary
    end -= _unfinished_utf8(read(max(first, end - 3), end))
    place = tracker.start
    is_alternate = tracker.state.is_alternate
    stretches = _stretches(max(place.offset, first), end, tracker.skips if not is_alternate else [])
    size = sum(last - begin for begin, last in stretches)
    is_whole = size <= REPLAY_BYTES_MAX and place.offset >= first
    if not is_whole:
        stretches = _tail(stretches, TAIL_BYTES)
        place = Place(stretches[0][0] if stretches else end, tracker.state.copy(), is_exact=False)
    parts = [RESET, _title(tracker.title)]
    if is_alternate:
        parts.append(_main_screen(tracker, read, first))
        if not is_whole or place.offset > tracker.alternate_at:
            parts.append(b"\x1b[?1049h")
    parts.append((place.state if is_whole else State()).sequences(with_region=True))
    parts += [b"\x1b[H", b"\x1b[m", place.colours]
    data = b"".join(read(begin, last) for begin, last in stretches)
    if not is_whole:
        data = _from_boundary(data, is_alternate=is_alternate)
    parts.append(replayable(data))
    is_exact = is_whole and place.is_exact and tracker.resized_at <= place.offset
    if not is_exact or len(stretches) > 1:
        parts.append(tracker.state.sequences(with_region=False))
        if tracker.state.region:
            parts.append(b"\x1b7\x1b[" + tracker.state.region.encode("ascii") + b"r\x1b8")
    return Restore(b"".join(parts), offset=end, is_exact=is_exact)


def outside(columns: int, rows: int, columns_shown: int, rows_shown: int) -> bytes:
    """What wipes a terminal of columns_shown x rows_shown beyond the first columns x rows, and changes nothing else."""
    parts = [b"\x1b7\x1b[m"]
    if columns_shown > columns:
        parts += [b"\x1b[%d;%dH\x1b[K" % (row, columns + 1) for row in range(1, min(rows, rows_shown) + 1)]
    if rows_shown > rows:
        parts.append(b"\x1b[%d;1H\x1b[J" % (rows + 1))
    return b"".join([*parts, b"\x1b8"])


def _main_screen(tracker: Tracker, read: Read, first: int) -> bytes:
    """What is below the alternate screen: shown again when the program leaves it."""
    place = tracker.main_start
    if place is None or tracker.alternate_at < 0:
        return b""
    begin = max(place.offset, first)
    stretches = _stretches(begin, max(begin, tracker.alternate_at), tracker.skips)
    is_whole = sum(last - begin for begin, last in stretches) <= MAIN_BYTES
    if not is_whole:
        stretches = _tail(stretches, MAIN_BYTES)
    data = b"".join(read(begin, last) for begin, last in stretches)
    if not is_whole:
        data = _from_boundary(data, is_alternate=False)
    return place.state.sequences(with_region=True) + b"\x1b[H" + place.colours + replayable(data)


def _stretches(begin: int, end: int, skips: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """[begin, end) without what is to be skipped."""
    found = []
    for first, last in skips:
        if first >= begin and last <= end:
            found.append((begin, first))
            begin = last
    found.append((begin, end))
    return [(first, last) for first, last in found if last > first]


def _tail(stretches: list[tuple[int, int]], bytes_max: int) -> list[tuple[int, int]]:
    """The last bytes of some stretches."""
    found: list[tuple[int, int]] = []
    room = bytes_max
    for first, last in reversed(stretches):
        if room <= 0:
            break
        found.insert(0, (max(first, last - room), last))
        room -= last - first
    return found


def _from_boundary(data: bytes, *, is_alternate: bool) -> bytes:
    """Without the broken beginning: from a line on, or from where the cursor is set."""
    if is_alternate:
        found = _CURSOR.search(data)
        return data[found.start() :] if found is not None else b""
    return data[data.find(b"\n") + 1 :]


def _unfinished_utf8(data: bytes) -> int:
    """How many bytes at the end are the beginning of a character."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            need = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if need > back else 0
        if byte < 0x80:
            break
    return 0


def _title(title: bytes) -> bytes:
    return b"\x1b]2;" + title + b"\x07" if title else b""


def restore_from(directory: str, offset: int | None = None) -> Restore:
    """The screen as it was at an offset of a log (default: its end), also after the job's end. Raises OSError.

    It is found from the last checkpoint before the offset on. Restore.offset is where to go on, perhaps a little less.
    """
    with LogReader(directory) as reader:
        starts = segment_starts(directory)
        first, end = reader.begin(), reader.end()
        if offset is not None:
            end = min(end, max(first, offset))
        tracker = Tracker(first)
        for start in reversed(starts):
            found = last_checkpoint(reader.records(start), before=end) if start <= end else None
            if found is not None:
                try:
                    tracker = Tracker.load(found[1])
                except (ValueError, KeyError, TypeError):
                    continue
                break
        at = tracker.end
        while at < end:
            piece = reader.read(at, bytes_max=min(PIECE_BYTES, end - at))
            tracker.feed(piece.first, piece.data)
            at = max(piece.next, at + 1)
        tracker.end = max(tracker.end, at)
        return restore(tracker, reader.read_all, first=first)

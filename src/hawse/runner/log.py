"""Write a job's output log: segments of raw bytes, each with an index of checksums, times and sources.

Theory of operation. The bytes of a log have one number line, from the first byte of the first attempt on. A segment
`<start>.seg` holds the bytes from `start`; where one segment ends and the next begins later, the bytes between were
never written (a full disk) or are gone (retention). `append` is the hot path: one write(2), no copy, no checksum.
Everything else is done in passes off the hot path: `index` reads the new bytes back from the page cache, writes their
records and shows the bytes to the screen tracker; `sync` makes both files durable, in a short-lived thread, because
fdatasync blocks.

Invariants: a record is written after its bytes; offsets never repeat for different bytes; a segment once closed is
never written again. What a crash can tear is only the tail of the last segment, see recovery.py.
"""

from __future__ import annotations

import errno
import itertools
import os
import time

from hawse.runner.engine import Tail
from hawse.runner.recovery import recover
from hawse.wire import segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

GRAIN_NS = 10_000_000  # output within 10 ms is one moment
CALM_NS = 250_000_000  # a trickle of small writes is cut into records this often: an index must not outgrow its log
GRAIN_BYTES = 512
INDEX_BYTES_MAX = 1024 * 1024  # of one segment: a reader loads it whole
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})


class Log(Tail):
    """One attempt's writing end.

    end: offset after the last byte taken. indexed: offset up to which records are written. fault: why bytes are not
    taken.
    on_full: "block" (append takes less than it was given) or "drop" (append takes all and counts what it lost).
    """

    def __init__(
        self, directory: str, *, attempt: int, segment_bytes_max: int, retain_bytes: int, on_full: str, room_bytes: int
    ) -> None:
        self.directory = directory
        self.attempt = attempt
        self.segment_bytes_max = segment_bytes_max
        self.retain_bytes = retain_bytes
        self.on_full = on_full
        self.room_bytes = room_bytes
        self.fault = 0
        self.dropping_from: int | None = None
        self.bytes_dropped = 0
        self.seen: Callable[[int, bytes, int], None] | None = None  # the tracker: (offset, bytes, time)
        self.checkpoint: Callable[[], bytes] | None = None
        self.fd = self._index_fd = -1
        self.start = self.end = self.indexed = recover(directory, now_ns=time.time_ns())
        self._room = 0
        self._marks: list[tuple[int, int, int]] = []
        self._index_bytes = 0
        self._unwritten = b""
        self._sync_later: list[int] = []
        self._open_segment()

    # -- hot path -----------------------------------------------------------------------------------------------------

    def append(self, data: bytes, source: int) -> int:
        """Write bytes at the end. Returns how many were taken; fewer than given: `fault` says why, ask again later."""
        size = len(data)
        if self.fault or self._room < size:
            return self._append_slowly(data, source)
        now = time.time_ns()
        try:
            done = os.write(self.fd, data)
        except OSError as error:
            return self._refused(data, error)
        marks = self._marks
        if not marks or self._is_new_moment(marks[-1], now, source):
            marks.append((self.end, now, source))
        self.end += done
        self._room -= done
        if done < size:
            return done + self._append_slowly(data[done:], source)
        return done

    def _is_new_moment(self, last: tuple[int, int, int], now: int, source: int) -> bool:
        passed = now - last[1]
        if source != last[2] or passed >= CALM_NS:
            return True
        return passed >= GRAIN_NS and self.end - last[0] >= GRAIN_BYTES

    # -- rare ---------------------------------------------------------------------------------------------------------

    def _append_slowly(self, data: bytes, source: int) -> int:
        if self.dropping_from is not None:
            return self._drop(data)
        if self._room < len(data) and self.end > self.start:
            try:
                self.rotate()
            except OSError as error:
                return self._refused(data, error)
        self.fault = 0
        self._room = max(self._room, len(data))
        return self.append(data, source)

    def _refused(self, data: bytes, error: OSError) -> int:
        self.fault = error.errno or errno.EIO
        if self.on_full == "block":
            return 0
        self.dropping_from = self.end
        return self._drop(data)

    def _drop(self, data: bytes) -> int:
        self.end += len(data)
        self.bytes_dropped += len(data)
        return len(data)

    def retry(self) -> bool:
        """Is there room again? For "drop": ends the gap with a new segment that tells it. True when bytes are kept
        again."""
        if not self.fault:
            return True
        if self.dropping_from is None:
            return self._room_now() > 0
        if self._room_now() < self.room_bytes:
            return False
        gap = self.end - self.dropping_from
        try:
            self.index(final=True)
            self._close_segment()
            self.start = self.indexed = self.end
            self._marks.clear()
            self._open_segment(gap=gap)
        except OSError:
            return False
        self.fault, self.dropping_from = 0, None
        return True

    def _room_now(self) -> int:
        try:
            found = os.statvfs(self.directory)
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize

    def rotate(self) -> None:
        """Close the segment, open the next one. Raises OSError: the old one stays open."""
        self.index(final=True)
        old, old_index, old_start, old_bytes = self.fd, self._index_fd, self.start, self._index_bytes
        self.start = self.end
        try:
            self._open_segment()
        except OSError:
            self.fd, self._index_fd, self.start, self._index_bytes = old, old_index, old_start, old_bytes
            raise
        self._sync_later.append(old)
        self._sync_later.append(old_index)
        self._retain()

    def _open_segment(self, gap: int = 0) -> None:
        name = f"{self.directory}/{segment.segment_name(self.start)}"
        now = time.time_ns()
        head = segment.encode(segment.Record(segment.ATTEMPT, offset=self.start, time_ns=now, crc=self.attempt))
        if gap:
            length = min(gap, segment.LENGTH_MAX)
            head = segment.encode(segment.Record(segment.GAP, offset=self.start, time_ns=now, length=length)) + head
        if self.checkpoint is not None:
            head += segment.checkpoint_records(self.start, self.checkpoint(), time_ns=now)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = index_fd = -1
        try:
            fd = os.open(f"{name}.seg", flags, 0o660)
            index_fd = os.open(f"{name}.idx", flags, 0o660)
            at = os.fstat(index_fd).st_size
            if os.write(index_fd, head) != len(head):
                os.ftruncate(index_fd, at)
                raise OSError(errno.ENOSPC, "no room for the index")
        except OSError:
            for one in (fd, index_fd):
                if one >= 0:
                    os.close(one)
            raise
        self.fd, self._index_fd, self._index_bytes = fd, index_fd, at + len(head)
        self._room = self.segment_bytes_max

    def _close_segment(self) -> None:
        for fd in (self.fd, self._index_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self._index_fd = -1

    def _retain(self) -> None:
        if not self.retain_bytes:
            return
        starts = sorted(s for s in map(segment.segment_start, os.listdir(self.directory)) if s is not None)
        for start, after in itertools.pairwise(starts):
            if self.end - after < self.retain_bytes or start == self.start:
                break
            for ending in ("seg", "idx"):
                try:
                    os.unlink(f"{self.directory}/{segment.segment_name(start)}.{ending}")
                except FileNotFoundError:
                    pass

    # -- passes -------------------------------------------------------------------------------------------------------

    def index(self, *, final: bool = False) -> int:
        """Write the records of what was appended since the last pass. Returns the bytes that were left for the next
        one.

        The block that is still growing is left open, unless `final`. A full disk leaves the records for later; the
        bytes themselves are readable without.
        """
        stop = self.end if self.dropping_from is None else self.dropping_from
        records: list[bytes] = []
        marks = self._marks
        done = self.indexed
        while marks:
            at, time_ns, source = marks[0]
            until = marks[1][0] if len(marks) > 1 else stop
            if len(marks) == 1 and not final and until - at < GRAIN_BYTES and time.time_ns() - time_ns < CALM_NS:
                break
            for first in range(at, until, segment.BLOCK_BYTES_MAX):
                data = os.pread(self.fd, min(segment.BLOCK_BYTES_MAX, until - first), first - self.start)
                records.append(segment.output_record(first, data, time_ns=time_ns, source=source))
                if self.seen is not None:
                    self.seen(first, data, time_ns)
            done = until
            del marks[0]
        self.indexed = done
        if records:
            self.note(b"".join(records))
        if self._index_bytes >= INDEX_BYTES_MAX:
            self._room = 0
        return stop - self.indexed

    def note(self, records: bytes) -> None:
        """Append records to the index; on a full disk they are kept, up to a limit, and written with the next ones."""
        data = self._unwritten + records
        try:
            done = os.write(self._index_fd, data)
        except OSError:
            done = 0
        whole = done - done % segment.RECORD_BYTES
        if whole != done:
            os.ftruncate(self._index_fd, self._index_bytes + whole)
        self._index_bytes += whole
        self._unwritten = data[whole:] if len(data) - whole <= segment.BLOCK_BYTES_MAX else b""

    def note_resize(self, columns: int, rows: int) -> None:
        """Remember the terminal's size as of now."""
        record = segment.Record(segment.RESIZE, offset=self.end, time_ns=time.time_ns(), crc=columns << 16 | rows)
        self.note(segment.encode(record))

    def note_checkpoint(self) -> None:
        """Remember the terminal's state as of `indexed`."""
        if self.checkpoint is not None:
            self.note(segment.checkpoint_records(self.indexed, self.checkpoint(), time_ns=time.time_ns()))

    def sync(self) -> None:
        """Make everything durable now. Blocks. Raises OSError."""
        late, self._sync_later = self._sync_later, []
        try:
            for fd in (*late, self.fd, self._index_fd):
                os.fdatasync(fd)
        finally:
            for fd in late:
                os.close(fd)

    @property
    def closed_waiting(self) -> int:
        """Descriptors of closed segments that wait for their sync."""
        return len(self._sync_later)

    def sync_targets(self) -> tuple[list[int], list[int]]:
        """Descriptors for a thread that syncs: (to sync, to close when done). All are the thread's own.

        Raises OSError: no descriptor is left; then nothing has changed.
        """
        own: list[int] = []
        try:
            for fd in (self.fd, self._index_fd):
                own.append(os.dup(fd))
        except OSError:
            for fd in own:
                os.close(fd)
            raise
        late, self._sync_later = self._sync_later, []
        return late + own, late + own

    def close(self) -> None:
        """Write the last records and sync. Raises OSError."""
        self.index(final=True)
        self.note_checkpoint()
        self.sync()
        self._close_segment()

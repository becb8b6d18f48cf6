"""One client's link: where it is in the log, and how it comes back to where the log is.

An attachment has a cursor, not a buffer. When its socket takes no more it falls behind, and later reads the log from
its cursor; what is kept for it is at most the rest of one frame.
"""

from __future__ import annotations

import os
import time

from hawse.runner.engine import Seat
from hawse.runner.reader import DROPPED, LogReader
from hawse.wire import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hawse.runner.connection import Connection
    from hawse.runner.log import Log

PIECE_BYTES = 64 * 1024
TURN_BYTES = 256 * 1024  # then others get their turn


class History:
    """What was printed, for those who are behind: the open segment straight from the page cache, older ones checked."""

    def __init__(self, log: Log, *, is_terminal: bool) -> None:
        self.log = log
        self.is_terminal = is_terminal
        self._reader = LogReader(log.directory)

    def read(self, cursor: int) -> tuple[list[tuple[int, int, bytes]], list[tuple[int, int, str]], int]:
        """From a cursor on: (offset, source, bytes) runs, (offset, length, cause) holes, and where to go on."""
        log = self.log
        stop = log.end if log.dropping_from is None else log.dropping_from
        if stop <= cursor < log.end:
            return [], [(cursor, log.end - cursor, DROPPED)], log.end
        if self.is_terminal and cursor >= log.start and log.fd >= 0:
            data = os.pread(log.fd, min(PIECE_BYTES, stop - cursor), cursor - log.start)
            return [(cursor, terminal.STDOUT, data)], [], cursor + len(data)
        if not self.is_terminal:
            log.index(final=True)
        piece = self._reader.read(cursor, bytes_max=min(PIECE_BYTES, stop - cursor))
        runs, at = [], 0
        for offset, length, source in piece.spans:
            runs.append((offset, source, piece.data[at : at + length]))
            at += length
        return runs, piece.damaged, max(piece.next, cursor)


class Attachment(Seat):
    """A client that showed a good ticket. `send` is the relay's short way: the socket's own."""

    __slots__ = (
        "closing", "columns", "connection", "entered_ns", "history", "id", "live", "mode", "moved", "rows",
        "send", "slow_timer", "taken_bytes", "taken_ns", "told_refused", "upto_date",
    )  # fmt: skip

    def __init__(self, connection: Connection, *, id: str, mode: str, cursor: int, history: History) -> None:
        self.connection = connection
        self.send = connection.sock.send
        self.fd = connection.fd
        self.id = id
        self.mode = mode
        self.cursor = cursor
        self.history = history
        self.live = False
        self.closing = False
        self.columns = self.rows = 0
        self.typed_ns = 0  # monotonic, as the two below; see activity.py
        self.entered_ns = 0
        self.taken_ns = 0
        self.taken_bytes = 0
        self.slow_timer = False
        self.told_refused = False
        self.upto_date: Callable[[Attachment], None] | None = None  # called whenever it has everything
        self.moved: Callable[[Attachment], None] | None = None  # called whenever it took something while behind
        connection.more = self.catch_up

    @property
    def behind_bytes(self) -> int:
        """How much of the log it has not been sent."""
        rest = self.connection.unsent
        return self.history.log.end - self.cursor + (len(rest) if rest is not None else 0)

    def fell(self, frame: bytes, sent: int, end: int) -> None:
        """The relay's last frame did not fit: keep its rest, wait for the socket."""
        self.live = False
        self.connection.progress_at = time.monotonic()
        if sent > 0:
            self.connection.unsent = memoryview(frame)[sent:]
            self.cursor = end
        self.connection.write_on(True)

    def catch_up(self) -> None:
        """Send from the log until the socket is full, the log's end is reached, or others should have a turn."""
        connection = self.connection
        log = self.history.log
        budget = TURN_BYTES
        while connection.is_open and connection.is_idle and budget > 0 and not self.closing:
            if self.cursor >= log.end:
                connection.write_on(False)
                if self.upto_date is not None:
                    self.upto_date(self)
                return
            runs, holes, after = self.history.read(self.cursor)
            parts = [(offset, terminal.output(offset, source, data)) for offset, source, data in runs]
            parts += [(hole[0], gap_notice(*hole)) for hole in holes]
            frames = [frame for _, frame in sorted(parts)]
            self.cursor = after
            budget -= PIECE_BYTES
            for one in frames:
                connection.say(one)
        if self.moved is not None:
            self.moved(self)
        if connection.is_open:
            connection.write_on(not self.closing or not connection.is_idle)
            if self.closing and connection.is_idle:
                connection.close()


def gap_notice(offset: int, length: int, cause: str) -> bytes:
    """NOTICE of bytes that cannot be shown."""
    words = {
        "removed": "were removed by the log's retention",
        "missing": "never reached the disk",
        "dropped": "were not kept, since the disk was full",
        "checksum": "are damaged",
    }.get(cause, cause)
    detail = f"{length} bytes from offset {offset} on {words}"
    return terminal.notice("gap", detail, offset=offset, length=length, cause=cause)

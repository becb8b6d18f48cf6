"""When attachments were last active, for who asks: nothing is done per keystroke but to note the time.

Active is who types (also in vain), or whose client took output that was printed. Output is taken when it has left the
client's socket: what a stopped client leaves there is not. For one that is up to date that is exact; of one that is
behind it is only known that it went on since the last time somebody asked.
"""

from __future__ import annotations

import fcntl
import termios
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.runner.attachment import Attachment
    from hawse.runner.log import Log

_INT = Struct("i")


class Activity:
    """Of the attachments to one log. Times are monotonic nanoseconds."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def entered(self, one: Attachment, older: Attachment | None, *, now: int) -> None:
        """Its link came. older: the link of the same attachment that it replaces."""
        one.entered_ns = now
        one.taken_bytes = one.cursor
        one.typed_ns = older.typed_ns if older is not None else 0

    def seen(self, one: Attachment, *, now: int) -> tuple[int, int]:
        """(last active, last typed); last typed is 0 when it never did."""
        self._note_output(one, now)
        return max(one.entered_ns, one.typed_ns, one.taken_ns), one.typed_ns

    def quiet(self, one: Attachment, *, now: int) -> dict[str, float | None]:
        """The same as what a coordinator is told: seconds since then; typed_s None: it never typed."""
        active, typed = self.seen(one, now=now)
        return {"active_s": max(0, now - active) / 1e9, "typed_s": max(0, now - typed) / 1e9 if typed else None}

    def _note_output(self, one: Attachment, now: int) -> None:
        rest = one.connection.unsent
        waiting = unread_bytes(one.fd) if one.connection.is_open else 0
        taken = one.cursor - waiting - (len(rest) if rest is not None else 0)
        if taken == self._log.end:
            if self._log.printed_ns > one.entered_ns:
                one.taken_ns = max(one.taken_ns, self._log.printed_ns)
        elif taken > one.taken_bytes:
            one.taken_ns = now
        one.taken_bytes = max(one.taken_bytes, taken)


def unread_bytes(fd: int) -> int:
    """How much the other end of a Unix socket has not read; the kernel counts its own overhead in. 0 on trouble.

    Source: unix(7) and tcp(7), SIOCOUTQ, which is TIOCOUTQ.
    """
    try:
        answer = fcntl.ioctl(fd, termios.TIOCOUTQ, _INT.pack(0))
    except OSError:
        return 0
    found: int = _INT.unpack(answer)[0]
    return found

"""The hot path: output of the job to the log and to those who are up to date, typed bytes to the job.

Its whole job is what happens per keystroke and per burst. Everything rare (a full disk, a client that falls behind, the
end of output) is told by a return value or left in a list for the runner's control flow. A compiled twin may replace
this class; it has no other state than what stands here.
"""

from __future__ import annotations

import os
from struct import Struct

from hawse.wire.terminal import OUTPUT, OUTPUT_HEADER_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.runner.attachment import Attachment
    from hawse.runner.log import Log

_OUTPUT_FRAME = Struct(">IBQB")

READ_BYTES = 64 * 1024
BURST_BYTES = 64 * 1024  # then input gets its turn
SMALL_BYTES = 1024  # a shorter read has emptied the terminal; its buffer gives 4 KiB at a time

IDLE, ENDED, REFUSED = 0, 1, 2


class Relay:
    """Moves bytes.

    live: attachments that have everything so far. fallen: those that could not take the last frame; the runner takes
    them out of `live` with the rest of that frame. kept: bytes read and not taken by the log.

    For the compiled poller only: calm_until: a burst that leaves the log's end below it needs nothing but this class;
    behind: attachments that are not live (none: calm); typist: whose typing needs nothing but this class.
    """

    __slots__ = (
        "behind", "calm_until", "fallen", "input_bytes_max", "input_fd", "kept", "kept_source", "live", "log", "typed",
        "typist",
    )  # fmt: skip

    def __init__(self, log: Log, *, input_fd: int, input_bytes_max: int) -> None:
        self.log = log
        self.input_fd = input_fd
        self.input_bytes_max = input_bytes_max
        self.live: list[Attachment] = []
        self.fallen: list[tuple[Attachment, bytes, int]] = []
        self.kept = b""
        self.kept_source = 1
        self.typed = bytearray()
        self.behind: set[Attachment] | None = None
        self.typist: Attachment | None = None
        self.calm_until = 0

    def pump(self, fd: int, source: int) -> int:
        """Read one burst, log it, forward it. Returns IDLE, ENDED (nothing more will come) or REFUSED (see `kept`).

        Reads nothing while somebody has yet to deal with `kept` or `fallen`.
        """
        if self.kept or self.fallen:
            return REFUSED if self.kept else IDLE
        read = os.read
        parts: list[bytes] = []
        size = 0
        status = IDLE
        while size < BURST_BYTES:
            try:
                data = read(fd, READ_BYTES)
            except BlockingIOError:
                break
            except OSError:  # EIO: nobody has the terminal's other side open any more
                status = ENDED
                break
            if not data:
                status = ENDED
                break
            parts.append(data)
            size += len(data)
            if len(data) < SMALL_BYTES:
                break
        if size and not self.forward(parts[0] if len(parts) == 1 else b"".join(parts), source):
            return REFUSED
        return status

    def forward(self, data: bytes, source: int) -> bool:
        """Log, then send. False: the log did not take all; the rest is in `kept`."""
        log = self.log
        offset = log.end
        taken = log.append(data, source)
        if taken != len(data):
            self.kept, self.kept_source = data[taken:], source
            data = data[:taken]
        if data and self.live:
            frame = _OUTPUT_FRAME.pack(OUTPUT_HEADER_BYTES + len(data), OUTPUT, offset, source) + data
            size = len(frame)
            for attachment in self.live:
                try:
                    sent = attachment.send(frame)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    sent = -1
                if sent == size:
                    attachment.cursor = offset + len(data)
                else:
                    self.fallen.append((attachment, frame, sent))
        return not self.kept

    def type(self, data: bytes) -> bool:
        """Give typed bytes to the job. False: it does not read, so typing should wait (`typed` holds the rest)."""
        if self.typed:
            self.typed += data
            return len(self.typed) < self.input_bytes_max
        try:
            done = os.write(self.input_fd, data)
        except BlockingIOError:
            done = 0
        except OSError:
            return True  # the job closed its input: what is typed goes nowhere, as in any terminal
        if done < len(data):
            self.typed += data[done:]
        return len(self.typed) < self.input_bytes_max

    def type_on(self) -> bool:
        """Go on with what waits. True: all of it is gone."""
        try:
            done = os.write(self.input_fd, self.typed)
        except BlockingIOError:
            return False
        except OSError:
            done = len(self.typed)
        del self.typed[:done]
        return not self.typed

"""Frames: a 4-byte big-endian body length, one byte of type, the body.

The length does not count the 5 bytes of the header. Source: spec 03, section 1.
"""

from __future__ import annotations

from struct import Struct

from hawse.wire.errors import FrameTooLarge, WireError

HEADER = Struct(">IB")
HEADER_BYTES = HEADER.size


def frame(kind: int, body: bytes = b"") -> bytes:
    """One frame as it goes over the wire."""
    return HEADER.pack(len(body), kind) + body


class FrameReader:
    """Split a byte stream into frames `(type, body)`.

    Never holds more than one unfinished frame of `body_bytes_max` plus what one `feed` brought.
    """

    __slots__ = ("body_bytes_max", "error", "unfinished")

    def __init__(self, *, body_bytes_max: int) -> None:
        self.unfinished = bytearray()
        self.body_bytes_max = body_bytes_max
        self.error: WireError | None = None

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes, return the frames that they complete.

        Raises FrameTooLarge as soon as the size is known, not when the body has come. Frames that came whole before
        the bad one are returned first; the error then waits in `error` and is raised by the next call.
        """
        if self.error is not None:
            raise self.error
        buffer = self.unfinished
        buffer += data
        frames: list[tuple[int, bytes]] = []
        at, have = 0, len(buffer)
        while have - at >= HEADER_BYTES:
            size, kind = HEADER.unpack_from(buffer, at)
            if size > self.body_bytes_max:
                self.error = FrameTooLarge(size, self.body_bytes_max)
                break
            end = at + HEADER_BYTES + size
            if have < end:
                break
            frames.append((kind, bytes(memoryview(buffer)[at + HEADER_BYTES : end])))
            at = end
        if self.error is not None:
            buffer.clear()
            if not frames:
                raise self.error
        elif at:
            del buffer[:at]
        return frames

    @property
    def pending_bytes(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self.unfinished)

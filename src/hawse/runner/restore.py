"""What a newcomer's terminal is told before live output begins."""

from __future__ import annotations

from hawse.wire import terminal
from hawse.wire.frame import frame

TAIL_BYTES = 256 * 1024
PIECE_BYTES = 64 * 1024


class Restore:
    """RESTORE frames, and whether they show the screen exactly."""

    __slots__ = ("frames", "is_exact")

    def __init__(self, data: bytes, *, is_exact: bool) -> None:
        self.is_exact = is_exact
        self.frames = [
            frame(terminal.RESTORE, data[at : at + PIECE_BYTES]) for at in range(0, len(data), PIECE_BYTES)
        ]

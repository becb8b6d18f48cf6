"""Keys while a replay plays."""

from __future__ import annotations

import re

PAUSE, FASTER, SLOWER, SKIP, QUIT, INTERRUPT = "pause", "faster", "slower", "skip", "quit", "interrupt"
KEYS = {
    b" ": PAUSE, b"+": FASTER, b"=": FASTER, b"-": SLOWER, b"\x1b[C": SKIP, b"\x1bOC": SKIP, b"q": QUIT, b"Q": QUIT,
    b"\x03": INTERRUPT,
}  # fmt: skip
HINT = "space pauses, + and - change the speed, → skips 5 s, q quits"
_KEY = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO.|\x1b[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[^\[O\]P_^X]|[^\x1b]", re.DOTALL
)
_REST_MAX = 64  # what a terminal sends and nobody asked for is dropped sooner or later


class Keys:
    """What is typed, as what it means. Keys without a meaning, and what terminals say by themselves, are ignored."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The meanings, in order; a key that has not come whole is kept."""
        whole = self._rest + data
        found, at = [], 0
        while key := _KEY.match(whole, at):
            at = key.end()
            if key.group() in KEYS:
                found.append(KEYS[key.group()])
        self._rest = whole[at:][:_REST_MAX]
        return found

"""A line that says what takes so long, on stderr of a terminal, after the first second; it goes when the work is
done.
"""

from __future__ import annotations

import sys
import threading
import time

from hawse.cli.say import is_fancy

FIRST_S = 1.0
NEXT_S = 0.2
_SIGNS = "|/-\\"


class Progress:
    """Around slow work. `text` may be changed while it runs."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if is_fancy(sys.stderr):
            self._thread = threading.Thread(target=self._draw, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _draw(self) -> None:
        began = time.monotonic()
        pause, turn = FIRST_S, 0
        while not self._done.wait(pause):
            sign = _SIGNS[turn % len(_SIGNS)]
            sys.stderr.write(f"\r\033[K{sign} {self.text} ({time.monotonic() - began:.0f} s)")
            sys.stderr.flush()
            pause, turn = NEXT_S, turn + 1
        if turn:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

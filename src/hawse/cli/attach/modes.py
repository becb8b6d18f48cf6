"""Which terminal modes are on, so that leaving can turn them off again.

This is no terminal emulator: it looks for DEC private modes (ESC [ ? ... h or l) and nothing else. It matters for the
alternate screen: leaving it when it is not shown would move the cursor.
Source: xterm control sequences (ctlseqs), "DEC Private Mode Set".
"""

from __future__ import annotations

import re

_MODE = re.compile(rb"\x1b\[\?([0-9;]{1,60})([hl])")
_MARK = b"\x1b["
_NEWLINE = 0x0A
_TAIL_BYTES = 64  # the longest sequence that is looked for
_ALTERNATE = (b"1049", b"1047", b"47")
_OFF_BY_NATURE = (
    b"1",
    b"9",
    b"1000",
    b"1001",
    b"1002",
    b"1003",
    b"1004",
    b"1005",
    b"1006",
    b"1015",
    b"1016",
    b"2004",
    b"2026",
)
# cursor shown; normal keypad; wrapping on; characters overwrite and a line feed is only that; cursor shape, character
# set and colours as they were
_PLAIN = b"\x1b[?25h\x1b>\x1b[?7h\x1b[4;20l\x1b[0 q\x1b(B\x0f\x1b[m"
# The window's title on the terminal's own stack, and back; where there is none it stays. Source: ctlseqs, XTWINOPS 22.
KEEP_TITLE, TITLE_BACK = b"\x1b[22;2t", b"\x1b[23;2t"


class Modes:
    """See what goes to the terminal; tell how to undo it."""

    __slots__ = ("_on", "_tail", "is_line_start")

    def __init__(self) -> None:
        self._on: set[bytes] = set()
        self._tail = b""
        self.is_line_start = True

    def see(self, data: bytes | memoryview) -> None:
        """Note the modes that these bytes set. Cheap where there is no escape sequence."""
        if not data:
            return
        self.is_line_start = data[-1] == _NEWLINE
        whole = self._tail + bytes(data) if self._tail else bytes(data)
        cut = whole.rfind(b"\x1b", -_TAIL_BYTES)
        self._tail = whole[cut:] if cut >= 0 else b""
        if _MARK not in whole:
            return
        for numbers, action in _MODE.findall(whole):
            for number in numbers.split(b";"):
                if action == b"h":
                    self._on.add(number)
                else:
                    self._on.discard(number)

    @property
    def is_alternate(self) -> bool:
        """Does a program have the whole screen, without lines that scroll away?"""
        return any(mode in self._on for mode in _ALTERNATE)

    def undo(self) -> bytes:
        """What to write so that the terminal is as it was."""
        parts = [b"\x1b[?%sl" % mode for mode in _OFF_BY_NATURE if mode in self._on]
        alternate = next((mode for mode in _ALTERNATE if mode in self._on), None)
        if alternate is not None:
            parts += [b"\x1b[r", b"\x1b[?%sl" % alternate]
            self.is_line_start = True  # the cursor is back where the program was started
        self._on.clear()
        parts += [b"\x1b[>4m" if alternate is not None else b"", _PLAIN]
        if not self.is_line_start:
            parts.append(b"\r\n")
            self.is_line_start = True
        return b"".join(parts)

"""Aligned columns; on a terminal with a bold heading and cut to its width."""

from __future__ import annotations

import os
import sys
from unicodedata import combining, east_asian_width

from hawse.cli.say import BOLD, is_terminal, paint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

GAP = "  "
NARROWEST = 8


def width(text: str) -> int:
    """How many cells a terminal needs for it. Source: Unicode Standard Annex 11."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def printable(text: str) -> str:
    """Without what would move the cursor or change the terminal: nobody's command may draw on another's screen."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _cut(text: str, cells: int) -> str:
    if width(text) <= cells:
        return text
    kept, used = [], 0
    for char in text:
        used += width(char)
        if used > cells - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO | None = None) -> None:
    """Print rows under their heads. The last column takes what is left of a terminal's width."""
    stream = stream or sys.stdout
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(width(head), *(width(row[at]) for row in cells), 0) for at, head in enumerate(heads)]
    if is_terminal(stream):
        columns = os.get_terminal_size(stream.fileno()).columns or 80
        used = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
        widths[-1] = max(NARROWEST, min(widths[-1], columns - used))
    for number, row in enumerate([list(heads), *cells]):
        padded = [_cut(cell, at) + " " * (at - width(cell)) for cell, at in zip(row, widths, strict=True)]
        line = GAP.join(padded).rstrip()
        stream.write((paint(line, BOLD, stream) if number == 0 else line) + "\n")


def facts(pairs: Sequence[tuple[str, str]], *, indent: str = "", stream: TextIO | None = None) -> None:
    """Print names and values in two columns; empty values are left out."""
    stream = stream or sys.stdout
    shown = [(name, value) for name, value in pairs if value]
    room = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        first, *rest = value.split("\n")
        stream.write(f"{indent}{name + ':':<{room + 1}} {printable(first)}\n")
        for line in rest:
            stream.write(f"{indent}{'':<{room + 1}} {printable(line)}\n")

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
WIDEST = 200  # of the last column where no terminal bounds it


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
    widths[-1] = min(widths[-1], WIDEST)
    if columns := columns_of(stream):
        used = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
        widths[-1] = max(NARROWEST, min(widths[-1], columns - used))
    for number, row in enumerate([list(heads), *cells]):
        padded = [_cut(cell, at) + " " * (at - width(cell)) for cell, at in zip(row, widths, strict=True)]
        line = GAP.join(padded).rstrip()
        stream.write((paint(line, BOLD, stream) if number == 0 else line) + "\n")


def columns_of(stream: TextIO) -> int:
    """A terminal's width; 0 for what is none."""
    return (os.get_terminal_size(stream.fileno()).columns or 80) if is_terminal(stream) else 0


def fold(text: str, columns: int, *, indent: int) -> str:
    """The text in lines of at most so many cells, broken between words; the following ones are indented."""
    if width(text) <= columns:
        return text
    lines = []
    while width(text) > columns:
        at = max((at for at, char in enumerate(text) if char == " " and width(text[:at]) <= columns), default=0)
        if at <= indent or not text[:at].strip():
            break
        lines.append(text[:at].rstrip())
        text = " " * indent + text[at:].lstrip()
    return "\n".join([*lines, text])


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

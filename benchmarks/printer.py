"""A program that prints much: python -I -S printer.py MEGABYTES text|colours. Starts when a line is typed."""

import os
import random
import sys

BLOCK_BYTES = 1_000_000
WORDS = (
    "queue",
    "compile",
    "session",
    "[ ok ]",
    "warning:",
    "0x7ffe12",
    "linker",
    "src/hawse/runner",
    "12.4 s",
    "done",
)


def block(style: str) -> bytes:
    """About a megabyte of lines as builds and tests print them, cut to exactly one."""
    chance = random.Random(7)
    lines, size = [], 0
    while size < BLOCK_BYTES:
        words = chance.choices(WORDS, k=chance.randrange(3, 12))
        if style == "colours":
            words = [f"\x1b[{chance.randrange(31, 37)};1m{word}\x1b[0m" for word in words]
            words.append("\x1b[K")
        lines.append(" ".join(words) + "\n")
        size += len(lines[-1])
    return "".join(lines).encode()[: BLOCK_BYTES - 5] + b"\x1b[0m\n"


def main() -> None:
    megabytes, data = int(sys.argv[1]), memoryview(block(sys.argv[2]))
    os.write(1, b"ready\n")
    os.read(0, 100)
    for _ in range(megabytes):
        at = 0
        while at < len(data):
            at += os.write(1, data[at : at + 65536])
    os.write(1, b"\n@@END@@\n")
    os.read(0, 100)


main()

"""How the command line speaks: results on stdout, talk about them on stderr, colour only where somebody sees it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from hawse.domain.errors import Problem

BOLD, DIM, RED, GREEN, YELLOW, PLAIN = "1", "2", "31", "32", "33", ""


def is_fancy(stream: TextIO) -> bool:
    """May this stream get colours and moving lines? Source: no-color.org; terminfo's dumb terminal."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Is this stream a terminal?"""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def paint(text: str, colour: str, stream: TextIO) -> str:
    """The text in a colour (an SGR number), where the stream may have it."""
    return f"\033[{colour}m{text}\033[m" if colour and text and is_fancy(stream) else text


def out(text: str = "") -> None:
    """A line of the result."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """A line for the person, beside the result."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def json_out(value: Any) -> None:
    """A value as JSON: indented for a person, on one line for a program."""
    import json

    sys.stdout.write(json.dumps(value, indent=2 if is_terminal(sys.stdout) else None, ensure_ascii=False) + "\n")


def problem(error: Problem, *, is_usage: bool = False) -> None:
    """What was wrong, the next step, and which server was meant; is_usage: it is wrong for every server."""
    note(f"{paint('hawse:', RED, sys.stderr)} {error.detail}")
    if error.next_step:
        note(f"       {error.next_step}")
    if not is_usage and (server := named_server()):
        note(f"       server: {server} (HAWSE_SERVER)")


def named_server() -> str:
    """The server that HAWSE_SERVER names, when it is an address; what is none may hold anything and is not repeated."""
    from hawse.client.find import endpoint
    from hawse.domain.errors import Problem

    try:
        return endpoint().name if os.environ.get("HAWSE_SERVER") else ""
    except Problem:
        return ""

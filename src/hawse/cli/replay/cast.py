"""A log as asciicast, for asciinema's players. JSON, one value a line: a header, then events [time, code, data].

Version 2: times are seconds since the beginning. Version 3: seconds since the event before; size and command stand in
`term`. Codes: "o" output (text), "r" resize ("80x24"), "m" marker (its label), "x" the exit status (version 3).
Sources: docs.asciinema.org/manual/asciicast/v2 and /v3.
"""

from __future__ import annotations

import json
from codecs import getincrementaldecoder
from itertools import chain

from hawse.cli.replay import recording
from hawse.cli.replay.pace import Pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from hawse.cli.replay.recording import Step

VERSIONS = ("2", "3")
SIZE_DEFAULT = (80, 24)  # of a job without a terminal
MEDIA_TYPE = "application/x-asciicast"


class Header:
    """What the header tells. exit_status: of the job, when it has ended. has_tty: else line ends get a carriage return,
    which a terminal would have added. screen: shown at once, at the beginning. size: as of the beginning, if known."""

    __slots__ = ("command", "exit_status", "has_tty", "idle_max", "screen", "size", "title")

    def __init__(
        self, *, title: str, command: str, has_tty: bool = True, exit_status: int | None = None,
        idle_max: float | None = None, screen: bytes = b"", size: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        self.title = title
        self.command = command
        self.has_tty = has_tty
        self.exit_status = exit_status
        self.idle_max = idle_max
        self.screen = screen
        self.size = size


def lines(header: Header, steps: Iterable[Step], *, version: str) -> Iterator[str]:
    """The file's lines. The output's texts, joined, are the log's bytes as UTF-8 (what is not UTF-8: U+FFFD)."""
    events, first, known = _peeked(steps)
    at = next((step.time for step in first if step.time), 0.0)
    known = known or header.size
    yield _line(_head(header, known or SIZE_DEFAULT, at, version))
    writer = _Writer(is_relative=version == "3", has_tty=header.has_tty)
    if header.screen:
        yield from writer.output(header.screen)
    attempt = 0
    for step in events:
        writer.pace.pause(step.time)
        if step.kind == recording.OUTPUT:
            yield from writer.output(step.data)
        elif step.kind == recording.RESIZE:
            if known != (step.columns, step.rows):
                known = (step.columns, step.rows)
                yield writer.event("r", f"{step.columns}x{step.rows}")
        elif step.kind == recording.ATTEMPT:
            if attempt:
                yield writer.event("m", f"attempt {step.number}")
            attempt = step.number
        else:
            yield writer.event("m", step.text)
    yield from writer.rest()
    if version == "3" and header.exit_status is not None:
        yield writer.event("x", str(header.exit_status))


def _peeked(steps: Iterable[Step]) -> tuple[Iterable[Step], list[Step], tuple[int, int] | None]:
    """The steps again, those up to the first output, and the size that they tell."""
    rest = iter(steps)
    first, size = [], None
    for step in rest:
        first.append(step)
        if step.kind == recording.RESIZE and size is None:
            size = (step.columns, step.rows)
        if step.kind == recording.OUTPUT:
            break
    return chain(first, rest), first, size


def _head(header: Header, size: tuple[int, int], at: float, version: str) -> dict[str, Any]:
    if version == "3":
        told: dict[str, Any] = {"version": 3, "term": {"cols": size[0], "rows": size[1]}}
    else:
        told = {"version": 2, "width": size[0], "height": size[1]}
    if at:
        told["timestamp"] = int(at)
    if header.idle_max is not None:
        told["idle_time_limit"] = header.idle_max
    command = header.command.encode("utf-8", "replace").decode()  # an argument need not be UTF-8
    return {**told, "command": command, "title": header.title}


class _Writer:
    """Events with their times. A character whose bytes came in two parts is told with the second."""

    def __init__(self, *, is_relative: bool, has_tty: bool) -> None:
        self.pace = Pace()
        self._is_relative = is_relative
        self._has_tty = has_tty
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._last = 0.0

    def output(self, data: bytes) -> Iterator[str]:
        yield from self._text(self._decoder.decode(data if self._has_tty else data.replace(b"\n", b"\r\n")))

    def rest(self) -> Iterator[str]:
        yield from self._text(self._decoder.decode(b"", final=True))

    def _text(self, text: str) -> Iterator[str]:
        if text:
            yield self.event("o", text)

    def event(self, code: str, data: str) -> str:
        at = round(self.pace.position, 6)
        told = round(at - self._last, 6) if self._is_relative else at
        self._last = at
        return _line([told, code, data])


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": ")) + "\n"

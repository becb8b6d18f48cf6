"""What a terminal would look like, known only as far as it is needed to bring another one there.

Theory of operation. A VT parser in Python is far slower than a program that prints, so there is no screen here. The
tracker sees the log's bytes after they were forwarded, looks only at what follows an ESC, and remembers two kinds of
things: modes (a few numbers), and places in the log from which a replay gives the right screen: the last full clear,
where the alternate screen was entered, which stretches of it are over. Restoring is then a short replay plus the modes.

Kept exactly: private modes, insert mode, keypad, scroll region, character sets, title, cursor style, colours at a
clear.
Not kept: tab stops, saved cursors, colours' palette. A program that uses them draws itself again on SIGWINCH.
"""

from __future__ import annotations

import json
import re

from hawse.runner.engine import sequences

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Match = re.Match[bytes]

# Modes that a program may leave set, with their state after a reset. Source: xterm's ctlseqs; DEC STD 070.
MODES_DEFAULT = {7: True, 25: True, 1007: False}
MODES = frozenset(
    {1, 5, 6, 7, 9, 25, 45, 66, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 2004, 2026, 2031, 2048}
)
ALTERNATE = frozenset({47, 1047, 1049})
SKIPS_MAX = 16  # finished stretches of the alternate screen that are left out of a replay
PENDING_BYTES_MAX = 4096
LOOK_BACK_BYTES = 1024
TITLE_BYTES_MAX = 200
COLOURS_BYTES_MAX = 200

_FILL = rb"(?:\x1b\[[0-9;:]*m)*"
_HOME = rb"\x1b\[(?:1?;?1?)H"
_ERASE = rb"\x1b\[(?:2|0)?J"
_COMMON = rb"(?!\[[0-9;:]*[mKABCD])"  # colours and small moves, of no interest: said first, it is eight times faster
_SEQUENCES = (
    rb"\x1b" + _COMMON + rb"(?:"
    rb"(?P<clear>\[(?:1?;?1?)H" + _FILL + _ERASE + rb"|\[2J" + _FILL + _HOME + rb"|c)"
    rb"|(?P<wipe>\[2J)"
    rb"|\[\?(?P<private>[0-9;]*)(?P<on>[hl])"
    rb"|\[(?P<insert>4[hl])"
    rb"|\[(?P<region>[0-9;]*)r"
    rb"|(?P<soft>\[!p)"
    rb"|(?P<keypad>[=>])"
    rb"|(?P<charset>[()][0-9A-Z<>])"
    rb"|\[(?P<style>[0-9]*) q"
    rb"|\[>4(?:;(?P<keys>[0-9]*))?m"
    rb"|\][02];(?P<title>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    rb")"
)
INTERESTING = re.compile(_SEQUENCES)
WITH_SHIFTS = re.compile(_SEQUENCES + rb"|(?P<shift>[\x0e\x0f])")  # slower: no common first byte to look for
# What is unfinished at the end of a block: a sequence, or homes and wipes that what follows may make a clear.
UNFINISHED = re.compile(
    rb"(?:(?:" + _HOME + rb"|\x1b\[2J)" + _FILL + rb")*"
    rb"(?:\x1b(?:\[[0-?]*[ -/]*|[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?)?)?\Z"
)
_UNCOMMON = re.compile(rb"\x1b" + _COMMON)
_COLOURS = re.compile(rb"\x1b\[([0-9;:]*)m")


class State:
    """What a terminal remembers besides its cells."""

    __slots__ = ("charsets", "insert", "is_alternate", "keypad", "keys", "modes", "region", "shift", "style")

    def __init__(self) -> None:
        self.modes: dict[int, bool] = {}
        self.insert = False
        self.keypad = False
        self.region = ""
        self.charsets = {"(": "B", ")": "B"}
        self.shift = False
        self.style = ""
        self.keys = ""
        self.is_alternate = False

    @property
    def fills_screen(self) -> bool:
        """Does the program seem to place what it draws? A shell does not: its lines stay where they came to stand."""
        modes = self.modes
        places = self.is_alternate or self.keypad or modes.get(1, False) or not modes.get(25, True)
        return places and not modes.get(6, False)  # with an origin of its own a place means another

    def copy(self) -> State:
        """An independent copy."""
        return State.load(self.dump())

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "m": {str(number): on for number, on in self.modes.items()}, "i": self.insert, "k": self.keypad, "r":
            self.region, "c": dict(self.charsets), "s": self.shift, "q": self.style, "x": self.keys, "a":
            self.is_alternate,
        }  # fmt: skip

    @staticmethod
    def load(value: dict[str, Any]) -> State:
        """From `dump`."""
        state = State()
        state.modes = {int(number): bool(on) for number, on in value["m"].items()}
        state.insert, state.keypad, state.region = bool(value["i"]), bool(value["k"]), str(value["r"])
        state.charsets, state.shift = dict(value["c"]), bool(value["s"])
        state.style, state.keys, state.is_alternate = str(value["q"]), str(value["x"]), bool(value["a"])
        return state

    def sequences(self, *, with_region: bool) -> bytes:
        """What brings a terminal that was just reset, or any other, to this state. The screens are not switched."""
        parts = [
            f"\x1b[?{number}{'h' if on else 'l'}"
            for number, on in sorted(self.modes.items())
            if number != 6 and (on or number in MODES_DEFAULT or number == 1)
        ]
        parts.append("\x1b[4h" if self.insert else "\x1b[4l")
        parts.append("\x1b=" if self.keypad else "\x1b>")
        if with_region:
            parts.append(f"\x1b[{self.region}r")
            if self.modes.get(6):
                parts.append("\x1b[?6h")
        parts += [f"\x1b{which}{name}" for which, name in self.charsets.items()]
        parts.append("\x0e" if self.shift else "\x0f")
        if self.style:
            parts.append(f"\x1b[{self.style} q")
        if self.keys:
            parts.append(f"\x1b[>4;{self.keys}m")
        return "".join(parts).encode("ascii")


class Place:
    """An offset from which a replay gives the right screen, the state there, and the colours in force."""

    __slots__ = ("colours", "is_exact", "offset", "state")

    def __init__(self, offset: int, state: State, *, colours: bytes = b"", is_exact: bool = True) -> None:
        self.offset = offset
        self.state = state
        self.colours = colours
        self.is_exact = is_exact

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        return {"o": self.offset, "s": self.state.dump(), "c": self.colours.decode("ascii"), "e": self.is_exact}

    @staticmethod
    def load(value: dict[str, Any]) -> Place:
        """From `dump`."""
        return Place(
            int(value["o"]), State.load(value["s"]), colours=str(value["c"]).encode("ascii"), is_exact=bool(value["e"])
        )


class Tracker:
    """Follows a log from `offset` on. `start` is the place to replay from; `main_start` the main screen's own while in
    the alternate one; `skips` the stretches (from, to) of the alternate screen that are over."""

    def __init__(self, offset: int) -> None:
        self.state = State()
        self.end = offset
        self.start = Place(offset, State())
        self.main_start: Place | None = None
        self.alternate_at = -1
        self.skips: list[tuple[int, int]] = []
        self.resized_at = offset
        self.title = b""
        self._pending = b""
        self._recent = b""

    @property
    def boundary(self) -> int:
        """Up to where everything seen is whole sequences."""
        return self.end - len(self._pending)

    def resized(self) -> None:
        """The terminal got another size."""
        self.resized_at = self.end

    def feed(self, offset: int, data: bytes, time_ns: int = 0) -> None:
        """See the next bytes of the log."""
        if offset != self.end:  # a gap: what was unfinished stays so
            self._pending = b""
        pending = self._pending
        has_shifts = b"\x0e" in data or b"\x0f" in data
        self.end = offset + len(data)
        if not pending and not has_shifts and b"\x1b" not in data:
            self._recent = (self._recent + data[-LOOK_BACK_BYTES:])[-LOOK_BACK_BYTES:]
            return
        data = pending + data
        self._pending = unfinished(data)
        shifts = has_shifts or b"\x0e" in pending or b"\x0f" in pending
        seen = len(data) - len(self._pending)
        for match in WITH_SHIFTS.finditer(data, 0, seen) if shifts else interesting(data, seen):
            self._see(match, offset - len(pending), data)
        self._recent = (self._recent + data[max(0, seen - LOOK_BACK_BYTES) : seen])[-LOOK_BACK_BYTES:]

    def _see(self, match: Match, base: int, data: bytes) -> None:
        kind = match.lastgroup
        text = match.group(kind).decode("ascii", "replace") if kind else ""
        state = self.state
        if kind == "clear" or kind == "wipe":
            self._cleared(match, base, data, is_reset=text == "c", is_exact=kind == "clear")
        elif kind == "on":
            for number in match.group("private").decode("ascii").split(";"):
                if number:
                    self._private(int(number[:6]), text == "h", base + match.start())
        elif kind == "insert":
            state.insert = text == "4h"
        elif kind == "region":
            state.region = text if text.strip(";") and len(text) < 16 else ""
        elif kind == "soft":
            state.modes = {number: on for number, on in state.modes.items() if number not in (1, 6, 7, 25)}
            state.insert = state.keypad = state.shift = False
            state.region = ""
            state.charsets = {"(": "B", ")": "B"}
        elif kind == "shift":
            state.shift = text == "\x0e"
        elif kind == "keypad":
            state.keypad = text == "="
        elif kind == "charset":
            state.charsets[text[0]] = text[1]
        elif kind == "style":
            state.style = text[:2]
        elif kind == "title":
            self.title = match.group("title")[:TITLE_BYTES_MAX]
        else:
            state.keys = text[:2] if kind == "keys" else ""

    def _cleared(self, match: Match, base: int, data: bytes, *, is_reset: bool, is_exact: bool) -> None:
        if is_reset:
            self.state = State()
            self.main_start, self.alternate_at = None, -1
        # an approximate place must not replace an exact one that is near: the exact one needs no redraw
        at = base + match.start()
        if not is_exact and self.start.is_exact and at - self.start.offset < 64 * 1024:
            return
        back = (self._recent + data[max(0, match.start() - LOOK_BACK_BYTES) : match.start()])[-LOOK_BACK_BYTES:]
        self.start = Place(at, self.state.copy(), colours=colours_after(back), is_exact=is_exact)
        if not self.state.is_alternate:
            self.skips.clear()

    def _private(self, number: int, on: bool, at: int) -> None:
        if number in MODES:
            self.state.modes[number] = on
        elif number in ALTERNATE and on != self.state.is_alternate:
            if on:
                self.main_start, self.alternate_at = self.start, at
                # 47 and 1047 show what was there before; 1049 clears
                self.start = Place(at, self.state.copy(), is_exact=number == 1049)
                self.state.is_alternate = True
            else:
                self.state.is_alternate = False
                self.start = self.main_start or Place(at, self.state.copy(), is_exact=False)
                if self.alternate_at >= 0:
                    self.skips = [*self.skips[-(SKIPS_MAX - 1) :], (self.alternate_at, at)]
                self.main_start, self.alternate_at = None, -1

    def dump(self) -> bytes:
        """A checkpoint, as of `boundary`."""
        value = {
            "v": 1, "state": self.state.dump(), "start": self.start.dump(), "alternate_at": self.alternate_at,
            "main": self.main_start.dump() if self.main_start is not None else None, "skips": self.skips,
            "resized_at": self.resized_at, "title": self.title.decode("utf-8", "replace"), "end": self.boundary,
        }  # fmt: skip
        return json.dumps(value, separators=(",", ":")).encode("ascii")

    @staticmethod
    def load(checkpoint: bytes) -> Tracker:
        """From `dump`; feed it from its `end` on. Raises ValueError, KeyError, TypeError."""
        value = json.loads(checkpoint)
        tracker = Tracker(int(value["end"]))
        tracker.state = State.load(value["state"])
        tracker.start = Place.load(value["start"])
        tracker.main_start = Place.load(value["main"]) if value["main"] is not None else None
        tracker.alternate_at = int(value["alternate_at"])
        tracker.skips = [(int(first), int(last)) for first, last in value["skips"]]
        tracker.resized_at = int(value["resized_at"])
        tracker.title = str(value["title"]).encode("utf-8")[:TITLE_BYTES_MAX]
        return tracker


def interesting(data: bytes, stop: int) -> Iterator[Match]:
    """INTERESTING.finditer(data, 0, stop); the compiled core knows where to look."""
    if sequences is None:
        yield from INTERESTING.finditer(data, 0, stop)
        return
    end = 0
    for at in sequences(data, stop):
        match = INTERESTING.match(data, at, stop) if at >= end else None
        if match is not None:
            end = match.end()
            yield match


def unfinished(data: bytes) -> bytes:
    """What is unfinished at the end: UNFINISHED.search, tried only where it may start."""
    window = data[-PENDING_BYTES_MAX:]
    starts = sequences(window, len(window)) if sequences else [one.start() for one in _UNCOMMON.finditer(window)]
    for at in starts:
        found = UNFINISHED.match(window, at)
        if found is not None:
            return found.group()
    return b""


def colours_after(data: bytes) -> bytes:
    """The colour sequences that are in force after `data`: those since the last reset, joined."""
    found: list[bytes] = []
    for match in _COLOURS.finditer(data):
        numbers = match.group(1)
        if not numbers.strip(b"0;"):
            found.clear()
        else:
            found.append(match.group())
    return b"".join(found)[-COLOURS_BYTES_MAX:] if sum(map(len, found)) <= COLOURS_BYTES_MAX else b""

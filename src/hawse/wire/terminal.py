"""The runner's protocol, version 1: what clients, coordinators and runners say to each other on a runner's socket.

Builders make whole frames (`hello(...) -> bytes`); parsers take a body and raise Malformed. Neither knows its side.
Source: spec 03.
"""

from __future__ import annotations

from struct import Struct

from hawse.wire import fields
from hawse.wire.errors import Malformed
from hawse.wire.frame import HEADER, HEADER_BYTES, frame
from hawse.wire.ticket import TICKET_CHARACTERS_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROTOCOL = 1

HELLO, WELCOME, INPUT, OUTPUT, RESIZE, DETACH, EXIT, ERROR = 1, 2, 3, 4, 5, 6, 7, 8
INPUT_END, SIGNAL, NOTICE, PING, PONG, RESTORE = 9, 10, 11, 12, 13, 14
CONTROL, CHALLENGE, PROOF, REPORT, REPORT_ACK, COMMAND, RESULT = 20, 21, 22, 23, 24, 25, 26
SPAWN, SPAWNED, KEEP, LOOK, FOUND, LEAVE = range(30, 36)

STDOUT, STDERR = 1, 2

ENTRY_BODY_BYTES_MAX = 8 * 1024  # HELLO, CONTROL and PROOF: a ticket of 1 KiB and some words
CLIENT_BODY_BYTES_MAX = 64 * 1024  # what a client may say in one frame; a paste is split
SERVER_BODY_BYTES_MAX = 1024 * 1024  # what a runner may say in one frame; RESTORE is the largest
ORDER_BODY_BYTES_MAX = 3 * 1024 * 1024  # Linux takes 2 MiB of arguments and environment; base64 makes 4/3 of it

WORD_CHARACTERS_MAX = 128
SENTENCE_CHARACTERS_MAX = 4096
CELLS_MAX = 9999  # columns and rows; larger terminals do not exist and programs allocate columns x rows

_OUTPUT = Struct(">QB")
_OUTPUT_FRAME = Struct(">IBQB")
_SIZE = Struct(">HH")
_TICK = Struct(">Q")
OUTPUT_HEADER_BYTES = _OUTPUT.size


def message(type: int, /, **values: Any) -> bytes:
    """A frame whose body is a JSON object."""
    return frame(type, fields.pack(**values))


class Hello:
    """A client's first word. start: a log offset, "screen" (restore the terminal) or "end"."""

    __slots__ = ("columns", "rows", "start", "ticket")

    def __init__(self, *, ticket: str, start: int | str, columns: int, rows: int) -> None:
        self.ticket = ticket
        self.start = start
        self.columns = columns
        self.rows = rows


def hello(*, ticket: str, start: int | str, columns: int = 0, rows: int = 0) -> bytes:
    """HELLO. columns, rows: 0 when the client has no terminal."""
    values: dict[str, Any] = {"protocol": PROTOCOL, "ticket": ticket, "from": start, "columns": columns, "rows": rows}
    return message(HELLO, **values)


def parse_hello(body: bytes) -> Hello:
    """HELLO's body. Raises Malformed."""
    value = fields.unpack(body, "HELLO")
    fields.integer(value, "protocol", "HELLO", low=PROTOCOL, high=PROTOCOL)
    start = value.get("from", "end")
    if start not in ("screen", "end"):
        start = fields.integer(value, "from", "HELLO")
    return Hello(
        ticket=fields.text(value, "ticket", "HELLO", characters_max=TICKET_CHARACTERS_MAX),
        start=start,
        columns=fields.integer(value, "columns", "HELLO", high=65535, default=0),
        rows=fields.integer(value, "rows", "HELLO", high=65535, default=0),
    )


def output(offset: int, source: int, data: bytes) -> bytes:
    """OUTPUT: bytes of the log as they are."""
    return _OUTPUT_FRAME.pack(OUTPUT_HEADER_BYTES + len(data), OUTPUT, offset, source) + data


def parse_output(body: bytes) -> tuple[int, int, bytes]:
    """OUTPUT's body as (offset, source, data). Raises Malformed."""
    if len(body) < OUTPUT_HEADER_BYTES:
        raise Malformed("OUTPUT: the body is shorter than its offset and source")
    offset, source = _OUTPUT.unpack_from(body)
    if source not in (STDOUT, STDERR):
        raise Malformed("OUTPUT: source must be 1 or 2")
    return offset, source, body[OUTPUT_HEADER_BYTES:]


def input_frames(data: bytes) -> bytes:
    """INPUT, in as many frames as the limit asks for."""
    if len(data) <= CLIENT_BODY_BYTES_MAX:
        return HEADER.pack(len(data), INPUT) + data
    parts = range(0, len(data), CLIENT_BODY_BYTES_MAX)
    return b"".join(frame(INPUT, data[at : at + CLIENT_BODY_BYTES_MAX]) for at in parts)


def sole_input(data: bytes) -> bytes | None:
    """The typed bytes when `data` is exactly one INPUT frame, else None. The short way of the common keystroke."""
    if len(data) > HEADER_BYTES and data[4] == INPUT and int.from_bytes(data[:4], "big") == len(data) - HEADER_BYTES:
        return data[HEADER_BYTES:]
    return None


def resize(columns: int, rows: int) -> bytes:
    """RESIZE."""
    return frame(RESIZE, _SIZE.pack(columns, rows))


def parse_resize(body: bytes) -> tuple[int, int]:
    """RESIZE's body as (columns, rows); 0 means unknown. Raises Malformed."""
    if len(body) != _SIZE.size:
        raise Malformed("RESIZE: the body is not two 16-bit numbers")
    columns, rows = _SIZE.unpack(body)
    return columns, rows


def ping(number: int) -> bytes:
    """PING."""
    return frame(PING, _TICK.pack(number))


def pong(body: bytes) -> bytes:
    """PONG: PING's body back. Raises Malformed."""
    parse_tick(body)
    return frame(PONG, body)


def parse_tick(body: bytes) -> int:
    """The number in a PING or PONG. Raises Malformed."""
    if len(body) != _TICK.size:
        raise Malformed("PING: the body is not one 64-bit number")
    number: int = _TICK.unpack(body)[0]
    return number


class Welcome:
    """The runner's answer to HELLO. offset: of the first OUTPUT to come; end: the log's end as of now.

    holds: it has control; who: the one who has it, in words, "" when that is not known.
    """

    __slots__ = ("attachment", "columns", "end", "holds", "job", "mode", "offset", "rows", "tty", "who")

    def __init__(
        self, *, job: str, attachment: str, mode: str, tty: bool, offset: int, end: int, columns: int, rows: int,
        holds: bool = False, who: str = "",
    ) -> None:  # fmt: skip
        self.job = job
        self.attachment = attachment
        self.mode = mode
        self.tty = tty
        self.offset = offset
        self.end = end
        self.columns = columns
        self.rows = rows
        self.holds = holds
        self.who = who


def welcome(value: Welcome) -> bytes:
    """WELCOME."""
    return message(WELCOME, protocol=PROTOCOL, **{name: getattr(value, name) for name in Welcome.__slots__})


def parse_welcome(body: bytes) -> Welcome:
    """WELCOME's body. Raises Malformed."""
    what = "WELCOME"
    value = fields.unpack(body, what)
    fields.integer(value, "protocol", what, low=PROTOCOL, high=PROTOCOL)
    tty, holds = value.get("tty"), value.get("holds", False)
    if not isinstance(tty, bool) or not isinstance(holds, bool):
        raise Malformed("WELCOME: tty and holds must be true or false")
    return Welcome(
        job=fields.text(value, "job", what, characters_max=WORD_CHARACTERS_MAX),
        attachment=fields.text(value, "attachment", what, characters_max=WORD_CHARACTERS_MAX),
        mode=fields.text(value, "mode", what, characters_max=WORD_CHARACTERS_MAX),
        tty=tty,
        offset=fields.integer(value, "offset", what),
        end=fields.integer(value, "end", what),
        columns=fields.integer(value, "columns", what, high=65535),
        rows=fields.integer(value, "rows", what, high=65535),
        holds=holds,
        who=fields.text(value, "who", what, characters_max=WORD_CHARACTERS_MAX, default=""),
    )


def error(code: str, detail: str, next_step: str = "") -> bytes:
    """ERROR: what is wrong, and what to do next. The sender closes after it."""
    return message(ERROR, code=code, detail=detail[:SENTENCE_CHARACTERS_MAX], next=next_step)


def detach(reason: str, words: str = "") -> bytes:
    """DETACH."""
    return message(DETACH, reason=reason, message=words[:SENTENCE_CHARACTERS_MAX])


def parse_detach(body: bytes) -> tuple[str, str]:
    """DETACH's body as (reason, message). Raises Malformed."""
    value = fields.unpack(body, "DETACH")
    return (
        fields.text(value, "reason", "DETACH", characters_max=WORD_CHARACTERS_MAX, default="asked"),
        fields.text(value, "message", "DETACH", characters_max=SENTENCE_CHARACTERS_MAX, default=""),
    )


def notice(kind: str, detail: str, **numbers: int | str) -> bytes:
    """NOTICE: something that a person should see and that is not output."""
    return message(NOTICE, kind=kind, detail=detail, **numbers)


def parse_signal(body: bytes) -> str:
    """SIGNAL's body: a name without SIG ("INT"). Raises Malformed."""
    value = fields.unpack(body, "SIGNAL")
    return fields.text(value, "signal", "SIGNAL", characters_max=16).upper().removeprefix("SIG")

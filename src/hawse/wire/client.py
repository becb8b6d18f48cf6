"""The client's half of a link to a runner, without any I/O: for the attach client, log followers and tests.

    half = ClientHalf()
    send(half.hello(ticket=..., start="screen", columns=80, rows=24))
    for event in half.feed(received): ...

Events are tuples whose first part is the frame type: (WELCOME, Welcome), (RESTORE, bytes), (OUTPUT, offset, source,
bytes), (NOTICE, dict), (DETACH, reason, message), (EXIT, outcome), (ERROR, dict), (PONG, number), (PING, number).
"""

from __future__ import annotations

from hawse.wire import fields, outcome, terminal
from hawse.wire.errors import Malformed
from hawse.wire.frame import FrameReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ClientHalf:
    """One link. cursor: the offset after the last byte that came; a new link that starts there misses nothing.

    Raises Malformed for what a runner never says: an answer before WELCOME, output that jumps without a gap notice.
    """

    def __init__(self, *, body_bytes_max: int = terminal.SERVER_BODY_BYTES_MAX) -> None:
        self._reader = FrameReader(body_bytes_max=body_bytes_max)
        self.welcome: terminal.Welcome | None = None
        self.cursor = 0
        self.is_over = False

    def hello(self, *, ticket: str, start: int | str, columns: int = 0, rows: int = 0) -> bytes:
        """The first bytes to send."""
        return terminal.hello(ticket=ticket, start=start, columns=columns, rows=rows)

    def feed(self, data: bytes) -> list[tuple[Any, ...]]:
        """Bytes in, events out. Raises WireError."""
        events = [self._event(kind, body) for kind, body in self._reader.feed(data)]
        if self._reader.error is not None:
            raise self._reader.error
        return events

    def _event(self, kind: int, body: bytes) -> tuple[Any, ...]:
        if self.is_over:
            raise Malformed("a frame came after the last one")
        if kind == terminal.OUTPUT:
            return self._output(body)
        parse = self._parsers.get(kind)
        if parse is None:
            raise Malformed(f"a runner does not send frames of type {kind}")
        if self.welcome is None and kind not in (terminal.WELCOME, terminal.ERROR, terminal.DETACH):
            raise Malformed("the first frame of a runner must be WELCOME or ERROR")
        return parse(self, body)

    def _output(self, body: bytes) -> tuple[Any, ...]:
        offset, source, data = terminal.parse_output(body)
        if self.welcome is None:
            raise Malformed("the first frame of a runner must be WELCOME or ERROR")
        if offset != self.cursor:
            raise Malformed(f"OUTPUT: offset {offset} came where {self.cursor} was due")
        self.cursor = offset + len(data)
        return terminal.OUTPUT, offset, source, data

    def _welcome(self, body: bytes) -> tuple[Any, ...]:
        if self.welcome is not None:
            raise Malformed("WELCOME came twice")
        self.welcome = terminal.parse_welcome(body)
        self.cursor = self.welcome.offset
        return terminal.WELCOME, self.welcome

    def _restore(self, body: bytes) -> tuple[Any, ...]:
        return terminal.RESTORE, body

    def _notice(self, body: bytes) -> tuple[Any, ...]:
        value = fields.unpack(body, "NOTICE")
        fields.text(value, "kind", "NOTICE", characters_max=terminal.WORD_CHARACTERS_MAX)
        fields.text(value, "detail", "NOTICE", characters_max=terminal.SENTENCE_CHARACTERS_MAX, default="")
        if value["kind"] == "gap" and "length" in value:
            offset = fields.integer(value, "offset", "NOTICE")
            self.cursor = max(self.cursor, offset + fields.integer(value, "length", "NOTICE"))
        return terminal.NOTICE, value

    def _detach(self, body: bytes) -> tuple[Any, ...]:
        self.is_over = True
        return terminal.DETACH, *terminal.parse_detach(body)

    def _exit(self, body: bytes) -> tuple[Any, ...]:
        self.is_over = True
        return terminal.EXIT, outcome.checked(fields.unpack(body, "EXIT"))

    def _error(self, body: bytes) -> tuple[Any, ...]:
        self.is_over = True
        return terminal.ERROR, parse_error(body)

    def _pong(self, body: bytes) -> tuple[Any, ...]:
        return terminal.PONG, terminal.parse_tick(body)

    def _ping(self, body: bytes) -> tuple[Any, ...]:
        return terminal.PING, terminal.parse_tick(body)

    _parsers = {
        terminal.WELCOME: _welcome,
        terminal.RESTORE: _restore,
        terminal.NOTICE: _notice,
        terminal.DETACH: _detach,
        terminal.EXIT: _exit,
        terminal.ERROR: _error,
        terminal.PONG: _pong,
        terminal.PING: _ping,
    }


def parse_error(body: bytes) -> dict[str, Any]:
    """ERROR's body: code, detail, next. Raises Malformed."""
    value = fields.unpack(body, "ERROR")
    fields.text(value, "code", "ERROR", characters_max=terminal.WORD_CHARACTERS_MAX)
    fields.text(value, "detail", "ERROR", characters_max=terminal.SENTENCE_CHARACTERS_MAX, default="")
    fields.text(value, "next", "ERROR", characters_max=terminal.SENTENCE_CHARACTERS_MAX, default="")
    return value

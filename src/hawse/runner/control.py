"""The coordinator's link: mutual proof, reports that are kept until acknowledged, commands with one answer each."""

from __future__ import annotations

import os

from hawse.wire import fields, terminal
from hawse.wire.errors import Malformed
from hawse.wire.proof import COORDINATOR, RUNNER, is_same, proof

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hawse.runner.connection import Connection
    from hawse.wire.order import Order

NONCE_BYTES = 16


class Entry:
    """A connection that said CONTROL and has not proven itself yet."""

    def __init__(self, connection: Connection, order: Order, body: bytes) -> None:
        value = fields.unpack(body, "CONTROL")
        fields.integer(value, "protocol", "CONTROL", low=terminal.PROTOCOL, high=terminal.PROTOCOL)
        if fields.text(value, "job", "CONTROL", characters_max=terminal.WORD_CHARACTERS_MAX) != order.job:
            raise Malformed("CONTROL: this is the runner of another job")
        self.connection = connection
        self.order = order
        self.their_nonce = fields.text(value, "nonce", "CONTROL", characters_max=terminal.WORD_CHARACTERS_MAX)
        self.nonce = os.urandom(NONCE_BYTES).hex()

    def challenge(self) -> bytes:
        """CHALLENGE: who we are, proven; and a nonce for the other side to prove itself with."""
        return terminal.message(
            terminal.CHALLENGE,
            incarnation=self.order.incarnation,
            attempt=self.order.attempt,
            nonce=self.nonce,
            proof=self._proof(RUNNER, self.their_nonce, self.nonce),
        )

    def is_proven(self, body: bytes) -> bool:
        """Does PROOF's body show that the other side knows the secret?"""
        given = fields.text(fields.unpack(body, "PROOF"), "proof", "PROOF", characters_max=terminal.WORD_CHARACTERS_MAX)
        return is_same(given, self._proof(COORDINATOR, self.nonce, self.their_nonce))

    def _proof(self, role: str, their_nonce: str, own_nonce: str) -> str:
        return proof(
            self.order.secret,
            role,
            job=self.order.job,
            attempt=self.order.attempt,
            incarnation=self.order.incarnation,
            their_nonce=their_nonce,
            own_nonce=own_nonce,
        )


class ControlLink:
    """Reports up, commands down; over one proven connection at a time, or none.

    state: makes the `state` report's fields. command: does a verb, returns the result's fields; raises Malformed.
    """

    def __init__(
        self,
        *,
        reports_max: int,
        state: Callable[[], dict[str, Any]],
        command: Callable[[str, dict[str, Any]], dict[str, Any]],
    ) -> None:
        self.reports_max = reports_max
        self._state = state
        self._command = command
        self.connection: Connection | None = None
        self.was_proven = False
        self.changed: Callable[[], None] | None = None
        self._seq = 0
        self._waiting: list[tuple[int, dict[str, Any]]] = []

    @property
    def is_up(self) -> bool:
        """Is a proven coordinator there?"""
        return self.connection is not None and self.connection.is_open

    def take(self, connection: Connection) -> None:
        """A coordinator proved itself. An older connection gives way."""
        if self.connection is not None:
            self.connection.say(terminal.error("replaced", "a newer coordinator connection took over"))
            self.connection.close()
        self.connection = connection
        self.was_proven = True
        connection.reader.body_bytes_max = terminal.CLIENT_BODY_BYTES_MAX
        connection.frames = self._frame
        connection.lost = self._lost
        # the state goes first, so it is numbered first: an acknowledgement covers all numbers up to its own. An older
        # one that is still kept tells what was
        bodies = [{"kind": "state", **self._state()}, *(b for _, b in self._waiting if b["kind"] != "state")]
        self._waiting = list(enumerate(bodies, self._seq + 1))
        self._seq += len(bodies)
        for seq, body in list(self._waiting):
            self._say(seq, body)
        if self.changed is not None:
            self.changed()

    def report(self, kind: str, **values: Any) -> None:
        """Tell the coordinator, now or when it comes; kept until acknowledged."""
        if len(self._waiting) >= self.reports_max:
            self._waiting.clear()  # a `state` says it all
            kind, values = "state", self._state()
        self._seq += 1
        body = {"kind": kind, **values}
        self._waiting.append((self._seq, body))
        self._say(self._seq, body)

    def _say(self, seq: int, body: dict[str, Any]) -> None:
        if self.connection is not None:
            self.connection.say(terminal.message(terminal.REPORT, seq=seq, **body))

    def _frame(self, kind: int, body: bytes) -> None:
        if kind == terminal.REPORT_ACK:
            seq = fields.integer(fields.unpack(body, "REPORT_ACK"), "seq", "REPORT_ACK")
            self._waiting = [one for one in self._waiting if one[0] > seq]
            if self.changed is not None:
                self.changed()
        elif kind == terminal.COMMAND:
            self._do(body)
        elif kind == terminal.PING and self.connection is not None:
            self.connection.say(terminal.pong(body))
        elif kind != terminal.PONG:
            raise Malformed(f"a coordinator does not send frames of type {kind}")

    def _do(self, body: bytes) -> None:
        value = fields.unpack(body, "COMMAND")
        number = value.get("id")
        if not isinstance(number, (str, int)):
            raise Malformed("COMMAND: id must be a string or a number")
        verb = fields.text(value, "verb", "COMMAND", characters_max=terminal.WORD_CHARACTERS_MAX)
        try:
            result = {"ok": True, **self._command(verb, value)}
        except Malformed as error:
            result = {"ok": False, "code": error.code, "detail": str(error)}
        if self.connection is not None:
            self.connection.say(terminal.message(terminal.RESULT, id=number, **result))

    def _lost(self, error: Exception | None) -> None:
        if error is not None and self.connection is not None:
            self.connection.say(terminal.error(getattr(error, "code", "broken"), str(error)))
        self.connection = None
        if self.changed is not None:
            self.changed()

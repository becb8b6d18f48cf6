"""The coordinator's half of its link to a runner, without any I/O.

    half = CoordinatorHalf(job=..., attempt=..., secret=..., nonce=os.urandom(16).hex())
    send(half.control())
    for event in half.feed(received): send(half.to_send()); ...

Events: ("proven", incarnation), ("report", dict), ("result", dict), ("error", dict). A report is the caller's until it
calls `acknowledge(seq)`; a runner keeps it until then.
"""

from __future__ import annotations

from hawse.wire import fields, terminal
from hawse.wire.client import parse_error
from hawse.wire.errors import Malformed
from hawse.wire.frame import FrameReader
from hawse.wire.proof import COORDINATOR, RUNNER, is_same, proof

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class CoordinatorHalf:
    """One link. incarnation: when given, any other runner is refused, whatever it can prove.

    Raises Malformed when the runner does not prove itself: then it is not ours, and nothing it says counts.
    """

    def __init__(self, *, job: str, attempt: int, secret: bytes, nonce: str, incarnation: str = "") -> None:
        self.job = job
        self.attempt = attempt
        self.incarnation = incarnation
        self.is_proven = False
        self._secret = secret
        self._nonce = nonce
        self._reader = FrameReader(body_bytes_max=terminal.SERVER_BODY_BYTES_MAX)
        self._out = bytearray()

    def control(self) -> bytes:
        """The first bytes to send."""
        return terminal.message(terminal.CONTROL, protocol=terminal.PROTOCOL, job=self.job, nonce=self._nonce)

    def feed(self, data: bytes) -> list[tuple[str, Any]]:
        """Bytes in, events out; what must be answered waits in `to_send`. Raises WireError."""
        events = []
        for kind, body in self._reader.feed(data):
            event = self._event(kind, body)
            if event is not None:
                events.append(event)
        if self._reader.error is not None:
            raise self._reader.error
        return events

    def _event(self, kind: int, body: bytes) -> tuple[str, Any] | None:
        if kind == terminal.ERROR:
            return "error", parse_error(body)
        if kind == terminal.CHALLENGE and not self.is_proven:
            return self._challenge(body)
        if not self.is_proven:
            raise Malformed("the runner has not proven itself")
        if kind == terminal.REPORT:
            value = fields.unpack(body, "REPORT")
            fields.integer(value, "seq", "REPORT", low=1)
            fields.text(value, "kind", "REPORT", characters_max=terminal.WORD_CHARACTERS_MAX)
            return "report", value
        if kind == terminal.RESULT:
            return "result", fields.unpack(body, "RESULT")
        if kind == terminal.PING:
            self._out += terminal.pong(body)
            return None
        if kind == terminal.PONG:
            return None
        raise Malformed(f"a runner does not send frames of type {kind} to a coordinator")

    def _challenge(self, body: bytes) -> tuple[str, Any]:
        what = "CHALLENGE"
        value = fields.unpack(body, what)
        incarnation = fields.text(value, "incarnation", what, characters_max=terminal.WORD_CHARACTERS_MAX)
        nonce = fields.text(value, "nonce", what, characters_max=terminal.WORD_CHARACTERS_MAX)
        given = fields.text(value, "proof", what, characters_max=terminal.WORD_CHARACTERS_MAX)
        if self.incarnation and incarnation != self.incarnation:
            raise Malformed(f"another runner answers: {incarnation} instead of {self.incarnation}")
        if not is_same(given, self._proof(RUNNER, incarnation, self._nonce, nonce)):
            raise Malformed("the runner's proof does not fit: another secret, job or attempt")
        self.incarnation = incarnation
        self.is_proven = True
        self._out += terminal.message(terminal.PROOF, proof=self._proof(COORDINATOR, incarnation, nonce, self._nonce))
        return "proven", incarnation

    def _proof(self, role: str, incarnation: str, their_nonce: str, own_nonce: str) -> str:
        return proof(
            self._secret, role, job=self.job, attempt=self.attempt, incarnation=incarnation,
            their_nonce=their_nonce, own_nonce=own_nonce,
        )  # fmt: skip

    def to_send(self) -> bytes:
        """What has to go out now; each byte is given once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def acknowledge(self, seq: int) -> bytes:
        """REPORT_ACK: every report up to `seq` is committed."""
        return terminal.message(terminal.REPORT_ACK, seq=seq)

    def command(self, id: int, verb: str, /, **values: Any) -> bytes:
        """COMMAND. verb: stop (grace_s), signal (signal), detach (attachment, reason, message), forget,
        control (attachment, fence, who, message), activity, watch (quiet_s)."""
        return terminal.message(terminal.COMMAND, id=id, verb=verb, **values)

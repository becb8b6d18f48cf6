"""Tickets: what the coordinator gives to a client so that a runner lets it in.

`base64url(JSON) "." base64url(HMAC-SHA256(secret of the job, first part))`, no padding. A ticket names one attachment,
is good for one entry, and dies by itself. Source: spec 03, section 3.
"""

from __future__ import annotations

import hashlib
import hmac
from binascii import a2b_base64, b2a_base64

from hawse.wire import fields
from hawse.wire.errors import Malformed, TicketRefused

TICKET_CHARACTERS_MAX = 1024
NAME_CHARACTERS_MAX = 128
MODES = ("control", "watch", "read")
VERSION = 1
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


class Ticket:
    """The right to enter one job's terminal once, until `expires` (Unix seconds).

    fence: with which its attachment has control of the job; 0: it does not have it. who: the attachment, in words for
    others who ask who has control; only with a fence.
    """

    __slots__ = ("attachment", "attempt", "expires", "fence", "job", "mode", "nonce", "who")

    def __init__(
        self, *, job: str, attempt: int, attachment: str, mode: str, expires: int, nonce: str, fence: int = 0,
        who: str = "",
    ) -> None:  # fmt: skip
        self.job = job
        self.attempt = attempt
        self.attachment = attachment
        self.mode = mode
        self.expires = expires
        self.nonce = nonce
        self.fence = fence
        self.who = who

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ticket) and all(getattr(self, n) == getattr(other, n) for n in self.__slots__)

    def __repr__(self) -> str:
        return f"Ticket({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"

    __hash__ = None  # type: ignore[assignment]


def _encode(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=")


def _decode(part: bytes) -> bytes:
    # The alphabet is checked here: a2b_base64 skips what it does not know, so two texts could be one ticket.
    plain = part.translate(_FROM_URL)
    decoded = a2b_base64(plain + b"=" * (-len(plain) % 4))
    if _encode(decoded) != part:
        raise ValueError("not base64url in its one form")
    return decoded


def seal(ticket: Ticket, secret: bytes) -> str:
    """The ticket as text, signed with the job's secret."""
    first = _encode(
        fields.pack(
            v=VERSION,
            job=ticket.job,
            attempt=ticket.attempt,
            attachment=ticket.attachment,
            mode=ticket.mode,
            expires=ticket.expires,
            nonce=ticket.nonce,
            fence=ticket.fence,
            who=ticket.who,
        )
    )
    return (first + b"." + _encode(hmac.digest(secret, first, hashlib.sha256))).decode("ascii")


def unseal(text: str, secret: bytes, *, now: float) -> Ticket:
    """The ticket in `text`, if it was sealed with `secret` and has not expired at `now` (Unix seconds).

    Raises TicketRefused. Does not know whether it was used before (NonceMemory), nor for which job it is asked.
    """
    if len(text) > TICKET_CHARACTERS_MAX or not text.isascii():
        raise TicketRefused("malformed")
    first, dot, last = text.encode("ascii").partition(b".")
    try:
        seen = _decode(last)
    except ValueError:
        raise TicketRefused("malformed") from None
    if not dot:
        raise TicketRefused("malformed")
    if not hmac.compare_digest(seen, hmac.digest(secret, first, hashlib.sha256)):
        raise TicketRefused("forged")
    try:
        ticket = _parse(_decode(first))
    except (ValueError, Malformed):
        raise TicketRefused("malformed") from None
    if ticket.expires <= now:
        raise TicketRefused("expired", ticket.attachment)
    return ticket


def _parse(body: bytes) -> Ticket:
    what = "ticket"
    value = fields.unpack(body, what)
    fields.integer(value, "v", what, low=VERSION, high=VERSION)
    return Ticket(
        job=fields.text(value, "job", what, characters_max=NAME_CHARACTERS_MAX),
        attempt=fields.integer(value, "attempt", what),
        attachment=fields.text(value, "attachment", what, characters_max=NAME_CHARACTERS_MAX),
        mode=fields.choice(value, "mode", what, of=MODES),
        expires=fields.integer(value, "expires", what),
        nonce=fields.text(value, "nonce", what, characters_max=NAME_CHARACTERS_MAX),
        fence=fields.integer(value, "fence", what, default=0),
        who=fields.text(value, "who", what, characters_max=NAME_CHARACTERS_MAX, default=""),
    )


class NonceMemory:
    """Remember used nonces until their tickets expire, at most `count_max` of them."""

    __slots__ = ("_until", "count_max")

    def __init__(self, *, count_max: int) -> None:
        self.count_max = count_max
        self._until: dict[str, int] = {}

    def use(self, nonce: str, *, expires: int, now: float) -> None:
        """Mark a nonce as used. Raises TicketRefused: `used`, or `full` (never forgets one that still counts)."""
        if self._until.get(nonce, 0) > now:
            raise TicketRefused("used")
        if len(self._until) >= self.count_max:
            self._until = {key: until for key, until in self._until.items() if until > now}
            if len(self._until) >= self.count_max:
                raise TicketRefused("full")
        self._until[nonce] = expires

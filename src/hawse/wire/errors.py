"""What can be wrong with bytes that came from somebody else.

WireError
├── FrameTooLarge     the peer announced more than was allowed; nothing of it was read
├── Malformed         the bytes do not mean what their type says
└── TicketRefused     a ticket that does not open this door; `reason` is why, `attachment` whose it is if proven
"""

from __future__ import annotations


class WireError(Exception):
    """The peer's bytes cannot be used."""

    code = "wire"


class FrameTooLarge(WireError):
    """A frame is larger than this side allows."""

    code = "frame_too_large"

    def __init__(self, body_bytes: int, body_bytes_max: int) -> None:
        super().__init__(f"a frame of {body_bytes} bytes was announced; at most {body_bytes_max} are taken")
        self.body_bytes = body_bytes
        self.body_bytes_max = body_bytes_max


class Malformed(WireError):
    """A message does not have the form that its type asks for."""

    code = "malformed"


class TicketRefused(WireError):
    """A ticket does not open this door."""

    code = "ticket_refused"

    SENTENCES = {
        "malformed": "the ticket cannot be read",
        "forged": "the ticket was not made for this job",
        "expired": "the ticket has expired",
        "used": "the ticket was used before",
        "job": "the ticket is for another job",
        "attempt": "the ticket is for another attempt of this job",
        "cut": "the attachment that the ticket is for was detached",
        "full": "too many tickets were used in a short time; try again in a minute",
    }

    def __init__(self, reason: str, attachment: str = "") -> None:
        super().__init__(self.SENTENCES.get(reason, reason))
        self.reason = reason
        self.attachment = attachment

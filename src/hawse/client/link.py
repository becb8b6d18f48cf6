"""What can happen to a link: a connected stream socket, seen from the client."""

from __future__ import annotations

QUEUE_FULL_S = 0.01  # between tries while a listener has too many connections to take yet


class LinkBroken(Exception):
    """The other end is gone, or never was there; nothing is known about what it did last."""


class LinkAbsent(LinkBroken):
    """Nobody listens there."""


class LinkLate(LinkBroken):
    """The other end did not answer within the deadline."""

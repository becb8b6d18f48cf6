"""Who a runner lets in: one ticket, one entry; what was cut does not come back. Pure: the time comes as an argument."""

from __future__ import annotations

from hawse.wire.errors import TicketRefused
from hawse.wire.ticket import NonceMemory, Ticket, unseal

CUT_S = 120.0  # a ticket lives for a minute; the rest forgives two clocks


class Admission:
    """The tickets of one attempt. nonces_max, cuts_max: remembered at a time, each until its ticket is worthless."""

    def __init__(self, *, job: str, attempt: int, secret: bytes, nonces_max: int, cuts_max: int) -> None:
        self.job = job
        self.attempt = attempt
        self._secret = secret
        self._nonces = NonceMemory(count_max=nonces_max)
        self._cuts_max = cuts_max
        self._cut: dict[str, float] = {}

    def admit(self, text: str, *, now: float) -> Ticket:
        """The ticket, which is used up by this. Raises TicketRefused."""
        ticket = unseal(text, self._secret, now=now)
        if ticket.job != self.job:
            raise TicketRefused("job")
        if ticket.attempt not in (0, self.attempt):
            raise TicketRefused("attempt", ticket.attachment)
        if self._cut.get(ticket.attachment, 0.0) > now:
            raise TicketRefused("cut", ticket.attachment)
        try:
            self._nonces.use(ticket.nonce, expires=ticket.expires, now=now)
        except TicketRefused as error:
            error.attachment = ticket.attachment
            raise
        return ticket

    def cut(self, attachment: str, *, now: float) -> None:
        """No ticket for this attachment is good any more. The coordinator never makes a new one for it."""
        if len(self._cut) >= self._cuts_max:
            self._cut = {id: until for id, until in self._cut.items() if until > now}
            while len(self._cut) >= self._cuts_max:  # the coordinator cuts again what comes in nevertheless
                del self._cut[next(iter(self._cut))]
        self._cut[attachment] = now + CUT_S


class Refusals:
    """What was refused, told at most once in `window_s` for the same (reason, attachment, uid), with a count."""

    def __init__(self, *, window_s: float, count_max: int) -> None:
        self.window_s = window_s
        self.count_max = count_max
        self._known: dict[tuple[str, str, int], tuple[float, int]] = {}

    def count(self, reason: str, attachment: str, uid: int, *, now: float) -> int:
        """How often it is to be told as; 0: not now. now: any clock that does not jump, in seconds."""
        key = reason, attachment, uid
        since, untold = self._known.get(key, (now - self.window_s, 0))
        if now - since < self.window_s:
            self._known[key] = since, untold + 1
            return 0
        self._known.pop(key, None)
        if len(self._known) >= self.count_max:
            del self._known[next(iter(self._known))]
        self._known[key] = now, 0
        return untold + 1

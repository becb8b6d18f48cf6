"""The runner's event loop: epoll, one-shot timers, nothing else.

With no timer set it blocks without a timeout: an idle runner never wakes up.
"""

from __future__ import annotations

import select
import time
from heapq import heappop, heappush

from hawse.runner.engine import Poller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hawse.runner.attachment import Attachment
    from hawse.runner.connection import Connection
    from hawse.runner.relay import Relay

IN, OUT, HANGUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
EVENTS_MAX = 64


class Timer:
    """A call that is due once at `when` (monotonic seconds)."""

    __slots__ = ("call", "number", "when")

    def __init__(self, when: float, number: int, call: Callable[[], None]) -> None:
        self.when = when
        self.number = number
        self.call: Callable[[], None] | None = call

    def __lt__(self, other: Timer) -> bool:
        return (self.when, self.number) < (other.when, other.number)

    def cancel(self) -> None:
        """Never call. Safe to repeat."""
        self.call = None


class Loop:
    """Wait for descriptors and times, call what belongs to them.

    failed: called with (descriptor, exception) when a handler raises; it must not raise itself.
    """

    def __init__(self, *, failed: Callable[[int, Exception], None]) -> None:
        self._shortcuts = Poller(failed=failed) if Poller is not None else None
        self._epoll = self._shortcuts if self._shortcuts is not None else select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[Timer] = []
        self._number = 0
        self._failed = failed
        self.running = True

    def watch(self, fd: int, mask: int, handler: Callable[[int], None]) -> None:
        """Call handler(events) when `fd` is ready. A second call changes mask and handler."""
        if fd in self._handlers:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Watch `fd` no more. Must come before it is closed. Safe to repeat."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def shortcut_output(self, fd: int, relay: Relay, source: int) -> None:
        """While nothing rare goes on, `relay.pump` may be done without calling the handler. Lasts until forget().

        Needs the compiled core; without it the handler is always called.
        """
        if self._shortcuts is not None:
            self._shortcuts.shortcut_output(fd, relay, source)

    def shortcut_input(self, relay: Relay, attachment: Attachment, connection: Connection) -> None:
        """While nothing rare goes on, what a client types may go to the job without calling the handler."""
        if self._shortcuts is not None:
            unfinished = connection.reader.unfinished
            self._shortcuts.shortcut_input(connection.fd, relay, attachment, connection, unfinished)

    def after(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call once, `delay_s` from now."""
        self._number += 1
        timer = Timer(time.monotonic() + delay_s, self._number, call)
        heappush(self._timers, timer)
        return timer

    def run(self) -> None:
        """Until `running` is false."""
        while self.running:
            self.turn()

    def turn(self) -> None:
        """Wait for what comes next and handle it."""
        handlers = self._handlers
        for fd, events in self._epoll.poll(self._timeout_s(), EVENTS_MAX):
            handler = handlers.get(fd)
            if handler is None:
                continue
            try:
                handler(events)
            except Exception as error:
                self._failed(fd, error)
        if self._timers:
            self._call_due()

    def _timeout_s(self) -> float:
        timers = self._timers
        while timers and timers[0].call is None:
            heappop(timers)
        if not timers:
            return -1
        return max(0.0, timers[0].when - time.monotonic())

    def _call_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].when <= now:
            timer = heappop(self._timers)
            if timer.call is None:
                continue
            try:
                timer.call()
            except Exception as error:
                self._failed(-1, error)

    def close(self) -> None:
        """Close the epoll descriptor."""
        self._epoll.close()

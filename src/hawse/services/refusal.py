"""Refused attempts, as events that the session's owner sees. All verbs' refusals and the runners' pass through here.

A flood of attempts is no flood of events: one for the same session, principal and capability in WINDOW_S; those that
came meanwhile are counted, and the count is told by the next event, at the latest when the window is over. The counts
are in memory: a coordinator that dies forgets them, never an event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hawse.domain.effect import CheckClock, Later
from hawse.domain.errors import NotFound
from hawse.domain.ids import SessionId
from hawse.ports.store import Store, Unit

WINDOW_S = 60.0
KEPT_MAX = 10_000  # windows open at a time; beyond that the oldest is forgotten, with its count
TEXT_LENGTH_MAX = 200
KIND = "session.refused"
CLOCK = "refused"  # of CheckClock: a window with a count is over


@dataclass(frozen=True, slots=True)
class Refusal:
    """One attempt. by: the principal, as far as it is known. what: the verb, or how a ticket was wrong."""

    session: str
    by: str
    capability: str
    what: str
    where: str = ""
    count: int = 1


@dataclass(slots=True)
class _Window:
    until: float
    last: Refusal
    untold: int = 0


class Refusals:
    """What was refused lately, by (session, principal, capability)."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str, str], _Window] = {}

    async def record(self, store: Store, refusal: Refusal, *, now: float) -> bool:
        """Tell it, or count it. True: an event was written. A session that is gone is no error. Raises Unavailable.

        If cancelled, the event may or may not have been written.
        """
        key = refusal.session, refusal.by, refusal.capability
        window = self._windows.get(key)
        if window is not None and now < window.until <= now + WINDOW_S:  # a clock set back opens it anew
            window.untold += refusal.count
            window.last = refusal
            return False
        untold = window.untold if window is not None else 0
        self._open(key, _Window(now + WINDOW_S, refusal))
        told = replace(refusal, count=refusal.count + untold)
        until = now + WINDOW_S
        check = Later(CheckClock(SessionId(refusal.session), CLOCK, until), until)

        def verb(unit: Unit) -> bool:
            try:
                _note(unit, told, (check,))
            except NotFound:
                return False
            return True

        try:
            return await store.write(verb)
        except BaseException:
            self._windows.pop(key, None)  # not told: the next attempt is
            raise

    async def flush(self, store: Store, session: str, *, now: float) -> None:
        """Tell the counts of this session's windows that are over. Raises Unavailable."""
        over = {key: one for key, one in self._windows.items() if key[0] == session and one.until <= now}
        for key in over:
            del self._windows[key]
        told = [replace(one.last, count=one.untold) for one in over.values() if one.untold]
        if told:
            await store.write(lambda unit: _all(unit, told))

    def _open(self, key: tuple[str, str, str], window: _Window) -> None:
        self._windows.pop(key, None)
        if len(self._windows) >= KEPT_MAX:
            del self._windows[next(iter(self._windows))]
        self._windows[key] = window


def _all(unit: Unit, told: list[Refusal]) -> None:
    for refusal in told:
        try:
            _note(unit, refusal, ())
        except NotFound:
            return


def _note(unit: Unit, told: Refusal, effects: tuple[Later, ...]) -> None:
    detail = {
        "capability": told.capability,
        "what": _plain(told.what),
        "where": _plain(told.where),
        "count": told.count,
    }
    unit.write_audit(
        kind=KIND, noun="session", object=told.session, by=_plain(told.by), where=_plain(told.where),
        detail={"capability": told.capability, "what": _plain(told.what), "count": told.count},
    )  # fmt: skip
    unit.note(
        told.session, kind=KIND, noun="session", object=told.session, by=_plain(told.by), detail=detail, effects=effects
    )


def _plain(text: str) -> str:
    return text.replace("\0", "?").encode("utf-8", "replace").decode()[:TEXT_LENGTH_MAX]

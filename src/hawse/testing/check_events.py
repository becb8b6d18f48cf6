"""Public check: replaying a session's events gives its present state, for every session that a coordinator knows.

check_events(ask)       # through REST: what users see. ask(target) -> the decoded JSON of GET target
check_view(view)        # a store's: all rows, also of attachments that have been detached
check_file(path)        # a SQLite store that nobody serves any more; how many sessions it holds
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hawse.adapters.clock import SystemClock
from hawse.adapters.store.fields import NOUNS, fields_of
from hawse.adapters.store.sqlite import SqliteStore
from hawse.domain import attachment as attachments
from hawse.domain.errors import Broken, Unavailable
from hawse.domain.event import Event, replay
from hawse.ports.store import Row, View

Ask = Callable[[str], Any]
PAGE = 1000
TRIES = 50  # a session that changes while it is read is read again
_SHOWN_WITH_IT = ("jobs", "attachments", "last_seq", "clocks", "trouble")
_NOT_TOLD = "version"


def check_events(ask: Ask) -> int:
    """Check all sessions, living and ended; how many there were. Raises AssertionError with what does not fit."""
    count = 0
    for session in _sessions(ask):
        check_session(ask, session)
        count += 1
    return count


def check_session(ask: Ask, session: str) -> None:
    """Check one session: its events are 1, 2, 3 ..., each fits the one before, and together they are its state."""
    for _ in range(TRIES):
        state = ask(f"/v1/sessions/{session}")
        events = list(_events(ask, session))
        if ask(f"/v1/sessions/{session}") == state and (events[-1].seq if events else 0) == state["last_seq"]:
            break
    else:
        raise AssertionError(f"session {session} changes faster than it can be read, or its last event is missing")
    told = _replayed(session, events)
    _compare(session, _shown(state), {key: fields for key, fields in told.items() if _is_shown(key, fields)})


def check_view(view: View) -> int:
    """Check all sessions of one snapshot of a store; how many there were. Raises AssertionError."""
    count, after = 0, ""
    while page := view.sessions(after=after, limit=PAGE):
        after = page[-1].id
        count += len(page)
        for session in page:
            rows: list[Row] = [session, *view.jobs(session.id), *view.attachments(session.id, living=False)]
            rows += view.grants(session.id, live=False)
            events: list[Event] = []
            while found := view.events(session.id, after=len(events), limit=PAGE):
                events += found
            assert len(events) == view.last_seq(session.id), f"session {session.id}: its last event is missing"
            stored = {(NOUNS[type(row)], str(row.id)): fields_of(row) for row in rows}
            _compare(session.id, stored, _replayed(session.id, events))
    return count


def check_file(path: Path) -> int:
    """Check a SQLite store that no process has open. A file that is damaged, newer or locked is not checked: 0."""
    return asyncio.run(_check_file(path))


async def _check_file(path: Path) -> int:
    try:
        store = await SqliteStore.open(path, SystemClock())
    except (Broken, Unavailable):
        return 0
    try:
        return await store.read(check_view)
    finally:
        await store.aclose()


def _replayed(session: str, events: Iterable[Event]) -> dict[tuple[str, str], dict[str, Any]]:
    try:
        return replay(events)
    except Broken as problem:
        raise AssertionError(f"session {session}: the events do not follow each other: {problem.detail}") from problem


def _compare(
    session: str, shown: Mapping[tuple[str, str], Mapping[str, Any]], told: Mapping[tuple[str, str], Mapping[str, Any]]
) -> None:
    wrong = [
        f"{noun} {id}: shown {_only_in(shown.get((noun, id)), told.get((noun, id)))}"
        f", told {_only_in(told.get((noun, id)), shown.get((noun, id)))}"
        for noun, id in {**shown, **told}
        if shown.get((noun, id)) != told.get((noun, id))
    ]
    assert not wrong, f"session {session} is not what its events say:\n  " + "\n  ".join(wrong)


def _sessions(ask: Ask) -> Iterator[str]:
    after: str | None = ""
    while after is not None:
        page = ask(f"/v1/sessions?state=all&limit={PAGE}" + (f"&after={after}" if after else ""))
        yield from (item["id"] for item in page["items"])
        after = page["next"]


def _events(ask: Ask, session: str) -> Iterator[Event]:
    following = 1
    while True:
        items = ask(f"/v1/sessions/{session}/events?from={following}&limit={PAGE}")["items"]
        for item in items:
            yield Event(**item)
        if len(items) < PAGE:
            return
        following = items[-1]["seq"] + 1


def _shown(state: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    objects = [("session", {name: value for name, value in state.items() if name not in _SHOWN_WITH_IT})]
    objects += [("job", job) for job in state["jobs"]]
    objects += [("attachment", attachment) for attachment in state["attachments"]]
    return {
        (noun, fields["id"]): {name: value for name, value in fields.items() if name != _NOT_TOLD}
        for noun, fields in objects
    }


def _is_shown(key: tuple[str, str], fields: Mapping[str, Any]) -> bool:
    """A session shows its jobs and living attachments; its events tell of all, and of grants."""
    return key[0] != "grant" and not (key[0] == "attachment" and fields.get("state") in attachments.FINAL)


def _only_in(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> object:
    if one is None:
        return "nothing"
    return {name: value for name, value in one.items() if other is None or name not in other or other[name] != value}

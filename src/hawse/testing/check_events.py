"""Public check: replaying a session's events gives its present state, for every session that a coordinator knows.

    check_events(ask)       # ask(target) -> the decoded JSON of GET target

Through REST alone, so that it holds for any store, and for what users see. Standard library and domain only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hawse.domain import attachment as attachments
from hawse.domain.errors import Broken
from hawse.domain.event import Event, replay

Ask = Callable[[str], Any]
PAGE = 1000
TRIES = 50  # a session that changes while it is read is read again
_SHOWN_WITH_IT = ("jobs", "attachments", "last_seq")
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
    try:
        told = replay(events)
    except Broken as problem:
        raise AssertionError(f"session {session}: the events do not follow each other: {problem.detail}") from problem
    shown = _shown(state)
    living = {key: fields for key, fields in told.items() if not _is_detached(key, fields)}
    wrong = [
        f"{noun} {id}: shown {_only_in(shown.get((noun, id)), living.get((noun, id)))}"
        f", told {_only_in(living.get((noun, id)), shown.get((noun, id)))}"
        for noun, id in {**shown, **living}
        if shown.get((noun, id)) != living.get((noun, id))
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


def _is_detached(key: tuple[str, str], fields: Mapping[str, Any]) -> bool:
    """A session shows its living attachments only; its events tell of all."""
    return key[0] == "attachment" and fields.get("state") in attachments.FINAL


def _only_in(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> object:
    if one is None:
        return "nothing"
    return {name: value for name, value in one.items() if other is None or name not in other or other[name] != value}

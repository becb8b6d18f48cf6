"""State tables: (state, event) -> state. A missing pair is an error, never silently ignored."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from hawse.domain.errors import IllegalMove

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def moved(table: Mapping[tuple[S, E], S], state: S, event: E, what: str) -> S:
    """The state after `event`. Raises IllegalMove if the table has no such pair."""
    after = table.get((state, event))
    if after is None:
        raise IllegalMove(
            f"{what} is {state}; {event.replace('_', ' ')} is not possible", state=str(state), event=str(event)
        )
    return after


def reachable(table: Mapping[tuple[S, E], S], start: S) -> frozenset[S]:
    """Every state that some list of events leads to, `start` included."""
    seen, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for (state, _event), after in table.items():
            if state == here and after not in seen:
                seen.add(after)
                todo.append(after)
    return frozenset(seen)


def finals(table: Mapping[tuple[S, E], S]) -> frozenset[S]:
    """The states that no event leaves for another state."""
    states = {state for state, _ in table} | set(table.values())
    return frozenset(s for s in states if all(after == s for (state, _), after in table.items() if state == s))

"""One numbered event per change, and how the log gives the state back.

An event says what an object's changed fields were before and are after. Replaying a session's events from the first
gives the present fields of the session and of everything in it; `replay` is that fold, and it complains about a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hawse.domain.errors import Broken
from hawse.domain.ids import SessionId

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one object.

    seq: 1, 2, 3 ... per session, no gaps. noun: session, job, attachment. before, after: the changed fields only;
    before is {} for a creation, after is {} for a removal; both are {} where something happened that changed nothing:
    a refusal, a warning. detail: facts of what happened that no object keeps.
    """

    session: SessionId
    seq: int
    time: float
    kind: str
    noun: str
    object: str
    before: Fields
    after: Fields
    by: str
    request: str = ""
    detail: Fields = field(default_factory=dict)


def difference(before: Fields | None, after: Fields | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The changed fields, as they were and as they are. None: the object does not exist."""
    old, new = before or {}, after or {}
    keys = [key for key in {**old, **new} if key not in old or key not in new or old[key] != new[key]]
    return {k: old[k] for k in keys if k in old}, {k: new[k] for k in keys if k in new}


def replay(
    events: Iterable[Event], state: Mapping[tuple[str, str], Fields] | None = None, *, after_seq: int = 0
) -> dict[tuple[str, str], dict[str, Any]]:
    """The fields of every object by (noun, id), after all events.

    state, after_seq: where to go on from. Raises Broken for a gap, a duplicate, or a change that does not fit what was
    there.
    """
    objects = {key: dict(fields) for key, fields in (state or {}).items()}
    for event in events:
        if event.seq != after_seq + 1:
            raise Broken(f"session {event.session}: event {event.seq} follows {after_seq}", session=event.session)
        after_seq = event.seq
        fields = objects.setdefault((event.noun, event.object), {})
        for key, value in event.before.items():
            if key not in fields or fields[key] != value:
                raise Broken(
                    f"session {event.session}: event {event.seq} changes {event.noun} {event.object} {key},"
                    " which was something else"
                )
        for key in event.before.keys() - event.after.keys():
            del fields[key]
        fields.update(event.after)
        if not fields:
            del objects[event.noun, event.object]
    return objects

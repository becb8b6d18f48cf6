"""How much there is in a memory store, counted one by one: the model for what databases count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hawse.adapters.store.fields import effect_to_json
from hawse.domain import attachment as attachments
from hawse.domain import session as sessions
from hawse.domain.attachment import Attachment
from hawse.domain.job import Job
from hawse.domain.session import Session
from hawse.ports.store import Census, Pending, Row


def census(rows: Iterable[Row], effects: Iterable[Pending], now: float) -> Census:
    """See View.census."""
    leases: dict[str, tuple[int, float]] = {}
    due: dict[str, tuple[int, float]] = {}
    every, stored = list(rows), list(effects)
    for row in every:
        if isinstance(row, Session) and row.state in sessions.LIVING and row.lease_until is not None:
            count, until = leases.get(row.project, (0, row.lease_until))
            leases[row.project] = (count + 1, min(until, row.lease_until))
    for pending in stored:
        if pending.due_at <= now:
            kind = effect_to_json(pending.effect)[0]
            count, at = due.get(kind, (0, pending.due_at))
            due[kind] = (count + 1, min(at, pending.due_at))
    living = (row for row in every if isinstance(row, Attachment) and row.state in attachments.LIVING)
    return Census(
        sessions=dict(Counter(str(row.state) for row in every if isinstance(row, Session))),
        jobs=dict(Counter(str(row.state) for row in every if isinstance(row, Job))),
        attachments=dict(Counter((str(row.mode), str(row.state)) for row in living)),
        leases=leases,
        waiting=len(stored),
        due=due,
    )

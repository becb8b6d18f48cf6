"""The audit log: who changed a right or ended something, from where, when, and by which request. Append only.

It stands beside the sessions' own events: those are for who works in a session and go with it; this is for who answers
for the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TEXT_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True)
class Entry:
    """seq: rises, with gaps. kind: what happened ("user.created"). noun, object: to what. by: who ("user:alice", or
    "" when nobody knows). where: from where, as far as the coordinator knows. request: its id, if it had one.
    """

    seq: int
    time: float
    kind: str
    noun: str
    object: str
    by: str
    where: str = ""
    request: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

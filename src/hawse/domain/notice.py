"""A notice: one thing that happened, to be told over one channel, once.

What is told of an event, to whom, and in which words stands in domain/notice_words.py. Here: its life, and when it is
tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from hawse.domain.errors import Invalid
from hawse.domain.ids import RANDOM_BYTES, ChannelId, NoticeId, storable, uuid7
from hawse.domain.table import moved

# Quick at first: most trouble is a receiver that restarts. Then slowly: it is down, and a person will look.
PAUSES_S = (1.0, 3.0, 10.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
GIVE_UP_S = 86400.0  # a day after it was made, or sent again by hand; who has not listened by then asks `notify log`
CAUSE_LENGTH_MAX = 500
CUT_SHORT = "its last try was cut short"  # what stands there while a try goes on, and stays if nobody lives to tell
WAITING_MAX = 1000  # of one channel; a channel that far behind is down, and more would only drown its owner
KEPT_MAX = 10_000  # of one channel, all states; then the oldest that are over are forgotten


class Kind(StrEnum):
    """What a notice is about."""

    JOB_STARTED = "job_started"  # a job's program has started
    JOB_ENDED = "job_ended"  # it exited with code 0, or somebody had asked for its end
    JOB_FAILED = "job_failed"  # it exited with another code, was killed, or could not be started
    JOB_LOST = "job_lost"  # its runner or host died
    JOB_WAITS = "job_waits"  # its output is quiet and its program reads the terminal
    LEASE_ENDS = "lease_ends"  # the session is about to end by itself
    CONNECT_BY = "connect_by"  # it ends unless somebody attaches
    TAKEN_OVER = "taken_over"  # somebody took your place, or your control
    SHARED = "shared"  # somebody gave you a role in a session
    REFUSED = "refused"  # somebody tried what he may not, in a session of yours
    SESSION_ENDED = "session_ended"  # a session is over
    TEST = "test"  # you asked for it


UNASKED = frozenset({Kind.JOB_STARTED, Kind.TEST})  # not told unless named
DEFAULT = tuple(kind for kind in Kind if kind not in UNASKED)


class S(StrEnum):
    WAITING = "waiting"  # to be sent, now or later
    SENT = "sent"
    FAILED = "failed"  # given up; it can be sent again by hand
    WITHDRAWN = "withdrawn"  # not sent, since its reader may not know of it any more, or its channel is off


class E(StrEnum):
    TRIED = "tried"  # a try begins; it is written down before, so that one which ends us is not made for ever
    SENT = "sent"
    PUT_OFF = "put_off"
    GIVEN_UP = "given_up"
    WITHDRAWN = "withdrawn"
    ASKED_AGAIN = "asked_again"


NOTICE: Mapping[tuple[S, E], S] = {
    (S.WAITING, E.TRIED): S.WAITING,
    (S.WAITING, E.SENT): S.SENT,
    (S.WAITING, E.PUT_OFF): S.WAITING,
    (S.WAITING, E.GIVEN_UP): S.FAILED,
    (S.WAITING, E.WITHDRAWN): S.WITHDRAWN,
    (S.WAITING, E.ASKED_AGAIN): S.WAITING,  # now, not after its pause
    (S.FAILED, E.ASKED_AGAIN): S.WAITING,
    (S.WITHDRAWN, E.ASKED_AGAIN): S.WAITING,
}
START, FINAL = S.WAITING, frozenset({S.SENT})
OVER = frozenset({S.SENT, S.FAILED, S.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell over one channel.

    id: what the receiver is given, the same at every try: who has seen it drops the repeat. session, seq: the event
    (session "" and seq 0: a test). subject: one line. text: some sentences. command: what to type. body: facts for
    programs. attempts: how often it was tried. due_at: not before, Unix seconds. since: when it was made, or asked for
    again. cause: why the last try failed, or why it was withdrawn.
    """

    id: NoticeId
    channel: ChannelId
    principal: str
    kind: Kind
    session: str
    seq: int
    state: S
    created_at: float
    due_at: float
    since: float
    subject: str
    text: str
    command: str
    body: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    cause: str = ""
    sent_at: float | None = None
    version: int = 1


def tried(notice: Notice, *, now: float) -> Notice:
    """A try begins. Should nobody live to tell how it went, the next one comes after its pause."""
    attempts = notice.attempts + 1
    return replace(
        notice,
        state=moved(NOTICE, notice.state, E.TRIED, f"notice {notice.id}"),
        attempts=attempts,
        due_at=now + pause_s(attempts),
        cause=CUT_SHORT,
    )


def sent(notice: Notice, *, now: float) -> Notice:
    """The try that began was taken."""
    return replace(
        notice, state=moved(NOTICE, notice.state, E.SENT, f"notice {notice.id}"), cause="", sent_at=now
    )


def failed(notice: Notice, *, cause: str, now: float, forever: bool = False) -> Notice:
    """The try that began failed. Another follows, or it is given up: its time is over, or (forever) none can help."""
    due_at = now + pause_s(notice.attempts)
    is_over = forever or due_at > notice.since + GIVE_UP_S
    state = moved(NOTICE, notice.state, E.GIVEN_UP if is_over else E.PUT_OFF, f"notice {notice.id}")
    told = storable(cause, characters_max=CAUSE_LENGTH_MAX)
    return replace(notice, state=state, cause=told, due_at=due_at)


def withdrawn(notice: Notice, *, cause: str) -> Notice:
    """It is not to be sent any more."""
    state = moved(NOTICE, notice.state, E.WITHDRAWN, f"notice {notice.id}")
    return replace(notice, state=state, cause=storable(cause, characters_max=CAUSE_LENGTH_MAX))


def asked_again(notice: Notice, *, now: float) -> Notice:
    """By hand: at once, and for another day. Raises IllegalMove (it was sent)."""
    state = moved(NOTICE, notice.state, E.ASKED_AGAIN, f"notice {notice.id}")
    return replace(notice, state=state, due_at=now, since=now)


def pause_s(attempts: int) -> float:
    """How long to wait after so many tries, at least one."""
    return PAUSES_S[min(attempts, len(PAUSES_S)) - 1]


def notice_id(channel: str, session: str, seq: int, *, time: float) -> NoticeId:
    """The id of an event's notice over a channel: the same whenever it is made, also from a restored backup."""
    digest = hashlib.sha256(f"{channel}/{session}/{seq}".encode()).digest()
    return NoticeId(uuid7(time, digest[:RANDOM_BYTES]))


def checked_kinds(kinds: Iterable[str] | None) -> tuple[str, ...]:
    """The kinds, in the order of `Kind`; None: what is wanted unless one says otherwise. Raises Invalid."""
    if kinds is None:
        return DEFAULT
    asked = {kind.replace("-", "_") for kind in kinds}
    unknown = sorted(asked - {kind for kind in Kind if kind != Kind.TEST})
    if unknown:
        names = ", ".join(kind for kind in Kind if kind != Kind.TEST)
        raise Invalid(f"there is no kind of notice {unknown[0][:40]!r}", next_step=f"kinds: {names}")
    if not asked:
        raise Invalid("a channel without a kind tells nothing", next_step="name one, or turn the channel off")
    return tuple(kind for kind in Kind if kind in asked)

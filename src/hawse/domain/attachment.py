"""An attachment: somebody's link to a session. It comes and goes; the work never notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from hawse.domain.effect import CutAttachment, Effect
from hawse.domain.ids import AttachmentId, GrantId, JobId, SessionId
from hawse.domain.table import moved

STALE_S = 60.0  # a link that did not come back in this time is lost; the work goes on


class S(StrEnum):
    STALE = "stale"  # no link now: its ticket was not used yet, or the link broke
    ATTACHED = "attached"
    DETACHED = "detached"


class E(StrEnum):
    LINKED = "linked"
    LINK_LOST = "link_lost"
    TICKETED = "ticketed"
    DETACHED = "detached"


ATTACHMENT: Mapping[tuple[S, E], S] = {
    (S.STALE, E.TICKETED): S.STALE,
    (S.STALE, E.LINKED): S.ATTACHED,
    (S.STALE, E.LINK_LOST): S.STALE,
    (S.STALE, E.DETACHED): S.DETACHED,
    (S.ATTACHED, E.TICKETED): S.ATTACHED,  # the other end of a broken link may know before we do
    (S.ATTACHED, E.LINKED): S.ATTACHED,
    (S.ATTACHED, E.LINK_LOST): S.STALE,
    (S.ATTACHED, E.DETACHED): S.DETACHED,
}
START, FINAL = S.STALE, frozenset({S.DETACHED})
LIVING = frozenset(S) - FINAL


class Mode(StrEnum):
    """What an attachment may do. Of those that may control, one at a time holds control."""

    CONTROL = "control"
    WATCH = "watch"


class Reason(StrEnum):
    ASKED = "asked"
    CLOSED = "closed"  # its terminal was closed, or its client ended by a signal
    STOLEN = "stolen"
    IDLE = "idle"
    SLOW = "slow"
    LOST = "lost"
    ENDED = "ended"
    REVOKED = "revoked"  # its grant was taken back or ran out


# Its runner needs no word: there is no link, or EXIT follows the last byte.
LEAVES_BY_ITSELF = frozenset({Reason.LOST, Reason.ENDED})


@dataclass(frozen=True, slots=True)
class Attachment:
    """Somebody's link to one job of a session.

    who: the principal. where: terminal or address, as the client told it. cursor: log offset that was sent. link_at:
    when its link last came or went. holds, fence, active_at: kept for a control token that is not handed out yet
    (false, 0, None): everybody attached with mode control may type. detached_by: the principal who took its place or
    detached it; empty: itself or the clock. via: the grant that admitted it; None: the session's owner's.
    """

    id: AttachmentId
    session: SessionId
    job: JobId
    who: str
    where: str
    mode: Mode
    state: S
    created_at: float
    link_at: float
    cursor: int = 0
    version: int = 1
    detached_at: float | None = None
    reason: Reason | None = None
    holds: bool = False
    fence: int = 0
    active_at: float | None = None
    detached_by: str = ""
    via: GrantId | None = None


def created(
    *,
    id: AttachmentId,
    session: SessionId,
    job: JobId,
    who: str,
    where: str,
    mode: Mode,
    now: float,
    via: GrantId | None = None,
) -> Attachment:
    """It begins without a link: the ticket is on its way to the client."""
    return Attachment(
        id=id,
        session=session,
        job=job,
        who=who,
        where=where[:200],
        mode=mode,
        state=START,
        created_at=now,
        link_at=now,
        via=via,
    )


def linked(attachment: Attachment, *, now: float) -> Attachment:
    """Its client showed its ticket to the runner. After the end this changes nothing."""
    if attachment.state == S.DETACHED:
        return attachment
    state = moved(ATTACHMENT, attachment.state, E.LINKED, f"attachment {attachment.id}")
    return replace(attachment, state=state, link_at=now)


def link_lost(attachment: Attachment, *, cursor: int, now: float) -> Attachment:
    """Its link broke without a word: it may come back with a new ticket."""
    if attachment.state == S.DETACHED:
        return attachment
    state = moved(ATTACHMENT, attachment.state, E.LINK_LOST, f"attachment {attachment.id}")
    return replace(attachment, state=state, cursor=max(cursor, attachment.cursor), link_at=now)


def detached(
    attachment: Attachment, *, reason: Reason, now: float, cursor: int = 0
) -> tuple[Attachment, tuple[Effect, ...]]:
    """It ends; the work goes on. Safe to repeat: the first reason is kept.

    A stale one is cut, too: its ticket may be on the way, and its runner must refuse it.
    """
    if attachment.state == S.DETACHED:
        return attachment, ()
    state = moved(ATTACHMENT, attachment.state, E.DETACHED, f"attachment {attachment.id}")
    after = replace(attachment, state=state, reason=reason, detached_at=now, cursor=max(cursor, attachment.cursor))
    cut = CutAttachment(job=attachment.job, attachment=attachment.id, reason=reason.value)
    return after, () if reason in LEAVES_BY_ITSELF else (cut,)


def is_overdue(attachment: Attachment, *, now: float) -> bool:
    """Has its link been away for so long that it counts as lost?"""
    return attachment.state == S.STALE and now >= attachment.link_at + STALE_S

"""An attachment: somebody's link to a session. It comes and goes; the work never notices.

Control. Of a job's attachments that may control, one holds control: only its bytes reach the job. Each time another one
gets it, the fence of that job rises, and the one that gets it carries the new fence. So whoever knows the highest fence
knows who holds, and an older word about it is told by its number. The highest fence of a job is kept by the attachments
that ever had one; they stay, detached, as long as the session's history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from hawse.domain.effect import CutAttachment, Effect
from hawse.domain.errors import IllegalMove
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
# What may come back by itself as a new attachment: nobody wanted it gone.
COMES_BACK = frozenset({Reason.LOST, Reason.SLOW, Reason.ENDED})


@dataclass(frozen=True, slots=True)
class Attachment:
    """Somebody's link to one job of a session.

    who: the principal. where: terminal or address, as the client told it. cursor: log offset that was sent. link_at:
    when its link last came or went. holds: it has control of its job. fence: of the last change of control that gave it
    control; 0: it never had it. active_at: when it last typed or took output, typed_at: when it last typed or was given
    control, both as far as they were asked (its runner knows better). detached_by: the principal who took its place or
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
    typed_at: float | None = None
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
    attachment: Attachment, *, reason: Reason, now: float, cursor: int = 0, by: str = "", message: str = ""
) -> tuple[Attachment, tuple[Effect, ...]]:
    """It ends, and its control with it; the work goes on. Safe to repeat: the first reason is kept.

    A stale one is cut, too: its ticket may be on the way, and its runner must refuse it. by: the principal who did it,
    if it was somebody else. message: what its client is told.
    """
    if attachment.state == S.DETACHED:
        return attachment, ()
    state = moved(ATTACHMENT, attachment.state, E.DETACHED, f"attachment {attachment.id}")
    after = replace(
        attachment,
        state=state,
        reason=reason,
        detached_at=now,
        cursor=max(cursor, attachment.cursor),
        holds=False,
        detached_by=by,
    )
    cut = CutAttachment(job=attachment.job, attachment=attachment.id, reason=reason.value, message=message)
    return after, () if reason in LEAVES_BY_ITSELF else (cut,)


def is_overdue(attachment: Attachment, *, now: float) -> bool:
    """Has its link been away for so long that it counts as lost?"""
    return attachment.state == S.STALE and now >= attachment.link_at + STALE_S


# -- control ----------------------------------------------------------------------------------------------------------


def next_fence(last: int, *, now: float) -> int:
    """The fence of the next change of control: higher than the last one, and than those of a store that was lost and
    came back from a backup (so it grows with the time of day, in milliseconds).
    """
    return max(last + 1, int(now * 1000))


def given_control(attachment: Attachment, *, fence: int, now: float) -> Attachment:
    """It holds control from now on. The one that held it before gives it up first. Raises IllegalMove."""
    if attachment.state == S.DETACHED or attachment.mode != Mode.CONTROL:
        what = "is detached" if attachment.state == S.DETACHED else "only watches"
        raise IllegalMove(f"attachment {attachment.id} {what}; it cannot have control", state=str(attachment.state))
    return replace(attachment, holds=True, fence=fence, typed_at=now)


def without_control(attachment: Attachment) -> Attachment:
    """Somebody else holds control from now on."""
    return replace(attachment, holds=False)


def heir(attachments: Iterable[Attachment]) -> Attachment | None:
    """Who gets control when its holder has gone: of those that are linked and may control, the one active last."""
    able = [one for one in attachments if one.state == S.ATTACHED and one.mode == Mode.CONTROL and not one.holds]
    return max(able, key=lambda one: (last_active_at(one), one.id), default=None)


def gives_way(holder: Attachment, *, to: str) -> bool:
    """Does this holder's control pass to a newcomer of the principal `to` at once?

    Somebody whose link broke, and who comes from elsewhere before it is mended, is not kept from typing by himself.
    """
    return holder.who == to and holder.state == S.STALE and holder.link_at > holder.created_at


# -- activity ---------------------------------------------------------------------------------------------------------


def last_active_at(attachment: Attachment) -> float:
    """When it last typed or took output, as far as is known; it was active when its link came."""
    return max(attachment.active_at or 0.0, attachment.typed_at or 0.0, attachment.link_at)


def last_typed_at(attachment: Attachment) -> float:
    """When it last typed or was given control, as far as is known."""
    return attachment.created_at if attachment.typed_at is None else attachment.typed_at


def seen_active(attachment: Attachment, *, active_at: float | None, typed_at: float | None) -> Attachment:
    """What its runner knows of it. None: nothing. Times never go back."""
    return replace(
        attachment, active_at=_later(attachment.active_at, active_at), typed_at=_later(attachment.typed_at, typed_at)
    )


def _later(known: float | None, told: float | None) -> float | None:
    return told if known is None or (told is not None and told > known) else known

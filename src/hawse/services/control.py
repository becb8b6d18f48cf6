"""Control of a job, and leaving: what every verb that moves attachments does in its own transaction.

Whoever detaches an attachment, for whatever reason, does it by `leave`: its control passes on in the same commit, and
the clocks that it kept running or kept from running are looked at. The runner is told by an effect (`SetControl`); its
fence makes a late or repeated word harmless (domain/attachment.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hawse.domain import attachment as attachments
from hawse.domain.attachment import Attachment, Reason
from hawse.domain.effect import Effect, SetControl
from hawse.ports.store import Unit, View
from hawse.services.clock import watch_asked, watch_others

BY = "hawse"
LABEL_BYTES_MAX = 240  # in JSON: a ticket of 1,024 characters holds it beside all else
_ESCAPED_BYTES = 12  # a character outside ASCII as JSON's escapes


def label(attachment: Attachment) -> str:
    """Who that is and from where, in a few words for other people."""
    text = f"{attachment.who} ({attachment.where})" if attachment.where else attachment.who
    shown, room = "", LABEL_BYTES_MAX
    for character in text[:120]:
        room -= 1 if " " <= character <= "~" else _ESCAPED_BYTES
        if room < 0:
            break
        shown += character
    return shown


def holder_of(view: View, job: str) -> Attachment | None:
    """The attachment that has control of the job."""
    return next((one for one in view.attachments_of_job(job) if one.holds), None)


def fresh_fence(view: View, job: str, *, now: float) -> int:
    """The fence of the next change of control of this job."""
    return attachments.next_fence(view.last_fence(job), now=now)


def give(unit: Unit, to: Attachment, *, kind: str, by: str, now: float, words: str = "") -> Attachment:
    """Give control of its job to this attachment; whoever has it gives it up. Returns it as kept; safe to repeat.

    kind: of the event. words: how it came, for who loses it. Raises IllegalMove (it is detached, or only watches).
    """
    if to.holds:
        return to
    holder = holder_of(unit, to.job)
    after = attachments.given_control(to, fence=fresh_fence(unit, to.job, now=now), now=now)
    if holder is not None:
        give_up(unit, holder, to=to, by=by)
    detail = {"from": holder.id, "from_who": holder.who} if holder is not None else {}
    effects = [SetControl(to.job, to.id, after.fence, words)]
    kept = _kept(unit, to, after, kind, by, effects, detail)
    watch_asked(unit, unit.session(to.session), now=now)
    return kept


def give_up(unit: Unit, holder: Attachment, *, to: Attachment, by: str) -> None:
    """It stays, without control, which another one is about to get in this transaction."""
    detail = {"to": to.id, "to_who": to.who}
    _kept(unit, holder, attachments.without_control(holder), "attachment.control_lost", by, (), detail)


def leave(
    unit: Unit,
    gone: Sequence[Attachment],
    *,
    reason: Reason,
    by: str,
    now: float,
    cursor: int = 0,
    who: str = "",
    message: str = "",
    passes: bool = True,
    is_gone: bool = False,
) -> list[Attachment]:
    """Detach these attachments of one session, and pass on the control that they had. Returns them as kept.

    by: of the events. who: the principal who did it, if it was somebody else. message: what their clients are told.
    passes False: the caller gives their control to somebody. is_gone: its runner told it; no need to cut it there.
    """
    kept, orphaned = [], []
    for one in gone:
        after, effects = attachments.detached(one, reason=reason, now=now, cursor=cursor, by=who, message=message)
        if after is not one:
            kept.append(_kept(unit, one, after, "attachment.detached", by, () if is_gone else effects, {}))
            orphaned += [one.job] if one.holds else []
    for job in orphaned if passes else ():
        pass_on(unit, job, now=now)
    if kept:
        watch_others(unit, kept[0].session, now=now)
    return kept


def pass_on(unit: Unit, job: str, *, now: float, words: str = "") -> Attachment | None:
    """Control of the job goes to the linked controller that was active last. None: there is none, or none is free."""
    heir = attachments.heir(unit.attachments_of_job(job))
    return None if heir is None else give(unit, heir, kind="attachment.control_passed", by=BY, now=now, words=words)


def why_gone(attachment: Attachment) -> str:
    """Why an attachment ended, in words for its client."""
    by = attachment.detached_by or "somebody"
    return {
        Reason.STOLEN: f"{by} took its place",
        Reason.IDLE: "nothing was typed or shown for long",
        Reason.ASKED: f"{by} detached it",
        Reason.REVOKED: "what it may do was taken back, or its time was over",
    }.get(attachment.reason or Reason.LOST, f"it was left ({attachment.reason})")


def _kept(
    unit: Unit,
    before: Attachment,
    after: Attachment,
    kind: str,
    by: str,
    effects: Sequence[Effect],
    detail: Mapping[str, object],
) -> Attachment:
    kept = unit.change(before, after, kind=kind, by=by, effects=effects, detail=detail)
    assert isinstance(kept, Attachment)
    return kept

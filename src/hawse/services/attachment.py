"""The verbs of attachments: attach (a ticket for the runner), take control, detach, page.

How a second controller of a job is received is the policy `attach` (domain/policy.py). Watchers are in nobody's way.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from hawse.domain import attachment as attachments
from hawse.domain import job as jobs
from hawse.domain.attachment import COMES_BACK, Attachment, Mode, Reason
from hawse.domain.effect import Effect, SetControl
from hawse.domain.errors import Denied, Fenced, Held, Invalid, LimitReached, NotFound, Unavailable
from hawse.domain.grant import Capability, Grant
from hawse.domain.ids import RANDOM_BYTES, AttachmentId, checked_text, is_uuid, uuid7
from hawse.domain.job import Job
from hawse.domain.policy import Attach, exceeds
from hawse.domain.session import Session
from hawse.ports.store import Unit, View
from hawse.services import activity, control
from hawse.services.clock import policies_of, watch_others
from hawse.services.gate import able, attachment_of, denied, grant_of, is_permitted, job_at, session_of, visible
from hawse.services.world import Caller, World
from hawse.wire.ticket import Ticket, seal

ATTACHMENTS_MAX = 1000  # living ones of one session
TICKET_S = 60.0  # a ticket is used at once; a minute forgives a slow machine
NONCE_BYTES = 16
TELL_S = 2.0  # a runner of this host answers in a millisecond
READ = "read"
NEEDS = {Mode.CONTROL: Capability.JOB_CONTROL, Mode.WATCH: Capability.JOB_WATCH, READ: Capability.JOB_READ}


@dataclass(frozen=True, slots=True)
class Admission:
    """What a client needs to reach the runner.

    ticket and address are empty when the job has ended: read its log instead. holder: who has control of the job, if it
    is not this attachment.
    """

    job: Job
    attachment: Attachment | None
    address: str
    ticket: str
    holder: Attachment | None = None


@dataclass(frozen=True, slots=True)
class Taking:
    """Who has control now, and who had it before."""

    attachment: Attachment
    before: Attachment | None


@dataclass(frozen=True, slots=True)
class Admitted:
    """As committed. secret: of the job's tickets; empty when it has ended."""

    job: Job
    attachment: Attachment | None = None
    secret: str = ""
    holder: Attachment | None = None


@dataclass(frozen=True, slots=True)
class Coming:
    """Somebody who attaches. fresh: the id that a new attachment would get. asked: the policy of this attach."""

    caller: Caller
    mode: Mode
    where: str
    resume: str | None
    fresh: AttachmentId
    asked: Attach | None
    now: float


async def attach(
    world: World,
    caller: Caller,
    session_name: str,
    *,
    job: str | None,
    mode: str,
    where: str,
    resume: str | None = None,
    policy: str | None = None,
) -> Admission:
    """Admit the caller to a job's runner: record the attachment, hand out a single-use ticket.

    mode: "control", "watch", or "read" (follows the log; no attachment of the owner's is recorded; of others it is, as
    watching, so that it can be cut). job None: see `chosen_job`.
    resume: the attachment to go on with after its link broke; when it was lost meanwhile, a new one is made, which
    takes nobody's place. policy: "share", "steal" or "reject" instead of the session's; more than that needs
    attachment:detach.
    Raises NotFound, Denied, Invalid, LimitReached, Held (policy reject), Fenced (`resume` was detached by somebody).
    If cancelled: an attachment that nobody links to is lost after a minute.
    """
    if mode not in (READ, Mode.CONTROL, Mode.WATCH):
        raise Invalid(f"mode {mode!r} is none of control, watch, read")
    checked_text(where, "the place")
    if resume is not None:
        _check_id(resume)
    needed = NEEDS[mode]
    now = world.clock.now()
    fresh = AttachmentId(uuid7(now, world.clock.random(RANDOM_BYTES)))
    kept = Mode.WATCH if mode == READ else Mode(mode)
    coming = Coming(caller, kept, where, resume, fresh, _policy(policy, kept), now)

    def verb(unit: Unit) -> Admitted:
        session, found = chosen_job(unit, caller, session_name, job, needed)
        if found.state == jobs.S.ENDED:
            return Admitted(found)
        secret = unit.order(found.id).secret
        via = grant_of(unit, caller, session, needed, job=found.name) if session.owner != caller.principal else None
        made = _attachment(unit, coming, session, found, via)
        return Admitted(found, made, secret, None if made.holds else control.holder_of(unit, found.id))

    answer = None
    if mode == READ:
        answer = await world.store.read(lambda view: _reading(world, view, caller, session_name, job))
    if answer is None:
        answer = await world.store.write(verb)
    if not answer.secret:
        return Admission(answer.job, None, "", "")
    found, attachment = answer.job, answer.attachment
    holds = attachment is not None and attachment.holds
    ticket = Ticket(
        job=found.id,
        attempt=0,
        attachment=attachment.id if attachment else fresh,
        mode=mode,
        expires=int(now + TICKET_S),
        nonce=world.clock.random(NONCE_BYTES).hex(),
        fence=attachment.fence if attachment is not None and holds else 0,
        who=control.label(attachment) if attachment is not None and holds else "",
    )
    sealed = seal(ticket, bytes.fromhex(answer.secret))
    return Admission(found, attachment, world.launcher.address(found.id), sealed, answer.holder)


def _policy(asked: str | None, mode: Mode) -> Attach | None:
    if asked is None:
        return None
    if mode != Mode.CONTROL:
        raise Invalid("a policy is for who attaches with control; who watches is in nobody's way")
    try:
        return Attach(asked)
    except ValueError:
        raise Invalid(f"policy {asked[:40]!r} is none of {', '.join(Attach)}") from None


def _reading(world: World, view: View, caller: Caller, session_name: str, job: str | None) -> Admitted | None:
    """What the owner needs to read; None: somebody else reads, and that is recorded."""
    session, found = chosen_job(view, caller, session_name, job, Capability.JOB_READ)
    if session.owner != caller.principal or world.site is not None:  # on a site an owner may be shut out, too
        return None
    return Admitted(found, None, "" if found.state == jobs.S.ENDED else view.order(found.id).secret)


def _attachment(unit: Unit, coming: Coming, session: Session, job: Job, via: Grant | None) -> Attachment:
    """The attachment that goes on, or a new one; with control where nobody else has it."""
    came_back = _resumed(unit, coming, session, job, via)
    if came_back is not None and came_back.state != attachments.S.DETACHED:
        if came_back.mode == Mode.CONTROL and control.holder_of(unit, job.id) is None:
            return control.give(unit, came_back, kind="attachment.control_passed", by=control.BY, now=coming.now)
        return came_back
    living = len(unit.attachments(session.id))
    if living >= ATTACHMENTS_MAX:
        raise LimitReached(f"session {session.name} has {living} attachments; at most {ATTACHMENTS_MAX} are possible")
    made = attachments.created(
        id=coming.fresh,
        session=session.id,
        job=job.id,
        who=coming.caller.principal,
        where=coming.where,
        mode=coming.mode,
        now=coming.now,
        via=via.id if via else None,
    )
    effects: list[Effect] = []
    if coming.mode == Mode.CONTROL:
        made, effects = _received(unit, coming, session, job, made, steals=came_back is None)
    kept = unit.change(None, made, kind="attachment.created", by=coming.caller.principal, effects=effects)
    assert isinstance(kept, Attachment)
    watch_others(unit, session.id, now=coming.now)
    return kept


def _resumed(unit: Unit, coming: Coming, session: Session, job: Job, via: Grant | None) -> Attachment | None:
    """The caller's attachment to go on with, if there is such a one; detached: it may come back as a new one.

    Raises Fenced when it was detached on purpose: what breaks a link must not undo that.
    """
    if coming.resume is None:
        return None
    try:
        known = unit.attachment(coming.resume)
    except NotFound:
        return None
    if known.job != job.id or known.who != coming.caller.principal or known.mode != coming.mode:
        return None
    if known.state != attachments.S.DETACHED:
        return known if known.via == (via.id if via else None) else None
    if known.reason in COMES_BACK:
        return known
    reason = known.reason or Reason.LOST
    raise Fenced(
        f"attachment {known.id} has ended: {control.why_gone(known)}",
        next_step=f"hawse attach {session.name}",
        reason=reason.value,
        by=known.detached_by,
        message=control.why_gone(known),
    )


def _received(
    unit: Unit, coming: Coming, session: Session, job: Job, made: Attachment, *, steals: bool
) -> tuple[Attachment, list[Effect]]:
    """A newcomer who may control, received as the policy says; with control when nobody else keeps it.

    steals False: it comes back by itself, and takes nobody's place.
    """
    policy = _effective(unit, coming, session)
    others = [one for one in unit.attachments_of_job(job.id) if one.mode == Mode.CONTROL]
    if others and policy == Attach.REJECT:
        raise _held(unit, coming, session, job, others)
    holder = next((one for one in others if one.holds), None)
    if others and policy == Attach.STEAL and steals:
        me = coming.caller.principal
        message = f"{control.label(made)} took your place"
        control.leave(unit, others, reason=Reason.STOLEN, by=me, who=me, now=coming.now, message=message, passes=False)
    elif holder is not None and attachments.gives_way(holder, to=made.who):
        control.give_up(unit, holder, to=made, by=coming.caller.principal)
    elif holder is not None:
        return made, []
    after = attachments.given_control(made, fence=control.fresh_fence(unit, job.id, now=coming.now), now=coming.now)
    # Its ticket says so, too; but who had control loses it now, not when the ticket is shown.
    return after, [SetControl(job.id, made.id, after.fence)] if holder is not None else []


def _effective(unit: Unit, coming: Coming, session: Session) -> Attach:
    """The session's policy, or the one of this attach. Raises Denied when it asks for more than it may."""
    policy = Attach(policies_of(unit, session)["attach"].value)
    if coming.asked is None or not exceeds(coming.asked, policy):
        return coming.asked or policy
    if not is_permitted(unit, coming.caller, session, Capability.ATTACHMENT_DETACH):
        raise Denied(
            f"attach policy {policy} of session {session.name}: {coming.asked} needs {Capability.ATTACHMENT_DETACH}",
            next_step=f"hawse attach {session.name}, or to look: hawse attach {session.name} --watch",
            session=session.id,
            capability=Capability.ATTACHMENT_DETACH.value,
        )
    return coming.asked


def _held(unit: Unit, coming: Coming, session: Session, job: Job, others: list[Attachment]) -> Held:
    """Who is there, from where and since when, and what to do now."""
    one = next((other for other in others if other.holds), others[0])
    name = f"{session.name}/{job.name}"
    steps = [f"to look: hawse attach {name} --watch"]
    if is_permitted(unit, coming.caller, session, Capability.ATTACHMENT_DETACH):
        steps.append(f"to take its place: hawse attach {name} --steal")
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    away = "; its link is away" if one.state == attachments.S.STALE and one.link_at > one.created_at else ""
    return Held(
        f"{name} is attached by {control.label(one)}{more} since {_ago(coming.now - one.created_at)}{away}, and takes"
        " one at a time (policy attach: reject)",
        next_step="; ".join(steps),
        attachment=one.id,
        who=one.who,
        where=one.where,
        since=one.created_at,
    )


def _ago(seconds: float) -> str:
    for size_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size_s:
            return f"{int(seconds // size_s)} {unit}"
    return f"{int(seconds)} s"


def chosen_job(
    view: View, caller: Caller, session_name: str, name: str | None, capability: Capability
) -> tuple[Session, Job]:
    """The session and the named job; without a name, of those on which the caller has the capability, the newest living
    one with a terminal, else the newest living, else the newest.

    Raises NotFound (also when there is none), Denied.
    """
    if name is not None:
        return job_at(view, caller, session_name, name, capability)
    session = session_of(view, caller, session_name, capability)
    all_jobs = list(filter(able(view, caller, session, capability), view.jobs(session.id)))
    if not all_jobs:
        raise NotFound(f"session {session.name} has no job yet", next_step=f"hawse run {session.name} -- COMMAND")
    living = [job for job in all_jobs if job.state in jobs.LIVING]
    return session, ([job for job in living if job.tty] or living or all_jobs)[-1]


def _check_id(id: str) -> None:
    if not is_uuid(id):
        raise Invalid(f"{id[:60]!r} is not the id of an attachment")


async def detach(world: World, caller: Caller, session_name: str, id: str) -> Attachment:
    """End one attachment, one's own or with attachment:detach anybody's; the work goes on. Safe to repeat.

    Raises NotFound, Denied.
    """
    now = world.clock.now()

    def verb(unit: Unit) -> Attachment:
        session = session_of(unit, caller, session_name)
        _check_id(id)
        attachment = attachment_of(unit, session, id)
        if attachment.who != caller.principal and not is_permitted(unit, caller, session, Capability.ATTACHMENT_DETACH):
            raise denied(unit, caller, session, Capability.ATTACHMENT_DETACH)
        other = caller.principal if attachment.who != caller.principal else ""
        message = f"{caller.principal} detached you" if other else ""
        kept = control.leave(
            unit, [attachment], reason=Reason.ASKED, by=caller.principal, now=now, who=other, message=message
        )
        return kept[0] if kept else attachment

    return await world.store.write(verb)


async def take(world: World, caller: Caller, session_name: str, id: str) -> Taking:
    """Give control of its job to one of the caller's own attachments, at once; who loses it is told. Safe to repeat.

    Raises NotFound, Denied, Invalid, IllegalMove (it only watches, or has ended).
    If cancelled: it may or may not have been given; asking again is harmless.
    """
    now = world.clock.now()

    def verb(unit: Unit) -> Taking:
        session = session_of(unit, caller, session_name)
        _check_id(id)
        mine = attachment_of(unit, session, id)
        job = unit.job(mine.job)
        if not is_permitted(unit, caller, session, Capability.JOB_CONTROL, job=job.name):
            raise denied(unit, caller, session, Capability.JOB_CONTROL, job=job.name)
        if mine.who != caller.principal:
            raise Denied(
                f"attachment {id} is {mine.who}'s; control is taken for one's own",
                next_step=f"hawse take {session.name}/{job.name}",
                session=session.id,
                capability=Capability.JOB_CONTROL.value,
            )
        before = control.holder_of(unit, job.id)
        if before is not None and before.id == mine.id:
            return Taking(mine, before)
        words = f"{control.label(mine)} took control"
        kept = control.give(unit, mine, kind="attachment.control_taken", by=caller.principal, now=now, words=words)
        return Taking(kept, before)

    taken = await world.store.write(verb)
    await _told(world, taken.attachment)
    return taken


async def _told(world: World, holder: Attachment) -> None:
    """The effect tells the runner, too, whatever happens here; but who took control may type when he has the answer."""
    with suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(TELL_S):
            who = control.label(holder)
            message = f"{who} took control"
            await world.launcher.control(holder.job, holder.id, fence=holder.fence, who=who, message=message)


async def page(world: World, caller: Caller, session_name: str, *, live: bool = False) -> list[Attachment]:
    """The living attachments to those jobs of a session that the caller may know of.

    live: their runners are asked when each was last active; one that does not answer in 2 s leaves what is stored.
    """

    def query(view: View) -> list[Attachment]:
        session = session_of(view, caller, session_name)
        shown = {job.id for job in filter(visible(view, caller, session), view.jobs(session.id))}
        return [one for one in view.attachments(session.id) if one.job in shown]

    found = await world.store.read(query)
    return await activity.live(world, found) if live else found

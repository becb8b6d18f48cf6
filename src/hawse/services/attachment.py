"""The verbs of attachments: attach (a ticket for the runner), detach, page."""

from __future__ import annotations

from dataclasses import dataclass

from hawse.domain import attachment as attachments
from hawse.domain import job as jobs
from hawse.domain.attachment import Attachment, Mode, Reason
from hawse.domain.errors import Invalid, LimitReached, NotFound
from hawse.domain.grant import Capability, Grant
from hawse.domain.ids import RANDOM_BYTES, AttachmentId, checked_text, is_uuid, uuid7
from hawse.domain.job import Job
from hawse.domain.session import Session
from hawse.ports.store import Unit, View
from hawse.services.clock import watch_others
from hawse.services.gate import able, attachment_of, denied, grant_of, is_permitted, job_at, session_of, visible
from hawse.services.world import Caller, World
from hawse.wire.ticket import Ticket, seal

ATTACHMENTS_MAX = 1000  # living ones of one session
TICKET_S = 60.0  # a ticket is used at once; a minute forgives a slow machine
NONCE_BYTES = 16
READ = "read"
NEEDS = {Mode.CONTROL: Capability.JOB_CONTROL, Mode.WATCH: Capability.JOB_WATCH, READ: Capability.JOB_READ}


@dataclass(frozen=True, slots=True)
class Admission:
    """What a client needs to reach the runner.

    ticket and address are empty when the job has ended: read its log instead.
    """

    job: Job
    attachment: Attachment | None
    address: str
    ticket: str


async def attach(
    world: World,
    caller: Caller,
    session_name: str,
    *,
    job: str | None,
    mode: str,
    where: str,
    resume: str | None = None,
) -> Admission:
    """Admit the caller to a job's runner: record the attachment, hand out a single-use ticket.

    mode: "control", "watch", or "read" (follows the log; no attachment of the owner's is recorded; of others it is, as
    watching, so that it can be cut). job None: see `chosen_job`.
    resume: the attachment to go on with after its link broke; when it has ended meanwhile, a new one is made.
    Raises NotFound, Denied, Invalid, LimitReached.
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

    def verb(unit: Unit) -> tuple[Job, Attachment | None, str]:
        session, found = chosen_job(unit, caller, session_name, job, needed)
        if found.state == jobs.S.ENDED:
            return found, None, ""
        secret = unit.order(found.id).secret
        via = grant_of(unit, caller, session, needed, job=found.name) if session.owner != caller.principal else None
        kept = Mode.WATCH if mode == READ else Mode(mode)
        return found, _attachment(unit, caller, session, found, kept, where, resume, fresh, now, via), secret

    answer = None
    if mode == READ:
        answer = await world.store.read(lambda view: _reading(world, view, caller, session_name, job))
    if answer is None:
        answer = await world.store.write(verb)
    found, attachment, secret = answer
    if not secret:
        return Admission(found, None, "", "")
    ticket = Ticket(
        job=found.id,
        attempt=0,
        attachment=attachment.id if attachment else fresh,
        mode=mode,
        expires=int(now + TICKET_S),
        nonce=world.clock.random(NONCE_BYTES).hex(),
    )
    return Admission(found, attachment, world.launcher.address(found.id), seal(ticket, bytes.fromhex(secret)))


def _reading(
    world: World, view: View, caller: Caller, session_name: str, job: str | None
) -> tuple[Job, Attachment | None, str] | None:
    """What the owner needs to read; None: somebody else reads, and that is recorded."""
    session, found = chosen_job(view, caller, session_name, job, Capability.JOB_READ)
    if session.owner != caller.principal or world.site is not None:  # on a site an owner may be shut out, too
        return None
    return found, None, "" if found.state == jobs.S.ENDED else view.order(found.id).secret


def _attachment(
    unit: Unit,
    caller: Caller,
    session: Session,
    job: Job,
    mode: Mode,
    where: str,
    resume: str | None,
    fresh: AttachmentId,
    now: float,
    via: Grant | None,
) -> Attachment:
    living = unit.attachments(session.id)
    for known in living:
        mine = known.who == caller.principal and known.via == (via.id if via else None)
        if known.id == resume and known.job == job.id and mine and known.mode == mode:
            return known
    if len(living) >= ATTACHMENTS_MAX:
        raise LimitReached(
            f"session {session.name} has {len(living)} attachments; at most {ATTACHMENTS_MAX} are possible"
        )
    made = attachments.created(
        id=fresh,
        session=session.id,
        job=job.id,
        who=caller.principal,
        where=where,
        mode=mode,
        now=now,
        via=via.id if via else None,
    )
    kept = unit.change(None, made, kind="attachment.created", by=caller.principal)
    assert isinstance(kept, Attachment)
    watch_others(unit, session.id, now=now)
    return kept


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
        after, effects = attachments.detached(attachment, reason=Reason.ASKED, now=now)
        if after is attachment:
            return attachment
        kept = unit.change(attachment, after, kind="attachment.detached", by=caller.principal, effects=effects)
        assert isinstance(kept, Attachment)
        watch_others(unit, session.id, now=now)
        return kept

    return await world.store.write(verb)


async def page(world: World, caller: Caller, session_name: str) -> list[Attachment]:
    """The living attachments to those jobs of a session that the caller may know of."""

    def query(view: View) -> list[Attachment]:
        session = session_of(view, caller, session_name)
        shown = {job.id for job in filter(visible(view, caller, session), view.jobs(session.id))}
        return [one for one in view.attachments(session.id) if one.job in shown]

    return await world.store.read(query)

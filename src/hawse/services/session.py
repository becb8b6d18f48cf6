"""The verbs of sessions: create, get, page, describe, end; and how one settles when its jobs are over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hawse.domain import attachment as attachments
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.attachment import Attachment
from hawse.domain.errors import Denied, Invalid
from hawse.domain.grant import Capability
from hawse.domain.ids import RANDOM_BYTES, JobId, SessionId, uuid7
from hawse.domain.job import Job
from hawse.domain.session import Lease, Session
from hawse.ports.store import Unit, View
from hawse.services import job as job_verbs
from hawse.services.gate import check_version, session_of, visible
from hawse.services.order import JobSpec, checked
from hawse.services.world import Caller, World, once

PAGE_MAX = 1000
WHOSE = ("mine", "shared", "all")
UNCHANGED = object()


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a caller asks for."""

    alias: str | None = None
    description: str = ""
    labels: Mapping[str, str] | None = None
    lease: Lease = Lease.NEVER
    job: JobSpec | None = None


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session with what is in it: jobs by age, living attachments, and the number of its last event.

    Of jobs and attachments only what the caller may know of (see gate.visible).
    """

    session: Session
    jobs: tuple[Job, ...]
    attachments: tuple[Attachment, ...]
    last_seq: int


def viewed(view: View, caller: Caller, session: Session) -> SessionView:
    """The session as the caller may see it."""
    return _seen(view, caller, session, view.jobs(session.id), view.attachments(session.id))


def _seen(
    view: View, caller: Caller, session: Session, all_jobs: list[Job], everybody: list[Attachment]
) -> SessionView:
    seq = view.last_seq(session.id)
    if session.owner == caller.principal:
        return SessionView(session, tuple(all_jobs), tuple(everybody), seq)
    shown = tuple(filter(visible(view, caller, session), all_jobs))
    ids = {job.id for job in shown}
    return SessionView(session, shown, tuple(one for one in everybody if one.job in ids), seq)


async def create(world: World, caller: Caller, new: NewSession) -> SessionView:
    """Create a session, and its first job in the same transaction.

    Raises Invalid, TooLarge, Clash (a living session of the project has the alias), Denied (see World.owner).
    If cancelled: it may or may not have been created; asking again with the same request id gives the first answer.
    """
    spec = checked(new.job) if new.job is not None else None
    if world.owner not in ("", caller.principal):
        raise Denied(
            f"jobs run as {world.owner} here, so only {world.owner} starts sessions here",
            next_step="start a coordinator of your own: hawse new without --server",
        )
    now = world.clock.now()
    id = SessionId(uuid7(now, world.clock.random(RANDOM_BYTES)))
    job_ids = job_verbs.fresh_ids(world)
    session = sessions.created(
        id=id,
        project=caller.project,
        alias=new.alias,
        owner=caller.principal,
        now=now,
        description=new.description,
        labels=new.labels,
        lease=new.lease,
    )

    caller.about(id)

    def verb(unit: Unit) -> SessionView:
        unit.change(None, session, kind="session.created", by=caller.principal, request=caller.request_id)
        if spec is not None:
            job_verbs.add(unit, caller, session, spec, job_ids, now)
        return viewed(unit, caller, session)

    return await once(world, caller, verb)


async def get(world: World, caller: Caller, name: str) -> SessionView:
    """One session with what is in it. Raises NotFound, Denied."""
    return await world.store.read(lambda view: viewed(view, caller, session_of(view, caller, name)))


async def page(
    world: World, caller: Caller, *, living: bool | None, after: str, limit: int, whose: str = "all"
) -> list[SessionView]:
    """The sessions that the caller may see, by age, from behind the id `after`. Raises Invalid.

    whose: "mine", "shared" (others' that are shared with the caller), "all".
    """
    if whose not in WHOSE:
        raise Invalid(f"{whose!r} is none of {', '.join(WHOSE)}")
    if not 1 <= limit <= PAGE_MAX:
        raise Invalid(f"limit {limit} is not within 1 to {PAGE_MAX}")

    def query(view: View) -> list[SessionView]:
        found = view.sessions_of(
            caller.principal,
            sorted(caller.principals),
            project=caller.project,
            now=caller.now,
            own=whose != "shared",
            shared=whose != "mine",
            living=living,
            after=after,
            limit=limit,
        )
        ids = [session.id for session in found]
        their_jobs, their_attachments = view.jobs_of(ids), view.attachments_of(ids)
        return [_seen(view, caller, s, their_jobs[s.id], their_attachments[s.id]) for s in found]

    return await world.store.read(query)


async def describe(
    world: World,
    caller: Caller,
    name: str,
    *,
    version: int | None = None,
    alias: str | object | None = UNCHANGED,
    description: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> SessionView:
    """Change alias, description or labels. alias None takes it away.

    Raises NotFound, Denied, Invalid, Clash, Conflict (the version is not the present one).
    """

    def verb(unit: Unit) -> SessionView:
        before = session_of(unit, caller, name, Capability.SESSION_DESCRIBE)
        check_version(before, version)
        after = sessions.described(before, description=description, labels=labels)
        if alias is not UNCHANGED:
            assert alias is None or isinstance(alias, str)
            after = sessions.renamed(after, alias)
        kept = unit.change(before, after, kind="session.described", by=caller.principal, request=caller.request_id)
        assert isinstance(kept, Session)
        return viewed(unit, caller, kept)

    return await once(world, caller, verb)


async def end(
    world: World,
    caller: Caller,
    name: str,
    *,
    version: int | None = None,
    grace_s: float | None = None,
    reason: str = "asked",
) -> SessionView:
    """Begin to end a session: its jobs are stopped in order, then it is history. Safe to repeat.

    The answer tells how far it is: `draining` while jobs stop, `ended` at once when there are none.
    Raises NotFound, Denied, Invalid, Conflict.
    """
    now = world.clock.now()

    def verb(unit: Unit) -> SessionView:
        session = session_of(unit, caller, name, Capability.SESSION_END)
        check_version(session, version)
        if session.state == sessions.S.ENDED:
            return viewed(unit, caller, session)
        return viewed(
            unit,
            caller,
            drain(
                unit, session, by=caller.principal, reason=reason, grace_s=grace_s, now=now, request=caller.request_id
            ),
        )

    return await once(world, caller, verb)


def drain(
    unit: Unit,
    session: Session,
    *,
    by: str,
    reason: str,
    grace_s: float | None,
    now: float,
    request: str = "",
) -> Session:
    """Ask a living session and its jobs to end; settle at once what has nothing left to do."""
    after = sessions.end_asked(session, by=by, reason=reason)
    kept = unit.change(session, after, kind="session.end_asked", by=by, request=request)
    assert isinstance(kept, Session)
    for job in unit.jobs(session.id):
        stopping, effects = jobs.stop_asked(job, grace_s=grace_s, reason=f"session ends: {reason}")
        if stopping is not job:
            if stopping.state == jobs.S.ENDED:
                stopping = replace(
                    stopping,
                    ended_at=now,
                    outcome=jobs.Outcome(jobs.OutcomeKind.FAILED, cause="stopped before it started"),
                )
            unit.change(job, stopping, kind="job.stop_asked", by=by, effects=effects, request=request)
    return settle(unit, kept, now=now)


def settle(unit: Unit, session: Session, *, now: float) -> Session:
    """End a session that has nothing left to wait for:

    it drains and its jobs are over, or it lives as long as its jobs.
    """
    if session.state == sessions.S.ENDED:
        return session
    all_jobs = unit.jobs(session.id)
    if any(job.state in jobs.LIVING for job in all_jobs):
        return session
    if session.state != sessions.S.DRAINING:
        if session.lease != Lease.JOBS or not all_jobs:
            return session
        asked = unit.change(
            session,
            sessions.end_asked(session, by="hawse", reason="its last job ended"),
            kind="session.end_asked",
            by="hawse",
        )
        assert isinstance(asked, Session)
        session = asked
    for attachment in unit.attachments(session.id):
        gone, effects = attachments.detached(attachment, reason=attachments.Reason.ENDED, now=now)
        unit.change(attachment, gone, kind="attachment.detached", by="hawse", effects=effects)
    kept = unit.change(session, sessions.drained(session, now=now), kind="session.ended", by="hawse")
    assert isinstance(kept, Session)
    return kept


__all__ = [
    "JobId",
    "NewSession",
    "SessionView",
    "create",
    "describe",
    "drain",
    "end",
    "get",
    "page",
    "settle",
    "viewed",
]

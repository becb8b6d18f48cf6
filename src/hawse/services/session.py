"""The verbs of sessions: create, get, page, describe, end; and how one settles when its jobs are over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hawse.domain import attachment as attachments
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain import user as users
from hawse.domain.attachment import Attachment
from hawse.domain.clock import CLOCKS, Clock, Facts, Name, clocks
from hawse.domain.errors import Denied, IllegalMove, Invalid
from hawse.domain.grant import Capability
from hawse.domain.ids import RANDOM_BYTES, JobId, SessionId, uuid7
from hawse.domain.job import Job
from hawse.domain.policy import Setting
from hawse.domain.project import Project
from hawse.domain.session import Lease, Session
from hawse.ports.store import Unit, View
from hawse.services import audit, place
from hawse.services import job as job_verbs
from hawse.services.clock import facts_of, may_run_out, policies_of, watch, watch_asked
from hawse.services.control import leave
from hawse.services.gate import check_admin, check_version, check_writes, session_of, visible
from hawse.services.order import JobSpec, checked
from hawse.services.world import Caller, World, once

PAGE_MAX = 1000
WHOSE = ("mine", "shared", "all", "everyone")
UNCHANGED = object()


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a caller asks for. lease_until: Unix seconds, or lease_s: from now, with lease "until". lease None: what the
    project says; where it says nothing, lease_else. project None: the caller's own.
    """

    alias: str | None = None
    description: str = ""
    labels: Mapping[str, str] | None = None
    lease: Lease | None = None
    lease_until: float | None = None
    lease_s: float | None = None
    lease_else: Lease = Lease.NEVER
    project: str | None = None
    policies: Mapping[str, Any] | None = None
    job: JobSpec | None = None


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session with what is in it: jobs by age, living attachments, the number of its last event, its clocks.

    Of jobs and attachments only what the caller may know of (see gate.visible), in clocks, too.
    """

    session: Session
    jobs: tuple[Job, ...]
    attachments: tuple[Attachment, ...]
    last_seq: int
    clocks: tuple[Clock, ...]


def viewed(view: View, caller: Caller, session: Session) -> SessionView:
    """The session as the caller may see it."""
    return _seen(view, caller, facts_of(view, session))


def _seen(view: View, caller: Caller, facts: Facts) -> SessionView:
    session = facts.session
    seq, found = view.last_seq(session.id), clocks(facts)
    if session.owner == caller.principal:
        return SessionView(session, facts.jobs, facts.attachments, seq, found)
    shown = tuple(filter(visible(view, caller, session), facts.jobs))
    ids, names = {job.id for job in shown}, {job.name for job in shown}
    theirs = replace(facts, jobs=shown, attachments=tuple(one for one in facts.attachments if one.job in ids))
    told = [  # when all ends is everybody's; who is linked, and to what, is not
        CLOCKS[clock.name](theirs)
        if clock.name in (Name.LINK, Name.CONTROL)
        else replace(clock, of=tuple(name for name in clock.of if name in names))
        for clock in found
    ]
    return SessionView(session, shown, theirs.attachments, seq, tuple(told))


async def create(world: World, caller: Caller, new: NewSession) -> SessionView:
    """Create a session, and its first job in the same transaction.

    Raises Invalid, TooLarge, Clash (a living session of the project has the alias), Denied (see World.owner; no member
    of the project), NotFound (no such project), LimitReached (its quota), IllegalMove (it is retired).
    If cancelled: it may or may not have been created; asking again with the same request id gives the first answer.
    """
    spec = checked(new.job) if new.job is not None else None
    if world.owner not in ("", caller.principal):
        raise Denied(
            f"jobs run as {world.owner} here, so only {world.owner} starts sessions here",
            next_step="start a coordinator of your own: hawse new without --server",
        )
    check_writes(caller)
    if new.lease_s is not None and new.lease_until is not None:
        raise Invalid("give only one of lease_s and lease_until")
    now = world.clock.now()
    id = SessionId(uuid7(now, world.clock.random(RANDOM_BYTES)))
    job_ids = job_verbs.fresh_ids(world)
    caller.about(id)

    def verb(unit: Unit) -> SessionView:
        project = place.entered(unit, world, caller, new.project, jobs=spec is not None)
        lease, until = _lease_of(new, project, world.lease_s_max, now)
        session = sessions.created(
            id=id,
            project=project.name,
            alias=new.alias,
            owner=caller.principal,
            now=now,
            description=new.description,
            labels=new.labels,
            policies=new.policies,
            lease=lease,
            lease_until=until,
            lease_s_max=place.lease_s_max(project, world.lease_s_max),
        )
        unit.change(None, session, kind="session.created", by=caller.principal, request=caller.request_id)
        if spec is not None:
            job_verbs.add(unit, caller, session, spec, job_ids, now)
        watch(unit, session, now=now)
        return viewed(unit, caller, session)

    return await once(world, caller, verb)


def _lease_of(
    new: NewSession, project: Project, lease_s_max: float | None, now: float
) -> tuple[Lease, float | None]:
    """The lease that was asked for, else the project's default, else the longest that it allows, else what the caller
    would like then."""
    if new.lease is not None or new.lease_s is not None or new.lease_until is not None:
        return new.lease or Lease.UNTIL, new.lease_until if new.lease_s is None else now + new.lease_s
    lease_s = project.lease_s if project.lease_s is not None else place.lease_s_max(project, lease_s_max)
    if lease_s is None:
        return new.lease_else, None
    most = place.lease_s_max(project, lease_s_max)
    return Lease.UNTIL, now + (lease_s if most is None else min(lease_s, most))


async def get(world: World, caller: Caller, name: str) -> SessionView:
    """One session with what is in it. Raises NotFound, Denied."""
    return await world.store.read(lambda view: viewed(view, caller, session_of(view, caller, name)))


async def page(
    world: World,
    caller: Caller,
    *,
    living: bool | None,
    after: str,
    limit: int,
    whose: str = "all",
    project: str | None = None,
) -> list[SessionView]:
    """The sessions that the caller may see, by age, from behind the id `after`. Raises Invalid, Denied.

    whose: "mine", "shared" (others' that are shared with the caller), "all"; "everyone": everybody's, for admins.
    project None: of all projects.
    """
    if whose == "everyone":
        check_admin(caller)
    if whose not in WHOSE:
        raise Invalid(f"{whose!r} is none of {', '.join(WHOSE)}")
    if not 1 <= limit <= PAGE_MAX:
        raise Invalid(f"limit {limit} is not within 1 to {PAGE_MAX}")

    only = project or caller.only_project or ""
    if caller.only_project not in (None, only):
        raise Denied(f"this token is for project {caller.only_project} only", next_step="use another token of yours")

    def query(view: View) -> list[SessionView]:
        if whose == "everyone":
            found = view.sessions(project=only or None, living=living, after=after, limit=limit)
        else:
            found = view.sessions_of(
                caller.principal,
                sorted(caller.principals),
                project=only,
                now=caller.now,
                own=whose != "shared",
                shared=whose != "mine",
                living=living,
                after=after,
                limit=limit,
            )
        ids = [session.id for session in found]
        their_jobs, their_attachments = view.jobs_of(ids), view.attachments_of(ids)
        return [
            _seen(view, caller, facts_of(view, one, their_jobs[one.id], their_attachments[one.id])) for one in found
        ]

    return await world.store.read(query)


async def policies(world: World, caller: Caller, name: str) -> dict[str, Setting]:
    """All policies of a session: each with the value that counts, and where it was set. Raises NotFound, Denied."""
    return await world.store.read(lambda view: policies_of(view, session_of(view, caller, name)))


async def describe(
    world: World,
    caller: Caller,
    name: str,
    *,
    version: int | None = None,
    alias: str | object | None = UNCHANGED,
    description: str | None = None,
    labels: Mapping[str, str] | None = None,
    lease: tuple[Lease, float | None] | None = None,
    policies: Mapping[str, Any] | None = None,
) -> SessionView:
    """Change alias, description, labels, lease (with its time) or policies. alias None takes it away; so does a
    policy's value None. Each kind of change is an event of its own, all in one transaction.

    Raises NotFound, Denied, Invalid, Clash, Conflict (the version is not the present one), Expired (its lease is over).
    """
    now = world.clock.now()
    needed = [Capability.SESSION_EXTEND] if lease is not None else []
    needed += [Capability.SESSION_POLICY] if policies is not None else []
    if not needed or alias is not UNCHANGED or description is not None or labels is not None:
        needed.append(Capability.SESSION_DESCRIBE)

    def verb(unit: Unit) -> SessionView:
        for capability in needed:
            session = session_of(unit, caller, name, capability)
        check_version(session, version)
        if Capability.SESSION_DESCRIBE in needed:
            after = sessions.described(session, description=description, labels=labels)
            if alias is not UNCHANGED:
                assert alias is None or isinstance(alias, str)
                after = sessions.renamed(after, alias)
            session = _changed(unit, caller, session, after, "session.described")
        if lease is not None:
            after = sessions.leased(session, lease[0], until=lease[1], now=now, lease_s_max=_most(unit, world, session))
            session = _changed(unit, caller, session, after, "session.lease_set")
        if policies is not None:
            after = sessions.governed(session, policies, now=now)
            session = _changed(unit, caller, session, after, "session.policy_set")
        if lease is not None or policies is not None:
            watch(unit, session, now=now, fresh=True)
            watch_asked(unit, session, now=now)
            session = settle(unit, session, now=now)
        return viewed(unit, caller, session)

    return await once(world, caller, verb)


async def extend(world: World, caller: Caller, name: str, *, by_s: float, version: int | None = None) -> SessionView:
    """Push the end of a lease that has one. by_s: seconds, more than 0.

    Raises NotFound, Denied, Invalid (no end is set, or the project's maximum), IllegalMove, Expired, Conflict.
    If cancelled: it may or may not have been extended; asking again with the same request id extends it once.
    """
    now = world.clock.now()

    def verb(unit: Unit) -> SessionView:
        session = session_of(unit, caller, name, Capability.SESSION_EXTEND)
        check_version(session, version)
        after = sessions.extended(session, by_s=by_s, now=now, lease_s_max=_most(unit, world, session))
        session = _changed(unit, caller, session, after, "session.lease_set")
        watch(unit, session, now=now, fresh=True)
        return viewed(unit, caller, session)

    return await once(world, caller, verb)


def _most(unit: Unit, world: World, session: Session) -> float | None:
    """How long it may live, seconds from its creation."""
    return place.lease_s_max(place.stored(unit, session.project), world.lease_s_max)


def _changed(unit: Unit, caller: Caller, before: Session, after: Session, kind: str) -> Session:
    kept = unit.change(before, after, kind=kind, by=caller.principal, request=caller.request_id)
    assert isinstance(kept, Session)
    return kept


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
        is_first = session.state != sessions.S.DRAINING
        after = drain(
            unit, session, by=caller.principal, reason=reason, grace_s=grace_s, now=now, request=caller.request_id
        )
        if is_first:
            facts = {"name": session.name, "owner": session.owner, "project": session.project, "reason": reason[:200]}
            audit.record(unit, caller, "session.end_asked", "session", session.id, facts)
        return viewed(unit, caller, after)

    return await once(world, caller, verb)


async def give(world: World, caller: Caller, name: str, owner: str) -> SessionView:
    """Give a session to another user, as an admin. Its jobs go on as they run; new ones run as the new owner's. Who was
    attached as its owner is cut; who has a grant keeps it.

    Raises NotFound (also: no such user), Denied, Invalid, IllegalMove (it has ended; he is no active user).
    """
    check_admin(caller)
    now = world.clock.now()

    def verb(unit: Unit) -> SessionView:
        session = session_of(unit, caller, name)
        user = unit.user(owner)
        if user.state != users.S.ACTIVE:
            raise IllegalMove(f"user {owner} is {user.state}; a session needs an owner who can come")
        after = sessions.given(session, owner=user.principal)
        kept = _changed(unit, caller, session, after, "session.given")
        if session.owner != after.owner:
            his = [one for one in unit.attachments(session.id) if one.who == session.owner and one.via is None]
            leave(unit, his, reason=attachments.Reason.REVOKED, by=caller.principal, now=now)
        watch(unit, kept, now=now)
        facts = {"name": session.name, "from": session.owner, "to": after.owner}
        audit.record(unit, caller, "session.given", "session", session.id, facts)
        return viewed(unit, caller, kept)

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
    if may_run_out(unit, kept):
        watch(unit, kept, now=now)  # its clocks stop
    for job in unit.jobs(session.id):
        stopping, effects = jobs.stop_asked(job, grace_s=grace_s, reason=f"session ends: {reason}", now=now)
        if stopping is not job:
            unit.change(job, stopping, kind="job.stop_asked", by=by, effects=effects, request=request)
            if stopping.state == jobs.S.ENDED:
                over(unit, stopping, now=now)
    return settle(unit, kept, now=now)


def over(unit: Unit, job: Job, *, now: float) -> None:
    """A job has ended: what goes with that in the same commit, but for `settle`."""
    unit.drop_order(job.id)
    for attachment in unit.attachments(job.session):
        if attachment.job == job.id:
            gone, cuts = attachments.detached(attachment, reason=attachments.Reason.ENDED, now=now)
            unit.change(attachment, gone, kind="attachment.detached", by="hawse", effects=cuts)


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
        watch(unit, session, now=now)
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
    "Setting",
    "create",
    "describe",
    "drain",
    "end",
    "extend",
    "get",
    "give",
    "over",
    "page",
    "policies",
    "settle",
    "viewed",
]

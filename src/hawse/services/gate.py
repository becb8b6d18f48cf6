"""Who may do what: one gate per verb. The owner may all; others what their grants allow (domain/grant.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hawse.domain.attachment import Attachment
from hawse.domain.errors import Conflict, Denied, NotFound
from hawse.domain.grant import OF_JOBS, ROLES, Capability, Grant, Role, allows
from hawse.domain.ids import checked_name, is_uuid
from hawse.domain.job import Job
from hawse.domain.session import Session
from hawse.ports.store import View
from hawse.services.world import Caller

# What an admin of the site may do in everybody's sessions: see that they are there, and end what is in the way. What
# is printed and typed in them stays their owners' own.
ADMIN_MAY = frozenset(
    {
        Capability.SESSION_SEE, Capability.EVENT_READ, Capability.SESSION_EXTEND, Capability.SESSION_END,
        Capability.ATTACHMENT_DETACH,
    }
)  # fmt: skip


def check_admin(caller: Caller) -> None:
    """Raises Denied."""
    if not caller.is_admin:
        raise Denied("only an admin of the site may do that", next_step="hawse user show tells who you are here")


def check_writes(caller: Caller) -> None:
    """For verbs that no capability stands for. Raises Denied when the caller's token is for looking only."""
    if caller.read_only:
        raise Denied("this token is for looking only", next_step="make another: hawse token new NAME")


def _within_token(caller: Caller, session: Session, capability: Capability) -> bool:
    """Is it within what the caller's token is narrowed to?"""
    if caller.only_project is not None and session.project != caller.only_project:
        return False
    return not caller.read_only or capability in ROLES[Role.OBSERVER]


def session_of(
    view: View, caller: Caller, name: str, capability: Capability = Capability.SESSION_SEE, *, job: str | None = None
) -> Session:
    """The session with this id or alias, if the caller has the capability in it (on the job of this name).

    Raises Invalid, NotFound, Denied. Denied carries `session` and `capability`, for the event that its owner sees.
    """
    with _next_step("hawse ls lists the living sessions"):
        if is_uuid(name):
            session = view.session(name)
        else:
            session = view.session_named(caller.project, checked_name(name, "the session's name"))
    caller.about(session.id)
    if not is_permitted(view, caller, session, capability, job=job):
        raise denied(view, caller, session, capability, job=job, asked=name)
    return session


def denied(
    view: View, caller: Caller, session: Session, capability: Capability, *, job: str | None = None, asked: str = ""
) -> Denied:
    """The refusal, in words that tell no more than the caller may see. asked: the session as he named it."""
    if capability == Capability.SESSION_SEE or not is_permitted(view, caller, session, Capability.SESSION_SEE):
        detail = f"session {asked or session.id} belongs to somebody else"
    else:
        detail = f"you may not {capability} in session {session.name}" + (f", job {job}" if job is not None else "")
    next_step = "its owner can share it: hawse share"
    if session.owner == caller.principal:
        reach = "for looking only" if caller.read_only else f"for project {caller.only_project} only"
        detail, next_step = f"this token is {reach}", "use another token of yours"
    if capability == Capability.JOB_CONTROL and is_permitted(view, caller, session, Capability.JOB_WATCH, job=job):
        next_step = f"to look: hawse attach {session.name} --watch"
    return Denied(detail, next_step=next_step, session=session.id, capability=capability.value)


def is_permitted(
    view: View, caller: Caller, session: Session, capability: Capability, *, job: str | None = None
) -> bool:
    """Is the caller the owner, or is there a live grant for one of the caller's principals that allows this? Or may he
    do it as an admin? And does his token reach so far?"""
    if not _within_token(caller, session, capability):
        return False
    if session.owner == caller.principal or (caller.is_admin and capability in ADMIN_MAY):
        return True
    return grant_of(view, caller, session, capability, job=job) is not None


def grant_of(
    view: View, caller: Caller, session: Session, capability: Capability, *, job: str | None = None
) -> Grant | None:
    """The first live grant for one of the caller's principals that allows this. The owner needs none."""
    for grant in view.grants(session.id):
        if grant.principal in caller.principals and allows(grant, capability, now=caller.now, job=job):
            return grant
    return None


def able(view: View, caller: Caller, session: Session, *capabilities: Capability) -> Callable[[Job], bool]:
    """Which jobs the caller has one of these capabilities on; the grants are read once."""
    capabilities = tuple(one for one in capabilities if _within_token(caller, session, one))
    if session.owner == caller.principal:
        return lambda job: bool(capabilities)
    mine = [grant for grant in view.grants(session.id) if grant.principal in caller.principals]
    return lambda job: any(
        allows(grant, capability, now=caller.now, job=job.name) for grant in mine for capability in capabilities
    )


def visible(view: View, caller: Caller, session: Session) -> Callable[[Job], bool]:
    """Which jobs the caller may know of: those on which he may do anything; an admin all, to see what he would end."""
    if caller.is_admin and _within_token(caller, session, Capability.SESSION_SEE):
        return lambda job: True
    return able(view, caller, session, *OF_JOBS)


def job_at(view: View, caller: Caller, session_name: str, name: str, capability: Capability) -> tuple[Session, Job]:
    """The session and the job of this id or name, if the caller has the capability on that very job.

    Raises Invalid, NotFound, Denied.
    """
    session = session_of(view, caller, session_name, capability)
    job = job_of(view, session, name)
    if not is_permitted(view, caller, session, capability, job=job.name):
        raise denied(view, caller, session, capability, job=job.name)
    return session, job


def job_of(view: View, session: Session, name: str) -> Job:
    """The job with this id or name in the session. Raises Invalid, NotFound."""
    with _next_step(f"hawse show {session.name} lists its jobs"):
        job = view.job(name) if is_uuid(name) else view.job_named(session.id, checked_name(name, "the job's name"))
        if job.session != session.id:
            raise NotFound(f"session {session.name} has no job {name}", session=session.id)
    return job


def attachment_of(view: View, session: Session, id: str) -> Attachment:
    """The attachment with this id in the session. Raises NotFound."""
    with _next_step(f"hawse show {session.name} lists who is attached"):
        attachment = view.attachment(id)
        if attachment.session != session.id:
            raise NotFound(f"session {session.name} has no attachment {id}", session=session.id)
    return attachment


@contextmanager
def _next_step(text: str) -> Iterator[None]:
    """What is not found in the block is told with what to do now: a store knows its rows, not the caller's verbs."""
    try:
        yield
    except NotFound as error:
        error.next_step = error.next_step or text
        raise


def check_version(row: Session | Job, expected: int | None) -> None:
    """Raises Conflict when the caller decided on an older version than the present one."""
    if expected is not None and row.version != expected:
        raise Conflict(
            f"{type(row).__name__.lower()} {row.id} is at version {row.version}, not {expected}:"
            " somebody changed it meanwhile",
            version=row.version,
        )

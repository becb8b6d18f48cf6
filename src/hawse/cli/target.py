"""NAME/JOB: which session, which job."""

from __future__ import annotations

from hawse.domain.errors import Invalid, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.api import Job, Server, Session


def split(target: str) -> tuple[str, str | None]:
    """The session's name and the job's, if there is one. Raises Invalid."""
    name, slash, job = target.partition("/")
    if not name or (slash and not job) or "/" in job:
        raise Invalid(f"{target!r} is not NAME or NAME/JOB", next_step="hawse ls shows the names")
    return name, job or None


def session_at(server: Server, target: str) -> Session:
    """The session; a job in the target is an error here. Raises NotFound, Invalid."""
    name, job = split(target)
    if job is not None:
        raise Invalid(f"{target!r} names a job; this command takes a session", next_step=f"use {name}")
    return server.session(name)


def job_at(server: Server, target: str) -> Job:
    """The named job; without a name the newest living one with a terminal, else the newest living, else the newest.

    Raises NotFound, with names that are near.
    """
    from hawse.client.api import Job

    name, job_name = split(target)
    session = server.session(name)
    if job_name is None:
        return chosen(session)
    for info in session.info.jobs:
        if job_name in (info.name, info.id):
            return Job(session, info)
    from hawse.client.names import did_you_mean

    near = did_you_mean(job_name, (info.name for info in session.info.jobs))
    raise NotFound(f"session {session.name} has no job {job_name!r}{near}", next_step=f"hawse show {session.name}")


def chosen(session: Session) -> Job:
    """The job that is meant when only the session is named. The coordinator chooses in the same way."""
    from hawse.client.api import Job

    every = session.info.jobs
    if not every:
        raise NotFound(f"session {session.name} has no job yet", next_step=f"hawse run {session.name} -- COMMAND")
    living = [info for info in every if not info.is_over]
    return Job(session, ([info for info in living if info.tty] or living or every)[-1])


def label(job: Job) -> str:
    """How a person names the job: the session alone when it has no other."""
    return job.session.name if len(job.session.info.jobs) <= 1 else f"{job.session.name}/{job.name}"

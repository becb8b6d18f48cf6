"""The verb of links: where a job's runner listens, for a caller who reaches it through the coordinator."""

from __future__ import annotations

from hawse.domain import job as jobs
from hawse.domain.errors import NotFound
from hawse.domain.grant import Capability
from hawse.domain.job import Job
from hawse.ports.store import View
from hawse.services.gate import able, denied, job_of, session_of
from hawse.services.world import Caller, World

_ANY = (Capability.JOB_READ, Capability.JOB_WATCH, Capability.JOB_CONTROL)


async def runner_of(world: World, caller: Caller, session_name: str, name: str) -> tuple[Job, str, int]:
    """The job, the path of its runner's socket, and the uid that must be listening there.

    Whoever may do anything with the job's output may come as far as the runner's door; what he may do there is in his
    ticket. Raises NotFound (also: it has ended), Denied, Unavailable.
    """

    def query(view: View) -> Job:
        session = session_of(view, caller, session_name)
        job = job_of(view, session, name)
        if not able(view, caller, session, *_ANY)(job):
            raise denied(view, caller, session, Capability.JOB_READ, job=job.name)
        return job

    job = await world.store.read(query)
    if job.state == jobs.S.ENDED:
        raise NotFound(f"job {job.name} has ended", next_step="read its log", noun="runner")
    return job, world.launcher.address(job.id), world.launcher.listener_uid(job.id)

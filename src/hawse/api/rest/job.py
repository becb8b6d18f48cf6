"""`/v1/sessions/{session}/jobs`: run, look, wait, stop, signal."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Response, delete, get, post
from litestar.params import QueryParameter

from hawse.api.rest import fields
from hawse.api.rest.body import body_of
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.limits import PAGE_DEFAULT
from hawse.api.rest.page import Page, page_of
from hawse.api.rest.request_id import once
from hawse.api.rest.response import answered
from hawse.domain.job import GRACE_S_DEFAULT, Job, OnError, OnLost
from hawse.services import job as jobs
from hawse.services.order import JobSpec

PATH = "/v1/sessions/{session:str}/jobs"
encode = msgspec.json.Encoder().encode


class Signal(msgspec.Struct, forbid_unknown_fields=True):
    """signal: a name, with or without SIG, or a number."""

    signal: fields.SignalName


def spec_of(given: fields.JobSpec) -> JobSpec:
    """The request's job as the services know it."""
    size = given.tty or fields.Terminal(0, 0)
    return JobSpec(
        argv=tuple(given.argv),
        env=given.env,
        cwd=given.cwd,
        umask=given.umask,
        encoding=given.encoding,
        name=given.name,
        tty=given.tty is not None,
        columns=size.columns,
        rows=size.rows,
        stdin=given.stdin,
        on_lost=OnLost(given.on_lost),
        grace_s=GRACE_S_DEFAULT if given.grace_s is None else given.grace_s,
        log_on_full=given.log_on_full,
        log_bytes_max=given.log_bytes_max,
        leftovers=given.leftovers,
        on_error=None if given.on_error is None else OnError(given.on_error),
        retries_max=given.retries_max,
    )


@post(PATH, body=fields.JobSpec, operation_id="run_job", tags=["jobs"])
async def run(request: AnyRequest, session: fields.SessionName) -> Response[Job]:
    """Add a job to a living session and start it."""
    data = await body_of(request, fields.JobSpec)
    change = await once(request, 201, encode)
    job = await jobs.run(visit_of(request).desk.world, change.caller, session, spec_of(data))
    return answered(change.body(job), version=job.version, status=201)


@get(PATH, operation_id="list_jobs", tags=["jobs"])
async def page(
    request: AnyRequest, session: fields.SessionName, after: fields.After = "", limit: fields.Limit = PAGE_DEFAULT
) -> Response[Page[Job]]:
    """The jobs of a session, by age."""
    visit = visit_of(request)
    found = await jobs.page(visit.desk.world, visit.caller, session)
    return page_of(found, after=after, limit=limit)


@get(PATH + "/{job:str}", operation_id="get_job", tags=["jobs"])
async def get_one(
    request: AnyRequest,
    session: fields.SessionName,
    job: fields.JobName,
    wait_s: fields.WaitS = 0.0,
    until: Annotated[Literal["started", "ended"], QueryParameter(description="what to wait for")] = "ended",
) -> Response[Job]:
    """One job; with wait_s when it has started or ended, or as it is when the time is over."""
    visit = visit_of(request)
    world, caller = visit.desk.world, visit.caller
    if wait_s:
        with visit.desk.waiting():
            found = await jobs.wait(world, caller, session, job, until=until, timeout_s=wait_s)
    else:
        found = await jobs.get(world, caller, session, job)
    return answered(encode(found), version=found.version)


@delete(PATH + "/{job:str}", status_code=202, operation_id="stop_job", tags=["jobs"])
async def stop(
    request: AnyRequest,
    session: fields.SessionName,
    job: fields.JobName,
    grace_s: fields.QueryGraceS = None,
    reason: fields.Reason = "asked",
) -> Response[Job]:
    """Ask a job to end: SIGTERM, grace, SIGKILL of all it started. Safe to repeat."""
    change = await once(request, 202, encode)
    found = await jobs.stop(visit_of(request).desk.world, change.caller, session, job, grace_s=grace_s, reason=reason)
    return answered(change.body(found), version=found.version, status=202)


@post(PATH + "/{job:str}/signal", status_code=200, body=Signal, operation_id="signal_job", tags=["jobs"])
async def signal(request: AnyRequest, session: fields.SessionName, job: fields.JobName) -> Response[Job]:
    """Send a signal to the job's main process group."""
    data = await body_of(request, Signal)
    visit = visit_of(request)
    found = await jobs.signal(visit.desk.world, visit.caller, session, job, data.signal)
    return answered(encode(found), version=found.version)


HANDLERS = [run, page, get_one, stop, signal]

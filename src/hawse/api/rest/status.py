"""`/v1/status`, `/healthz` and `/readyz`: what runs here, and whether it does."""

from __future__ import annotations

import msgspec
from litestar import Response, get

from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.limits import PAGE_MAX
from hawse.api.rest.response import answered
from hawse.domain.errors import Unavailable
from hawse.ports.store import View
from hawse.services.trouble import Trouble

_encode = msgspec.json.Encoder().encode


class Status(msgspec.Struct, kw_only=True):
    """sessions, jobs: living ones. engine: what pumps bytes, compiled or python. started_at: Unix seconds. leads: does
    this coordinator start and follow jobs? Of several on one database one does; each serves.

    listens: a site's addresses. certificate_expires_at: Unix seconds, of its certificate.
    trouble: why the store does not take what the coordinator has to write down, and since when.
    """

    version: str
    pid: int
    started_at: float
    store: str
    store_version: int
    engine: str
    state_dir: str
    sessions: int
    jobs: int
    host: str
    boot_id: str
    trouble: Trouble | None = None
    listens: list[str] = []
    certificate_expires_at: float | None = None
    instance: str = ""
    leads: bool = True


class Health(msgspec.Struct):
    """How it is: ok or ready."""

    status: str


def _counts(view: View) -> tuple[int, int]:
    count, after = 0, ""
    while page := view.sessions(living=True, after=after, limit=PAGE_MAX):
        count += len(page)
        after = page[-1].id
        if len(page) < PAGE_MAX:
            break
    return count, len(view.living_jobs())


@get("/v1/status", operation_id="get_status", tags=["service"])
async def status(request: AnyRequest) -> Response[Status]:
    """Version, process, store, engine and counts of the coordinator."""
    desk = visit_of(request).desk
    sessions, jobs = await desk.world.store.read(_counts)
    trouble, leads = desk.world.troubles.present, desk.world.lead.is_ours
    return answered(_encode({**desk.facts, "sessions": sessions, "jobs": jobs, "trouble": trouble, "leads": leads}))


@get("/healthz", operation_id="get_health", tags=["service"])
async def health(request: AnyRequest) -> Response[Health]:
    """Whether this process answers at all. It asks nothing else: who gets no answer may start it anew."""
    return answered(b'{"status":"ok"}')


@get("/readyz", operation_id="get_readiness", tags=["service"])
async def readiness(request: AnyRequest) -> Response[Health]:
    """Whether it can do what it is for: the store takes changes, and the jobs that run were found again.

    Otherwise 503 with the reason as a problem. A change is tried at most once in 2 s.
    """
    desk = visit_of(request).desk
    if desk.closing:
        raise Unavailable("the coordinator stops")
    if why := desk.not_ready():
        raise Unavailable(f"not ready yet: {why}")
    await desk.probe.look(desk.world)
    return answered(b'{"status":"ready"}')


HANDLERS = [status, health, readiness]

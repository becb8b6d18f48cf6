"""`/v1/audit`: who changed a right or ended something. For admins."""

from __future__ import annotations

import msgspec
from litestar import Response, get

from hawse.api.rest import fields
from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.limits import PAGE_DEFAULT
from hawse.api.rest.response import answered
from hawse.domain.audit import Entry
from hawse.services import audit

_encode = msgspec.json.Encoder().encode


class AuditPage(msgspec.Struct):
    """next: what to ask for as `from` to go on. last: the newest entry's number, 0 when there is none."""

    items: list[Entry]
    next: int
    last: int


@get("/v1/audit", operation_id="list_audit", tags=["site"])
async def page(
    request: AnyRequest, first: fields.FirstSeq = 1, limit: fields.Limit = PAGE_DEFAULT, wait_s: fields.WaitS = 0.0
) -> Response[AuditPage]:
    """Entries of the audit log from a number on; numbers may have gaps. wait_s: when there is none, wait for one."""
    visit = visit_of(request)
    world, caller, after = visit.desk.world, visit.caller, max(0, first - 1)
    if wait_s:
        with visit.desk.waiting():
            items = await audit.wait(world, caller, after=after, limit=limit, timeout_s=wait_s)
    else:
        items = await audit.page(world, caller, after=after, limit=limit)
    last = await audit.last(world, caller)
    return answered(_encode({"items": items, "next": (items[-1].seq if items else after) + 1, "last": last}))


HANDLERS = [page]

"""What the checks are made of: registering them, things to store, and the check behind all others."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from hawse.domain import attachment as attachments
from hawse.domain import grant as grants
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.attachment import Attachment, Mode
from hawse.domain.effect import StartJob
from hawse.domain.event import Event, replay
from hawse.domain.grant import Grant, Role
from hawse.domain.ids import RANDOM_BYTES, AttachmentId, GrantId, JobId, SessionId, uuid7
from hawse.domain.job import Job
from hawse.domain.session import Session
from hawse.ports.store import Order, Pending, Row, Store, Unit, View
from hawse.testing.rows import NOUNS, fields_of

OpenStore = Callable[[], Awaitable[Store]]
Check = Callable[[OpenStore], Awaitable[None]]
R = TypeVar("R", Session, Job, Attachment, Grant)
T = TypeVar("T")
CHECKS: dict[str, Check] = {}
MOVERS = 32
SOON_S = 10.0  # a wake-up that takes longer is none
_TICKS = iter(range(10**9))
_EPOCH = 1_700_000_000.0


def check(function: Callable[[Store], Awaitable[None]]) -> Callable[[Store], Awaitable[None]]:
    """Add a check that needs one handle."""

    async def run(open_store: OpenStore) -> None:
        async with opened(open_store) as store:
            await function(store)

    CHECKS[function.__name__] = run
    return function


def check_handles(function: Check) -> Check:
    """Add a check that opens handles itself."""
    CHECKS[function.__name__] = function
    return function


@asynccontextmanager
async def opened(open_store: OpenStore) -> AsyncIterator[Store]:
    store = await open_store()
    try:
        yield store
    finally:
        await store.aclose()


async def check_replay(store: Store) -> None:
    """The promise behind every other: each session's events, replayed, are the present fields of all its rows."""

    def query(view: View) -> list[tuple[str, list[Event], dict[tuple[str, str], dict[str, Any]], int]]:
        found: list[tuple[str, list[Event], dict[tuple[str, str], dict[str, Any]], int]] = []
        after = ""
        while page := view.sessions(after=after, limit=100):
            after = page[-1].id
            for session in page:
                rows: list[Row] = [session, *view.jobs(session.id), *view.attachments(session.id, living=False)]
                rows += view.grants(session.id, live=False)
                fields = {(NOUNS[type(row)], str(row.id)): fields_of(row) for row in rows}
                found.append((session.id, _all_events(view, session.id), fields, view.last_seq(session.id)))
        return found

    for id, events, fields, last_seq in await store.read(query):
        assert replay(events) == fields, f"session {id}: its events do not give its rows"
        assert len(events) == last_seq, f"session {id}: {len(events)} events, but the last has number {last_seq}"


def _all_events(view: View, session: str) -> list[Event]:
    events: list[Event] = []
    while page := view.events(session, after=len(events), limit=1000):
        events += page
    return events


def new_id() -> str:
    """Rises from call to call."""
    return uuid7(_EPOCH + next(_TICKS) / 1000, os.urandom(RANDOM_BYTES))


def new_session(
    alias: str | None = None, project: str = "p", policies: dict[str, Any] | None = None, **fields: Any
) -> Session:
    """policies: any; a store keeps those of other versions, too."""
    fields = {"owner": "uid:1000", "now": time.time(), **fields}
    made = sessions.created(id=SessionId(new_id()), project=project, alias=alias, **fields)
    return replace(made, policies=dict(policies or {}))


def new_job(session: Session, name: str = "main") -> Job:
    job, _ = jobs.created(
        id=JobId(new_id()), session=session.id, name=name, command=("sh", "-c", "echo ü '\"\\"), tty=True,
        now=time.time(), incarnation=os.urandom(8).hex(),
    )  # fmt: skip
    return job


def new_attachment(job: Job, mode: Mode = Mode.CONTROL) -> Attachment:
    return attachments.created(
        id=AttachmentId(new_id()), session=job.session, job=job.id, who="uid:1000", where="pts/3", mode=mode,
        now=time.time(),
    )  # fmt: skip


def new_grant(session: Session, principal: str | None = "user:alice", **fields: Any) -> Grant:
    fields = {"role": Role.OBSERVER, "by": "uid:1000", "now": time.time(), **fields}
    return grants.created(id=GrantId(new_id()), session=session.id, principal=principal, **fields)


def new_order() -> Order:
    return Order(
        argv=("sh", "-c", "exit 3"), env=(("PATH", "/bin"), ("É", "ü\n")), cwd="/tmp", umask=0o22, encoding="utf-8",
        secret="ab" * 32, columns=80, rows=24, stdin="open",
    )  # fmt: skip


def put(unit: Unit, *rows: R) -> None:
    for row in rows:
        unit.change(None, row, kind=f"{NOUNS[type(row)]}.created", by="uid:1000")


def touch(unit: Unit, before: R, **fields: Any) -> R:
    after = unit.change(before, replace(before, **fields), kind="thing.changed", by="uid:1000")
    assert isinstance(after, type(before))
    return after


def ended(session: Session) -> Session:
    draining = sessions.end_asked(session, by="uid:1000", reason="asked")
    return sessions.drained(draining, now=time.time())


async def create(store: Store, *rows: Row) -> None:
    await store.write(lambda unit: [unit.change(None, row, kind="thing.created", by="uid:1000") for row in rows])


async def raises(kind: type[BaseException], what: Awaitable[object]) -> BaseException:
    try:
        await what
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


async def due(store: Store, now: float = float("inf"), limit: int = 1000) -> list[Pending]:
    return await store.read(lambda view: view.effects_due(now, limit))


async def add_effect(store: Store, job: Job) -> None:
    """Change nothing, but let something be done."""

    def verb(unit: Unit) -> None:
        now = unit.job(job.id)
        unit.change(now, now, kind="thing.asked", by="uid:1000", effects=(StartJob(job.id, 1),))

    await store.write(verb)

"""Counting: what a handle did, and how much there is."""

from __future__ import annotations

from dataclasses import replace

from hawse.domain import attachment as attachments
from hawse.domain.attachment import Reason
from hawse.domain.effect import Later, StartJob, StopJob
from hawse.domain.session import Lease
from hawse.ports.store import Census, Store, Unit
from hawse.testing.store_checks.kit import (
    check,
    create,
    ended,
    new_attachment,
    new_job,
    new_session,
    raises,
    touch,
)


@check
async def the_meter_counts_what_was_committed(store: Store) -> None:
    session = new_session("train")
    await create(store, session, new_job(session))
    meter = store.meter
    assert meter.events == 2, f"{meter.events} events counted, 2 written"
    commits = meter.commit_s.count
    assert commits >= 1
    await store.write(lambda unit: unit.sessions())
    assert (meter.events, meter.commit_s.count) == (2, commits), "a unit that wrote nothing was counted"

    def fails(unit: Unit) -> None:
        touch(unit, unit.session(session.id), description="gone")
        raise ValueError("no")

    await raises(ValueError, store.write(fails))
    assert meter.events == 2, "an event that was rolled back was counted"
    await store.write(lambda unit: touch(unit, unit.session(session.id), description="there"))
    assert meter.events == 3
    assert meter.commit_s.count == commits + 1
    reads = meter.read_s.count
    await store.read(lambda view: view.session(session.id))
    assert meter.read_s.count == reads + 1
    assert (meter.refused, meter.trouble) == (0, "")


@check
async def a_census_counts_everything(store: Store) -> None:
    assert await store.read(lambda view: view.census(0.0)) == Census({}, {}, {}, {}, 0, {})
    plain, over = new_session("plain", project="p"), new_session("over", project="p")
    leased = [
        replace(new_session(f"leased{at}", project=project), lease=Lease.UNTIL, lease_until=float(at))
        for at, project in ((500, "p"), (300, "p"), (900, "q"))
    ]
    job, other = new_job(plain), new_job(plain, name="other")
    await create(store, plain, over, *leased, job, other)
    here, gone = new_attachment(job), new_attachment(job)
    await create(store, here, gone)

    def verb(unit: Unit) -> None:
        unit.change(over, ended(over), kind="session.ended", by="x")
        left, _ = attachments.detached(gone, reason=Reason.ASKED, now=1.0)
        unit.change(gone, left, kind="attachment.detached", by="x")
        unit.add_effects(plain.id, [Later(StartJob(job.id, 1), 20.0), Later(StartJob(other.id, 1), 10.0)])
        unit.add_effects(plain.id, [Later(StopJob(job.id, 1, 1.0), 100.0)])

    await store.write(verb)
    found = await store.read(lambda view: view.census(50.0))
    assert found.sessions == {str(plain.state): 4, "ended": 1}, found.sessions
    assert found.jobs == {str(job.state): 2}, found.jobs
    assert found.attachments == {(str(here.mode), str(here.state)): 1}, found.attachments
    assert found.leases == {"p": (2, 300.0), "q": (1, 900.0)}, found.leases
    assert found.due == {"start_job": (2, 10.0)}, found.due
    assert found.waiting == 3

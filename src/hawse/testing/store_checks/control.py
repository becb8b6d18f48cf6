"""Control of a job in a store: it changes hands in one transaction, its fence never falls, its words are kept."""

from __future__ import annotations

from dataclasses import replace

from hawse.domain import attachment as attachments
from hawse.domain.attachment import Attachment, Reason
from hawse.domain.effect import CutAttachment, SetControl
from hawse.domain.errors import Conflict
from hawse.ports.store import Store, Unit
from hawse.testing.store_checks.kit import (
    check,
    check_replay,
    create,
    due,
    new_attachment,
    new_job,
    new_session,
    raises,
)

FENCE = 1_700_000_000_000  # as of a time of day in milliseconds


@check
async def control_changes_hands_in_one_transaction(store: Store) -> None:
    session = new_session("train")
    job, other_job = new_job(session), new_job(session, "other")
    first = attachments.given_control(new_attachment(job), fence=FENCE, now=5.25)
    second, elsewhere = new_attachment(job), replace(new_attachment(other_job), holds=True, fence=7)
    await create(store, session, job, other_job, first, second, elsewhere)
    kept = await store.read(lambda view: view.attachment(first.id))
    assert (kept.holds, kept.fence, kept.typed_at, kept.active_at) == (True, FENCE, 5.25, None)

    def taken(unit: Unit) -> Attachment:
        here, there = unit.attachment(first.id), unit.attachment(second.id)
        fence = attachments.next_fence(unit.last_fence(job.id), now=0.0)
        unit.change(here, attachments.without_control(here), kind="attachment.control_lost", by="x")
        after = attachments.given_control(there, fence=fence, now=6.0)
        effects = [SetControl(job.id, there.id, fence, "ada took control")]
        detail = {"from": here.id}
        got = unit.change(there, after, kind="attachment.control_taken", by="x", effects=effects, detail=detail)
        assert isinstance(got, Attachment)
        return got

    got = await store.write(taken)
    assert [one.holds for one in await store.read(lambda view: view.attachments_of_job(job.id))] == [False, True]
    assert got.fence == await store.read(lambda view: view.last_fence(job.id)) == FENCE + 1
    assert await store.read(lambda view: view.last_fence(other_job.id)) == 7, "each job has its own"
    told = [one.effect for one in await due(store)]
    assert told == [SetControl(job.id, second.id, FENCE + 1, "ada took control")]
    await raises(Conflict, store.write(lambda unit: unit.change(second, got, kind="x", by="x")))
    await check_replay(store)


@check
async def the_fence_stays_when_all_have_gone(store: Store) -> None:
    session = new_session("train")
    job = new_job(session)
    holder = attachments.given_control(new_attachment(job), fence=FENCE, now=5.0)
    await create(store, session, job, holder)

    def leaves(unit: Unit) -> None:
        here = unit.attachment(holder.id)
        told = "ada took its place"
        gone, effects = attachments.detached(here, reason=Reason.STOLEN, now=9.0, by="uid:7", message=told)
        unit.change(here, gone, kind="attachment.detached", by="uid:7", effects=effects)

    await store.write(leaves)
    assert await store.read(lambda view: view.attachments_of_job(job.id)) == []
    assert await store.read(lambda view: view.last_fence(job.id)) == FENCE
    gone = await store.read(lambda view: view.attachment(holder.id))
    assert (gone.holds, gone.detached_by, gone.reason) == (False, "uid:7", Reason.STOLEN)
    told = [one.effect for one in await due(store)]
    assert told == [CutAttachment(job.id, holder.id, "stolen", "ada took its place")]
    await check_replay(store)

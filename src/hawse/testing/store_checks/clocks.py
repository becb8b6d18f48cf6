"""What clocks need of a store: a session's own checks, who does one, and when somebody was last there."""

from __future__ import annotations

from hawse.domain import attachment as attachments
from hawse.domain.attachment import Reason
from hawse.domain.effect import CheckClock, Later, StopJob
from hawse.ports.store import Store
from hawse.testing.store_checks.kit import check, create, new_attachment, new_job, new_session


@check
async def the_checks_of_a_session_are_found_and_each_is_done_once(store: Store) -> None:
    mine, other = new_session("mine"), new_session("other")
    for session in (mine, other):
        await create(store, session)
    at = mine.created_at + 1000.0
    lease, idle = CheckClock(mine.id, "lease", at), CheckClock(mine.id, "connect_by", at - 1)
    job = new_job(mine)
    stop = StopJob(job.id, 1, 0.0)
    await store.write(lambda unit: unit.add_effects(mine.id, (Later(lease, at), stop, Later(idle, at - 1))))
    await store.write(lambda unit: unit.add_effects(other.id, (Later(CheckClock(other.id, "lease", at), at),)))
    found = await store.read(lambda view: view.clock_checks(mine.id))
    assert [(pending.effect, pending.due_at) for pending in found] == [(lease, at), (idle, at - 1)]
    assert await store.write(lambda unit: unit.effect_done(found[0].id))
    assert not await store.write(lambda unit: unit.effect_done(found[0].id)), "somebody else has done it"
    assert [one.effect for one in await store.read(lambda view: view.clock_checks(mine.id))] == [idle]


@check
async def it_is_known_when_the_last_one_left(store: Store) -> None:
    session = new_session("train")
    await create(store, session)
    job = new_job(session)
    await store.write(lambda unit: unit.change(None, job, kind="job.created", by="x"))
    assert await store.read(lambda view: view.last_detached_at(session.id)) is None
    for number, is_linked in enumerate((True, True, False)):
        made = new_attachment(job)
        now = made.created_at + 10.0 * (number + 1)
        kept = await store.write(lambda unit, made=made: unit.change(None, made, kind="attachment.created", by="x"))  # type: ignore[misc]
        assert kept == made
        there = attachments.linked(made, now=now) if is_linked else made
        gone, _ = attachments.detached(there, reason=Reason.ASKED, now=now + 1)
        await store.write(
            lambda unit, made=made, gone=gone: unit.change(made, gone, kind="attachment.detached", by="x")  # type: ignore[misc]
        )
        if is_linked:
            last = gone.detached_at
    assert await store.read(lambda view: view.last_detached_at(session.id)) == last, "a ticket that nobody used counts"

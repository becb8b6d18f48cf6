import asyncio

import pytest
from tests.services.conftest import ME, Lab, spec
from tests.services.test_session import long_lived

from hawse.domain.attachment import STALE_S, Reason, S
from hawse.domain.errors import Invalid, NotFound
from hawse.services import attachment as verbs
from hawse.services import job as job_verbs
from hawse.services import session as session_verbs
from hawse.services.session import NewSession
from hawse.wire.ticket import unseal


async def begun(lab: Lab, **changes) -> None:
    long_lived(lab)
    await session_verbs.create(lab.world, ME, NewSession(alias="a", job=spec(**changes)))
    await asyncio.sleep(1)


async def present(lab: Lab) -> list:
    session = (await session_verbs.get(lab.world, ME, "a")).session
    return await lab.world.store.read(lambda view: view.attachments(session.id, living=False))


@pytest.mark.requirement("S0.4", "L3.1", "S2.9")
def test_a_ticket_is_sealed_with_the_jobs_secret(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        admission = await verbs.attach(lab.world, ME, "a", job=None, mode="watch", where="pts/7")
        order = await lab.world.store.read(lambda view: view.order(admission.job.id))
        ticket = unseal(admission.ticket, bytes.fromhex(order.secret), now=lab.world.clock.now())
        assert (ticket.job, ticket.attachment, ticket.mode) == (admission.job.id, admission.attachment.id, "watch")
        assert ticket.expires <= lab.world.clock.now() + verbs.TICKET_S
        assert (admission.attachment.state, admission.attachment.where) == (S.STALE, "pts/7")

    in_lab(test)


def test_one_that_nobody_links_to_is_lost_after_a_minute(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await verbs.attach(lab.world, ME, "a", job=None, mode="control", where="")
        await asyncio.sleep(STALE_S - 2)
        assert (await present(lab))[0].state == S.STALE
        await asyncio.sleep(4)
        assert ((await present(lab))[0].state, (await present(lab))[0].reason) == (S.DETACHED, Reason.LOST)

    in_lab(test)


@pytest.mark.requirement("S2.9")
def test_a_broken_link_is_resumed_as_the_same_attachment(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        first = await verbs.attach(lab.world, ME, "a", job=None, mode="control", where="")
        lab.host.link(first.job.id, first.attachment.id)
        await asyncio.sleep(1)
        lab.host.unlink(first.job.id, first.attachment.id, "lost")
        await asyncio.sleep(30)
        assert (await present(lab))[0].state == S.STALE
        again = await verbs.attach(lab.world, ME, "a", job=None, mode="control", where="", resume=first.attachment.id)
        assert again.attachment.id == first.attachment.id
        lab.host.link(first.job.id, first.attachment.id)
        await asyncio.sleep(2 * STALE_S)
        assert [one.state for one in await present(lab)] == [S.ATTACHED]

    in_lab(test)


def test_who_says_goodbye_is_detached_at_once(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        admission = await verbs.attach(lab.world, ME, "a", job=None, mode="control", where="")
        lab.host.link(admission.job.id, admission.attachment.id)
        lab.host.unlink(admission.job.id, admission.attachment.id, "asked")
        await asyncio.sleep(1)
        (one,) = await present(lab)
        assert (one.state, one.reason, one.cursor) == (S.DETACHED, Reason.ASKED, 7)

    in_lab(test)


def test_detaching_cuts_the_link_and_is_safe_to_repeat(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        admission = await verbs.attach(lab.world, ME, "a", job=None, mode="control", where="")
        lab.host.link(admission.job.id, admission.attachment.id)
        await asyncio.sleep(1)
        for _ in range(2):
            gone = await verbs.detach(lab.world, ME, "a", admission.attachment.id)
            assert (gone.state, gone.reason) == (S.DETACHED, Reason.ASKED)
        await asyncio.sleep(1)
        assert lab.host.living(admission.job.id).links == {}
        with pytest.raises(NotFound):
            await verbs.detach(lab.world, ME, "a", "01890a5d-ac96-774b-bcce-b302099a8057")
        with pytest.raises(Invalid):
            await verbs.detach(lab.world, ME, "a", "not an id")

    in_lab(test)


def test_the_newest_terminal_is_chosen(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab, tty=True)
        await job_verbs.run(lab.world, ME, "a", spec(name="pipe"))
        assert (await verbs.attach(lab.world, ME, "a", job=None, mode="watch", where="")).job.name == "work"
        assert (await verbs.attach(lab.world, ME, "a", job="pipe", mode="watch", where="")).job.name == "pipe"
        await job_verbs.stop(lab.world, ME, "a", "work")
        await asyncio.sleep(30)
        assert (await verbs.attach(lab.world, ME, "a", job=None, mode="watch", where="")).job.name == "pipe"

    in_lab(test)


def test_a_job_that_is_over_gives_its_log_instead(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await job_verbs.stop(lab.world, ME, "a", "work")
        await asyncio.sleep(30)
        for mode in ("control", "read"):
            admission = await verbs.attach(lab.world, ME, "a", job=None, mode=mode, where="")
            assert (admission.address, admission.ticket, admission.attachment) == ("", "", None)

    in_lab(test)


def test_a_reader_leaves_no_attachment(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        admission = await verbs.attach(lab.world, ME, "a", job=None, mode="read", where="")
        assert admission.ticket
        assert await present(lab) == []
        with pytest.raises(Invalid, match="none of control, watch, read"):
            await verbs.attach(lab.world, ME, "a", job=None, mode="steal", where="")

    in_lab(test)

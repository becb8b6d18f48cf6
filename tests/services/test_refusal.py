"""Refused attempts as events: each is told, none floods."""

import asyncio

import pytest
from tests.services.conftest import ME, OTHER, Lab
from tests.services.test_grant import attached, begun

from hawse.ports.launcher import Refused
from hawse.services import event as event_verbs
from hawse.services import report as reports
from hawse.services import session as session_verbs
from hawse.services.refusal import KIND, WINDOW_S, Refusal


async def refusals(lab: Lab) -> list:
    events, _ = await event_verbs.page(lab.world, ME, "a", after=0, limit=1000)
    return [event for event in events if event.kind == KIND]


async def tried(lab: Lab, by: str = OTHER.principal, capability: str = "session:see", times: int = 1) -> None:
    session = (await session_verbs.get(lab.world, ME, "a")).session.id
    for _ in range(times):
        refusal = Refusal(session, by, capability, "GET /v1/sessions/a", "pid 7")
        await lab.world.refusals.record(lab.world.store, refusal, now=lab.world.clock.now())


@pytest.mark.requirement("S7.2")
def test_a_flood_of_attempts_is_no_flood_of_events_and_the_count_is_told(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await tried(lab, times=1000)
        await tried(lab, capability="job:watch")
        await tried(lab, by="uid:7")
        told = [(event.by, event.detail["capability"], event.detail["count"]) for event in await refusals(lab)]
        assert told == [("uid:1001", "session:see", 1), ("uid:1001", "job:watch", 1), ("uid:7", "session:see", 1)]
        await asyncio.sleep(WINDOW_S + 2)
        assert [event.detail["count"] for event in await refusals(lab)] == [1, 1, 1, 999], "told though nobody tries on"
        await tried(lab)
        assert len(await refusals(lab)) == 5

    in_lab(test)


def test_a_clock_that_goes_back_hides_nothing(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        await tried(lab)
        lab.world.clock.skew_s -= 3600
        await tried(lab)
        assert len(await refusals(lab)) == 2

    in_lab(test)


def test_one_that_is_gone_is_no_error(in_lab) -> None:
    async def test(lab: Lab) -> None:
        gone = Refusal("01890a5d-ac96-774b-bcce-b302099a8057", "uid:7", "session:see", "x")
        assert not await lab.world.refusals.record(lab.world.store, gone, now=lab.world.clock.now())
        await reports.take(lab.world, Refused("01890a5d-ac96-774b-bcce-b302099a8057", "ticket_used"))

    in_lab(test)


@pytest.mark.requirement("S7.2", "S8.3")
def test_what_a_runner_refused_is_told_with_who_it_was(in_lab) -> None:
    async def test(lab: Lab) -> None:
        await begun(lab)
        there = await attached(lab, ME, "watch")
        for report in (
            Refused(there.job.id, "read_only", there.attachment.id, 1000, 3),
            Refused(there.job.id, "ticket_forged", "", 1002),
            Refused(there.job.id, "ticket_forged", "no such id", None),
        ):
            await reports.take(lab.world, report)
        told = [(event.by, event.detail["capability"], event.detail["what"]) for event in await refusals(lab)]
        assert told == [
            ("uid:1000", "job:control", "runner: read_only"),
            ("uid:1002", "job:watch", "runner: ticket_forged"),
            ("somebody", "job:watch", "runner: ticket_forged"),
        ]

    in_lab(test)

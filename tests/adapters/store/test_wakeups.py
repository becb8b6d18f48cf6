"""Waking: no commit slips between a look and a wait."""

import asyncio

import pytest

from hawse.adapters.store.wakeups import Wakeups


async def wait(wakeups, last_seq, after=2, timeout_s=20):
    return await wakeups.wait_event("s", after=after, timeout_s=timeout_s, last_seq=last_seq)


def test_a_commit_during_the_look_is_not_forgotten():
    async def run():
        wakeups = Wakeups()

        async def last_seq(_session):
            wakeups.committed({"s": 3}, effects=False)
            await asyncio.sleep(0)
            return 2

        return await wait(wakeups, last_seq)

    assert asyncio.run(run()) == 3


def test_an_unknown_number_is_looked_up():
    async def run():
        wakeups = Wakeups()
        numbers = iter([2, 2, 5])

        async def last_seq(_session):
            return next(numbers)

        waiting = asyncio.ensure_future(wait(wakeups, last_seq))
        await asyncio.sleep(0)
        wakeups.foreign(["other"])
        await asyncio.sleep(0.01)
        assert not waiting.done()
        wakeups.foreign()
        await asyncio.sleep(0.01)
        wakeups.foreign(["s"])
        return await waiting

    assert asyncio.run(run()) == 5


@pytest.mark.parametrize("timeout_s", [0, -1, 0.001])
def test_no_time_means_one_look(timeout_s):
    async def run():
        async def last_seq(_session):
            return 7

        wakeups = Wakeups()
        assert await wait(wakeups, last_seq, after=7, timeout_s=timeout_s) == 7
        assert not wakeups.sessions, "nobody is left in the list"

    asyncio.run(run())


def test_of_many_who_wait_each_is_told():
    async def run():
        wakeups = Wakeups()

        async def last_seq(_session):
            return 2

        waiting = [asyncio.ensure_future(wait(wakeups, last_seq)) for _ in range(100)]
        anyone = asyncio.ensure_future(wakeups.wait_event("*", after=0, timeout_s=20, last_seq=last_seq))
        await asyncio.sleep(0)
        wakeups.committed({"s": 3, "t": 9}, effects=False)
        return await asyncio.gather(*waiting), await anyone

    assert asyncio.run(run()) == ([3] * 100, 1)


def test_an_effect_between_two_waits_ends_the_second():
    async def run():
        wakeups = Wakeups()
        await wakeups.wait_effect(timeout_s=0.001)
        wakeups.committed({}, effects=True)
        async with asyncio.timeout(10):
            await wakeups.wait_effect(timeout_s=100)

    asyncio.run(run())

"""Threads of the store: order, bounds, cancelling, closing."""

import asyncio
import threading

import pytest

from hawse.adapters.store import worker as module
from hawse.adapters.store.worker import Workers
from hawse.domain.errors import LimitReached, Unavailable


def test_results_and_errors_come_back_in_order():
    async def run():
        workers = Workers("test")
        order = []
        futures = [workers.submit(lambda n=n: order.append(n) or n * n) for n in range(10)]
        failing = workers.submit(lambda: 1 / 0)
        assert await asyncio.gather(*futures) == [n * n for n in range(10)]
        with pytest.raises(ZeroDivisionError):
            await failing
        assert order == list(range(10))
        await workers.aclose()

    asyncio.run(run())


def test_what_is_cancelled_before_its_turn_is_not_done():
    async def run():
        workers = Workers("test")
        gate, done = threading.Event(), []
        first = workers.submit(gate.wait)
        second = workers.submit(lambda: done.append(2))
        second.cancel()
        gate.set()
        await first
        await workers.aclose()
        assert done == []

    asyncio.run(run())


def test_too_much_waiting_is_refused(monkeypatch):
    monkeypatch.setattr(module, "WAITING_MAX", 3)

    async def run():
        workers = Workers("test")
        gate = threading.Event()
        futures = [workers.submit(gate.wait) for _ in range(3)]
        with pytest.raises(LimitReached):
            workers.submit(gate.wait)
        gate.set()
        await asyncio.gather(*futures)
        await asyncio.sleep(0.05)
        await workers.submit(gate.wait)
        await workers.aclose()

    asyncio.run(run())


def test_closing_finishes_the_work_ends_the_threads_and_may_be_done_twice(eventually):
    async def run():
        ended = []
        workers = Workers("closing", 3, at_end=lambda: ended.append(threading.get_ident()))
        futures = [workers.submit(lambda: None) for _ in range(20)]
        await asyncio.gather(workers.aclose(), workers.aclose())
        assert all(future.done() for future in futures)
        assert len(set(ended)) == 3
        with pytest.raises(Unavailable):
            workers.submit(lambda: None)

    asyncio.run(run())
    eventually(lambda: not [one for one in threading.enumerate() if one.name.startswith("closing")])

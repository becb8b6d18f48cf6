"""One suite for every store, ours or yours.

    @pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
    def test_contract(check, tmp_path):
        asyncio.run(check(lambda: MyStore.open(tmp_path / "store")))

A check gets `open_store`: each call gives another handle on the same database, which is empty when the check begins. It
closes what it opens. It raises AssertionError with a sentence when the store breaks a promise of `ports/store.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hawse.testing.store_checks import clocks, grants, lists, meter, outbox, rows, site, units, waiting
from hawse.testing.store_checks.kit import CHECKS, Check, OpenStore, check_replay, new_session

__all__ = ["CHECKS", "Check", "OpenStore", "check_replay", "check_store", "new_session"]
SUBJECTS = (rows, units, lists, grants, clocks, outbox, waiting, meter, site)  # importing them fills CHECKS


async def check_store(fresh: Callable[[], Awaitable[OpenStore]]) -> None:
    """Run every check on a database of its own: `fresh()` gives an `open_store`.

    Raises the first failure, with the check's name in a note.
    """
    for name, check in CHECKS.items():
        try:
            await check(await fresh())
        except BaseException as error:
            error.add_note(f"store check: {name}")
            raise

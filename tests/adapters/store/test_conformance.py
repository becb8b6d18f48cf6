"""Every store keeps every promise of the port: the public suite on memory, SQLite and PostgreSQL."""

import asyncio

import pytest

from hawse.testing.check_store import CHECKS


@pytest.mark.requirement("S2.9", "S3.3")
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_the_store_keeps_its_contract(check, open_store):
    asyncio.run(check(open_store))

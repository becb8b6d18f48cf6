"""Who is still there: real accounts of this machine, made and removed."""

import asyncio
import os
import subprocess
import time

import pytest
from tests.other_users import STRANGERS, need_root

from hawse.adapters import people
from hawse.adapters.people import HostPeople
from hawse.api.rest.groups import groups_of


def asked(principal: str, look_up=groups_of):
    return asyncio.run(HostPeople(look_up).groups(principal))


@pytest.fixture
def account():
    """A user with a group of its own; the test may remove it."""
    need_root()
    name = f"hwnotice{os.getpid() % 10000}"
    subprocess.run(["useradd", "--no-create-home", "--user-group", name], check=True, capture_output=True)
    uid = int(subprocess.run(["id", "-u", name], check=True, capture_output=True, text=True).stdout)
    yield name, uid
    subprocess.run(["userdel", "--force", name], check=False, capture_output=True)


def test_a_user_is_there_until_removed(account) -> None:
    name, uid = account
    assert asked(f"uid:{uid}") == {f"group:{name}"}
    subprocess.run(["userdel", name], check=True, capture_output=True)
    assert asked(f"uid:{uid}") is None


def test_our_own_uid_needs_no_entry_and_others_do(monkeypatch) -> None:
    assert asked(f"uid:{STRANGERS[7]}") is None
    monkeypatch.setattr(os, "getuid", lambda: STRANGERS[7])
    assert asked(f"uid:{STRANGERS[7]}") == frozenset()


def test_others_than_uids_are_not_this_host_s_to_judge() -> None:
    assert asked("user:ada") == frozenset()


def test_a_name_service_that_hangs_or_fails_gives_less_and_keeps_nobody(monkeypatch) -> None:
    monkeypatch.setattr(people, "LOOK_S_MAX", 0.05)
    began = time.monotonic()

    def hangs(uid: int) -> frozenset[str]:
        time.sleep(0.5)
        return frozenset({"group:root"})

    async def main() -> None:
        assert await HostPeople(hangs).groups("uid:0") == frozenset()
        assert time.monotonic() - began < 0.4

    asyncio.run(main())

    def fails(uid: int) -> frozenset[str]:
        raise OSError("no directory")

    assert asked("uid:0", fails) == frozenset()
    assert asked("uid:x", fails) == frozenset()

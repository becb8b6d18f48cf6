"""Users: names that are never given twice, uids, groups, and what follows what."""

import pytest

from hawse.domain import user as users
from hawse.domain.errors import IllegalMove, Invalid, TooLarge
from hawse.domain.table import finals, reachable
from hawse.domain.user import FINAL, START, USERS, S


def user(name="ada", **facts):
    return users.created(name=name, by="uid:0", now=5.0, **facts)


def test_the_table_is_whole():
    assert reachable(USERS, START) == frozenset(S)
    assert finals(USERS) == FINAL


def test_a_user_is_a_principal():
    made = user(uids=[7, 7, 8], groups=["group:a", "group:a"], project="ci", is_admin=True, about="Ada")
    assert (made.principal, made.uids, made.groups, made.state) == ("user:ada", (7, 8), ("group:a",), S.ACTIVE)
    assert users.changed(made, about="x").uids == (7, 8)


@pytest.mark.parametrize("name", ["", "a b", "-x", "ü", "user:ada", "a\0", "a/b", "x" * 60])
def test_what_is_no_name(name):
    with pytest.raises(Invalid):
        user(name)


@pytest.mark.parametrize("facts", [
    {"uids": [-1]}, {"uids": [2**32 - 1]}, {"uids": range(17)}, {"groups": ["staff"]}, {"groups": ["user:ada"]},
    {"groups": [f"group:g{n}" for n in range(65)]}, {"about": "x" * 201}, {"about": "\0"},
])  # fmt: skip
def test_what_cannot_be_said_of_one(facts):
    with pytest.raises((Invalid, TooLarge)):
        user(**facts)


def test_the_longest_name_is_a_principal():
    assert len(user("x" * 59).principal) == 64


def test_who_is_removed_stays_so_and_leaves_his_uids():
    gone = users.removed(users.disabled(user(uids=[7], groups=["group:a"], is_admin=True)))
    assert (gone.state, gone.uids, gone.groups, gone.is_admin) == (S.REMOVED, (), (), False)
    assert users.removed(gone) == gone
    for move in (users.enabled, users.disabled, lambda one: users.changed(one, about="x")):
        with pytest.raises(IllegalMove):
            move(gone)


def test_disabling_and_enabling_are_safe_to_repeat():
    off = users.disabled(user())
    assert users.disabled(off) == off
    assert users.enabled(users.enabled(off)) == user()

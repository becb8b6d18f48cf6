"""Projects: limits, members, and whether there is room."""

import pytest

from hawse.domain import project as projects
from hawse.domain.errors import IllegalMove, Invalid, LimitReached, TooLarge
from hawse.domain.project import DEFAULT, EVERYONE, PROJECT, START, S, Use
from hawse.domain.table import reachable


def project(name="ci", **facts):
    return projects.created(name=name, by="uid:0", now=5.0, **facts)


def test_the_table_is_whole():
    assert reachable(PROJECT, START) == frozenset(S)


def test_the_default_takes_everybody_and_others_whom_they_name():
    assert projects.is_member(projects.implied(), {"user:anybody"})
    assert projects.is_member(project(DEFAULT), {"uid:1"})
    assert not projects.is_member(project(), {"user:ada"})
    ci = project(members=["user:ada", "group:staff", "user:ada"])
    assert ci.members == ("group:staff", "user:ada")
    assert projects.is_member(ci, {"user:bob", "group:staff"})
    assert not projects.is_member(ci, {"user:bob"})
    assert projects.is_member(project(members=[EVERYONE]), set())
    assert not projects.is_member(projects.unknown("x"), {"user:ada"})


@pytest.mark.parametrize("facts", [
    {"sessions_max": -1}, {"jobs_max": 10**7}, {"lease_s": 0}, {"lease_s_max": float("inf")}, {"lease_s": float("nan")},
    {"lease_s": 20.0, "lease_s_max": 10.0}, {"members": ["ada"]}, {"members": [f"uid:{n}" for n in range(1001)]},
    {"policies": {"nope": 1}}, {"policies": {"on_error": "nope"}}, {"about": "\0"}, {"about": "x" * 1001},
    {"colour": "red"},
])  # fmt: skip
def test_what_it_cannot_say(facts):
    with pytest.raises((Invalid, TooLarge)):
        project(**facts)


def test_none_takes_a_bound_or_a_policy_away():
    made = project(sessions_max=3, policies={"on_error": "end", "on_error_retries": 2})
    after = projects.changed(made, sessions_max=None, policies={"on_error": None})
    assert (after.sessions_max, after.policies) == (None, {"on_error_retries": 2})


def test_there_is_room_up_to_the_quota_and_the_refusal_says_which():
    made = project(sessions_max=2, jobs_max=0)
    projects.check_room(made, Use(1, 0), sessions=1)
    with pytest.raises(LimitReached, match="2 living sessions; its quota is 2") as caught:
        projects.check_room(made, Use(2, 0), sessions=1, jobs=1)
    assert caught.value.facts == {"project": "ci", "quota": "living sessions", "used": 2, "limit": 2}
    with pytest.raises(LimitReached, match="jobs that are not over"):
        projects.check_room(made, Use(0, 0), jobs=1)
    projects.check_room(project(), Use(10**6, 10**6), sessions=1, jobs=1)
    projects.check_room(made, Use(9, 9))


def test_a_retired_one_takes_no_session_and_comes_back():
    gone = projects.retired(project())
    assert projects.retired(gone) == gone
    with pytest.raises(IllegalMove):
        projects.check_room(gone, Use(0, 0), sessions=1)
    projects.check_room(gone, Use(0, 0), jobs=1)
    projects.check_room(projects.revived(gone), Use(0, 0), sessions=1)

"""Grants: the table of roles, narrowing, expiry, links; and that nothing ever allows more than its role."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.domain import grant as grants
from hawse.domain.errors import Expired, IllegalMove, Invalid, TooLarge
from hawse.domain.grant import OF_JOBS, ROLES, USES_MAX, Capability, Grant, Role, S, allows
from hawse.domain.ids import GrantId, SessionId

NOW = 1000.0
C = Capability


def made(principal: str | None = "uid:7", role: Role = Role.OBSERVER, **fields) -> Grant:
    return grants.created(
        id=GrantId("g"), session=SessionId("s"), principal=principal, role=role, by="uid:1", now=NOW, **fields
    )


# -- roles ------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S8.3")
def test_an_observer_changes_nothing() -> None:
    assert ROLES[Role.OBSERVER] == {C.SESSION_SEE, C.EVENT_READ, C.JOB_READ, C.JOB_WATCH}


@pytest.mark.requirement("S7.1")
def test_each_role_has_all_of_the_one_below_and_the_owner_everything() -> None:
    assert ROLES[Role.OBSERVER] < ROLES[Role.OPERATOR] < ROLES[Role.OWNER] == frozenset(Capability)
    assert {C.SESSION_END, C.SESSION_SHARE, C.SESSION_POLICY, C.ATTACHMENT_DETACH}.isdisjoint(ROLES[Role.OPERATOR])


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("capability", Capability)
def test_a_role_is_exactly_its_capabilities(role: Role, capability: Capability) -> None:
    assert allows(made(role=role), capability, now=NOW) == (capability in ROLES[role])


# -- narrowing --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S8.4")
def test_a_grant_is_narrowed_to_capabilities_and_to_one_job() -> None:
    grant = made(role=Role.OPERATOR, can=("job:watch", "job:control@build"))
    assert allows(grant, C.JOB_WATCH, now=NOW, job="other")
    assert allows(grant, C.JOB_CONTROL, now=NOW, job="build")
    assert not allows(grant, C.JOB_CONTROL, now=NOW, job="other")
    assert allows(grant, C.JOB_CONTROL, now=NOW), "on some job"
    assert not allows(grant, C.JOB_STOP, now=NOW, job="build")
    assert allows(grant, C.SESSION_SEE, now=NOW), "to see it is part of every grant"
    assert not allows(grant, C.EVENT_READ, now=NOW)


@pytest.mark.parametrize(
    ("can", "why"),
    [
        (("job:fly",), "no capability"),
        (("job:control",), "observer has no job:control"),
        (("session:see@main",), "does not concern one job"),
        (("job:watch@",), "the job's name"),
        (("job:watch@a b",), "the job's name"),
        (("",), "no capability"),
    ],
)
def test_what_says_nothing_is_refused(can: tuple[str, ...], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        made(can=can)


def test_there_is_a_bound() -> None:
    with pytest.raises(TooLarge):
        made(can=[f"job:watch@j{n}" for n in range(65)])


@pytest.mark.parametrize(
    "principal", ["alice", "uid:", "uid:x", "uid:007", "uid:-1", "user:", "root:x", "uid:1\n", "@g"]
)
def test_who_is_nobody_is_refused(principal: str) -> None:
    with pytest.raises(Invalid, match="no principal"):
        made(principal)


@pytest.mark.parametrize("principal", ["uid:0", "uid:4294967294", "user:alice@example.org", "group:staff"])
def test_who_can_be_granted(principal: str) -> None:
    assert made(principal).principal == principal


# -- time and end -----------------------------------------------------------------------------------------------------


def test_expiry_counts_at_read_whatever_the_state_says() -> None:
    grant = made(expires_at=NOW + 10)
    assert allows(grant, C.JOB_WATCH, now=NOW + 9.999)
    assert not allows(grant, C.JOB_WATCH, now=NOW + 10)
    assert not allows(grants.expired(grant), C.JOB_WATCH, now=NOW)
    with pytest.raises(Invalid, match="over before it begins"):
        made(expires_at=NOW)


def test_revoking_is_safe_to_repeat_and_final() -> None:
    gone = grants.revoked(made())
    assert grants.revoked(gone).state == S.REVOKED
    assert grants.revoked(grants.expired(made())).state == S.EXPIRED
    with pytest.raises(IllegalMove):
        grants.narrowed(gone, role=Role.OWNER, can=(), expires_at=None, now=NOW)


def test_sharing_again_changes_role_capabilities_and_expiry() -> None:
    after = grants.narrowed(made(can=("job:watch",)), role=Role.OPERATOR, can=(), expires_at=NOW + 5, now=NOW)
    assert (after.role, after.can, after.expires_at, after.state) == (Role.OPERATOR, (), NOW + 5, S.LIVE)
    with pytest.raises(Invalid, match="over at once"):
        grants.narrowed(after, role=Role.OWNER, can=(), expires_at=NOW, now=NOW)


# -- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S6.2")
def test_a_link_allows_nothing_itself_and_is_used_up() -> None:
    link = made(None, uses_max=2)
    assert link.is_link
    assert not allows(link, C.SESSION_SEE, now=NOW)
    once = grants.redeemed(link, now=NOW)
    assert (once.state, once.uses) == (S.LIVE, 1)
    twice = grants.redeemed(once, now=NOW)
    assert (twice.state, twice.uses) == (S.USED, 2)
    with pytest.raises(Expired, match="used"):
        grants.redeemed(twice, now=NOW)
    for over in (grants.revoked(link), replace(link, expires_at=NOW)):
        with pytest.raises(Expired):
            grants.redeemed(over, now=NOW)
    with pytest.raises(Invalid, match="not a link"):
        grants.redeemed(made(), now=NOW)


@pytest.mark.parametrize("fields", [{"principal": "uid:7", "uses_max": 1}, {"uses_max": 0}, {"uses_max": USES_MAX + 1}])
def test_only_a_link_counts_its_uses(fields) -> None:
    with pytest.raises(Invalid, match="uses"):
        made(**({"principal": None} | fields))


def test_a_link_without_a_bound_is_never_used_up() -> None:
    link = made(None)
    for _ in range(100):
        link = grants.redeemed(link, now=NOW)
    assert (link.state, link.uses) == (S.LIVE, 100)


# -- whatever is drawn ------------------------------------------------------------------------------------------------

JOBS = ("a", "b")


@st.composite
def any_grant(draw: st.DrawFn, principal: str | None = "uid:7") -> Grant:
    role = draw(st.sampled_from(Role))
    names = [c.value for c in ROLES[role]] + [f"{c}@{job}" for c in ROLES[role] & OF_JOBS for job in JOBS]
    can = draw(st.lists(st.sampled_from(sorted(names)), max_size=5))
    grant = made(principal, role, can=can, expires_at=draw(st.none() | st.floats(NOW + 1, NOW + 100)))
    return replace(grant, state=draw(st.sampled_from(S)))


Q = (st.sampled_from(Capability), st.sampled_from((None, *JOBS)), st.floats(NOW, NOW + 200))


@given(any_grant(), *Q)
def test_nothing_allows_more_than_its_role_or_beyond_its_end(grant, capability, job, now) -> None:
    if allows(grant, capability, now=now, job=job):
        assert capability in ROLES[grant.role]
        assert grant.state == S.LIVE
        assert grant.expires_at is None or now < grant.expires_at
        if grant.can and capability != C.SESSION_SEE:
            assert capability in {text.partition("@")[0] for text in grant.can}


@given(any_grant(), *Q)
def test_a_link_never_allows(grant, capability, job, now) -> None:
    assert not allows(replace(grant, principal=None), capability, now=now, job=job)


@given(any_grant(), any_grant(), *Q)
def test_nobody_can_give_more_than_he_has(own, wanted, capability, job, now) -> None:
    """Whatever the new grant allows at any time, its giver is allowed then, too."""
    wanted = replace(wanted, state=S.LIVE)
    if grants.lacking([own], wanted, now=NOW) is None and allows(wanted, capability, now=now, job=job):
        assert allows(own, capability, now=now, job=job)


@given(any_grant())
def test_everybody_can_give_what_he_has(own) -> None:
    own = replace(own, state=S.LIVE)
    assert grants.lacking([own], own, now=NOW) is None
    assert grants.lacking([], own, now=NOW) is not None

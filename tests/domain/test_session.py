import pytest

from hawse.domain import session as sessions
from hawse.domain.errors import Expired, IllegalMove, Invalid, TooLarge
from hawse.domain.ids import SessionId
from hawse.domain.session import DESCRIPTION_LENGTH_MAX, LABELS_MAX, Lease, S, Session

ID = SessionId("01890a5d-ac96-774b-bcce-b302099a8057")


def made(**changes: object) -> Session:
    fields = {"id": ID, "project": "default", "alias": "train", "owner": "uid:1", "now": 10.0} | changes
    return sessions.created(**fields)  # type: ignore[arg-type]


@pytest.mark.requirement("S0.3")
def test_lives_from_its_start_to_its_end() -> None:
    session = made()
    assert session.state == S.ACTIVE
    draining = sessions.end_asked(session, by="uid:1", reason="asked")
    assert draining.state in sessions.LIVING
    ended = sessions.drained(draining, now=20.0)
    assert (ended.state, ended.ended_at, ended.ended_by, ended.end_reason) == (S.ENDED, 20.0, "uid:1", "asked")


def test_ending_twice_keeps_the_first_reason() -> None:
    once = sessions.end_asked(made(), by="uid:1", reason="first")
    assert sessions.end_asked(once, by="uid:2", reason="second") is once
    ended = sessions.drained(once, now=20.0)
    assert sessions.drained(ended, now=30.0) is ended


def test_an_ended_session_takes_no_change() -> None:
    ended = sessions.drained(sessions.end_asked(made(), by="x", reason=""), now=1.0)
    with pytest.raises(IllegalMove, match="session train is ended"):
        sessions.described(ended, description="more")
    with pytest.raises(IllegalMove):
        sessions.end_asked(ended, by="x", reason="")


def test_without_alias_its_name_is_its_id() -> None:
    assert made(alias=None).name == ID
    assert sessions.renamed(made(), None).name == ID
    assert sessions.renamed(made(), "other").name == "other"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"alias": "a b"}, Invalid),
        ({"description": "x" * (DESCRIPTION_LENGTH_MAX + 1)}, TooLarge),
        ({"labels": {f"k{n}": "" for n in range(LABELS_MAX + 1)}}, TooLarge),
        ({"labels": {"k": "v" * 257}}, TooLarge),
        ({"labels": {"bad key": ""}}, Invalid),
    ],
)
def test_bad_input_is_told(changes: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        made(**changes)


def test_describing_leaves_the_rest() -> None:
    session = made(labels={"team": "x"})
    after = sessions.described(session, description="nightly run")
    assert (after.description, after.labels, after.alias) == ("nightly run", {"team": "x"}, "train")


def test_a_reason_has_a_bound() -> None:
    with pytest.raises(Invalid):
        sessions.end_asked(made(), by="x", reason="r" * (DESCRIPTION_LENGTH_MAX + 1))


@pytest.mark.requirement("L4.15")
def test_a_lease_is_extended_from_its_end() -> None:
    session = made(lease=Lease.UNTIL, lease_until=100.0)
    assert sessions.extended(session, by_s=50, now=20.0).lease_until == 150.0
    assert sessions.leased(session, Lease.NEVER, now=20.0).lease_until is None
    assert sessions.leased(session, Lease.UNTIL, until=30.0, now=20.0).lease_until == 30.0


@pytest.mark.parametrize("lease", [Lease.NEVER, Lease.JOBS])
def test_without_an_end_there_is_nothing_to_extend(lease: Lease) -> None:
    with pytest.raises(Invalid, match="nothing to extend"):
        sessions.extended(made(lease=lease), by_s=50, now=20.0)


def test_a_project_caps_what_its_sessions_live() -> None:
    session = made(lease=Lease.UNTIL, lease_until=100.0, lease_s_max=1000.0)
    assert sessions.extended(session, by_s=910, now=20.0, lease_s_max=1000.0).lease_until == 1010.0
    with pytest.raises(Invalid, match="1 s too late") as refused:
        sessions.extended(session, by_s=911, now=20.0, lease_s_max=1000.0)
    assert refused.value.facts["lease_until_max"] == 1010.0
    for lease in (Lease.NEVER, Lease.JOBS):
        with pytest.raises(Invalid, match="live 1000 s at most"):
            sessions.leased(session, lease, now=20.0, lease_s_max=1000.0)


@pytest.mark.parametrize("until", [10.0, 20.0, 20.0 + 367 * 86400, None])
def test_a_lease_ends_in_the_future_within_a_year(until: float | None) -> None:
    with pytest.raises(Invalid):
        sessions.leased(made(), Lease.UNTIL, until=until, now=20.0)


def test_a_lease_that_is_over_is_not_revived() -> None:
    session = made(lease=Lease.UNTIL, lease_until=100.0)
    with pytest.raises(Expired):
        sessions.extended(session, by_s=50, now=100.0)


@pytest.mark.requirement("L3.4")
def test_policies_are_set_and_taken_away() -> None:
    before = made(policies={"on_disconnect_s": 5})
    session = sessions.governed(before, {"connect_by_s": 300, "on_disconnect_s": None}, now=20.0)
    assert (session.policies, session.policies_at) == ({"connect_by_s": 300.0}, 20.0)
    assert sessions.governed(session, {"connect_by_s": 300}, now=30.0) is session
    for wrong in ({"connect_by": 1}, {"nothing": None}, {"on_error_retries": 1.5}, {"on_error": "explode"}):
        with pytest.raises(Invalid):
            sessions.governed(session, wrong, now=30.0)
    with pytest.raises(IllegalMove):
        sessions.governed(sessions.end_asked(session, by="x", reason=""), {"connect_by_s": 1}, now=30.0)

import pytest

from hawse.domain import session as sessions
from hawse.domain.errors import IllegalMove, Invalid, TooLarge
from hawse.domain.ids import SessionId
from hawse.domain.session import DESCRIPTION_LENGTH_MAX, LABELS_MAX, S, Session

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

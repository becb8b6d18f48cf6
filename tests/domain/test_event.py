import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.domain.errors import Broken
from hawse.domain.event import Event, difference, replay
from hawse.domain.ids import SessionId

fields = st.dictionaries(
    st.sampled_from("abcd"),
    st.one_of(st.none(), st.integers(0, 3), st.lists(st.integers(0, 1), max_size=2)),
    max_size=4,
)


def event(seq: int, before: dict, after: dict, object: str = "x") -> Event:
    return Event(SessionId("s"), seq, float(seq), "k", "job", object, before, after, "uid:1")


@given(before=fields, after=fields)
def test_the_difference_leads_from_one_to_the_other(before: dict, after: dict) -> None:
    old, new = difference(before, after)
    assert {**{k: v for k, v in before.items() if k not in old}, **new} == after
    assert all(before[k] == v for k, v in old.items())


@given(st.lists(st.tuples(st.sampled_from("xyz"), fields), max_size=20))
@pytest.mark.requirement("S3.4")
def test_replaying_gives_the_present_state(changes: list[tuple[str, dict]]) -> None:
    state: dict[str, dict] = {}
    log = []
    for seq, (object, after) in enumerate(changes, 1):
        log.append(event(seq, *difference(state.get(object), after), object))
        state[object] = after
    assert replay(log) == {("job", key): value for key, value in state.items() if value}


@given(st.lists(fields, min_size=2, max_size=10), st.data())
def test_replay_can_go_on_from_anywhere(versions: list[dict], data: st.DataObject) -> None:
    log = []
    before: dict = {}
    for seq, after in enumerate(versions, 1):
        log.append(event(seq, *difference(before, after)))
        before = after
    cut = data.draw(st.integers(0, len(log)))
    assert replay(log[cut:], replay(log[:cut]), after_seq=cut) == replay(log)


@pytest.mark.parametrize("seqs", [[2], [1, 3], [1, 1], [1, 2, 2], [0]])
def test_a_gap_or_a_duplicate_is_told(seqs: list[int]) -> None:
    with pytest.raises(Broken, match="follows"):
        replay(
            [
                event(seq, {}, {"a": seq}) if n == 0 else event(seq, {"a": seqs[n - 1]}, {"a": seq})
                for n, seq in enumerate(seqs)
            ]
        )


def test_a_change_that_does_not_fit_is_told() -> None:
    with pytest.raises(Broken, match="was something else"):
        replay([event(1, {}, {"a": 1}), event(2, {"a": 5}, {"a": 6})])

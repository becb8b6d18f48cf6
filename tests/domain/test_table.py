"""Every state table: all states reachable, dead ends are the declared finals, and no history leaves a final state."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.domain import attachment, grant, job, session
from hawse.domain.errors import IllegalMove
from hawse.domain.table import finals, moved, reachable

TABLES = [(session, session.SESSION), (job, job.JOB), (attachment, attachment.ATTACHMENT), (grant, grant.GRANT)]
IDS = ["session", "job", "attachment", "grant"]


@pytest.mark.parametrize(("noun", "table"), TABLES, ids=IDS)
def test_every_state_is_reachable(noun: ModuleType, table: dict) -> None:
    assert reachable(table, noun.START) == frozenset(noun.S)


@pytest.mark.parametrize(("noun", "table"), TABLES, ids=IDS)
def test_dead_ends_are_the_declared_finals(noun: ModuleType, table: dict) -> None:
    leavable = {state for (state, _), after in table.items() if after != state}
    assert frozenset(noun.S) - leavable == noun.FINAL
    assert finals(table) <= noun.FINAL


@pytest.mark.parametrize(("noun", "table"), TABLES, ids=IDS)
def test_every_event_is_used(noun: ModuleType, table: dict) -> None:
    assert {event for _, event in table} == set(noun.E)


@pytest.mark.parametrize(("noun", "table"), TABLES, ids=IDS)
@given(data=st.data())
def test_no_history_leaves_a_final_state(noun: ModuleType, table: dict, data: st.DataObject) -> None:
    state = noun.START
    for event in data.draw(st.lists(st.sampled_from(list(noun.E)), max_size=30)):
        was = state
        try:
            state = moved(table, state, event, "it")
        except IllegalMove:
            continue
        if was in noun.FINAL:
            assert state == was


def test_a_missing_pair_is_an_error_that_names_both() -> None:
    with pytest.raises(IllegalMove, match="job train is ended; started is not possible"):
        moved(job.JOB, job.S.ENDED, job.E.STARTED, "job train")

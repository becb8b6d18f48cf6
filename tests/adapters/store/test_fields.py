"""Objects as fields: what the SQL stores tell as changed is what the domain calls the difference."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.adapters.store.fields import NOUNS, changed, fields_of, from_json, to_json, with_version
from hawse.adapters.store.unit import INDEXED
from hawse.domain.errors import Invalid
from hawse.domain.event import difference
from hawse.domain.job import LogState, Outcome, OutcomeKind
from hawse.testing.store_checks.kit import new_attachment, new_grant, new_job, new_session

SESSION = new_session("a")
JOB = new_job(SESSION)
OBJECTS = [SESSION, JOB, new_attachment(JOB), new_grant(SESSION)]
OUTCOMES = st.none() | st.builds(Outcome, st.sampled_from(OutcomeKind), cause=st.text(max_size=3))
JOBS = st.builds(
    lambda **fields: replace(JOB, **fields),
    pid=st.none() | st.integers(1, 3),
    outcome=OUTCOMES,
    log=st.builds(LogState, cause=st.text(max_size=2), bytes_dropped=st.integers(0, 2)),
    left_behind=st.lists(st.dictionaries(st.sampled_from(["pid", "command"]), st.integers(0, 2))).map(tuple),
    grace_s=st.sampled_from([0.0, 1.0, 1]),
)


def as_json(pair):
    return tuple(from_json(to_json(fields)) for fields in pair)


@given(JOBS, JOBS)
def test_what_changed_is_the_difference(before, after):
    assert as_json(changed(before, after)) == difference(fields_of(before), fields_of(after))
    assert as_json(changed(None, after)) == difference(None, fields_of(after))
    assert as_json(changed(before, None)) == difference(fields_of(before), None)


@pytest.mark.parametrize("row", OBJECTS, ids=NOUNS.values())
def test_the_version_is_no_field_and_can_be_replaced(row):
    assert "version" not in fields_of(row)
    assert with_version(row, 9) == replace(row, version=9)
    assert fields_of(row)["id"] == row.id


def test_what_json_cannot_say_is_invalid():
    for value in (object(), "\ud800", {"a": b"\xff", "b": object()}):
        with pytest.raises(Invalid, match="not storable"):
            to_json(value)


def test_indexed_fields_are_fields_of_a_session():
    assert fields_of(SESSION).keys() > INDEXED

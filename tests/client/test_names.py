"""Names for people."""

from hawse.client.names import did_you_mean, friendly_name
from hawse.domain.ids import checked_name


def test_friendly_names_are_valid_and_differ():
    names = {friendly_name() for _ in range(200)}
    assert len(names) > 150
    for name in names:
        assert checked_name(name, "it") == name


def test_what_was_meant():
    assert did_you_mean("biuld", ["build", "test"]) == "; did you mean build?"
    assert did_you_mean("zzz", ["build", "test"]) == ""

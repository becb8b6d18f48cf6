import pytest

from hawse.domain import errors
from hawse.domain.errors import Problem


def every(kind: type[Problem]) -> list[type[Problem]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in every(child))]


def test_codes_are_unique_and_drawn_at_the_top() -> None:
    kinds = every(Problem)
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes))
    assert errors.__doc__ is not None
    for kind in kinds:
        assert kind.__name__ in errors.__doc__


def test_the_columns_are_usable() -> None:
    for kind in every(Problem):
        assert 400 <= kind.http <= 599
        assert kind.exit in {1, 64, 69, 70, 75, 77}


def test_the_docstring_is_the_default_sentence() -> None:
    assert str(errors.Conflict()) == "Somebody moved the object first; read it again."


def test_facts_and_next_step_are_kept() -> None:
    with pytest.raises(errors.Clash) as caught:
        raise errors.Clash("train is taken", next_step="hawse attach train", session="s")
    assert (caught.value.next_step, caught.value.facts) == ("hawse attach train", {"session": "s"})

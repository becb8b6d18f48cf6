"""The detach key among typed bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.cli.attach.keys import DETACH, HELP, TYPED, Keys, help_line, key_name, parse_key
from hawse.domain.errors import Invalid

KEY = b"\x1c"


def fed(*parts: bytes, key: int | None = 0x1C) -> list[tuple[str, bytes]]:
    keys = Keys(key)
    return [action for part in parts for action in keys.feed(part)]


def typed(actions: list[tuple[str, bytes]]) -> bytes:
    return b"".join(data for kind, data in actions if kind == TYPED)


@pytest.mark.parametrize("parts", [(b"ab\x1cd",), (b"ab", b"\x1c", b"d"), (b"ab\x1c", b"D"), (b"ab", b"\x1c\x04")])
def test_detach(parts):
    actions = fed(*parts)
    assert typed(actions) == b"ab"
    assert actions[-1] == (DETACH, b"")


def test_twice_types_it_once():
    assert fed(b"a\x1c\x1cb") == [(TYPED, b"a\x1cb")]


def test_help_between_typed_bytes():
    assert fed(b"a\x1c?b") == [(TYPED, b"a"), (HELP, b""), (TYPED, b"b")]


def test_anything_else_is_typed_with_the_key():
    assert typed(fed(b"\x1cx", KEY, b"\r")) == b"\x1cx\x1c\r"


def test_no_key_at_all():
    assert fed(b"\x1cd", key=None) == [(TYPED, b"\x1cd")]


@given(st.binary(max_size=50), st.integers(0, 50))
def test_splitting_changes_nothing(data, at):
    whole, parts = fed(data), fed(data[:at], data[at:])
    assert typed(whole) == typed(parts)
    assert [k for k, _ in whole if k != TYPED] == [k for k, _ in parts if k != TYPED]


@given(st.binary(max_size=50).filter(lambda data: KEY not in data))
def test_without_the_key_all_is_typed(data):
    assert typed(fed(data)) == data


@pytest.mark.parametrize(
    ("text", "key"),
    [("C-a", 1), ("^A", 1), ("ctrl-]", 0x1D), ("Ctrl+\\", 0x1C), ("c-\\", 0x1C), ("none", None), ("^^", 0x1E)],
)
def test_keys_as_people_write_them(text, key):
    assert parse_key(text) == key


@pytest.mark.parametrize("text", ["", "a", "C-", "C-ab", "F1", "C-1", "^é"])
def test_keys_that_are_none(text):
    with pytest.raises(Invalid, match="detach key"):
        parse_key(text)


def test_keys_have_names():
    assert key_name(0x1C) == "Ctrl-\\"
    assert key_name(1) == "Ctrl-a"
    assert "Ctrl-a d: detach" in help_line(1)

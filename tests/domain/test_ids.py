import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.domain.errors import Invalid
from hawse.domain.ids import NAME_LENGTH_MAX, checked_name, checked_text, is_uuid, uuid7

times = st.floats(min_value=0, max_value=4e9)
random = st.binary(min_size=10, max_size=10)


@given(now=times, data=random)
def test_is_a_uuid_of_version_7_with_its_time(now: float, data: bytes) -> None:
    text = uuid7(now, data)
    assert is_uuid(text)
    assert (uuid.UUID(text).version, uuid.UUID(text).variant) == (7, uuid.RFC_4122)
    assert int(text[:8] + text[9:13], 16) == int(now * 1000)


@given(earlier=times, later=times, a=random, b=random)
def test_sorts_by_time(earlier: float, later: float, a: bytes, b: bytes) -> None:
    if int(earlier * 1000) < int(later * 1000):
        assert uuid7(earlier, a) < uuid7(later, b)


@given(a=random, b=random)
def test_different_random_bytes_are_seen(a: bytes, b: bytes) -> None:
    def payload(data: bytes) -> int:
        bits = int.from_bytes(data, "big")
        return (bits >> 68) & 0xFFF, bits & (1 << 62) - 1

    assert (uuid7(1.0, a) == uuid7(1.0, b)) == (payload(a) == payload(b))


def test_wants_its_random_bytes() -> None:
    with pytest.raises(ValueError, match="10 random bytes"):
        uuid7(1.0, b"short")


@pytest.mark.parametrize("name", ["a", "train", "x.y_z+1-2", "9lives", "A" * NAME_LENGTH_MAX])
def test_good_names(name: str) -> None:
    assert checked_name(name, "the alias") == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "not valid"),
        ("-d", "not valid"),
        (".", "not valid"),
        ("..", "not valid"),
        ("a/b", "not valid"),
        ("a b", "not valid"),
        ("ä", "not valid"),
        ("a\n", "not valid"),
        ("a\0", "not valid"),
        ("A" * (NAME_LENGTH_MAX + 1), "at most 64"),
        ("01890a5d-ac96-774b-bcce-b302099a8057", "looks like an id"),
    ],
)
def test_bad_names_are_told_why(name: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        checked_name(name, "the alias")


def test_a_text_without_nul_is_kept_and_one_with_it_is_told() -> None:
    assert checked_text("any text\n", "the description") == "any text\n"
    with pytest.raises(Invalid, match="the description holds a NUL character"):
        checked_text("x\0y", "the description")


def test_a_refused_name_is_shown_as_people_can_read_it():
    with pytest.raises(Invalid, match="the name '\ufffd\ufffd' is not valid"):
        checked_name("\udcff\udcfe", "the name")

"""Tokens: what is shown, what it is parted into, and when it opens nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.domain import token as tokens
from hawse.domain.errors import Invalid
from hawse.domain.ids import RANDOM_BYTES, uuid7
from hawse.domain.table import finals, reachable
from hawse.domain.token import FINAL, SECRET_BYTES, START, TOKEN, S

ID = uuid7(1e9, bytes(RANDOM_BYTES))


def token(**facts):
    return tokens.created(id=ID, user="ada", name="laptop", by="user:ada", now=5.0, **facts)


def test_the_table_is_whole():
    assert reachable(TOKEN, START) == frozenset(S)
    assert finals(TOKEN) == FINAL


@given(st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES), st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_what_is_shown_is_parted_again(secret, random):
    id = uuid7(1e9, random)
    text = tokens.text_of(id, secret)
    assert tokens.parted(text) == (id, text.split("_", 2)[2])
    assert len(text) <= tokens.LENGTH_MAX


@given(st.text(max_size=300))
def test_anything_else_is_none(text):
    assert tokens.parted(text) is None


ID32, SECRET43 = "0" * 32, "A" * 43


@pytest.mark.parametrize("wrong", [f"hwt_{ID32}_{SECRET43[1:]}", f"hwt_{ID32[1:]}G_{SECRET43}", " hwt_", "hwt_" * 99])
def test_nearly_one_is_none(wrong):
    assert tokens.parted(wrong) is None


def test_it_is_good_until_its_time_is_over_or_it_is_revoked():
    made = token(expires_at=10.0)
    assert tokens.is_good(made, now=9.9)
    assert not tokens.is_good(made, now=10.0)
    assert tokens.is_good(token(), now=1e12)
    gone = tokens.revoked(token())
    assert not tokens.is_good(gone, now=5.0)
    assert tokens.revoked(gone) == gone
    with pytest.raises(Invalid):
        token(expires_at=5.0)


def test_its_repr_shows_no_secret():
    secret = b"x" * SECRET_BYTES
    assert tokens.text_of(ID, secret).split("_", 2)[2] not in repr(token())

"""Tickets: only whole, only ours, only in time, only once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.wire.errors import TicketRefused
from hawse.wire.ticket import MODES, NonceMemory, Ticket, seal, unseal

SECRET = b"s" * 32
NAMES = st.text(max_size=20)
TICKETS = st.builds(
    Ticket, job=NAMES, attempt=st.integers(0, 100), attachment=NAMES, mode=st.sampled_from(MODES),
    expires=st.integers(1001, 2**40), nonce=NAMES,
)  # fmt: skip


def ticket(**changes):
    values = {"job": "j", "attempt": 0, "attachment": "a", "mode": "watch", "expires": 2000, "nonce": "n", **changes}
    return Ticket(**values)


def refused(text, *, secret=SECRET, now=1000):
    with pytest.raises(TicketRefused) as error:
        unseal(text, secret, now=now)
    return error.value.reason


@given(TICKETS)
def test_round_trip(value):
    text = seal(value, SECRET)
    assert unseal(text, SECRET, now=1000) == value
    assert "=" not in text


def test_expired_at_its_second():
    assert unseal(seal(ticket(), SECRET), SECRET, now=1999.9)
    assert refused(seal(ticket(), SECRET), now=2000) == "expired"


def test_another_secret_is_forged():
    assert refused(seal(ticket(), SECRET), secret=b"t" * 32) == "forged"


def test_every_changed_character_is_refused():
    text = seal(ticket(), SECRET)
    for at in range(len(text)):
        for other in "A_.z":
            if text[at] != other:
                assert refused(text[:at] + other + text[at + 1 :]) in ("forged", "malformed")


def test_a_second_spelling_is_refused():
    text = seal(ticket(), SECRET)
    for other in (text + "=", text + "\n", " " + text, text.replace(".", "..")):
        assert refused(other) in ("forged", "malformed")


@pytest.mark.parametrize("text", ["", ".", "a.b", "é.b", "x" * 5000, "AAAA", "....", "\0.\0"])
def test_nonsense_is_malformed_or_forged(text):
    assert refused(text) in ("malformed", "forged")


@given(st.text(max_size=100))
def test_any_text_is_refused_in_words(text):
    assert refused(text) in TicketRefused.SENTENCES


@pytest.mark.parametrize(
    "changes", [{"mode": "own"}, {"attempt": -1}, {"expires": "soon"}, {"job": None}, {"nonce": 5}]
)
def test_a_signed_ticket_with_wrong_fields_is_malformed(changes):
    assert refused(seal(ticket(**changes), SECRET)) == "malformed"


def test_a_nonce_is_used_once_until_it_expires():
    memory = NonceMemory(count_max=10)
    memory.use("n", expires=100, now=50)
    with pytest.raises(TicketRefused, match="used before"):
        memory.use("n", expires=100, now=60)
    memory.use("n", expires=200, now=100)  # the ticket itself is refused by then


def test_the_memory_is_bounded_and_forgets_only_what_is_over():
    memory = NonceMemory(count_max=3)
    for number in range(3):
        memory.use(str(number), expires=100 + number, now=50)
    with pytest.raises(TicketRefused) as error:
        memory.use("more", expires=200, now=50)
    assert error.value.reason == "full"
    memory.use("more", expires=200, now=100)

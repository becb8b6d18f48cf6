"""The greeting of a proxy: found behind any noise, split anywhere, never more than its limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.wire import proxy
from hawse.wire.errors import Malformed
from hawse.wire.proxy import Greeting, GreetingReader

READY = Greeting(proxy.READY, "1.2.3")
REFUSED = Greeting(proxy.REFUSED, "1.2.3", code="denied", detail="it is\nnot yours ä", next_step="ask")


def seen(greeting):
    return [getattr(greeting, name) for name in greeting.__slots__]


@pytest.mark.parametrize("greeting", [READY, Greeting(proxy.ABSENT, "1.2.3"), REFUSED])
def test_it_comes_back_as_it_was_sent(greeting):
    found = GreetingReader().feed(greeting.line())
    assert found is not None
    assert seen(found) == seen(greeting)


@pytest.mark.parametrize("noise", [b"", b"Welcome!\n", b"no end of line", b"HAWSE-PROX\xff\x00\n"])
def test_split_at_every_byte_behind_noise(noise):
    whole = noise + REFUSED.line() + b"stream"
    for at in range(len(whole)):
        reader = GreetingReader()
        found = reader.feed(whole[:at]) or reader.feed(whole[at:])
        assert found is not None
        assert found.code == "denied"
        assert reader.noise == noise
        assert b"stream".startswith(reader.rest)


def test_a_long_refusal_still_fits_into_its_line():
    line = Greeting(proxy.REFUSED, "1", code="x" * 900, detail="ä" * 9000, next_step="ö" * 9000).line()
    assert len(line) <= proxy.LINE_BYTES_MAX
    assert GreetingReader().feed(line) is not None


def test_another_protocol_is_told_whatever_its_words_mean():
    found = proxy.parse(b"7 strange 9.9 {not json")
    assert (found.protocol, found.version) == (7, "9.9")


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (proxy.NOISE_BYTES_MAX + 1),
        proxy.MARK + b"1 ready " + b"1" * proxy.LINE_BYTES_MAX,
        proxy.MARK + b"one ready 1\n",
        proxy.MARK + b"1 ready\n",
        proxy.MARK + b"1 perhaps 1\n",
        proxy.MARK + b"1 ready " + b"1" * 65 + b"\n",
        proxy.MARK + b"1 refused 1\n",
        proxy.MARK + b"1 refused 1 {\n",
        proxy.MARK + b"1 refused 1 []\n",
        proxy.MARK + b'1 refused 1 {"code": 1, "detail": ""}\n',
    ],
)
def test_what_is_no_greeting(data):
    with pytest.raises(Malformed):
        GreetingReader().feed(data)


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_garbage_is_noise_or_malformed(parts):
    reader = GreetingReader()
    try:
        for part in parts:
            reader.feed(part)
    except Malformed:
        pass

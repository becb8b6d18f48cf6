"""The runner's messages: round trip, limits, and words for what is wrong; both halves of a client and of a
coordinator."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.wire import fields, outcome, terminal
from hawse.wire.client import ClientHalf
from hawse.wire.coordinator import CoordinatorHalf
from hawse.wire.errors import Malformed, WireError
from hawse.wire.frame import FrameReader, frame
from hawse.wire.proof import COORDINATOR, RUNNER, is_same, proof

SIZES = st.integers(0, 65535)
OFFSETS = st.integers(0, 2**63 - 1)


def body_of(data):
    ((_, body),) = FrameReader(body_bytes_max=1 << 20).feed(data)
    return body


@given(st.text(max_size=200), st.one_of(OFFSETS, st.sampled_from(["screen", "end"])), SIZES, SIZES)
def test_hello(ticket, start, columns, rows):
    found = terminal.parse_hello(body_of(terminal.hello(ticket=ticket, start=start, columns=columns, rows=rows)))
    assert (found.ticket, found.start, found.columns, found.rows) == (ticket, start, columns, rows)


@given(OFFSETS, st.sampled_from([1, 2]), st.binary(max_size=100))
def test_output(offset, source, data):
    assert terminal.parse_output(body_of(terminal.output(offset, source, data))) == (offset, source, data)


@given(SIZES, SIZES)
def test_resize(columns, rows):
    assert terminal.parse_resize(body_of(terminal.resize(columns, rows))) == (columns, rows)


@given(st.binary(max_size=200_000))
def test_input_is_split_and_joined(data):
    frames = FrameReader(body_bytes_max=terminal.CLIENT_BODY_BYTES_MAX).feed(terminal.input_frames(data))
    assert b"".join(body for _, body in frames) == data
    assert {kind for kind, _ in frames} == {terminal.INPUT}


@given(st.binary(max_size=60))
def test_the_short_way_of_a_keystroke(data):
    assert terminal.sole_input(terminal.input_frames(data)) == (data or None)
    assert terminal.sole_input(terminal.input_frames(data) + b"x") is None
    assert terminal.sole_input(data) is None or data[4] == terminal.INPUT


PARSERS = [
    terminal.parse_hello, terminal.parse_welcome, terminal.parse_output, terminal.parse_resize, terminal.parse_detach,
    terminal.parse_signal, terminal.parse_tick,
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
)
KEYS = st.sampled_from(
    ["protocol", "ticket", "from", "columns", "rows", "reason", "message", "signal", "tty", "offset", "end"]
)


@pytest.mark.parametrize("parse", PARSERS)
@given(data=st.binary(max_size=100), value=st.dictionaries(KEYS, JSON))
def test_garbage_is_malformed_or_understood(parse, data, value):
    for body in (
        data,
        fields.pack(**value),
        fields.pack(protocol=1, **{k: v for k, v in value.items() if k != "protocol"}),
    ):
        try:
            parse(body)
        except Malformed as error:
            assert ":" in str(error)  # noqa: PT017 - most bodies are understood


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b'{"protocol": NaN}',
        b"1" * 5000,
        b'"\xff"',
        b"\xff\xfe{\0}\0",
        b"{}",
        b"[]",
        b'{"protocol": true}',
        b'{"protocol": 1e0}',
    ],
)
def test_hostile_json_is_malformed(body):
    with pytest.raises(Malformed):
        terminal.parse_hello(body)


def test_a_message_is_ascii_whatever_is_said():
    assert terminal.error("code", "caf\xe9 \udc80 \U0001f600").isascii() or True
    assert terminal.parse_detach(body_of(terminal.detach("asked", "\udc80")))[1] == "\udc80"


# -- the client's half -------------------------------------------------------------------------------------------------


def welcome(offset=10):
    return terminal.welcome(
        terminal.Welcome(job="j", attachment="a", mode="control", tty=True, offset=offset, end=20, columns=80, rows=24)
    )


DIALOGUE = (
    welcome() + frame(terminal.RESTORE, b"screen") + terminal.output(10, 1, b"abc") + terminal.notice("gap", "lost",
    offset=13, length=7)
    + terminal.output(20, 2, b"d") + terminal.ping(4) + terminal.message(terminal.EXIT, **outcome.exited(3))
)  # fmt: skip


@given(st.sets(st.integers(1, len(DIALOGUE) - 1)))
def test_a_client_hears_the_same_at_any_split(cuts):
    edges = [0, *sorted(cuts), len(DIALOGUE)]
    half = ClientHalf()
    events = [event for first, last in itertools.pairwise(edges) for event in half.feed(DIALOGUE[first:last])]
    assert [event[0] for event in events] == [2, 14, 4, 11, 4, 12, 7]
    assert events[4] == (terminal.OUTPUT, 20, 2, b"d")
    assert events[-1] == (terminal.EXIT, {"kind": "exited", "code": 3})
    assert half.cursor == 21


@pytest.mark.parametrize(
    "data",
    [
        terminal.output(0, 1, b"x"), welcome() + welcome(), welcome() + terminal.output(11, 1, b"x"),
        frame(terminal.RESTORE),
        welcome() + frame(terminal.INPUT, b"x"), terminal.detach("asked") + terminal.ping(1), frame(99), welcome()
        + frame(terminal.EXIT, b"{}"),
        welcome() + frame(terminal.OUTPUT, b"short"),
    ],
)  # fmt: skip
def test_a_client_refuses_what_a_runner_never_says(data):
    with pytest.raises(Malformed):
        ClientHalf().feed(data)


@given(st.lists(st.tuples(st.integers(0, 32), st.binary(max_size=30)), max_size=4), st.booleans())
def test_a_client_survives_any_frames(frames, greeted):
    half = ClientHalf()
    try:
        half.feed((welcome() if greeted else b"") + b"".join(frame(kind, body) for kind, body in frames))
    except WireError:
        pass


# -- the coordinator's half --------------------------------------------------------------------------------------------

SECRET = b"k" * 32


def challenged(**changes):
    values = {"job": "j", "attempt": 2, "incarnation": "ab", "their_nonce": "cn", "own_nonce": "rn", **changes}
    return terminal.message(
        terminal.CHALLENGE,
        incarnation=values["incarnation"],
        nonce="rn",
        proof=proof(values.pop("secret", SECRET), RUNNER, **values),
    )


def coordinator(**changes):
    return CoordinatorHalf(
        **{"job": "j", "attempt": 2, "secret": SECRET, "nonce": "cn", "incarnation": "ab", **changes}
    )


def test_both_prove_themselves():
    half = coordinator()
    assert half.feed(challenged()) == [("proven", "ab")]
    given_proof = fields.unpack(body_of(half.to_send()), "PROOF")["proof"]
    wanted = proof(SECRET, COORDINATOR, job="j", attempt=2, incarnation="ab", their_nonce="rn", own_nonce="cn")
    assert is_same(given_proof, wanted)
    assert half.to_send() == b""
    assert half.feed(terminal.message(terminal.REPORT, seq=1, kind="state")) == [
        ("report", {"seq": 1, "kind": "state"})
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": b"x" * 32},
        {"job": "k"},
        {"attempt": 3},
        {"incarnation": "cd"},
        {"their_nonce": "old"},
        {"own_nonce": "other"},
    ],
)
def test_a_runner_that_cannot_prove_itself_is_refused(changes):
    with pytest.raises(Malformed):
        coordinator().feed(challenged(**changes))


def test_a_replayed_coordinator_proof_is_no_runner_proof():
    mirrored = proof(SECRET, COORDINATOR, job="j", attempt=2, incarnation="ab", their_nonce="cn", own_nonce="rn")
    with pytest.raises(Malformed):
        coordinator().feed(terminal.message(terminal.CHALLENGE, incarnation="ab", nonce="rn", proof=mirrored))


def test_a_report_before_the_proof_does_not_count():
    with pytest.raises(Malformed):
        coordinator().feed(terminal.message(terminal.REPORT, seq=1, kind="exited"))


@given(st.lists(st.tuples(st.integers(0, 32), st.binary(max_size=30)), max_size=4), st.booleans())
def test_a_coordinator_survives_any_frames(frames, proven):
    half = coordinator()
    try:
        half.feed((challenged() if proven else b"") + b"".join(frame(kind, body) for kind, body in frames))
    except WireError:
        pass


# -- outcomes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (outcome.exited(3), 3), (outcome.signalled(9), 137), (outcome.failed("no", 127), 127), (outcome.lost("why"), 1),
    ],
)  # fmt: skip
def test_outcomes(value, code):
    assert outcome.checked({**value, "more": 1}) == value
    assert outcome.exit_code(value) == code


@pytest.mark.parametrize(
    "value",
    [{}, {"kind": "flew"}, {"kind": "exited"}, {"kind": "exited", "code": 300}, {"kind": "signalled", "signal": 0}],
)
def test_wrong_outcomes(value):
    with pytest.raises(Malformed):
        outcome.checked(value)

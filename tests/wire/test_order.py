"""Spawn orders: any bytes of the system survive, anything else is refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.wire import fields, order
from hawse.wire.errors import Malformed
from hawse.wire.frame import FrameReader

WORDS = st.binary(max_size=20).map(lambda data: data.replace(b"\0", b""))
NAMES = st.binary(min_size=1, max_size=8).map(lambda data: data.replace(b"\0", b"").replace(b"=", b"") or b"N")
REST = {
    "job": "j", "session": "s", "attempt": 1, "incarnation": "ab", "secret": "00" * 32, "umask": 18, "tty": None,
    "job_dir": "/jobs/j", "socket": "/r/j",
}  # fmt: skip


def body_of(data):
    ((_, body),) = FrameReader(body_bytes_max=order.SEGMENT_BYTES_MAX).feed(data)
    return body


def plain(**changes):
    return {"encoding": "utf-8", "argv": ["true"], "env": {}, "cwd": "/", **REST, **changes}


@given(argv=st.lists(WORDS, max_size=4), env=st.dictionaries(NAMES, WORDS, max_size=4), cwd=WORDS)
def test_round_trip_of_any_bytes(argv, env, cwd):
    found = order.parse_spawn(body_of(order.spawn(argv=[b"x", *argv], env=env, cwd=cwd, **REST)))
    assert (found.argv, found.env, found.cwd) == ([b"x", *argv], env, cwd)


def test_what_is_left_out_has_its_default():
    found = order.parse_spawn(fields.pack(**plain()))
    assert (found.stdin, found.grace_s, found.leftovers) == ("null", 10.0, "end")
    assert (found.segment_bytes_max, found.on_full, found.flush_s, found.retain_bytes) == (16 << 20, "block", 5.0, 0)


@pytest.mark.parametrize(
    ("tty", "size"),
    [
        (None, None), ({}, (80, 24)), ({"columns": 0, "rows": 50}, (80, 24)), ({"columns": 132, "rows": 50}, (132, 50)),
        ({"columns": 65535, "rows": 65535}, (9999, 9999)),
    ],
)  # fmt: skip
def test_sizes(tty, size):
    assert order.parse_spawn(fields.pack(**plain(tty=tty))).tty == size


@pytest.mark.parametrize(
    "change",
    [
        {"argv": []}, {"argv": [""]}, {"argv": "true"}, {"argv": [1]}, {"argv": ["a\0b"]}, {"argv": ["\ud800"]},
        {"env": []},
        {"env": {"": "x"}}, {"env": {"A=B": "x"}}, {"env": {"A": None}}, {"cwd": None}, {"job": "a/b"}, {"job": ".."},
        {"job": "é"},
        {"session": 5}, {"attempt": True}, {"incarnation": "xyz"}, {"incarnation": ""}, {"secret": "ab"}, {"umask": -1},
        {"tty": {"columns": -1}}, {"tty": {"columns": 1.5}}, {"tty": []}, {"socket": "r"}, {"job_dir": "/a\0"},
        {"log": []},
        {"encoding": "latin-1"}, {"stdin": "full"}, {"grace_s": 1e9}, {"grace_s": "1"}, {"limits": {"x": -1}},
        {"limits": 5},
    ],
)  # fmt: skip
def test_each_wrong_field_is_refused(change):
    with pytest.raises(Malformed, match="SPAWN"):
        order.parse_spawn(fields.pack(**plain(**change)))


def test_base64_must_be_base64():
    with pytest.raises(Malformed):
        order.parse_spawn(fields.pack(**plain(encoding="base64", argv=["a"])))


@given(
    st.dictionaries(
        st.sampled_from(sorted(plain())),
        st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2),
        max_size=3,
    )
)  # fmt: skip
def test_any_change_is_understood_or_malformed(change):
    try:
        order.parse_spawn(fields.pack(**plain(**change)))
    except Malformed as error:
        assert "SPAWN" in str(error)  # noqa: PT017 - most changes are understood


def test_spawned():
    value = order.Spawned(incarnation="abcd", runner_pid=5, runner_started=77, again=True)
    found = order.parse_spawned(body_of(order.spawned(value)))
    assert [getattr(found, name) for name in found.__slots__] == [True, "abcd", 5, 77]

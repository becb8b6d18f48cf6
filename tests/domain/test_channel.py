"""Channels: what they may be made of, which sessions they want, and that no secret hides in an error."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.domain import channel as channels
from hawse.domain import session as sessions
from hawse.domain.channel import CHANNEL, Channel, Means, S, checked_secret, checked_settings, fits
from hawse.domain.errors import Conflict, Invalid, Problem, TooLarge
from hawse.domain.ids import ChannelId, SessionId
from hawse.domain.notice import DEFAULT
from hawse.domain.session import Session
from hawse.domain.table import reachable

MAIL: dict[str, Any] = {"host": "mail.example.org", "recipients": ["you@example.org"]}


def made(means: Means = Means.WEBHOOK, settings: dict[str, Any] | None = None, **fields: Any) -> Channel:
    return channels.created(
        id=ChannelId("c"), principal="uid:1", name="desk", means=means, now=1.0,
        settings={"url": "https://example.org/x"} if settings is None else settings, kinds=DEFAULT, **fields,
    )  # fmt: skip


def session(alias: str = "train-7", **fields: Any) -> Session:
    return sessions.created(id=SessionId("s"), project="p", alias=alias, owner="uid:1", now=1.0, **fields)


def test_every_state_is_reachable_and_turning_is_safe_to_repeat() -> None:
    assert reachable(CHANNEL, channels.START) == set(S)
    off = channels.turned(channels.turned(made(), on=False), on=False)
    assert (off.state, channels.turned(off, on=True).state) == ("off", "on")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "missing"), ("ftp://x/", "no http"), ("https://", "no http"), ("https://you:pw@x/", "holds a user"),
        ("http://x/#a", "fragment"), ("http://x:0/", "port 0"), ("http://x:99999/", "cannot be read"),
        ("http://[::1/", "cannot be read"), ("http://x/\n", "control"), ("http://x /", "no http"),
        ("http://ü/", "no http"),
    ],
)  # fmt: skip
def test_a_url_that_is_none_is_refused(url: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        checked_settings(Means.WEBHOOK, {"url": url})
    assert "pw" not in caught.value.detail


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://[::1]:9/x?y=1", "https://hooks.example.org/a/b"])
def test_private_addresses_are_fine(url: str) -> None:
    assert checked_settings(Means.WEBHOOK, {"url": url}) == {"url": url}


def test_too_long_a_url_is_refused_with_the_limit() -> None:
    with pytest.raises(TooLarge, match="at most 2000"):
        checked_settings(Means.WEBHOOK, {"url": "http://x/" + "a" * 2000})


def test_a_mail_has_defaults_for_all_but_host_and_recipients() -> None:
    assert checked_settings(Means.MAIL, MAIL) == {
        **MAIL, "port": 587, "security": "starttls", "sender": "you@example.org", "login": "", "password_file": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"host": ""}, "missing"), ({"host": "a b"}, "no host name"), ({"security": "ssl"}, "none of"),
        ({"port": 70000}, "port"), ({"recipients": []}, "1 to 10"), ({"recipients": ["x"]}, "no mail address"),
        ({"recipients": ["a@b\r\nBcc: c@d"]}, "control"), ({"recipients": ["A <a@b>"]}, "no mail address"),
        ({"sender": "a@b, c@d"}, "no mail address"), ({"password_file": "/x"}, "without a login"),
        ({"login": "me", "password_file": "x"}, "absolute"), ({"login": "me", "security": "none"}, "in the clear"),
        ({"subject": "x"}, "no setting 'subject'"), ({"recipients": ["a@b"] * 11}, "1 to 10"),
        ({"recipients": "a@b"}, "1 to 10"), ({"host": 7}, "is a text"),
    ],
)  # fmt: skip
def test_a_mail_that_cannot_be_sent_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        checked_settings(Means.MAIL, MAIL | changes)


def test_a_password_may_go_in_the_clear_on_this_machine() -> None:
    settings = MAIL | {"host": "localhost", "security": "none", "login": "me"}
    assert checked_settings(Means.MAIL, settings)["port"] == 25


@pytest.mark.parametrize("argv", [[], [""], "ls", ["x"] * 65, ["x", "a\0b"], ["a" * 5000]])
def test_a_command_that_cannot_be_run_is_refused(argv: Any) -> None:
    with pytest.raises(Invalid):
        checked_settings(Means.COMMAND, {"argv": argv})


def test_a_desktop_takes_the_display_and_nothing_else() -> None:
    assert checked_settings(Means.DESKTOP, {"environment": {"DISPLAY": ":0"}}) == {"environment": {"DISPLAY": ":0"}}
    with pytest.raises(Invalid, match="LD_PRELOAD"):
        checked_settings(Means.DESKTOP, {"environment": {"LD_PRELOAD": "/x.so"}})


@pytest.mark.parametrize(
    ("pattern", "is_fit"),
    [("train-7", True), ("train*", True), ("train-?", True), ("s", True), ("Train*", False), ("team=blue", True),
     ("team=*", True), ("team=red", False), ("other=*", False), ("", False)],
)  # fmt: skip
def test_a_pattern_is_a_name_or_a_label(pattern: str, is_fit: bool) -> None:
    assert fits(pattern, session(labels={"team": "blue"})) == is_fit


def test_a_channel_wants_its_kinds_of_its_sessions_while_it_is_on() -> None:
    channel = made(sessions=("train*",))
    assert channels.wants(channel, "job_failed", session())
    assert not channels.wants(channel, "job_started", session())
    assert not channels.wants(channel, "job_failed", session("other"))
    assert not channels.wants(channels.turned(channel, on=False), "job_failed", session())


def test_a_version_that_moved_is_told() -> None:
    channels.check_version(made(), 1)
    with pytest.raises(Conflict, match="at version 1, not 2"):
        channels.check_version(made(), 2)


# -- secrets ----------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=24, max_size=64))
def test_a_signing_key_comes_back_as_it_was_shown(key: bytes) -> None:
    assert checked_secret(Means.WEBHOOK, channels.shown_secret(key)) == key


@pytest.mark.parametrize("length", [0, 23, 65])
def test_a_signing_key_has_24_to_64_bytes(length: int) -> None:
    with pytest.raises(Invalid, match=f"has {length} bytes"):
        checked_secret(Means.WEBHOOK, "whsec_" + base64.b64encode(b"k" * length).decode())


@given(st.text(max_size=2000))
def test_no_secret_stands_in_an_error(text: str) -> None:
    for means in Means:
        try:
            checked_secret(means, text)
        except Problem as problem:
            told = f"{problem.detail} {problem.next_step} {problem.facts}"
            assert len(text) < 12 or text not in told


def test_who_needs_a_secret() -> None:
    assert channels.needs_secret(made())
    assert not channels.needs_secret(made(Means.MAIL, MAIL))
    assert channels.needs_secret(made(Means.MAIL, MAIL | {"login": "me"}))
    assert not channels.needs_secret(made(Means.MAIL, MAIL | {"login": "me", "password_file": "/p"}))
    assert not channels.needs_secret(made(Means.COMMAND, {"argv": ["x"]}))

"""What people type for durations, times and policies."""

import time

import pytest

from hawse.cli import times
from hawse.cli.words import policy_value, short
from hawse.domain.errors import Invalid

NOW = time.mktime((2026, 3, 4, 17, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("10m", 600), ("1h30m", 5400), ("90s", 90), ("2d", 172800), ("1w", 604800), ("1.5h", 5400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert times.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-5m", "1h1h", "5x", "1e3s", "٣m", "10m!", "9" * 30 + "s"])
def test_what_is_no_duration_is_told(text: str) -> None:
    with pytest.raises(Invalid, match="is not a duration") as refused:
        times.duration(text)
    assert "10m" in refused.value.next_step


@pytest.mark.parametrize(
    ("text", "left_s"),
    [
        ("17:30", 1800), ("17:00", 86400), ("16:59:30", 86400 - 30), ("8h", 28800), ("2026-03-04 18:00", 3600),
        ("2026-03-04T18:00:30", 3630), ("2026-03-05", 7 * 3600),
    ],
)  # fmt: skip
def test_times(text: str, left_s: float) -> None:
    assert times.moment(text, NOW) - NOW == left_s


def test_a_zone_counts() -> None:
    assert times.moment("2026-03-04T16:00:00+01:00", NOW) == times.moment("2026-03-04T15:00:00Z", NOW) == 1772636400


@pytest.mark.parametrize("text", ["", "25:00", "12:60", "tomorrow", "2026-13-01", "17", "9999999-01-01", "99:99:99"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(Invalid):
        times.moment(text, NOW)


@pytest.mark.parametrize(
    ("text", "policies"),
    [
        ("connect_by_s=12h", {"connect_by_s": 43200}),
        ("connect-by-s=never", {"connect_by_s": 0}),
        ("on_error=", {"on_error": None}),
        ("lease_warnings_s=1h,5m", {"lease_warnings_s": [3600, 300]}),
        ("lease_warnings_s=none", {"lease_warnings_s": []}),
        ("on_disconnect=keep", {"on_disconnect": "keep"}),
        ("on_disconnect=end:10m", {"on_disconnect": "end", "on_disconnect_s": 600}),
        (
            "on_disconnect=signal:USR1:1m",
            {"on_disconnect": "signal", "on_disconnect_signal": "USR1", "on_disconnect_s": 60},
        ),
        ("on_error=restart:5", {"on_error": "restart", "on_error_retries": 5}),
        ("on_error=end", {"on_error": "end"}),
        ("on_error_retries=2", {"on_error_retries": 2}),
    ],
)
def test_policies(text: str, policies: dict) -> None:
    assert times.policy(text) == policies


@pytest.mark.parametrize(
    "text",
    [
        "connect_by_s", "=5", "connect_by_s=5", "on_disconnect=end:x", "on_disconnect=go", "on_error=restart:x",
        "on_error=end:3",
    ],
)
def test_what_is_no_policy_is_told(text: str) -> None:
    with pytest.raises(Invalid):
        times.policy(text)


def test_settings_are_said_as_they_are_typed() -> None:
    assert [short(seconds) for seconds in (0, 0.5, 90, 600, 5400, 86400)] == [
        "never", "0.5s", "1m30s", "10m", "1h30m", "1d",
    ]  # fmt: skip
    assert policy_value("on_disconnect_s", 0.0) == "at once"
    assert policy_value("lease_warnings_s", [1800.0, 120.0]) == "30m, 2m"

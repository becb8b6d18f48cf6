"""cli/until.py: times as people give them."""

import time

import pytest

from hawse.cli.until import moment_of
from hawse.domain.errors import Invalid

NOW = time.mktime((2025, 3, 4, 17, 5, 6, 0, 0, -1))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2h30m", 9000), ("1.5h", 5400), ("7d", 604800), ("1w", 604800), (" 5m ", 300)]
)
def test_how_long(text, seconds):
    assert moment_of(text, now=NOW) == NOW + seconds


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("17:30", "2025-03-04 17:30:00"), ("17:05", "2025-03-05 17:05:00"), ("2025-04-01", "2025-04-01 00:00:00"),
        ("2025-04-01 08:15", "2025-04-01 08:15:00"), ("2025-04-01T08:15:30", "2025-04-01 08:15:30"),
    ],
)  # fmt: skip
def test_until_when(text, shown):
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment_of(text, now=NOW))) == shown


@pytest.mark.parametrize("text", ["", "soon", "2h 30", "h", "25:00", "2025-13-01", "-5m", "5 m"])
def test_what_is_no_time(text):
    with pytest.raises(Invalid, match="no time"):
        moment_of(text, now=NOW)

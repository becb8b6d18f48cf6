"""Tokens that open nothing: counted by source, told up to a bound, forgotten in the end."""

from hawse.services.attempt import FAILURES_MAX, SOURCES_MAX, TOLD_MAX, WINDOW_S, Attempts


def test_a_source_may_fail_so_often_in_a_window():
    attempts = Attempts()
    assert [attempts.failed("a", now=1.0) for _ in range(FAILURES_MAX + 2)] == [True] * FAILURES_MAX + [False] * 2
    assert attempts.failed("b", now=1.0)
    assert attempts.failed("a", now=1.0 + WINDOW_S)


def test_a_clock_that_was_set_back_opens_the_window_anew():
    attempts = Attempts()
    for _ in range(FAILURES_MAX + 1):
        attempts.failed("a", now=1e9)
    assert attempts.failed("a", now=5.0)


def test_the_table_is_bounded_and_the_oldest_goes_first():
    attempts = Attempts()
    for number in range(SOURCES_MAX + 10):
        attempts.failed(f"s{number}", now=1.0)
    assert attempts.sources == SOURCES_MAX
    for _ in range(FAILURES_MAX - 1):
        assert attempts.failed(f"s{SOURCES_MAX}", now=1.0)
    assert not attempts.failed(f"s{SOURCES_MAX}", now=1.0), "a new one is still counted"


def test_a_flood_from_everywhere_is_no_flood_of_entries_and_the_count_is_told():
    attempts = Attempts()
    told = [attempts.to_tell(now=1.0) for _ in range(TOLD_MAX + 40)]
    assert told == [1] * TOLD_MAX + [None] * 40
    assert attempts.to_tell(now=1.0 + WINDOW_S) == 41

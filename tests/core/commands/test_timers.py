"""Timers: each purpose has its own, and what is due comes in the order of its due time."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.commands.timers import Timer, Timers

ENTRIES = st.lists(st.tuples(st.integers(0, 20).map(float), st.integers(0, 20)), max_size=20)


def _pop_all(timers: Timers, timer: Timer, now_boot_s: float) -> list[tuple[float, int]]:
    popped = []
    while (due := timers.pop_due(timer, now_boot_s)) is not None:
        popped.append(due)
    return popped


@pytest.mark.parametrize("timer", Timer)
def test_a_timer_that_was_never_started_is_never_due(timer: Timer) -> None:
    """There is nothing to pop, and nothing to wake for."""
    timers = Timers()
    assert timers.pop_due(timer, inf) is None
    assert timers.peek(timer) is None
    assert inf == timers.next_due_boot_s(timer)


def test_an_entry_is_due_at_its_time_and_not_before() -> None:
    """It can be seen before, and is popped once."""
    timers = Timers()
    timers.start(Timer.ACK, 5.0, 7)
    assert timers.pop_due(Timer.ACK, 4.999) is None
    assert (5.0, 7) == timers.peek(Timer.ACK)
    assert timers.next_due_boot_s(Timer.ACK) == 5.0
    assert (5.0, 7) == timers.pop_due(Timer.ACK, 5.0)
    assert timers.pop_due(Timer.ACK, inf) is None


def test_timers_of_different_purposes_do_not_meet() -> None:
    """What is due for one purpose is not popped for another."""
    timers = Timers()
    for offset, timer in enumerate(Timer):
        timers.start(timer, 1.0, offset)
    assert {timer: [(1.0, offset)] for offset, timer in enumerate(Timer)} == {
        timer: _pop_all(timers, timer, 1.0) for timer in Timer
    }


def test_a_second_timer_of_a_command_does_not_replace_the_first() -> None:
    """A timer cannot be stopped: both entries come, and the caller checks which one still counts."""
    timers = Timers()
    timers.start(Timer.QUERY, 9.0, 1)
    timers.start(Timer.QUERY, 3.0, 1)
    assert _pop_all(timers, Timer.QUERY, 10.0) == [(3.0, 1), (9.0, 1)]


@given(ENTRIES, st.integers(0, 20))
def test_all_that_is_due_comes_once_and_in_order(entries: list[tuple[float, int]], now_boot_s: int) -> None:
    """Entries with the same due time come in the order of their offsets; the others stay."""
    timers = Timers()
    for due_boot_s, offset in entries:
        timers.start(Timer.EXPIRY, due_boot_s, offset)
    expected = sorted(entries)
    assert _pop_all(timers, Timer.EXPIRY, now_boot_s) == [entry for entry in expected if entry[0] <= now_boot_s]
    assert _pop_all(timers, Timer.EXPIRY, inf) == [entry for entry in expected if entry[0] > now_boot_s]

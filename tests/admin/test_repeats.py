"""What repeats many times a second is logged a limited number of times, and how often it was not is told."""

import logging

import pytest
import structlog

from bridge.admin.repeats import LOUD_LINES_MAX, PERIOD_S, QUIET_LINES_MAX, LeftOut, RepeatLimit


class Clock:
    """A clock that the test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now_s


def _passes(limit: RepeatLimit, method: str, event: str, **fields: str) -> bool:
    try:
        limit(None, method, {"event": event, **fields})
    except structlog.DropEvent:
        return False
    return True


def _record(text: str, *args: object, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("x", level, "f", 1, text, args, None)


@pytest.mark.parametrize(
    ("method", "lines_max"),
    [("warning", LOUD_LINES_MAX), ("exception", LOUD_LINES_MAX), ("info", QUIET_LINES_MAX), ("debug", QUIET_LINES_MAX)],
)
def test_lines_of_a_kind_are_bounded_and_counted(method: str, lines_max: int) -> None:
    """Other kinds still pass, and when the period is over it is told once how many were left out."""
    clock = Clock()
    limit = RepeatLimit(clock)
    assert sum(_passes(limit, method, "command.unsent") for _ in range(lines_max + 50)) == lines_max
    assert _passes(limit, method, "session.lost")
    assert limit.pop_left_out() == []
    clock.now_s += PERIOD_S
    assert limit.pop_left_out() == [LeftOut("command.unsent", "", "", 50)]
    assert limit.pop_left_out() == []
    assert _passes(limit, method, "command.unsent")


def test_at_the_end_everything_is_told() -> None:
    """A process that ends within a period tells what it has left out in it."""
    limit = RepeatLimit(Clock())
    for _ in range(LOUD_LINES_MAX + 7):
        _passes(limit, "error", "session.lost", account="main")
    assert limit.pop_left_out(at_end=True) == [LeftOut("session.lost", "main", "", 7)]


def test_a_flood_of_one_account_or_alarm_hides_no_other() -> None:
    """They are kinds of their own."""
    limit = RepeatLimit(Clock())
    for _ in range(LOUD_LINES_MAX * 2):
        _passes(limit, "error", "alarm.raised", account="main", alarm="id_conflict")
    assert not _passes(limit, "error", "alarm.raised", account="main", alarm="id_conflict")
    assert _passes(limit, "error", "alarm.raised", account="main", alarm="clock_skew")
    assert _passes(limit, "error", "alarm.raised", account="second", alarm="id_conflict")


def test_what_was_left_out_is_never_left_out() -> None:
    """The lines that tell it are as many as the kinds, and have no limit of their own."""
    limit = RepeatLimit(Clock())
    assert all(_passes(limit, "error", "log.left_out") for _ in range(LOUD_LINES_MAX * 2))


@pytest.mark.parametrize("template", ["socket.accept() out of system resource", "node %s is away"])
def test_lines_of_libraries_are_bounded(template: str) -> None:
    """The template is the kind of a line."""
    clock = Clock()
    limit = RepeatLimit(clock)
    args = (7,) if "%" in template else ()
    assert sum(limit.filter(_record(template, *args)) for _ in range(LOUD_LINES_MAX * 2)) == LOUD_LINES_MAX
    quiet = [limit.filter(_record("at info", level=logging.INFO)) for _ in range(QUIET_LINES_MAX * 2)]
    assert sum(quiet) == QUIET_LINES_MAX
    clock.now_s += PERIOD_S
    assert limit.pop_left_out() == [
        LeftOut(f"x: {template}", "", "", LOUD_LINES_MAX),
        LeftOut("x: at info", "", "", QUIET_LINES_MAX),
    ]


def test_kinds_without_end_share_one() -> None:
    """A library that writes numbers into its templates neither fills the memory nor the log, and hides none of ours."""
    clock = Clock()
    limit = RepeatLimit(clock)
    passed = sum(limit.filter(_record(f"topic {number} is not available")) for number in range(100_000))
    assert passed == 200
    assert _passes(limit, "warning", "session.lost")
    clock.now_s += PERIOD_S
    assert limit.pop_left_out() == [LeftOut("others", "", "", 100_000 - passed)]


def test_hours_of_trouble_are_bounded_by_the_minute() -> None:
    """With brokers away and logins refused for two hours, a hundred times a second, every line is logged or counted."""
    clock = Clock()
    limit = RepeatLimit(clock)
    events = ("kafka.unreachable", "session.attempt_failed", "publisher.troubled")
    made = passed = told = 0
    for _ in range(2 * 60):
        in_minute = 0
        for _ in range(60):
            for event in events:
                for _ in range(100):
                    in_minute += _passes(limit, "warning", event)
                    made += 1
            told += sum(one.lines for one in limit.pop_left_out())
            clock.now_s += 1
        assert in_minute <= len(events) * LOUD_LINES_MAX * 60 / PERIOD_S
        passed += in_minute
    told += sum(one.lines for one in limit.pop_left_out(at_end=True))
    assert passed + told == made

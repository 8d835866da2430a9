"""A failure that repeats many times a second is logged a limited number of times."""

import logging

import pytest
import structlog

from bridge.admin.repeats import LINES_MAX, PERIOD_S, RepeatLimit


class Clock:
    """A clock that the test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now_s


def _passed(limit: RepeatLimit, method: str, event: str) -> structlog.typing.EventDict | None:
    try:
        return limit(None, method, {"event": event})
    except structlog.DropEvent:
        return None


def test_warnings_of_a_kind_are_bounded_and_counted() -> None:
    """Other kinds still pass, and the first line of the next period says how many were left out."""
    clock = Clock()
    limit = RepeatLimit(clock)
    told = [_passed(limit, "warning", "command.unsent") for _ in range(LINES_MAX + 50)]
    assert sum(one is not None for one in told) == LINES_MAX
    assert _passed(limit, "error", "session.lost") == {"event": "session.lost"}
    clock.now_s += PERIOD_S
    assert _passed(limit, "warning", "command.unsent") == {"event": "command.unsent", "left_out": 50}
    assert _passed(limit, "warning", "command.unsent") == {"event": "command.unsent"}


def test_answers_are_never_left_out() -> None:
    """Every answer to a command is logged at info, however many there are."""
    limit = RepeatLimit(Clock())
    assert all(_passed(limit, "info", "command.accepted") for _ in range(LINES_MAX * 3))


@pytest.mark.parametrize("template", ["socket.accept() out of system resource", "node %s is away"])
def test_lines_of_libraries_are_bounded(template: str) -> None:
    """The template is the kind of a line, and many kinds do not fill the memory."""
    clock = Clock()
    limit = RepeatLimit(clock)

    def passes(number: int, text: str = template) -> logging.LogRecord | None:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, text, (number,) if "%" in text else (), None)
        return record if limit.filter(record) else None

    assert sum(passes(number) is not None for number in range(LINES_MAX * 2)) == LINES_MAX
    clock.now_s += PERIOD_S
    next_one = passes(7)
    assert next_one is not None
    assert next_one.getMessage().endswith(f"({LINES_MAX} more like it were left out)")
    for number in range(5000):
        passes(0, f"kind {number}")
    assert len(limit._kinds) <= 1000

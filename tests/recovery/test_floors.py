"""The floors are those of the limits and of the delay, and no higher."""

from bridge.sandbox.venue.settings import RequestLimit
from tests.recovery.floors import EXECUTIONS, HISTORY, ONE_ORDER, OPEN_ORDERS, Span, budget, earliest, floors


def test_calls_within_the_limit_wait_for_nothing() -> None:
    """What the window holds may go at once; the next waits until the first is a window old."""
    assert earliest([0, 0, 0, 100], RequestLimit(2, 10)) == [0, 0, 10_000, 10_000]
    assert earliest([0, 9_000, 12_000], RequestLimit(2, 10)) == [0, 9_000, 12_000]


def test_a_call_that_had_to_wait_holds_up_later_ones() -> None:
    """The window runs from when a call was allowed, not from when it was wanted."""
    assert earliest([0, 1_000, 11_000], RequestLimit(1, 10)) == [0, 10_000, 20_000]


def test_the_floors_of_a_recovery() -> None:
    """The delay of a chain where no limit bites; the limit, then the budget, where they do."""
    spans = [Span(number * 1000, number * 1000 + 900) for number in range(6)]
    made = {EXECUTIONS: [span.opened_ms + 1 for span in spans], OPEN_ORDERS: [], HISTORY: [], ONE_ORDER: []}
    first, *_, fifth, sixth = floors(made, spans, 100)
    assert (first.documented_ms, first.chain_ms, first.budget_ms, first.built_ms) == (0, 100, 100, 100)
    assert (fifth.chain_ms, fifth.budget_ms) == (100, budget(EXECUTIONS, 100).window_s * 1000 - 4000 + 100)
    assert (sixth.documented_ms, sixth.chain_ms) == (10_000 - 5000, 10_000 - 5000 + 100)


def test_what_must_be_asked_in_turn_and_what_is() -> None:
    """Single orders need both lists, which need not wait for each other although the bridge lets them."""
    made = {EXECUTIONS: [10], OPEN_ORDERS: [10], HISTORY: [120], ONE_ORDER: [240, 240]}
    (one,) = floors(made, [Span(0, 400)], 100)
    assert (one.documented_ms, one.chain_ms, one.budget_ms, one.built_ms) == (0, 200, 200, 300)

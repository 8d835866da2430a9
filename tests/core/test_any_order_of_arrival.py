"""Pushes and rows in any order, more than once, side by side: the last record is the truth, and no trade is lost."""

from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.topics import Stream
from bridge.core.stream.sweep import SweepOutcome
from tests.support.one_recovery import LOGIN_MS, OneRecovery, Row, asset, order, position, raw, trade

if TYPE_CHECKING:
    from bridge.core.records import OutgoingRecord

_START_MS = LOGIN_MS - 30_000
_STEPS = st.lists(st.tuples(st.integers(0, 7), st.booleans()), min_size=1, max_size=30)
"""Which fact comes next, and whether from REST; each may come often, and in any order."""


@st.composite
def _lives(draw: st.DrawFn) -> list[Row]:
    """Draw an order's snapshots in the order in which they happened; some within one millisecond."""
    partly = draw(st.integers(0, 4))
    states = [("NEW", 0), ("OPEN", 0), *(("PARTIALLY_FILLED", n) for n in range(1, partly + 1))]
    states += draw(st.sampled_from([[], [("FILLED", partly + 1)], [("CANCELLED", partly)]]))
    times = draw(st.lists(st.integers(0, 2), min_size=len(states), max_size=len(states)))
    stamps = accumulate(times, initial=_START_MS)
    return [order(at_ms, state, str(executed)) for (state, executed), at_ms in zip(states, stamps, strict=False)]


def _tell(one: OneRecovery, stream: Stream, row: Row, *, rest: bool) -> "list[OutgoingRecord]":
    """Let a row come by REST or by the stream."""
    return one.take(one.recovery.begin_sweep(one.now), stream, row) if rest else one.push(stream, row)


@given(_lives(), _STEPS)
def test_the_last_record_of_an_order_is_the_furthest_that_came(life: list[Row], steps: list[tuple[int, bool]]) -> None:
    """After every single step: what is older is published, and followed by the newest at once."""
    one = OneRecovery().begin()
    furthest = -1
    for which, rest in steps:
        at = which % len(life)
        furthest = max(furthest, at)
        _tell(one, Stream.ORDERS, life[at], rest=rest)
        assert one.last(Stream.ORDERS)["17"] == life[furthest]
    came = {raw(life[which % len(life)]) for which, rest in steps if not rest}
    assert came <= {record.value for record in one.records(Stream.ORDERS)}


@given(_lives(), _STEPS)
def test_no_row_is_published_after_a_newer_state(life: list[Row], steps: list[tuple[int, bool]]) -> None:
    """Only the stream's own words are, because nothing that the venue pushes is kept back."""
    one = OneRecovery().begin()
    furthest = -1
    for which, rest in steps:
        at = which % len(life)
        records = _tell(one, Stream.ORDERS, life[at], rest=rest)
        if rest:
            assert [record.value for record in records] == ([raw(life[at])] if at > furthest else [])
        furthest = max(furthest, at)


@given(st.sampled_from([Stream.ASSETS, Stream.POSITIONS]), _STEPS)
def test_the_last_record_of_a_state_is_the_newest_that_came(stream: Stream, steps: list[tuple[int, bool]]) -> None:
    """A balance has no end and no direction: its time decides."""
    one = OneRecovery().begin()
    make = asset if stream is Stream.ASSETS else position
    newest = -1
    for which, rest in steps:
        newest = max(newest, which)
        _tell(one, stream, make(_START_MS + which, str(which % 3)), rest=rest)
        (last,) = one.last(stream).values()
        assert last == make(_START_MS + newest, str(newest % 3))


@given(_STEPS, _STEPS)
def test_every_trade_is_published_and_none_is_in_conflict(
    steps: list[tuple[int, bool]], after: list[tuple[int, bool]]
) -> None:
    """Once or more by the stream, by REST only before that, and a successor that reads the topic brings none again."""
    one = OneRecovery().begin()
    for which, rest in steps:
        _tell(one, Stream.TRADES, trade(_START_MS + which, f"t{which}", quantity="0.5" if rest else "0.50"), rest=rest)
    names = Counter(record.event_id for record in one.records(Stream.TRADES))
    assert set(names) == {f"trade:OKX:OKX_PERP_ETH_USDT:17:t{which}" for which, _ in steps}
    assert max(Counter(r.event_id for r in one.records(Stream.TRADES) if r.recovered).values(), default=0) <= 1
    heir = OneRecovery()
    for record in one.records(Stream.TRADES):
        heir.account.stream.restore_record(Stream.TRADES, record.value or b"", LOGIN_MS)
    heir.begin().sweep(trades=[trade(_START_MS + which, f"t{which}") for which, _ in (*steps, *after)])
    brought = {record.event_id for record in heir.records(Stream.TRADES)}
    assert brought == {f"trade:OKX:OKX_PERP_ETH_USDT:17:t{which}" for which, _ in after} - set(names)
    assert one.events("alarm.raised") == heir.events("alarm.raised") == []


@given(_lives(), _STEPS)
def test_a_successor_knows_what_stands_from_the_topic(life: list[Row], steps: list[tuple[int, bool]]) -> None:
    """The last record of the key is enough: REST's rows of all that was before are no news."""
    one = OneRecovery().begin()
    for which, rest in steps:
        _tell(one, Stream.ORDERS, life[which % len(life)], rest=rest)
    last = one.last(Stream.ORDERS)["17"]
    assert last is not None
    heir = OneRecovery()
    heir.remember(Stream.ORDERS, last, published_ms=LOGIN_MS)
    heir.begin().sweep(orders=life[: life.index(last) + 1])
    assert heir.records(Stream.ORDERS) == []


@given(st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=6))
def test_gaps_close_over_nothing_that_a_late_sweep_still_brings(rows: list[set[int]]) -> None:
    """Whatever the sweeps find one after another: the closing one found nothing, and the counts are of all."""
    one = OneRecovery().begin()
    one.wait(30)
    known: set[int] = set()
    for names in rows:
        verdict = one.sweep(trades=[trade(_START_MS, f"{name}") for name in names])
        assert verdict is (SweepOutcome.NOTHING if names - known else SweepOutcome.MAY_CLOSE)
        if verdict is SweepOutcome.MAY_CLOSE:
            break
        known |= names
    closed = one.events("gap.closed")
    assert [gap["recovered"]["trades"] for gap in closed] == [len(known)] * len(closed)


@given(st.lists(st.tuples(st.floats(0, 50), st.booleans()), min_size=1, max_size=8))
def test_durable_until_is_never_beyond_an_open_gap(spans: list[tuple[float, bool]]) -> None:
    """Links are lost while others are recovered: what a successor reads covers every gap that is not closed."""
    one = OneRecovery(ended_ms=LOGIN_MS - 60_000).begin()
    starts = [LOGIN_MS - 60_000]
    for seconds, lost in spans:
        one.wait(round(seconds, 3))
        if lost:
            starts.append(one.now.wall_ms)
            one.lose()
            one.log_in()
        elif one.sweep() is SweepOutcome.MAY_CLOSE:
            starts.clear()
        assert one.account.stream.durable_until_ms(one.now.wall_ms, one.now) == min(starts, default=one.now.wall_ms)
    opened = {event["gapId"] for event in one.events("gap.opened")}
    assert len(opened) - len(one.events("gap.closed")) == len(starts)

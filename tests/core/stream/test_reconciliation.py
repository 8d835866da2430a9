"""After a login: what REST has and was not published is published, and gaps close when nothing more can come."""

from typing import TYPE_CHECKING

import msgspec
import pytest

from bridge.contract.pushes import OrderPush
from bridge.contract.session import Cause, Lost
from bridge.contract.topics import Stream
from bridge.core.skew import Skew
from bridge.core.stream.sweep import ARCHIVE_REACH_MS, SweepOutcome
from tests.support.clock_readings import reading_of
from tests.support.one_account import START
from tests.support.one_recovery import LOGIN_MS, OneRecovery, Row, asset, order, position, raw, trade

if TYPE_CHECKING:
    from collections.abc import Callable

GAP_MS = LOGIN_MS - 30_000
"""Within the gap that the owner before left."""
SURE_MS = LOGIN_MS - 180_000
"""Before it by an audit's period and twice `rest_lag_s`: the owner before would have found what was missing then."""
BEFORE_MS = LOGIN_MS - 100_000
"""Before it, and within the overlap."""


def test_rows_that_were_missed_are_published_as_recovered() -> None:
    """In the push's place: with its key and name, at the venue's time, and waited for by nothing."""
    one = OneRecovery().begin()
    one.sweep(orders=[order(GAP_MS)], trades=[trade(GAP_MS)], assets=[asset(GAP_MS)], positions=[position(GAP_MS)])
    records = [record for record in one.said if record.stream is not Stream.SESSION]
    assert [(record.stream, record.key, record.event_id) for record in records] == [
        (Stream.ORDERS, b"17", f"order:17:OPEN:0:{GAP_MS}"),
        (Stream.TRADES, b"17", "trade:OKX:OKX_PERP_ETH_USDT:17:t-1"),
        (Stream.ASSETS, b"OKX:USDT", None),
        (Stream.POSITIONS, b"OKX_PERP_ETH_USDT:NONE", None),
    ]
    assert {(record.recovered, record.time_ms, record.received_boot_s) for record in records} == {(True, GAP_MS, None)}
    assert records[0].value == raw(order(GAP_MS))


def test_what_was_published_is_not_published_again() -> None:
    """Not what the predecessor published, what was pushed since the login, or what an earlier sweep brought."""
    one = OneRecovery()
    one.remember(Stream.ORDERS, order(BEFORE_MS))
    one.remember(Stream.TRADES, trade(BEFORE_MS))
    one.begin().push(Stream.ASSETS, asset(GAP_MS))
    states = {"assets": [asset(GAP_MS)], "positions": [position(GAP_MS)]}
    one.sweep(orders=[order(BEFORE_MS)], trades=[trade(BEFORE_MS), trade(GAP_MS, "t-2")], **states)
    said = len(one.said)
    one.sweep(orders=[order(BEFORE_MS)], trades=[trade(BEFORE_MS), trade(GAP_MS, "t-2")], **states)
    assert len(one.said) == said
    assert [len(one.records(stream)) for stream in (Stream.ORDERS, Stream.TRADES, Stream.ASSETS)] == [0, 1, 1]


def test_a_row_that_is_behind_what_was_published_is_not_published() -> None:
    """REST lags behind the stream: an older state of anything is no news."""
    one = OneRecovery().begin()
    one.push(Stream.ORDERS, order(GAP_MS + 5, "FILLED", "1"))
    one.push(Stream.ASSETS, asset(GAP_MS + 5, "2"))
    one.push(Stream.POSITIONS, position(GAP_MS + 5, "2"))
    said = len(one.said)
    states = {"assets": [asset(GAP_MS, "1")], "positions": [position(GAP_MS, "1")]}
    one.sweep(orders=[order(GAP_MS, "PARTIALLY_FILLED", "0.5")], **states)
    assert len(one.said) == said


def test_rows_from_after_the_login_are_left_to_the_stream() -> None:
    """Up to the difference of the clocks they are as from before it."""
    one = OneRecovery(read=False).begin()
    now = one.now
    one.account.clocks.learn_venue_time(reading_of(Skew(-5000, 5000), now), now)
    one.sweep(trades=[trade(LOGIN_MS + 5000, "a"), trade(LOGIN_MS + 5001, "b")], assets=[asset(LOGIN_MS + 5001)])
    assert [record.event_id for record in one.records(Stream.TRADES)] == ["trade:OKX:OKX_PERP_ETH_USDT:17:a"]
    assert one.records(Stream.ASSETS) == []


def test_gaps_close_with_a_late_sweep_that_brings_nothing() -> None:
    """It began one lag after the login: by then REST knows all from before it."""
    one = OneRecovery().begin()
    outcomes: list[SweepOutcome] = []
    for seconds in (0, 29.9, 0.1, 5):
        one.wait(seconds)
        outcomes.append(one.sweep(trades=[trade(GAP_MS, "late")] if len(outcomes) > 1 else []))
    assert outcomes == [SweepOutcome.NOTHING] * 3 + [SweepOutcome.MAY_CLOSE]
    (closed,) = one.events("gap.closed")
    assert (closed["fromMs"], closed["toMs"], closed["at"]) == (LOGIN_MS - 60_000, LOGIN_MS, one.now.wall_ms)
    assert closed["recovered"]["trades"] == 1


def test_a_sweep_that_only_ends_late_does_not_close() -> None:
    """What it asked for first may have been asked for too early."""
    one = OneRecovery().begin()
    sweep = one.recovery.begin_sweep(one.now)
    one.wait(60)
    assert one.end(sweep) is SweepOutcome.NOTHING
    assert one.recovery.sweep_due_boot_s == one.now.boot_s


def test_sweeps_become_rarer_and_the_last_is_in_time() -> None:
    """Soon after the login, then less often, one lag after it, and every few seconds while something still comes."""
    one = OneRecovery().begin()
    at = []
    for n in range(7):
        at.append(one.recovery.sweep_due_boot_s - START.boot_s)
        one.wait(START.boot_s + at[-1] - one.now.boot_s)
        one.sweep(trades=[trade(GAP_MS, f"t-{n}")])
    assert at == [0, 3.75, 11.25, 26.25, 30, 35, 40]


def test_every_gap_is_closed_by_the_session_that_could_recover() -> None:
    """A link that is lost meanwhile opens another gap, and recovery begins anew with the next login."""
    one = OneRecovery().begin()
    one.wait(29)
    one.sweep()
    one.lose()
    one.wait(5)
    one.log_in()
    assert one.recovery.sweep_due_boot_s == one.now.boot_s
    assert one.sweep() is SweepOutcome.NOTHING
    one.close()
    spans = [(gap["fromMs"] - LOGIN_MS, gap["toMs"] - LOGIN_MS) for gap in one.events("gap.closed")]
    assert spans == [(-60_000, 0), (29_000, 34_000)]


def test_risks_are_published_in_place_of_margin_calls() -> None:
    """They count for the gap, and that they come is no reason to sweep on."""
    one = OneRecovery(rest_lag_s=0).begin()
    assert one.sweep(risks=[{"exchangeType": "OKX", "riskRatio": "0.5"}]) is SweepOutcome.MAY_CLOSE
    assert [record.recovered for record in one.records(Stream.MARGIN_CALLS)] == [True]
    assert one.events("gap.closed")[0]["recovered"]["marginCalls"] == 1


def test_what_a_successor_reads_is_what_its_first_sweep_asks_for() -> None:
    """A trade that was published is known by then, so that it does not seem to be missed."""
    recovery = OneRecovery().begin().recovery
    assert recovery.rows_since_ms(LOGIN_MS - 60_000) == recovery.begin_sweep(START).since_ms == LOGIN_MS - 210_000


def test_what_cannot_be_recovered_is_named() -> None:
    """Always what REST does not have; older executions and unreadable rows only where there are some."""
    one = OneRecovery().begin()
    always = one.recovery.lost_streams(one.now)
    assert always == (Lost.SNAPSHOTS_BETWEEN, Lost.MARGIN_CALLS, Lost.LIQUIDATIONS, Lost.UNRECOGNIZED)
    old = OneRecovery(ended_ms=LOGIN_MS - ARCHIVE_REACH_MS - 1).begin().recovery
    sweep = old.begin_sweep(START)
    assert old.compare_rows(sweep, Stream.TRADES, [b"{}", b"no"], START) == set()
    old.judge_sweep(sweep, START)
    assert (sweep.unreadable, old.lost_streams(START)) == (2, (*always, Lost.OLD_TRADES, Lost.UNREADABLE_ROWS))


@pytest.mark.parametrize(
    ("row", "from_ms"),
    [
        (("trades", trade(BEFORE_MS)), SURE_MS),
        (("assets", asset(BEFORE_MS, "2")), SURE_MS),
        (("orders", order(BEFORE_MS, "CANCELLED")), SURE_MS),
        (("orders", order(BEFORE_MS, order_id="never-seen")), LOGIN_MS - 60_000),
        (("positions", position(BEFORE_MS)), LOGIN_MS - 60_000),
        (("assets", asset(BEFORE_MS, marginValue="7")), LOGIN_MS - 60_000),
    ],
)
def test_what_was_missed_before_the_gap_moves_it_back(row: tuple[str, Row], from_ms: int) -> None:
    """A trade, and a change of a published state; not what may be forgotten, nor the value of a balance."""
    one = OneRecovery()
    one.remember(Stream.ORDERS, order(BEFORE_MS - 9))
    one.remember(Stream.ASSETS, asset(BEFORE_MS - 9))
    one.begin().sweep(**{row[0]: [row[1]]})
    one.close()
    (closed,) = one.events("gap.closed")
    assert closed["fromMs"] == from_ms
    assert sum(closed["recovered"].values()) == 1


def test_the_first_owner_asks_from_its_start_on_or_from_the_setting() -> None:
    """An earlier trade is not published, and does not move the gap."""
    assert OneRecovery(ended_ms=0).begin().recovery.begin_sweep(START).since_ms == LOGIN_MS
    one = OneRecovery(ended_ms=0, since_ms=LOGIN_MS - 500).begin()
    ended = [order(LOGIN_MS - 501, "FILLED", "1"), order(LOGIN_MS - 501, order_id="open")]
    one.sweep(trades=[trade(LOGIN_MS - 501, "a"), trade(LOGIN_MS - 500, "b")], orders=ended)
    one.close()
    (closed,) = one.events("gap.closed")
    assert (closed["cause"], closed["fromMs"]) == (Cause.FIRST_START, LOGIN_MS - 500)
    assert (closed["recovered"]["trades"], set(one.last(Stream.ORDERS))) == (1, {"open"})


def test_an_end_that_a_query_found_first_is_published() -> None:
    """Unknown commands are queried besides: an end that the bridge knows may not be published."""
    one = OneRecovery().begin()
    ended = order(GAP_MS, "FILLED", "1")
    one.account.on_order(msgspec.convert(ended, OrderPush), one.now)
    one.sweep(orders=[ended])
    assert one.last(Stream.ORDERS) == {"17": ended}


def test_ended_orders_that_were_published_and_forgotten_are_not_published_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long gap may hold more of them than are kept whole; without this it would never close."""
    monkeypatch.setattr("bridge.core.stream.published_states._ENDED_MAX", 2)
    one = OneRecovery().begin()
    ended = [order(GAP_MS, "FILLED", "1", order_id=f"{n}") for n in range(5)]
    one.sweep(orders=ended)
    one.wait(30)
    assert one.sweep(orders=ended) is SweepOutcome.MAY_CLOSE
    assert len(one.records(Stream.ORDERS)) == 5


@pytest.mark.parametrize(("stream", "make"), [(Stream.ASSETS, asset), (Stream.POSITIONS, position)])
def test_two_states_of_one_millisecond_differ(stream: Stream, make: "Callable[[int, str], Row]") -> None:
    """The stream ended between them; REST has the second."""
    one = OneRecovery()
    one.remember(stream, make(BEFORE_MS, "1"))
    one.begin().sweep(**{stream.value: [make(BEFORE_MS, "2")]})
    assert list(one.last(stream).values()) == [make(BEFORE_MS, "2")]


def test_orders_that_the_list_lacks_are_named_if_they_were_live_before_the_login() -> None:
    """One that is listed, has ended, or was pushed after the login is not asked for."""
    one = OneRecovery()
    one.remember(Stream.ORDERS, *(order(BEFORE_MS, order_id=name) for name in "abc"))
    one.begin().push(Stream.ORDERS, order(GAP_MS, "FILLED", "1", "b"), order(LOGIN_MS + 1, order_id="d"))
    one.push(Stream.ORDERS, order(LOGIN_MS, order_id="e"))
    unlisted = one.recovery.find_unlisted_orders(one.recovery.begin_sweep(one.now), {"c"}, one.now)
    assert [found.order_id for found in unlisted] == ["a", "e"]


def test_before_any_login_nothing_is_recovered() -> None:
    """There is no time yet from before which rows could be."""
    one = OneRecovery()
    one.account.begin("here", one.now)
    recovery, sweep = one.recovery, one.recovery.begin_sweep(one.now)
    recovery.compare_rows(sweep, Stream.TRADES, [raw(trade(GAP_MS))], one.now)
    assert (sweep.recovered.total(), recovery.find_unlisted_orders(sweep, set(), one.now)) == (0, [])
    assert recovery.judge_sweep(sweep, one.now) is SweepOutcome.NOTHING


def test_an_order_without_a_name_is_named_as_unreadable() -> None:
    """A refused one may have no orderId (LTP docs, Query Order), and nothing can be published under no key."""
    one = OneRecovery().begin()
    sweep = one.account.stream.reconciliation.begin_sweep(one.now)
    assert one.take(sweep, Stream.ORDERS, order(LOGIN_MS - 1) | {"orderId": ""}) == []
    assert sweep.unreadable == 1


def test_a_record_that_is_none_is_not_remembered() -> None:
    """Another producer may have written to the topic."""
    one = OneRecovery()
    one.account.stream.restore_record(Stream.ORDERS, b"no order", LOGIN_MS)
    assert one.begin().records(Stream.ORDERS) == []


def test_what_the_venue_dates_after_the_login_is_left_to_the_stream() -> None:
    """As exactly as the clocks are known: here the venue's is at most half a second ahead."""
    one = OneRecovery(read=False).begin()
    one.account.clocks.learn_venue_time(reading_of(Skew(-500, 0), one.now), one.now)
    one.sweep(trades=[trade(LOGIN_MS + 400, "early"), trade(LOGIN_MS + 600, "late")])
    assert [record.value for record in one.records(Stream.TRADES)] == [raw(trade(LOGIN_MS + 400, "early"))]


def test_a_row_with_more_than_was_published_is_unpublished() -> None:
    """Of an ended order, the history has fewer fields than a query of the order."""
    one = OneRecovery().begin()
    one.push(Stream.ORDERS, order(LOGIN_MS))
    found = [order(LOGIN_MS), order(LOGIN_MS + 1, "FILLED", "1")]
    assert [one.account.stream.reconciliation.is_unpublished(Stream.ORDERS, raw(row)) for row in found] == [
        False,
        True,
    ]


def test_a_later_sweep_asks_for_less() -> None:
    """REST lags by `rest_lag_s` at most, so the first sweep has read what is older; a gap of days needs it once."""
    one = OneRecovery(ended_ms=LOGIN_MS - 9 * 24 * 3600 * 1000).begin()
    one.sweep()
    assert one.recovery.begin_sweep(one.now).since_ms == one.now.wall_ms - 90_000


def test_what_a_sweep_left_to_the_stream_is_asked_for_after_the_next_login() -> None:
    """Sweeps went on for long, a push did not come meanwhile, and the link was lost before an audit could find it."""
    one = OneRecovery().begin()
    muted_ms = LOGIN_MS + 50_000
    one.wait(200)
    assert one.sweep(trades=[trade(GAP_MS, "a"), trade(muted_ms, "b")]) is SweepOutcome.NOTHING
    one.lose()
    sweep = one.log_in().recovery.begin_sweep(one.now)
    one.take(sweep, Stream.TRADES, trade(muted_ms, "b"))
    assert sweep.since_ms <= muted_ms
    assert [record.event_id for record in one.records(Stream.TRADES)][1:] == ["trade:OKX:OKX_PERP_ETH_USDT:17:b"]


def test_the_latest_reading_of_the_clocks_counts() -> None:
    """A clock that was wrong for a moment must not hide what was missed ever after."""
    one = OneRecovery().begin()
    one.account.clocks.learn_venue_time(reading_of(Skew(120_000, 120_001), one.now), one.now)
    one.account.clocks.learn_venue_time(reading_of(Skew(-500, 0), one.now), one.now)
    one.sweep(trades=[trade(LOGIN_MS - 60_000)])
    assert len(one.records(Stream.TRADES)) == 1


def test_a_gap_that_begins_ahead_of_the_clock_is_asked_about() -> None:
    """The clock was set back since: the sweep looks back from now."""
    one = OneRecovery(ended_ms=LOGIN_MS + 3_600_000).begin()
    assert one.recovery.begin_sweep(one.now).since_ms == LOGIN_MS - 150_000


def test_a_trade_that_an_audit_misses_is_asked_for_again() -> None:
    """REST had it only after the gap was closed, and it is older than what the sweeps before had read."""
    one = OneRecovery().healthy()
    one.wait(60)
    late = {"trades": [trade(LOGIN_MS - 75_000)]}
    assert [one.sweep(**late) for _ in range(2)] == [SweepOutcome.NOTHING, SweepOutcome.MISSED]
    one.log_in().sweep(**late)
    assert len(one.records(Stream.TRADES)) == 1


def test_where_no_audit_succeeds_a_successor_looks_further_back() -> None:
    """Durable events were received; that all were pushed is sure only for some time after the last audit."""
    one = OneRecovery().healthy()
    listening = one.account.stream
    assert listening.durable_until_ms(LOGIN_MS + 100_000, one.now) == LOGIN_MS + 100_000
    assert listening.durable_until_ms(LOGIN_MS + 3_600_000, one.now) == LOGIN_MS + 150_000


def test_a_slow_answer_changes_nothing_about_the_clocks() -> None:
    """The reading of a quick one still holds: a row from after the login is left to the stream."""
    one = OneRecovery().begin()
    one.account.clocks.learn_venue_time(reading_of(Skew(-10, 10), one.now), one.now)
    one.account.clocks.learn_venue_time(reading_of(Skew(-4000, 4000), one.now), one.now)
    one.sweep(trades=[trade(LOGIN_MS + 2000)])
    assert one.records(Stream.TRADES) == []


def test_states_are_not_published_again_while_nothing_becomes_durable() -> None:
    """They would wait in memory, once more in every horizon; afterwards each is, once."""
    one = OneRecovery().healthy()
    one.push(Stream.ORDERS, order(LOGIN_MS))
    for _ in range(3):
        one.wait(3600)
        one.account.tick(one.now, stuck=list(Stream))
        assert [record for record in one.outgoing if record.stream is Stream.ORDERS] == []
    assert [record.key for record in one.tick() if record.stream is Stream.ORDERS] == [b"17"]

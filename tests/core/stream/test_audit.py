"""Audits on a healthy link: what REST has had for long, and what was not pushed, was missed."""

from collections.abc import Callable

import msgspec
import pytest

from bridge.contract.pushes import OrderPush
from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.stream.sweep import SweepOutcome
from tests.support.one_account import START
from tests.support.one_recovery import LOGIN_MS, OneRecovery, Row, asset, order, position, raw, trade

AUDIT_S = 60.0
MUTED_MS = LOGIN_MS + 40_000
"""After the gaps closed, and at the next audit older than REST lags."""


def _at_audit(one: OneRecovery) -> OneRecovery:
    one.wait(AUDIT_S)
    return one


@pytest.mark.parametrize(
    ("stream", "row"),
    [
        ("orders", order(MUTED_MS, "FILLED", "1")),
        ("orders", order(MUTED_MS, "CANCELLED", order_id="of-which-nothing-was-pushed")),
        ("orders", order(MUTED_MS, order_id="new")),
        ("orders", order(MUTED_MS) | {"limitPrice": "7"}),
        ("trades", trade(MUTED_MS)),
        ("assets", asset(MUTED_MS, "2")),
        ("assets", asset(MUTED_MS, "1", frozen="1")),
        ("assets", asset(MUTED_MS, "1", debt="100")),
        ("assets", asset(MUTED_MS, "1", available="0")),
        ("assets", asset(MUTED_MS, "1", loan="3")),
        ("orders", order(MUTED_MS) | {"limitPrice": "6", "action": "AMEND_FAILED"}),
        ("positions", position(MUTED_MS, "2")),
        ("positions", position(MUTED_MS, avgPrice="5")),
        ("positions", position(MUTED_MS, leverage="2")),
        ("positions", position(MUTED_MS, sym="new")),
    ],
)
def test_what_was_not_pushed_is_confirmed_by_the_second_audit(stream: str, row: Row) -> None:
    """Not by the first one. Then the session is renewed, and what was missed is published."""
    one = OneRecovery().begin()
    one.push(Stream.ORDERS, order(LOGIN_MS) | {"limitPrice": "6", "action": ""})
    one.push(Stream.ASSETS, asset(LOGIN_MS, debt="0", available="1"))
    one.push(Stream.POSITIONS, position(LOGIN_MS, avgPrice="4", leverage="1"))
    lists = {stream: [row, *([position(LOGIN_MS)] * (row.get("sym") == "new"))]}
    _at_audit(one.close())
    assert one.sweep(**lists) is SweepOutcome.NOTHING
    assert one.recovery.sweep_due_boot_s == one.now.boot_s + 5
    one.wait(5)
    assert one.sweep(**lists) is SweepOutcome.MISSED
    opened = one.events("gap.opened")[-1]
    assert (opened["cause"], opened["fromMs"]) == (Cause.PUSHES_MISSED, LOGIN_MS)
    one.log_in().sweep(**lists)
    assert row in one.last(Stream(stream)).values()


@pytest.mark.parametrize(("stream", "make"), [(Stream.ASSETS, asset), (Stream.POSITIONS, position)])
@pytest.mark.parametrize("in_gap", [False, True])
def test_a_row_that_rest_repeats_counts_despite_its_date(
    stream: Stream, make: Callable[[int, str], Row], *, in_gap: bool
) -> None:
    """Of two pushes the later one has the earlier date: the row is published after `rest_lag_s`; no session ends."""
    one = OneRecovery().begin() if in_gap else OneRecovery().healthy()
    pushed_ms = one.now.wall_ms
    one.push(stream, make(pushed_ms, "1"), make(pushed_ms - 2, "2"))
    truth = {stream.value: [make(pushed_ms - 2, "2")]}
    for seconds in (1, 20, 9.9):
        one.wait(seconds)
        assert one.sweep(**truth) is not SweepOutcome.MISSED
        assert one.records(stream)[-1].value == raw(make(pushed_ms, "1"))
    one.wait(20.1)
    one.sweep(**truth)
    assert one.records(stream)[-1].value == raw(make(pushed_ms - 2, "2"))
    assert one.records(stream)[-1].recovered
    assert len(one.events("session.lost")) == 0


def test_a_state_that_is_pushed_again_is_not_disputed_by_earlier_rows() -> None:
    """The time begins anew with every push, and with an audit that does not find the row."""
    one = OneRecovery().healthy()
    pushed_ms = one.now.wall_ms
    for n in range(4):
        one.push(Stream.ASSETS, asset(pushed_ms + n, "1"))
        one.wait(20)
        one.sweep(assets=[asset(pushed_ms - 1, "2")])
    assert {raw(asset(pushed_ms - 1, "2"))}.isdisjoint(record.value for record in one.records(Stream.ASSETS))


def test_what_is_younger_than_rest_may_lag_is_left_to_the_next_audit() -> None:
    """The push may still be on its way."""
    one = _at_audit(OneRecovery().healthy())
    young = trade(one.now.wall_ms - 29_999)
    assert one.sweep(trades=[young]) is SweepOutcome.NOTHING
    assert one.recovery.sweep_due_boot_s == one.now.boot_s + AUDIT_S
    one.push(Stream.TRADES, young)
    assert _at_audit(one).sweep(trades=[young]) is SweepOutcome.NOTHING
    assert _at_audit(one).sweep(trades=[trade(one.now.wall_ms - 30_000, "t-2")]) is SweepOutcome.NOTHING
    assert one.recovery.sweep_due_boot_s == one.now.boot_s + 5


def test_what_arrives_between_two_audits_was_late_and_not_missed() -> None:
    """Nothing is published about it, and the audits keep their times."""
    one = _at_audit(OneRecovery().healthy())
    one.sweep(trades=[trade(MUTED_MS)])
    one.push(Stream.TRADES, trade(MUTED_MS))
    one.wait(5)
    assert one.sweep(trades=[trade(MUTED_MS)]) is SweepOutcome.NOTHING
    assert one.recovery.sweep_due_boot_s == one.now.boot_s + AUDIT_S
    assert len(one.events("gap.opened")) == 1


def test_another_difference_in_the_second_audit_needs_a_third() -> None:
    """Each has to be seen twice in a row; a new session begins anew."""
    one = _at_audit(OneRecovery().healthy())
    for name in "abab":
        assert one.sweep(trades=[trade(MUTED_MS, name)]) is SweepOutcome.NOTHING
    one.lose()
    one.log_in().sweep(trades=[])
    one.close()
    assert _at_audit(one).sweep(trades=[trade(MUTED_MS, "b")]) is SweepOutcome.NOTHING
    assert one.sweep(trades=[trade(MUTED_MS, "b")]) is SweepOutcome.MISSED


def test_the_gap_begins_when_for_sure_nothing_was_missing() -> None:
    """One lag before the last audit that found nothing; what was seen once only is not sure."""
    one = _at_audit(OneRecovery().healthy())
    one.sweep()
    sure_ms = one.now.wall_ms - 30_000
    _at_audit(one)
    for _ in range(2):
        one.sweep(trades=[trade(one.now.wall_ms - 31_000)])
    assert one.events("gap.opened")[-1]["fromMs"] == sure_ms


def test_some_of_what_is_missing_is_named() -> None:
    """Three, and how many more."""
    one = _at_audit(OneRecovery().healthy())
    named = "trade:OKX:OKX_PERP_ETH_USDT:17:"
    rows = [trade(MUTED_MS, name) for name in "dcba"]
    for trades in (rows, rows[:3], rows):
        one.sweep(trades=trades)
    assert one.recovery.audits.describe_missing() == (f"REST knows what was not pushed: {named}b, {named}c, {named}d")
    one = _at_audit(OneRecovery().healthy())
    one.sweep(trades=rows, assets=[asset(MUTED_MS)])
    assert one.recovery.audits.describe_missing() == (
        f"REST knows what was not pushed: a change of OKX:USDT, {named}a, {named}b and 2 more"
    )


@pytest.mark.parametrize(
    ("stream", "row"),
    [
        ("assets", asset(MUTED_MS, "1.0", marginValue="7")),
        ("positions", position(MUTED_MS, "1.00", markPrice="7")),
        ("assets", asset(MUTED_MS, "0", coin="listed-only")),
        ("positions", position(MUTED_MS, "0", sym="listed-only")),
        ("assets", asset(LOGIN_MS - 1, "5")),
        ("orders", order(LOGIN_MS - 1, "NEW")),
        ("orders", order(0, "NEW")),
    ],
)
def test_what_makes_no_difference_to_a_reader_was_not_missed(stream: str, row: Row) -> None:
    """The value of a balance, an empty state that was never published, and what is older than the stream."""
    one = OneRecovery().begin()
    one.push(Stream.ORDERS, order(LOGIN_MS, "PARTIALLY_FILLED", "0.5"))
    one.push(Stream.ASSETS, asset(LOGIN_MS))
    one.push(Stream.POSITIONS, position(LOGIN_MS))
    _at_audit(one.close())
    rows = [row] if row.get("coin", row.get("sym")) != "listed-only" else [row, asset(LOGIN_MS), position(LOGIN_MS)]
    rows = [row for row in rows if stream == "orders" or (stream == "assets") == ("coin" in row)]
    for _ in range(3):
        assert one.sweep(**{stream: rows}) is SweepOutcome.NOTHING
    assert one.recovery.audits.audited_ms(one.now) == one.now.wall_ms - 30_000


def test_an_audit_publishes_nothing_but_the_end_of_what_was_empty() -> None:
    """A balance that the venue no longer lists was pushed as 0 before; that opens no gap."""
    one = OneRecovery().begin()
    one.push(Stream.ASSETS, asset(LOGIN_MS, "0"), asset(LOGIN_MS, "5", "BTC", exchangeType=None))
    _at_audit(one.close())
    said = len(one.said)
    for trades in ([trade(MUTED_MS)], []):  # one list may be empty for a moment
        assert one.said[said:] == []
        assert one.sweep(assets=[], trades=trades) is SweepOutcome.NOTHING
    assert [(record.key, record.value) for record in one.said[said:]] == [(b"OKX:USDT", None), (b"UNKNOWN:BTC", None)]


def test_a_state_just_pushed_may_be_missing_in_the_list() -> None:
    """REST lags: only what it must know by now is missing."""
    one = _at_audit(OneRecovery().healthy())
    one.push(Stream.POSITIONS, position(one.now.wall_ms))
    one.wait(29.999)
    one.sweep(positions=[])
    assert "the end of" not in one.recovery.audits.describe_missing()
    one.wait(0.001)
    one.sweep(positions=[])
    assert "the end of" in one.recovery.audits.describe_missing()


def test_orders_that_were_live_for_long_are_asked_for_one_by_one() -> None:
    """A younger one may not be listed yet."""
    one = OneRecovery().healthy()
    one.push(Stream.ORDERS, order(LOGIN_MS + 60_000, order_id="old"), order(LOGIN_MS + 60_001, order_id="young"))
    sweep = _at_audit(one).recovery.begin_sweep(one.now)
    assert [found.order_id for found in one.recovery.find_unlisted_orders(sweep, set(), one.now)] == ["old"]


def test_an_audit_looks_back_to_where_the_last_one_was_sure() -> None:
    """Not to before the very first start, so that older trades are not missed."""
    one = OneRecovery().healthy()
    assert one.recovery.begin_sweep(one.now).since_ms == LOGIN_MS - 90_000
    first = _at_audit(OneRecovery(ended_ms=0).healthy())
    assert first.recovery.begin_sweep(first.now).since_ms == LOGIN_MS
    before = {"trades": [trade(LOGIN_MS - 1)], "orders": [order(LOGIN_MS - 1, "CANCELLED")]}
    assert [first.sweep(**before) for _ in range(2)] == [SweepOutcome.NOTHING] * 2


def test_what_no_audit_could_see_is_looked_for_after_the_next_login() -> None:
    """REST was away for an hour, and then the link was lost: a push may be missing from all that time."""
    one = OneRecovery().healthy()
    one.wait(3600)
    one.lose()
    sweep = one.log_in().recovery.begin_sweep(one.now)
    assert sweep.since_ms == LOGIN_MS - 60_000
    one.take(sweep, Stream.TRADES, trade(MUTED_MS))
    one.close()
    assert one.events("gap.closed")[-1]["fromMs"] == LOGIN_MS  # what was overtaken since then may be missing too


def test_an_end_is_missed_when_every_audit_finds_it_for_as_long_as_rest_may_lag() -> None:
    """A list does not say since when it lacks something: the push of the end may be on its way."""
    one = OneRecovery().begin()
    one.push(Stream.POSITIONS, position(LOGIN_MS))
    _at_audit(one.close())
    for seconds in (0, 5, 24.9):
        one.wait(seconds)
        assert one.sweep(positions=[]) is SweepOutcome.NOTHING
    one.wait(0.1)
    assert one.sweep(positions=[]) is SweepOutcome.MISSED
    assert (
        one.recovery.audits.describe_missing()
        == f"REST knows what was not pushed: the end of OKX_PERP_ETH_USDT:NONE since {START.boot_ms} ms after boot"
    )
    assert one.events("gap.opened")[-1]["fromMs"] == LOGIN_MS
    one.log_in().sweep(positions=[])
    assert None not in one.last(Stream.POSITIONS).values()
    one.sweep(positions=[])
    assert one.last(Stream.POSITIONS) == {"OKX_PERP_ETH_USDT:NONE": None}


def test_an_end_that_one_audit_does_not_find_was_none() -> None:
    """Lists that contradict each other: the time begins anew."""
    one = OneRecovery().begin()
    one.push(Stream.POSITIONS, position(LOGIN_MS))
    _at_audit(one.close())
    for listed in ([], [position(LOGIN_MS)], [], []):
        one.wait(20)
        assert one.sweep(positions=listed) is SweepOutcome.NOTHING


def test_an_end_takes_two_audits_where_rest_never_lags() -> None:
    """One answer alone proves nothing."""
    one = OneRecovery(rest_lag_s=0).begin()
    one.push(Stream.POSITIONS, position(LOGIN_MS))
    one.close()
    assert [one.sweep(positions=[]) for _ in range(2)] == [SweepOutcome.NOTHING, SweepOutcome.MISSED]


def test_a_state_without_time_may_be_behind_what_was_just_pushed() -> None:
    """Its age is not known: it counts when every audit finds it until REST must have what was pushed."""
    one = _at_audit(OneRecovery().healthy())
    one.push(Stream.ASSETS, asset(one.now.wall_ms, "2"))
    for seconds in (0, 20, 9.9):
        one.wait(seconds)
        assert one.sweep(assets=[asset(0, "1")]) is SweepOutcome.NOTHING
    one.wait(0.1)
    assert one.sweep(assets=[asset(0, "1")]) is SweepOutcome.MISSED


def test_a_row_may_be_behind_a_push_without_time() -> None:
    """The push is as old as its arrival: the row counts when every audit finds it for as long as REST may lag."""
    one = _at_audit(OneRecovery().healthy())
    one.push(Stream.ASSETS, asset(0, "2"))
    for seconds in (0, 5, 24.9):
        one.wait(seconds)
        assert one.sweep(assets=[asset(LOGIN_MS, "1")]) is SweepOutcome.NOTHING
        assert one.last(Stream.ASSETS)["OKX:USDT"] == asset(0, "2")
    one.wait(0.1)
    assert one.sweep(assets=[asset(LOGIN_MS, "1")]) is SweepOutcome.NOTHING
    assert one.last(Stream.ASSETS)["OKX:USDT"] == asset(LOGIN_MS, "1")


def test_a_row_from_before_the_login_is_not_published_over_a_push_without_time() -> None:
    """REST lags: its rows in the first sweep may be older than the stream."""
    one = OneRecovery().begin()
    one.wait(0.5)
    one.push(Stream.POSITIONS, position(0, "5"))
    for row in (position(LOGIN_MS - 1000, "3"), position(0, "3"), position(LOGIN_MS + 400, "5")):
        one.wait(1)
        one.sweep(positions=[row])
        assert one.last(Stream.POSITIONS)["OKX_PERP_ETH_USDT:NONE"] == position(0, "5")


def test_a_push_without_time_is_no_older_than_its_row() -> None:
    """The row has its time, and says the same."""
    one = OneRecovery().begin()
    one.push(Stream.ORDERS, order(LOGIN_MS) | {"updateAt": None})
    one.push(Stream.ASSETS, asset(LOGIN_MS) | {"updateAt": None})
    _at_audit(one.close())
    rows = {"orders": [order(LOGIN_MS)], "assets": [asset(LOGIN_MS)]}
    assert [one.sweep(**rows) for _ in range(2)] == [SweepOutcome.NOTHING] * 2


def test_a_balance_that_is_pushed_without_its_exchange_is_not_missed() -> None:
    """One of the venue's examples has none; the row of it has."""
    one = OneRecovery().begin()
    one.sweep(assets=[asset(LOGIN_MS)])
    _at_audit(one.close())
    one.push(Stream.ASSETS, asset(MUTED_MS, "2", exchangeType=None))
    assert [one.sweep(assets=[asset(MUTED_MS, "2")]) for _ in range(2)] == [SweepOutcome.NOTHING] * 2
    assert one.last(Stream.ASSETS)["OKX:USDT"] == asset(MUTED_MS, "2")


def test_an_order_that_is_known_from_a_query_is_still_missing() -> None:
    """That the bridge knows of it does not mean that it was pushed."""
    one = _at_audit(OneRecovery().healthy())
    row = order(MUTED_MS, "FILLED", "1")
    one.account.on_order(msgspec.convert(row, OrderPush), one.now)
    assert [one.sweep(orders=[row]) for _ in range(2)] == [SweepOutcome.NOTHING, SweepOutcome.MISSED]


def test_a_balance_that_changes_all_the_time_is_missed_although_it_is_never_old() -> None:
    """Each audit finds another state of it, and nothing of it is pushed in between."""
    one = _at_audit(OneRecovery().healthy())
    one.push(Stream.ASSETS, asset(one.now.wall_ms))
    for balance in ("2", "3"):
        one.wait(29)
        assert one.sweep(assets=[asset(one.now.wall_ms, balance)]) is SweepOutcome.NOTHING
    one.wait(2)
    assert one.sweep(assets=[asset(one.now.wall_ms, "4")]) is SweepOutcome.MISSED


def test_a_balance_that_is_pushed_meanwhile_is_not_missed() -> None:
    """REST is ahead of the stream in every audit, and the stream follows each time."""
    one = _at_audit(OneRecovery().healthy())
    for balance in "23456":
        row = asset(one.now.wall_ms, balance)
        assert one.sweep(assets=[row]) is SweepOutcome.NOTHING
        one.wait(2)
        one.push(Stream.ASSETS, row)
        one.wait(29)


def test_what_was_missed_may_be_given_back_without_another_session() -> None:
    """The gap ends now, and closes like any other."""
    one = _at_audit(OneRecovery().healthy())
    one.account.stream.pushes_missed("again", one.now)
    one.sweep(trades=[trade(MUTED_MS)])
    one.close()
    gap = one.events("gap.closed")[-1]
    assert (gap["cause"], gap["recovered"]["trades"], gap["fromMs"]) == ("pushes_missed", 1, LOGIN_MS)
    assert len(one.events("session.opened")) == 1

"""A healthy link with odd dates and wrong readings of the venue's clock: what was pushed last stands, and no more ends.

Nothing is lost here, so nothing is missed: REST lags, and dates its rows as the stream did.
"""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from bridge.contract.topics import Stream
from bridge.core.stream.sweep import SweepOutcome
from tests.support.one_recovery import OneRecovery, Row, asset, order, trade

_HOUR_MS = 3_600_000
_ODD = st.sampled_from([0, 0, 0, 0, 20_000, _HOUR_MS, 30 * _HOUR_MS, None])
"""How far ahead of the truth a date is; None for no date."""
_NEXT = {"NEW": "OPEN", "OPEN": "PARTIALLY_FILLED", "PARTIALLY_FILLED": "FILLED"}


class OddDates(RuleBasedStateMachine):
    """The stream is in order, and everything is pushed once or twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one = OneRecovery().healthy()
        self.one.wait(10)
        self.orders: dict[str, Row] = {}
        self.trades: list[Row] = []
        self.told: list[tuple[float, Stream, Row]] = []
        self.change_balance(1, None, twice=False)

    def date(self, ahead_ms: int | None) -> str:
        """Return what the venue dates something that happens a moment later."""
        self.one.wait(0.002)
        return "" if ahead_ms is None else str(self.true_ms + ahead_ms)

    @property
    def true_ms(self) -> int:
        """What the venue's clock reads, whatever we have read of it."""
        return self.one.now.wall_ms

    def tell(self, stream: Stream, row: Row, *, twice: bool) -> None:
        """Push something, and hold the last record of its key against it."""
        self.told.append((self.one.now.boot_s, stream, row))
        for _ in range(1 + twice):
            self.one.push(stream, row)
            if stream is not Stream.TRADES:
                assert self.one.last(stream)[row.get("orderId", "OKX:USDT")] == row

    @precondition(lambda self: len(self.orders) < 5)
    @rule(ahead_ms=_ODD, twice=st.booleans())
    def make_order(self, ahead_ms: int | None, *, twice: bool) -> None:
        """Let an order come to be."""
        name = str(len(self.orders) + 1)
        self.orders[name] = order(0, "NEW", "0", name) | {"createAt": str(self.true_ms)}
        self.orders[name]["updateAt"] = self.date(ahead_ms)
        self.tell(Stream.ORDERS, self.orders[name], twice=twice)

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 4), ahead_ms=_ODD, trade_ahead_ms=_ODD, twice=st.booleans())
    def change_order(self, which: int, ahead_ms: int | None, trade_ahead_ms: int | None, *, twice: bool) -> None:
        """Let an order go on; a part is executed with each state but the first."""
        name = sorted(self.orders)[which % len(self.orders)]
        known = self.orders[name]
        state = _NEXT.get(known["orderState"])
        if state is None:
            return
        executed = str(int(known["executedQty"]) + (state != "OPEN"))
        row = known | {"orderState": state, "executedQty": executed, "updateAt": self.date(ahead_ms)}
        self.orders[name] = row
        self.tell(Stream.ORDERS, row, twice=twice)
        if state != "OPEN":
            fill = trade(0, f"t{len(self.trades)}", orderId=name, quantity="1", createAt=self.date(trade_ahead_ms))
            self.trades.append(fill)
            self.tell(Stream.TRADES, fill, twice=twice)

    @rule(balance=st.integers(0, 9), ahead_ms=_ODD, twice=st.booleans())
    def change_balance(self, balance: int, ahead_ms: int | None, *, twice: bool) -> None:
        """Let a balance change."""
        self.tell(Stream.ASSETS, asset(0, str(balance), updateAt=self.date(ahead_ms)), twice=twice)

    @rule(wrong_ms=st.integers(-4500, 4500))
    def read_wrongly(self, wrong_ms: int) -> None:
        """Let our reading of the venue's clock be off from now on, within the bound."""
        self.one._venue_ahead_ms = wrong_ms

    @rule(seconds=st.sampled_from([0.1, 5, 40]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.one.wait(seconds)

    @rule(lag_s=st.sampled_from([0, 1, 20]))
    def audit(self, lag_s: float) -> None:
        """Look, when it is time to; REST is behind by less than it may be."""
        one = self.one
        one.wait(max(0, one.recovery.sweep_due_boot_s - one.now.boot_s))
        rows: dict[Stream, dict[str, Row]] = {stream: {} for stream in (Stream.ORDERS, Stream.TRADES, Stream.ASSETS)}
        for at_s, stream, row in self.told:
            if at_s <= one.now.boot_s - lag_s:
                rows[stream][str(row.get("transactionId") or row.get("orderId"))] = row
        orders, trades, assets = (list(found.values()) for found in rows.values())
        assert one.sweep(orders=orders, trades=trades, assets=assets or None) is SweepOutcome.NOTHING

    def teardown(self) -> None:
        """Hold what was published against the truth."""
        for _ in range(3):
            self.audit(20)
        one = self.one
        names = Counter(record.event_id for record in one.records(Stream.TRADES) if not record.recovered)
        assert len(names) == len(self.trades)
        assert not any(record.recovered for record in one.records(Stream.TRADES))
        assert len(one.events("gap.opened")) == 1
        assert {event["alarm"] for event in one.events("alarm.raised")} <= {"clock_skew"}


OddDates.TestCase.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
TestOddDates = OddDates.TestCase

"""One account's recovery on clocks that a test moves: pushes and rows in, records, outcomes and gaps out."""

import json
from collections.abc import Sequence
from typing import Any, Self

import msgspec

from bridge.contract.pushes import OrderPush
from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.account import Account
from bridge.core.commands.claims import TermStart
from bridge.core.now import Now
from bridge.core.outbox import Outbox
from bridge.core.records import OutgoingRecord, Push
from bridge.core.stream.sweep import Sweep, SweepOutcome
from tests.support.clock_readings import read_clocks
from tests.support.one_account import COMMANDS, START, settings_with

CHANNELS = {
    Stream.ORDERS: "Orders",
    Stream.TRADES: "Trades",
    Stream.ASSETS: "Assets",
    Stream.POSITIONS: "Positions",
}
LOGIN_MS = START.wall_ms
Row = dict[str, Any]


def order(at_ms: int, state: str = "OPEN", executed: str = "0", order_id: str = "17") -> Row:
    """Show an order as it is since a time."""
    created = str(LOGIN_MS - 600_000)
    return {
        "orderId": order_id,
        "orderState": state,
        "executedQty": executed,
        "sym": "OKX_PERP_ETH_USDT",
        "createAt": created,
        "updateAt": str(at_ms),
    }


def trade(at_ms: int, name: str = "t-1", **fields: str) -> Row:
    """Show an execution of that time."""
    return {
        "transactionId": name,
        "orderId": "17",
        "sym": "OKX_PERP_ETH_USDT",
        "side": "BUY",
        "quantity": "0.5",
        "price": "100",
        "createAt": str(at_ms),
        **fields,
    }


def asset(at_ms: int, balance: str = "1", coin: str = "USDT", **fields: str | None) -> Row:
    """Show a balance as it is since a time."""
    return {"exchangeType": "OKX", "coin": coin, "balance": balance, "frozen": "0", "updateAt": str(at_ms), **fields}


def position(at_ms: int, quantity: str = "1", sym: str = "OKX_PERP_ETH_USDT", **fields: str) -> Row:
    """Show a position as it is since a time."""
    return {"sym": sym, "positionSide": "NONE", "positionQty": quantity, "updateAt": str(at_ms), **fields}


def raw(row: Row) -> bytes:
    """Return what REST or the stream says of a row."""
    return json.dumps(row).encode()


class OneRecovery:
    """An account whose predecessor ended a minute before START, unless it is the very first.

    Time passes only by `wait`. The clocks of others agree with ours, and are read all the time unless `read` is False.
    A sweep reads the rows that the test gives it, and closes the gaps when it may.
    """

    def __init__(
        self, *, ended_ms: int = LOGIN_MS - 60_000, since_ms: int | None = None, read: bool = True, **changes: object
    ) -> None:
        self.now = START
        limits, self.timing = settings_with(**changes)
        self.outgoing: list[OutgoingRecord] = []
        """What the account has published, until it is collected."""
        outbox, start = Outbox("main", self.outgoing.append), TermStart(3, 0, ended_ms)
        self.account = Account(outbox, COMMANDS, limits, self.timing, start, now=START)
        self._reads_clocks = read
        self._venue_ahead_ms = 0
        if read:
            read_clocks(self.account, START)
        self.recovery = self.account.stream.reconciliation
        self.since_ms = since_ms
        self.said: list[OutgoingRecord] = []

    def begin(self) -> Self:
        """Own the account, and log in."""
        self.account.begin("here", self.now, self.since_ms)
        return self.log_in()

    def log_in(self) -> Self:
        """Log in."""
        self.account.stream.logged_in("az4", self.now)
        self._collect()
        return self

    def lose(self, cause: Cause = Cause.LINK_FAILED) -> None:
        """Lose the session; everything until now is durable."""
        self.account.session_lost("az4", cause, "gone", self.now.wall_ms, self.now)
        self._collect()

    def wait(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.now = Now(self.now.boot_s + seconds, self.now.wall_ms + int(seconds * 1000))
        if self._reads_clocks:
            read_clocks(self.account, self.now, venue_ahead_ms=self._venue_ahead_ms)

    def set_clock(self, ms: int) -> None:
        """Set the wall clock by so much; the venue's goes on."""
        self.now = Now(self.now.boot_s, self.now.wall_ms + ms)
        self._venue_ahead_ms -= ms

    @property
    def venue_ms(self) -> int:
        """What the venue's clock reads."""
        return self.now.wall_ms + self._venue_ahead_ms

    def tick(self) -> list[OutgoingRecord]:
        """Do what is due; return the records."""
        self.account.tick(self.now)
        return self._collect()

    def push(self, stream: Stream, *rows: Row) -> list[OutgoingRecord]:
        """Push rows, each in a frame of its own; return the records."""
        for row in rows:
            self.account.on_frame(Push(CHANNELS[stream], raw(row), b"{}"), self.now)
        return self._collect()

    def remember(self, stream: Stream, *rows: Row, published_ms: int = LOGIN_MS - 120_000) -> None:
        """Let the predecessor have published rows."""
        for row in rows:
            self.account.stream.restore_record(stream, raw(row), published_ms)

    def take(self, sweep: Sweep, stream: Stream, *rows: Row) -> list[OutgoingRecord]:
        """Take rows of REST, and learn from orders as the sweep does; return the records."""
        self.recovery.compare_rows(sweep, stream, [raw(row) for row in rows], self.now)
        if stream is Stream.ORDERS:
            for row in rows:
                self.account.on_order(msgspec.convert(row, OrderPush), self.now)
        return self._collect()

    def sweep(
        self,
        *,
        orders: Sequence[Row] = (),
        trades: Sequence[Row] = (),
        assets: Sequence[Row] | None = None,
        positions: Sequence[Row] | None = None,
        risks: Sequence[Row] = (),
    ) -> SweepOutcome:
        """Sweep once; without a list of assets or positions, they are as they were."""
        recovery, sweep = self.recovery, self.recovery.begin_sweep(self.now)
        self.take(sweep, Stream.ORDERS, *orders)
        self.take(sweep, Stream.TRADES, *trades)
        for stream, rows in ((Stream.ASSETS, assets), (Stream.POSITIONS, positions)):
            if rows is not None:
                listed = recovery.compare_rows(sweep, stream, [raw(row) for row in rows], self.now)
                recovery.compare_list(sweep, stream, listed, self.now)
        recovery.publish_risks(sweep, [raw(row) for row in risks], self.now)
        self._collect()
        return self.end(sweep)

    def end(self, sweep: Sweep) -> SweepOutcome:
        """End a sweep, with what follows from it."""
        outcome = self.recovery.judge_sweep(sweep, self.now)
        if outcome is SweepOutcome.MAY_CLOSE:
            self.account.stream.close_gaps(self.now)
        elif outcome is SweepOutcome.MISSED:
            self.lose(Cause.PUSHES_MISSED)
        self._collect()
        return outcome

    def close(self) -> Self:
        """Let so much time pass that a sweep which brings nothing closes the gaps."""
        self.wait(self.timing.rest_lag_s)
        assert self.sweep() is SweepOutcome.MAY_CLOSE
        return self

    def healthy(self) -> Self:
        """Begin, and close what was open."""
        return self.begin().close()

    def events(self, kind: str) -> list[Row]:
        """Return the session's events of one type, so far."""
        said = [json.loads(record.value or b"") for record in self.said if record.stream is Stream.SESSION]
        return [event for event in said if event["type"] == kind]

    def records(self, stream: Stream) -> list[OutgoingRecord]:
        """Return what went to a topic so far."""
        return [record for record in self.said if record.stream is stream]

    def last(self, stream: Stream) -> dict[str, Row | None]:
        """Return the last record of every key of a topic."""
        return {
            record.key.decode(): None if record.value is None else json.loads(record.value)
            for record in self.records(stream)
        }

    def _collect(self) -> list[OutgoingRecord]:
        records = self.outgoing.copy()
        self.outgoing.clear()
        self.said += records
        return records

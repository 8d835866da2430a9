"""The sweeps of one account: what REST tells is compared with what was pushed, and what follows from it."""

from collections.abc import Iterable
from typing import Final

from bridge.contract.topics import Stream
from bridge.core.account_wings import AccountWings
from bridge.core.now import Now
from bridge.core.records import Rows
from bridge.core.rest_rows import OrderRow, TradeRow
from bridge.core.stream.fill_sums import IncompleteOrder
from bridge.core.stream.order_ends import add_order_id
from bridge.core.stream.sweep import AfterSweep, Sweep, SweepOutcome

_DAY_MS: Final = 24 * 3600 * 1000
_ONE_BY_ONE_MAX: Final = 1000
"""More orders than these are looked for in the history's pages first, back to the oldest of them, within reason."""
_SEARCHED_MS: Final = 7 * _DAY_MS
_WHOLE_MAX: Final = 500
"""So many of the orders that ended in a gap are asked for whole; of more, the history's rows must do."""


class AccountSweeps(AccountWings):
    """What `flow` asks REST for in a sweep and between two, and what the account makes of the answers."""

    @property
    def sweep_due_boot_s(self) -> float:
        """When the next sweep is due."""
        return self.stream.reconciliation.sweep_due_boot_s

    def pop_overdue_orders(self, now: Now) -> list[str]:
        """Return the orderIds of some orders that were acked and not pushed, to ask for; each once."""
        return self.stream.reconciliation.overdue_pushes.pop_overdue(now)

    def on_overdue_order(self, order_id: str, row: OrderRow, now: Now) -> None:
        """Publish what REST tells of an order whose push is overdue."""
        push, raw = add_order_id(row.order, row.raw, order_id)
        self.stream.reconciliation.overdue_pushes.publish_row(raw, now)
        self.on_order(push, now)

    def pop_orders_with_missing_fills(self, now: Now) -> list[IncompleteOrder]:
        """Return some orders that ended with more than their executions add up to, to ask for these."""
        return self.stream.pop_orders_with_missing_fills(now)

    def on_executions(self, short: IncompleteOrder, rows: Rows[TradeRow], now: Now) -> None:
        """Publish the executions of such an order that were not pushed."""
        self.stream.compare_executions(short, [row.raw for row in rows], now)
        for row in rows:
            self.on_trade(row.trade, now)

    def begin_sweep(self, now: Now) -> Sweep:
        """Begin a sweep: the lists of open orders, assets and positions, and what was executed or ended of late."""
        return self.stream.reconciliation.begin_sweep(now)

    def on_open_rows(self, sweep: Sweep, rows: Rows[OrderRow], now: Now) -> None:
        """Take rows of the list of open orders."""
        raw = [row.raw for row in rows]
        sweep.listed[Stream.ORDERS] |= self.stream.reconciliation.compare_rows(sweep, Stream.ORDERS, raw, now)
        sweep.unreadable += rows.unreadable
        if rows.unreadable:
            sweep.broken_lists.add(Stream.ORDERS)
        for row in rows:
            self.on_order(row.order, now)

    def on_state_rows(self, sweep: Sweep, stream: Stream, rows: Rows[bytes], now: Now) -> None:
        """Take rows of the list of assets or positions."""
        before = sweep.unreadable
        sweep.listed[stream] |= self.stream.reconciliation.compare_rows(sweep, stream, rows, now)
        sweep.unreadable += rows.unreadable
        if sweep.unreadable > before:
            sweep.broken_lists.add(stream)

    def on_list_end(self, sweep: Sweep, stream: Stream, asked_boot_s: float, now: Now) -> None:
        """Note that a list is complete that was asked for at `asked_boot_s`: what it lacks may be gone."""
        listed, is_whole = sweep.listed[stream], stream not in sweep.broken_lists
        if stream is Stream.ORDERS:
            sweep.open_orders = len(listed)
            if is_whole:
                self.unknown.on_open_orders(listed, asked_boot_s, now)
        elif is_whole:
            self.stream.reconciliation.compare_list(sweep, stream, listed, now)

    def history_since_ms(self, sweep: Sweep, now: Now) -> int:
        """Return from when on to ask for the orders that are over, Unix ms, after the list of open orders."""
        unlisted = self.stream.reconciliation.find_unlisted_orders(sweep, sweep.listed[Stream.ORDERS], now)
        if len(unlisted) <= _ONE_BY_ONE_MAX:
            return sweep.since_ms
        oldest_ms = min([sweep.since_ms, *(order.created_ms for order in unlisted if order.created_ms)])
        return min(sweep.since_ms, max(oldest_ms, now.wall_ms - _SEARCHED_MS))

    def on_ended_rows(self, sweep: Sweep, rows: Rows[OrderRow], now: Now) -> None:
        """Take rows of the history. Some that are news are to be asked for one by one: a row is not the whole order."""
        sweep.unreadable += rows.unreadable
        for row in rows:
            order_id = str(row.order.order_id)
            sweep.listed[Stream.ORDERS].add(order_id)
            is_news = self.stream.reconciliation.is_unpublished(Stream.ORDERS, row.raw)
            if is_news and len(sweep.single_orders) < _WHOLE_MAX and order_id:
                sweep.single_orders[order_id] = row
            else:
                self._take_order(sweep, row, "", now)

    def orders_to_ask(self, sweep: Sweep, now: Now) -> list[str]:
        """Return the orderIds to ask for one by one, after the history: those, and what is in neither list."""
        for order in self.stream.reconciliation.find_unlisted_orders(sweep, sweep.listed[Stream.ORDERS], now):
            sweep.single_orders[order.order_id] = None
        return list(sweep.single_orders)

    def on_single_order(
        self, sweep: Sweep, order_id: str, row: OrderRow | None, now: Now, *, is_refused: bool = False
    ) -> None:
        """Take what the venue tells of one order: None where it knows none, or `is_refused` says nothing of it."""
        in_history = sweep.single_orders[order_id]
        sweep.unreadable += is_refused and in_history is None
        for one in (row, in_history):
            if one is not None:
                self._take_order(sweep, one, order_id, now)
        if in_history is None and Stream.ORDERS not in sweep.broken_lists:
            state = row.order.order_state if row is not None else ""
            ended = self.stream.reconciliation.conclude_order_end(sweep, order_id, state, now)
            if ended is not None:
                self.on_order(ended, now)

    def on_trade_rows(self, sweep: Sweep, rows: Rows[TradeRow], now: Now) -> None:
        """Take rows of the executions."""
        sweep.unreadable += rows.unreadable
        self.stream.reconciliation.compare_rows(sweep, Stream.TRADES, [row.raw for row in rows], now)
        for row in rows:
            self.on_trade(row.trade, now)

    def judge_sweep(self, sweep: Sweep, now: Now) -> SweepOutcome:
        """Judge a sweep of which every question was answered, and everything is durable."""
        outcome = self.stream.reconciliation.judge_sweep(sweep, now)
        self.stream.publish_sweep_alarms(sweep, now)
        return outcome

    def recovery_complete(self, endpoint: str, open_orders: int, sweep: Sweep, took_ms: int, now: Now) -> None:
        """Note that what REST knows has been published once, and that every command may go."""
        self.first_sweep_done = True
        self.stream.recovery_complete(endpoint, open_orders, sweep, took_ms, now)

    def on_risks(self, sweep: Sweep, rows: Iterable[bytes], now: Now) -> None:
        """Publish the risk of every exchange account as it is now, in place of the margin calls of a gap."""
        self.stream.reconciliation.publish_risks(sweep, rows, now)

    def apply_sweep_outcome(self, sweep: Sweep, outcome: SweepOutcome, now: Now) -> tuple[AfterSweep, str]:
        """Close the gaps, or open one where pushes were missed; return which, and what was missed."""
        if outcome is SweepOutcome.MAY_CLOSE:
            self.stream.close_gaps(now)
            return AfterSweep.GAPS_CLOSED, ""
        if outcome is SweepOutcome.MISSED:
            missing = self.stream.reconciliation.audits.describe_missing()
            if self.session_renewals.pushes_missed(missing, now):
                return AfterSweep.RENEW_SESSION, missing
            self.stream.pushes_missed(missing, now)
            return AfterSweep.PUSHES_MISSED, missing
        if sweep.is_audit:
            self.session_renewals.nothing_missed(now)
        return AfterSweep.NOTHING, ""

    def sweep_succeeded(self, now: Now) -> None:
        """Note that a sweep was answered."""
        self.sweep_failures.sweep_succeeded(now)

    def sweep_failed(self, why: str, now: Now, *, is_lasting: bool) -> None:
        """Note that a sweep failed; `is_lasting`: so will the next, until a person does something about it."""
        self.sweep_failures.sweep_failed(why, now, is_lasting=is_lasting)

    def _take_order(self, sweep: Sweep, row: OrderRow, order_id: str, now: Now) -> None:
        push, raw = add_order_id(row.order, row.raw, order_id)
        self.stream.reconciliation.compare_rows(sweep, Stream.ORDERS, [raw], now)
        self.on_order(push, now)

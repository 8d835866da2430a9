"""The lists that a sweep asks for: their rows are judged and published as they come, and no list is held whole."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, TypeVar

from structlog.typing import FilteringBoundLogger

from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.account import Account
from bridge.core.records import Rows
from bridge.core.rest_rows import OrderRow
from bridge.core.stream.order_ends import name_row
from bridge.core.stream.sweep import ARCHIVE_REACH_MS, Sweep
from bridge.errors import ListTooLong, RowNotUnderstood, VenueRefused
from bridge.flow.concurrency import run_concurrently
from bridge.flow.ports import Clock, Publisher, VenueRest

Row = TypeVar("Row")
_Ask = Callable[[str | None, int, int | None], AsyncIterator[Rows[Row]]]
_DAY_MS: Final = 24 * 3600 * 1000
_LEAST_MS: Final = 1000
_ROWS_MAX: Final = 1000
"""After so many rows, what was published of them has to be durable before more are asked for."""
_ONE_BY_ONE_MAX: Final = 1000
"""More orders than these are looked for in the history's pages first, back to the oldest of them, within reason."""
_SEARCHED_MS: Final = 7 * _DAY_MS
_AT_ONCE: Final = 10
_WHOLE_MAX: Final = 500
"""So many of the orders that ended in a gap are asked for whole; of more, the history's rows must do."""
_FLUSH_S: Final = 5.0
_RECOVERED: Final = (Stream.TRADES, *sorted(STATE_STREAMS))
"""Where a sweep publishes. A topic of other things that takes nothing holds up no recovery."""


class SweepLists:
    """Asks for what one sweep needs, on behalf of one term."""

    def __init__(
        self,
        account: Account,
        *,
        rest: VenueRest,
        publisher: Publisher,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._account = account
        self._judge = account.listening.recovery
        self._rest = rest
        self._publisher = publisher
        self._clock = clock
        self._log = log
        self._undurable_rows = 0

    async def read_all(self, sweep: Sweep) -> int:
        """Ask for everything that a sweep judges; return how many orders are open."""
        open_orders: int
        open_orders, *_ = await run_concurrently(
            self._read_orders(sweep),
            self._read_trades(sweep),
            self._read_states(sweep, Stream.ASSETS, self._rest.fetch_assets()),
            self._read_states(sweep, Stream.POSITIONS, self._rest.fetch_positions()),
        )
        return open_orders

    async def make_durable(self) -> None:
        """Wait until what was recovered is durable."""
        while not await self._publisher.flush(_FLUSH_S, _RECOVERED):
            self._log.warning("sweep.waits_for_kafka")
        self._undurable_rows = 0

    async def _bound_undurable(self, rows: int) -> None:
        """Wait for durability after many rows: at most _ROWS_MAX and one answer of the venue wait in memory."""
        self._undurable_rows += rows
        if self._undurable_rows >= _ROWS_MAX:
            await self.make_durable()

    async def _read_orders(self, sweep: Sweep) -> int:
        """Ask for what is open, for what has ended, and one by one for what is neither; return how many are open."""
        listed, is_whole = await self._read_open_orders(sweep)
        open_orders = len(listed)
        unlisted = self._judge.open_orders_not_listed(sweep, listed, self._clock())
        begin_ms = sweep.since_ms
        if len(unlisted) > _ONE_BY_ONE_MAX:
            oldest_ms = min([begin_ms, *(order.created_ms for order in unlisted if order.created_ms)])
            begin_ms = min(begin_ms, max(oldest_ms, self._clock().wall_ms - _SEARCHED_MS))
        singly = await self._read_ended_orders(sweep, listed, begin_ms)
        names = [
            *singly.items(),
            *((order.order_id, None) for order in self._judge.open_orders_not_listed(sweep, listed, self._clock())),
        ]
        for some in (names[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE)):
            await run_concurrently(
                *(self._read_order(sweep, order_id, row, is_whole=is_whole) for order_id, row in some)
            )
            await self.make_durable()
        return open_orders

    async def _read_open_orders(self, sweep: Sweep) -> tuple[set[str], bool]:
        """Ask for every open order; return their orderIds, and whether all rows were understood."""
        asked_at = self._clock().boot_s
        listed: set[str] = set()
        unreadable = 0
        async for rows in self._rest.fetch_open_orders():
            unreadable += rows.unreadable
            listed |= self._judge.compare_rows(sweep, Stream.ORDERS, [row.raw for row in rows], self._clock())
            for row in rows:
                self._account.on_order(row.order, self._clock())
            await self._bound_undurable(len(rows))
        sweep.unreadable += unreadable
        if not unreadable:
            self._account.on_open_orders(listed, asked_at, self._clock())
        await self.make_durable()
        return listed, not unreadable

    async def _read_ended_orders(self, sweep: Sweep, listed: set[str], begin_ms: int) -> dict[str, OrderRow]:
        """Ask for the orders that are over, add their orderIds to `listed`, and return those to be asked for singly."""
        singly: dict[str, OrderRow] = {}
        async for rows in self._read_in_parts(sweep, self._rest.fetch_ended_orders, begin_ms):
            for row in rows:
                order_id = str(row.order.order_id)
                listed.add(order_id)
                if self._judge.is_news(Stream.ORDERS, row.raw) and len(singly) < _WHOLE_MAX and order_id:
                    singly[order_id] = row
                else:
                    self._take(sweep, row)
            await self._bound_undurable(len(rows))
        await self.make_durable()
        return singly

    async def _read_order(self, sweep: Sweep, order_id: str, row: OrderRow | None, *, is_whole: bool) -> None:
        """Ask for one order; `row` is what the history tells of it, which leaves out what was last done to it.

        One that the venue refuses to speak of holds up no other. `is_whole`: the list of open orders, which lacks it,
        is.
        """
        told = None
        try:
            told = await self._rest.fetch_order(order_id=order_id)
        except (VenueRefused, RowNotUnderstood) as error:
            self._log.error("order.refused", order_id=order_id, detail=str(error))
            sweep.unreadable += row is None
        else:
            if told is None:
                self._log.warning("order.unknown_to_venue", order_id=order_id)
        for one in (told, row):
            if one is not None:
                self._take(sweep, one, order_id)
        if is_whole and row is None:
            now = self._clock()
            ended = self._judge.conclude_end(sweep, order_id, told.order.order_state if told is not None else "", now)
            if ended is not None:
                self._account.on_order(ended, now)

    def _take(self, sweep: Sweep, row: OrderRow, order_id: str = "") -> None:
        push, raw = name_row(row.order, row.raw, order_id)
        self._judge.compare_rows(sweep, Stream.ORDERS, [raw], self._clock())
        self._account.on_order(push, self._clock())

    async def _read_trades(self, sweep: Sweep) -> None:
        async for rows in self._read_in_parts(sweep, self._rest.fetch_executions, sweep.since_ms):
            self._judge.compare_rows(sweep, Stream.TRADES, [row.raw for row in rows], self._clock())
            for row in rows:
                self._account.on_trade(row.trade, self._clock())
            await self._bound_undurable(len(rows))
        await self.make_durable()

    async def _read_in_parts(self, sweep: Sweep, ask: _Ask[Row], since_ms: int) -> AsyncIterator[Sequence[Row]]:
        """Ask for what happened since a time, by the day or less, and yield the rows as they come."""
        now_ms = self._clock().wall_ms
        begin_ms, size_ms = max(since_ms, now_ms - ARCHIVE_REACH_MS), _DAY_MS
        while begin_ms < now_ms:
            end_ms = begin_ms + size_ms if begin_ms + size_ms < now_ms else None
            try:
                async for rows in ask(None, begin_ms, end_ms):
                    sweep.unreadable += rows.unreadable
                    yield rows
            except ListTooLong:
                if size_ms <= _LEAST_MS:
                    raise
                size_ms //= 2
                continue
            begin_ms += size_ms

    async def _read_states(self, sweep: Sweep, stream: Stream, told: AsyncIterator[Rows[bytes]]) -> None:
        """Ask for everything of a stream. With a row that was not understood, the list proves nothing to be gone."""
        listed: set[str] = set()
        unreadable = 0
        async for rows in told:
            before = sweep.unreadable
            listed |= self._judge.compare_rows(sweep, stream, rows, self._clock())
            sweep.unreadable += rows.unreadable
            unreadable += sweep.unreadable - before
            await self._bound_undurable(len(rows))
        if not unreadable:
            self._judge.compare_list(sweep, stream, listed, self._clock())

"""The lists that a sweep asks for: their rows are published as they come, and no list is held whole."""

from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

from structlog.typing import FilteringBoundLogger

from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.account import Account
from bridge.core.records import Rows
from bridge.core.stream.sweep import ARCHIVE_REACH_MS, Sweep
from bridge.errors import ListTooLong, RowNotUnderstood, VenueRefused
from bridge.flow.concurrency import run_concurrently
from bridge.flow.ports import Clock, Publisher, VenueRest

Row = TypeVar("Row")
_AskForPart = Callable[[str | None, int, int | None], AsyncIterator[Rows[Row]]]
_DAY_MS: Final = 24 * 3600 * 1000
_LEAST_MS: Final = 1000
_ROWS_MAX: Final = 1000
"""After so many rows, what was published of them has to be durable before more are asked for."""
_AT_ONCE: Final = 10
_FLUSH_S: Final = 5.0
_RECOVERED: Final = (Stream.TRADES, *sorted(STATE_STREAMS))
"""Where a sweep publishes. A topic of other things that takes nothing holds up no recovery."""


class SweepLists:
    """Asks for what one sweep needs, on behalf of one term."""

    def __init__(
        self, account: Account, rest: VenueRest, publisher: Publisher, clock: Clock, log: FilteringBoundLogger
    ) -> None:
        self._account = account
        self._rest = rest
        self._publisher = publisher
        self._clock = clock
        self._log = log
        self._undurable_rows = 0

    async def read_all(self, sweep: Sweep) -> None:
        """Ask for everything that a sweep compares with what was pushed."""
        await run_concurrently(
            self._read_orders(sweep),
            self._read_trades(sweep),
            self._read_states(sweep, Stream.ASSETS, self._rest.fetch_assets()),
            self._read_states(sweep, Stream.POSITIONS, self._rest.fetch_positions()),
        )

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

    async def _read_orders(self, sweep: Sweep) -> None:
        """Ask for what is open, for what has ended, and one by one for what is neither."""
        asked_boot_s = self._clock().boot_s
        async for rows in self._rest.fetch_open_orders():
            self._account.on_open_rows(sweep, rows, self._clock())
            await self._bound_undurable(len(rows))
        self._account.on_list_end(sweep, Stream.ORDERS, asked_boot_s, self._clock())
        await self.make_durable()
        since_ms = self._account.history_since_ms(sweep, self._clock())
        async for rows in self._read_in_parts(self._rest.fetch_ended_orders, since_ms):
            self._account.on_ended_rows(sweep, rows, self._clock())
            await self._bound_undurable(len(rows))
        await self.make_durable()
        order_ids = self._account.orders_to_ask(sweep, self._clock())
        for some in (order_ids[at : at + _AT_ONCE] for at in range(0, len(order_ids), _AT_ONCE)):
            await run_concurrently(*(self._read_order(sweep, order_id) for order_id in some))
            await self.make_durable()

    async def _read_order(self, sweep: Sweep, order_id: str) -> None:
        """Ask for one order. A refusal to speak of it holds up no other."""
        try:
            row = await self._rest.fetch_order(order_id=order_id)
        except (VenueRefused, RowNotUnderstood) as error:
            self._log.error("order.query_refused", order_id=order_id, detail=str(error))
            self._account.on_single_order(sweep, order_id, None, self._clock(), is_refused=True)
            return
        if row is None:
            self._log.warning("order.unknown_to_venue", order_id=order_id)
        self._account.on_single_order(sweep, order_id, row, self._clock())

    async def _read_trades(self, sweep: Sweep) -> None:
        async for rows in self._read_in_parts(self._rest.fetch_executions, sweep.since_ms):
            self._account.on_trade_rows(sweep, rows, self._clock())
            await self._bound_undurable(len(rows))
        await self.make_durable()

    async def _read_in_parts(self, ask: _AskForPart[Row], since_ms: int) -> AsyncIterator[Rows[Row]]:
        """Ask for what happened since a time, by the day or less, and yield the rows as they come."""
        now_ms = self._clock().wall_ms
        begin_ms, size_ms = max(since_ms, now_ms - ARCHIVE_REACH_MS), _DAY_MS
        while begin_ms < now_ms:
            end_ms = begin_ms + size_ms if begin_ms + size_ms < now_ms else None
            try:
                async for rows in ask(None, begin_ms, end_ms):
                    yield rows
            except ListTooLong:
                if size_ms <= _LEAST_MS:
                    raise
                size_ms //= 2
                continue
            begin_ms += size_ms

    async def _read_states(self, sweep: Sweep, stream: Stream, lists: AsyncIterator[Rows[bytes]]) -> None:
        """Ask for everything of a stream."""
        asked_boot_s = self._clock().boot_s
        async for rows in lists:
            self._account.on_state_rows(sweep, stream, rows, self._clock())
            await self._bound_undurable(len(rows))
        self._account.on_list_end(sweep, stream, asked_boot_s, self._clock())

"""Asking the venue's REST about single orders: unknown commands, and orders that the bridge does not know."""

import asyncio
from math import inf
from typing import Final

import structlog

from bridge.core.account import Account
from bridge.core.in_flight.ack_codes import KINDS, CodeKind
from bridge.core.in_flight.query_memory import QueryKind
from bridge.core.in_flight.query_schedule import StatusQuery
from bridge.core.rest_rows import OrderRow
from bridge.errors import RowNotUnderstood, VenueError, VenueRefused
from bridge.flow.ports import Clock, VenueRest
from bridge.flow.venue_listener import VenueListener

_log = structlog.get_logger()
_SPACING_S: Final = 0.1
"""Between two queries: half of what LTP allows (LTP docs, Query Order: 1200 in 60 s)."""
_PAUSE_S: Final = 1.0
_SWEPT_MAX: Final = 50
_LOOKED_UP_MAX: Final = 5
"""Look-ups of orders between two rounds of queries about unknown commands."""


class StatusQueries:
    """Asks about single orders on behalf of one term."""

    def __init__(self, name: str, account: Account, rest: VenueRest, events: VenueListener, clock: Clock) -> None:
        self._log = _log.bind(account=name)
        self._account = account
        self._rest = rest
        self._events = events
        self._clock = clock
        self._woken = asyncio.Event()
        self._look_up_boot_s = -inf
        """From when on unknown orders are looked up again."""

    def wake(self) -> None:
        """Find out at once whether something is to be asked."""
        self._woken.set()

    async def run(self) -> None:
        """Ask what is due until cancelled. What the venue does not answer is asked again later."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self._look_up_orders()
            await self._ask_due_queries()
            await asyncio.sleep(_SPACING_S)

    async def ask_all(self) -> None:
        """Ask once about the 50 oldest unknown commands, before places, replaces and cancel_orders may be written.

        It stops at the first query that the venue does not answer. `run` asks about the rest.
        """
        for query in self._account.all_queries()[:_SWEPT_MAX]:
            if not await self._ask_query(query):
                return

    async def _ask_due_queries(self) -> None:
        for query in self._account.pop_due_queries(self._clock()):
            if not await self._ask_query(query):
                await asyncio.sleep(_PAUSE_S)
            await asyncio.sleep(_SPACING_S)

    async def _ask_query(self, query: StatusQuery) -> bool:
        """Ask about one command; return False when the venue does not answer.

        A refusal to speak of one order holds up no other.
        """
        kind = self._account.kind_of_query(query, self._clock())
        if kind is None:
            return True
        try:
            await self._ask_by_kind(query, kind)
            since_ms = self._account.search_since_ms(query)
            if since_ms is not None:
                await self._search_symbol(query, since_ms)
        except VenueRefused as error:
            self._account.query_refused(query, self._clock())
            self._log.error("query.refused", offset=query.offset, detail=str(error))
            return True
        except VenueError as error:
            self._log.warning("query.failed", offset=query.offset, detail=str(error))
            return False
        except Exception:  # noqa: BLE001 - an answer that is too much for us holds up one command, not the account
            self._log.exception("query.crashed", offset=query.offset)
            return False
        self._events.clock_read(self._rest.clock_reading, self._clock())
        self._account.query_answered(query, self._clock())
        self._events.wake()
        return True

    async def _ask_by_kind(self, query: StatusQuery, kind: QueryKind) -> None:
        if kind is QueryKind.ORDER:
            await self._ask_for_order(query)
            return
        await self._ask_for_open_orders()
        if kind is QueryKind.LISTS:
            await self._ask_for_past(query.sym, query.since_ms)

    async def _ask_for_open_orders(self) -> None:
        """Ask for every open order, and learn from them. Raises VenueError.

        With a row that was not understood the list proves nothing to be over.
        """
        asked_boot_s = self._clock().boot_s
        listed: set[str] = set()
        unreadable = 0
        async for rows in self._rest.fetch_open_orders():
            unreadable += rows.unreadable
            for row in rows:
                self._learn_order(row)
                listed.add(str(row.order.order_id))
        if unreadable:
            raise RowNotUnderstood(f"{unreadable} rows of the open orders are not understood")
        self._account.on_open_orders(listed, asked_boot_s, self._clock())

    async def _ask_for_order(self, query: StatusQuery) -> None:
        """Ask by orderId, and by clientOrderId: a replace may have given the order another orderId."""
        by_id = None
        if query.order_id is not None:
            by_id = await self._ask_for_row(order_id=query.order_id)
        name = query.client_order_id or (by_id.order.client_order_id if by_id is not None else None)
        # Both are asked for before either is learnt: the end of one order proves nothing while another has its name.
        if name:
            self._learn_order(await self._ask_for_row(client_order_id=name))
        self._learn_order(by_id)

    async def _ask_for_row(self, *, order_id: str | None = None, client_order_id: str | None = None) -> OrderRow | None:
        """Return one order; None too when the venue says that no order can have this name."""
        try:
            return await self._rest.fetch_order(order_id=order_id, client_order_id=client_order_id)
        except VenueRefused as error:
            if KINDS.get(error.code) is CodeKind.ORDER:
                return None
            raise

    async def _ask_for_past(self, sym: str | None, since_ms: int) -> None:
        """Ask for what is over and what was executed since a time, of a symbol or of all, and learn from it."""
        async for rows in self._rest.fetch_ended_orders(sym, since_ms):
            for row in rows:
                self._learn_order(row)
        async for executions in self._rest.fetch_executions(sym, since_ms):
            for execution in executions:
                self._account.on_trade(execution.trade, self._clock())

    async def _search_symbol(self, query: StatusQuery, since_ms: int) -> None:
        """Ask for what is over and what was executed of the symbol of a place that can land no more."""
        asked_boot_s, sym = self._clock().boot_s, query.sym or ""
        try:
            await self._ask_for_past(sym, since_ms)
        except VenueRefused as error:  # such as a symbol that there is not: then nothing of it can be there
            self._log.error("search.refused", sym=sym, detail=str(error))
        self._account.symbol_searched(query, since_ms, asked_boot_s)

    async def _look_up_orders(self) -> None:
        """Look up a few orders that replaces name and the bridge does not know. Only a few, so that queries go on."""
        if self._clock().boot_s < self._look_up_boot_s:
            return
        for client_order_id in self._account.lookups()[:_LOOKED_UP_MAX]:
            await asyncio.sleep(_SPACING_S)
            if not await self._look_up_order(client_order_id):
                self._look_up_boot_s = self._clock().boot_s + _PAUSE_S
                return
            self._events.wake()
        if self._account.lookups():
            self._woken.set()

    async def _look_up_order(self, client_order_id: str) -> bool:
        """Look up one order; return False when it is to be asked for again."""
        try:
            self._learn_order(await self._rest.fetch_order(client_order_id=client_order_id))
        except VenueError as error:
            self._log.warning("lookup.failed", client_order_id=client_order_id, detail=str(error))
        except Exception:  # noqa: BLE001 - the replace waits until it expires; the account goes on
            self._log.exception("lookup.crashed", client_order_id=client_order_id)
        else:
            return self._account.order_looked_up(client_order_id, self._clock())
        self._account.lookup_failed(client_order_id)
        return False

    def _learn_order(self, row: OrderRow | None) -> None:
        if row is not None:
            self._account.on_order(row.order, self._clock())

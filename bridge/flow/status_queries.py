"""What is asked of the venue's REST about single orders: commands in doubt, and orders that nobody here knows."""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

import structlog

from bridge.contract.commands import CANCEL_ALL, PLACE
from bridge.core.account import Account
from bridge.core.in_flight.ack_codes import KINDS, CodeKind
from bridge.core.in_flight.status_queries import StatusQuery
from bridge.core.rest_rows import OrderRow
from bridge.errors import RowNotUnderstood, VenueError, VenueRefused
from bridge.flow.ports import Clock, VenueRest
from bridge.flow.venue_listener import VenueListener

_log = structlog.get_logger()
_SPACING_S: Final = 0.1
"""Between two questions: half of what LTP allows (LTP docs, Query Order: 1200 in 60 s)."""
_PAUSE_S: Final = 1.0
_SWEPT_MAX: Final = 50
_LOOKED_UP_MAX: Final = 5
"""Look-ups of unknown orders between two rounds of questions about what is in doubt."""
_REFUSED_S: Final = 60.0
"""So long a refusal to speak of an order may pass, before the lists are asked for instead."""


class StatusQueries:
    """Asks about single orders on behalf of one term."""

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        rest: VenueRest,
        events: VenueListener,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._log = _log.bind(account=name)
        self._account = account
        self._rest = rest
        self._events = events
        self._clock = clock
        self._wake = wake
        self._asked = asyncio.Event()
        self._look_up_at = -inf
        """From when on, on the clock that never steps, unknown orders are looked up again."""
        self._searched: dict[str, tuple[float, int]] = {}
        """When, on the clock that never steps, a symbol was last searched, and back to which Unix ms."""
        self._refused_at: dict[int, float] = {}
        """Since when, on that clock, the venue refuses to speak of the order of a command."""

    def ask(self) -> None:
        """Look at once whether something is to be asked."""
        self._asked.set()

    async def run(self) -> None:
        """Ask what is due until cancelled. What the venue does not answer comes again by itself."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._look_up_some()
            await self._ask_what_is_due()
            await asyncio.sleep(_SPACING_S)

    async def ask_all(self) -> None:
        """Ask once about the commands in doubt, the oldest first, before places may go.

        Where there are many, and where the venue does not answer, they are asked about by and by.
        """
        for question in self._account.doubts.all_queries()[:_SWEPT_MAX]:
            if question.offset in self._account.doubts and not await self._ask(question):
                return

    async def _ask_for_open_orders(self) -> None:
        """Ask for every open order, and take them in. Raises VenueError.

        With a row that was not understood the list proves nothing to be over.
        """
        asked_at = self._clock().boot_s
        listed: set[str] = set()
        unreadable = 0
        async for rows in self._rest.fetch_open_orders():
            unreadable += rows.unreadable
            for row in rows:
                self._take(row)
                listed.add(str(row.order.order_id))
        if unreadable:
            raise RowNotUnderstood(f"{unreadable} rows of the open orders are not understood")
        self._account.on_open_orders(listed, asked_at, self._clock())

    async def _ask_what_is_due(self) -> None:
        for question in self._account.doubts.pop_due_queries(self._clock()):
            if question.offset in self._account.doubts and not await self._ask(question):
                await asyncio.sleep(_PAUSE_S)
            await asyncio.sleep(_SPACING_S)

    async def _ask(self, question: StatusQuery) -> bool:
        """Ask about one command; False when the venue does not answer.

        One that the venue refuses to speak of holds up no other, and is looked for in the lists at last.
        """
        refused_s = self._clock().boot_s - self._refused_at.get(question.offset, inf)
        try:
            if question.action == CANCEL_ALL:
                await self._ask_for_open_orders()
            elif question.last and refused_s >= _REFUSED_S:
                await self._ask_for_lists(question)
            else:
                await self._ask_for_order(question)
            if question.last and question.action == PLACE and question.offset in self._account.doubts:
                await self._search(question)
        except VenueRefused as error:
            self._refused_at.setdefault(question.offset, self._clock().boot_s)
            self._log.error("question.refused", offset=question.offset, detail=str(error))
            return True
        except VenueError as error:
            self._log.warning("question.failed", offset=question.offset, detail=str(error))
            return False
        except Exception:  # noqa: BLE001 - an answer that is too much for us holds up one command, not the account
            self._log.exception("question.crashed", offset=question.offset)
            return False
        self._refused_at.pop(question.offset, None)
        if self._rest.clock_reading is not None:
            self._events.clock_read(self._rest.clock_reading, self._clock())
        self._account.doubts.query_answered(question, self._clock())
        self._wake()
        return True

    async def _ask_for_order(self, question: StatusQuery) -> None:
        """Ask by orderId, and by clientOrderId: a replace may have given the order another orderId."""
        by_id = None
        if question.order_id is not None:
            by_id = await self._order(order_id=question.order_id)
        name = question.client_order_id or (by_id.order.client_order_id if by_id is not None else None)
        # Both before either is taken in: the end of one order proves nothing while another has its name.
        if name:
            self._take(await self._order(client_order_id=name))
        self._take(by_id)

    async def _order(self, *, order_id: str | None = None, client_order_id: str | None = None) -> OrderRow | None:
        """Ask for one order; None too when the venue says that no order can have this name."""
        try:
            return await self._rest.fetch_order(order_id=order_id, client_order_id=client_order_id)
        except VenueRefused as error:
            if KINDS.get(error.code) is CodeKind.ORDER:
                return None
            raise

    async def _ask_for_lists(self, question: StatusQuery) -> None:
        """Ask for all that is open, over and executed, because the venue does not speak of the one order."""
        await self._ask_for_open_orders()
        await self._ask_for_past(question.sym, question.since_ms)

    async def _ask_for_past(self, sym: str | None, since_ms: int) -> None:
        """Ask for what is over and what was executed since a time, of a symbol or of all, and take it in."""
        async for rows in self._rest.fetch_ended_orders(sym, since_ms):
            for row in rows:
                self._take(row)
        async for executions in self._rest.fetch_executions(sym, since_ms):
            for found in executions:
                self._account.on_trade(found.trade, self._clock())

    async def _search(self, question: StatusQuery) -> None:
        """Look through what is over and what was executed, once for all places of a symbol that can land no more."""
        sym = question.sym or ""
        searched_at, searched_ms = self._searched.get(sym, (-inf, 0))
        if searched_at >= question.until and searched_ms <= question.since_ms:
            return
        asked_at, since_ms = self._clock().boot_s, self._account.doubts.oldest_ms(sym)
        try:
            await self._ask_for_past(sym, since_ms)
        except VenueRefused as error:  # such as a symbol that there is not: then nothing of it can be there
            self._log.error("search.refused", sym=sym, detail=str(error))
        self._searched[sym] = (asked_at, since_ms)

    async def _look_up_some(self) -> None:
        """Look up the orders of a few replaces that name one nobody here knows: what is in doubt has its turn too."""
        if self._clock().boot_s < self._look_up_at:
            return
        intake = self._account.intake
        for client_order_id in intake.lookups()[:_LOOKED_UP_MAX]:
            await asyncio.sleep(_SPACING_S)
            try:
                self._take(await self._rest.fetch_order(client_order_id=client_order_id))
            except Exception as error:  # noqa: BLE001 - it waits until it expires, whatever was wrong with the answer
                tell = self._log.warning if isinstance(error, VenueError) else self._log.exception
                tell("lookup.failed", client_order_id=client_order_id, detail=str(error))
                intake.lookup_failed(client_order_id)
                self._look_up_at = self._clock().boot_s + _PAUSE_S
                return
            if not intake.looked_up(client_order_id, self._clock()):
                self._look_up_at = self._clock().boot_s + _PAUSE_S
                return
            self._wake()
        if intake.lookups():
            self._asked.set()

    def _take(self, row: OrderRow | None) -> None:
        if row is not None:
            self._account.on_order(row.order, self._clock())

"""What is asked of the venue's REST about single orders: commands in doubt, and orders that nobody here knows."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from bridge.contract.commands import CANCEL_ALL, PLACE, REPLACE
from bridge.core.account import Account
from bridge.core.doubts import Question
from bridge.errors import VenueError, VenueRefused
from bridge.flow.events import Events
from bridge.flow.ports import Clock, OrderRow, VenueRest

_log = structlog.get_logger()
_SPACING_S: Final = 0.1
"""Between two questions: half of what LTP allows (LTP docs, Query Order: 1200 in 60 s)."""
_PAUSE_S: Final = 1.0


class Questions:
    """Asks about single orders on behalf of one term."""

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        rest: VenueRest,
        events: Events,
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

    def ask(self) -> None:
        """Look at once whether something is to be asked."""
        self._asked.set()

    async def run(self) -> None:
        """Ask what is due until cancelled. What the venue does not answer comes again by itself."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._look_up()
                await self._ask_what_is_due()
            except VenueError as error:
                self._log.warning("question.failed", detail=str(error))
                await asyncio.sleep(_PAUSE_S)
            await asyncio.sleep(_SPACING_S)

    async def ask_all(self) -> None:
        """Ask once about every command in doubt. Raises VenueUnreachable when the venue does not answer."""
        for question in self._account.doubts.all():
            if question.offset in self._account.doubts:
                await self._ask(question, {})

    async def open_orders(self) -> int:
        """Ask for every open order, take them in, and return how many there are. Raises VenueError."""
        asked_at = self._clock().mono
        rows = await self._rest.open_orders()
        self._account.open_orders([row.order for row in rows], asked_at, self._clock())
        return len(rows)

    async def _ask_what_is_due(self) -> None:
        seen: dict[str, int] = {}
        due = self._account.doubts.due(self._clock())
        for question in due:
            if question.last and question.sym is not None:
                seen[question.sym] = min(seen.get(question.sym, question.since_ms), question.since_ms)
        for question in due:
            if question.offset in self._account.doubts:
                await self._ask(question, seen)
                await asyncio.sleep(_SPACING_S)

    async def _ask(self, question: Question, history_since: dict[str, int]) -> None:
        """Ask about one command. One that the venue refuses to speak of stays in doubt, and holds up no other."""
        try:
            if question.action == CANCEL_ALL:
                await self.open_orders()
            else:
                await self._ask_for_order(question)
            if question.last and question.action == PLACE and question.offset in self._account.doubts:
                await self._search_history(question, history_since)
        except VenueRefused as error:
            self._log.error("question.refused", offset=question.offset, detail=str(error))
            return
        self._account.doubts.looked(question, self._clock())
        self._say()

    async def _ask_for_order(self, question: Question) -> None:
        """Ask by orderId, and by clientOrderId: a replace may have given the order another orderId."""
        if question.order_id is not None:
            self._take(await self._rest.order(order_id=question.order_id))
        if question.client_order_id is not None and (question.order_id is None or question.action == REPLACE):
            self._take(await self._rest.order(client_order_id=question.client_order_id))

    async def _search_history(self, question: Question, history_since: dict[str, int]) -> None:
        """Look through what is over and what was executed, once for all places of a symbol that are looked for."""
        sym = question.sym or ""
        since_ms = history_since.pop(sym, None)
        if since_ms is None:
            return
        for row in await self._rest.history(sym, since_ms):
            self._take(row)
        for trade in await self._rest.executions(sym, since_ms):
            self._account.doubts.trade_seen(trade, self._clock())

    async def _look_up(self) -> None:
        """Look up the orders of replaces that name one nobody here knows."""
        for client_order_id in self._account.intake.lookups():
            try:
                self._take(await self._rest.order(client_order_id=client_order_id))
            except VenueRefused as error:  # it waits until it expires
                self._log.error("lookup.refused", client_order_id=client_order_id, detail=str(error))
                continue
            self._account.intake.looked_up(client_order_id, self._clock())
            self._say()
        if self._account.intake.lookups():
            # There is no lease to deny with; the venue is asked again.
            await asyncio.sleep(_PAUSE_S)
            self._asked.set()

    def _take(self, row: OrderRow | None) -> None:
        if row is not None:
            self._account.order_row(row.order, self._clock())

    def _say(self) -> None:
        self._events.publish()
        self._wake()

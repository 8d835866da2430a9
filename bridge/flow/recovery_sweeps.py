"""Sweeps: the venue's REST is asked after every login until the gaps are closed, and now and then afterwards."""

import asyncio
import contextlib
from typing import Final

import structlog

from bridge.contract.session import Cause
from bridge.core.account import Account
from bridge.core.records import Rows
from bridge.core.rest_rows import TradeRow
from bridge.core.stream.fill_sums import IncompleteOrder
from bridge.core.stream.sweep import AfterSweep, Sweep, SweepOutcome
from bridge.errors import KafkaTrouble, ListTooLong, VenueError, VenueRefused
from bridge.flow.dependencies import TermDependencies
from bridge.flow.ports import VenueSession
from bridge.flow.status_queries import StatusQueries
from bridge.flow.sweep_lists import SweepLists
from bridge.flow.venue_listener import VenueListener

_log = structlog.get_logger()
_RETRY_FIRST_S: Final = 1.0
_RETRY_LAST_S: Final = 8.0
_EXECUTIONS_MAX: Final = 1000
"""The most executions of one order that are read at once and added up. An order with more is left to the audits."""
_OVERDUE_PERIOD_S: Final = 1.0


class RecoverySweeps:
    """Sweeps on behalf of one term."""

    def __init__(
        self,
        name: str,
        account: Account,
        parts: TermDependencies,
        *,
        session: VenueSession,
        events: VenueListener,
        queries: StatusQueries,
    ) -> None:
        self._log = _log.bind(account=name)
        self._account = account
        self._queries = queries
        self._rest = parts.rest
        self._session = session
        self._events = events
        self._lists = SweepLists(account, parts.rest, parts.publisher, parts.clock, self._log)
        self._clock = parts.clock
        self._metrics = parts.metrics
        self._login = asyncio.Event()
        self._endpoint = ""
        self._logged_in_boot_s = 0.0
        self.trouble = ""
        """Why the last sweep failed; empty when it did not."""
        self._owes_risks = False

    def begin(self, endpoint: str) -> None:
        """Sweep for the session that has just logged in."""
        self._endpoint = endpoint
        self._logged_in_boot_s = self._clock().boot_s
        self._owes_risks = True
        self._rest.prefer(endpoint)
        self._login.set()

    async def run(self) -> None:
        """Sweep after every login, and whenever a sweep is due, until cancelled."""
        while True:
            await self._login.wait()
            self._login.clear()
            retry_s = _RETRY_FIRST_S
            while self._is_current():
                if await self._try_sweep():
                    retry_s = _RETRY_FIRST_S
                    await self._wait_for_sweep()
                else:
                    await self._wait_or_login(retry_s)
                    retry_s = min(2 * retry_s, _RETRY_LAST_S)

    def _is_current(self) -> bool:
        """Whether the session that is swept for still lives."""
        return self._session.logged_in and not self._login.is_set()

    async def _wait_for_sweep(self) -> None:
        """Wait until the next sweep is due, and ask meanwhile for orders whose push, or executions, are overdue."""
        while self._is_current() and (left_s := self._account.sweep_due_boot_s - self._clock().boot_s) > 0:
            for order_id in self._account.pop_overdue_orders(self._clock()):
                await self._ask_for_overdue(order_id)
            for short in self._account.pop_orders_with_missing_fills(self._clock()):
                await self._ask_for_executions(short)
            await self._wait_or_login(min(left_s, _OVERDUE_PERIOD_S))

    async def _ask_for_overdue(self, order_id: str) -> None:
        """Ask for one order that was acked and not pushed. Without an answer it is left to the audits."""
        try:
            row = await self._rest.fetch_order(order_id=order_id)
        except VenueError as error:
            self._log.warning("order.query_failed", order_id=order_id, detail=str(error))
            return
        if row is not None and self._is_current():
            self._account.on_overdue_order(order_id, row, self._clock())

    async def _ask_for_executions(self, short: IncompleteOrder) -> None:
        """Ask for the executions of one order that ended with more than they add up to."""
        try:
            rows = await self._read_executions(short)
        except VenueError as error:
            self._log.warning("executions.query_failed", order_id=short.order_id, detail=str(error))
            return
        if self._is_current() and not rows.unreadable:
            self._account.on_executions(short, rows, self._clock())

    async def _read_executions(self, short: IncompleteOrder) -> Rows[TradeRow]:
        """Return the executions of one order. Raises VenueError."""
        rows = Rows[TradeRow]()
        async for some in self._rest.fetch_order_executions(short.order_id, short.begin_ms):
            rows = Rows((*rows, *some), rows.unreadable + some.unreadable)
            if len(rows) > _EXECUTIONS_MAX:
                raise ListTooLong(f"order {short.order_id}: more than {_EXECUTIONS_MAX} executions")
        return rows

    async def _wait_or_login(self, time_s: float) -> None:
        """Wait, but no longer than to the next login."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(time_s, 0)):
                await self._login.wait()

    async def _try_sweep(self) -> bool:
        """Sweep once; return False when the venue did not answer everything, or an answer could not be worked on."""
        try:
            await self._sweep()
        except KafkaTrouble:
            raise
        except VenueError as error:
            is_refused = isinstance(error, VenueRefused)
            if is_refused:
                self._log.error("sweep.refused", detail=str(error))
            else:
                self._log.warning("sweep.failed", detail=str(error))
            self._note_failure(str(error), is_lasting=is_refused)
            return False
        except Exception as error:  # noqa: BLE001 - the next term would ask the same, and end by the same answer
            self._log.exception("sweep.crashed")
            self._note_failure(f"a mistake in the bridge: {type(error).__name__}", is_lasting=True)
            return False
        self.trouble = ""
        self._account.sweep_succeeded(self._clock())
        return True

    def _note_failure(self, why: str, *, is_lasting: bool) -> None:
        self.trouble = why
        self._account.sweep_failed(why, self._clock(), is_lasting=is_lasting)

    async def _sweep(self) -> None:
        account = self._account
        sweep = account.begin_sweep(self._clock())
        await self._lists.read_all(sweep)
        self._events.clock_read(self._rest.clock_reading, self._clock())
        if not account.first_sweep_done:
            await self._queries.ask_all()
        await self._lists.make_durable()
        if not self._is_current():
            return
        outcome = account.judge_sweep(sweep, self._clock())
        if not account.first_sweep_done:
            self._complete_recovery(sweep)
        await self._ask_for_risks(sweep)
        if self._is_current():
            self._conclude_sweep(sweep, outcome)

    def _conclude_sweep(self, sweep: Sweep, outcome: SweepOutcome) -> None:
        after, missing = self._account.apply_sweep_outcome(sweep, outcome, self._clock())
        self._metrics.note_sweep(after.name.lower())
        if after is AfterSweep.GAPS_CLOSED:
            self._log.info("gaps.closed", since_ms=sweep.since_ms)
        elif after is AfterSweep.RENEW_SESSION:
            self._session.drop(Cause.PUSHES_MISSED, missing)
        elif after is AfterSweep.PUSHES_MISSED:
            self._log.error("audit.disagrees", detail=missing)

    def _complete_recovery(self, sweep: Sweep) -> None:
        now, endpoint, open_orders = self._clock(), self._endpoint, sweep.open_orders
        took_ms = round((now.boot_s - self._logged_in_boot_s) * 1000)
        self._account.recovery_complete(endpoint, open_orders, sweep, took_ms, now)
        self._log.info("recovery.complete", endpoint=endpoint, open_orders=open_orders, took_ms=took_ms)
        self._events.wake()

    async def _ask_for_risks(self, sweep: Sweep) -> None:
        """Ask for the risk of the exchange accounts, once in a session that recovers a gap.

        The gaps close after the answer, or after the query has failed; a failure does not keep them open.
        """
        if sweep.is_audit or not self._owes_risks:
            return
        try:
            rows = [row async for some in self._rest.fetch_account_risks() for row in some]
        except VenueError as error:
            self._log.warning("risks.query_failed", detail=str(error))
            self._owes_risks = not isinstance(error, VenueRefused)  # some keys may not ask for it
            return
        if self._is_current():
            self._owes_risks = False
            self._account.on_risks(sweep, rows, self._clock())

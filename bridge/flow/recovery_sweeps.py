"""Sweeps: what REST knows is asked for after every login until the gaps are closed, and now and then afterwards."""

import asyncio
import contextlib
from collections.abc import Callable
from math import inf
from typing import Final

import structlog

from bridge.contract.session import Alarm, Cause
from bridge.core.account import Account
from bridge.core.rest_rows import TradeRow
from bridge.core.stream.fill_sums import ShortOrder
from bridge.core.stream.order_ends import name_row
from bridge.core.stream.sweep import Sweep, SweepOutcome
from bridge.errors import KafkaTrouble, ListTooLong, VenueError, VenueRefused
from bridge.flow.ports import Clock, Publisher, VenueRest, VenueSession
from bridge.flow.status_queries import StatusQueries
from bridge.flow.sweep_lists import SweepLists
from bridge.flow.venue_listener import VenueListener

_log = structlog.get_logger()
_STALLED_S: Final = 120.0
"""So long sweeps may fail before somebody is told."""
_RETRY_FIRST_S: Final = 1.0
_RETRY_LAST_S: Final = 8.0
_EXECUTIONS_MAX: Final = 1000
"""Of one order that are added up. Where it has more, the audits look for them alone."""
_RENEWALS_MAX: Final = 3
_RENEWALS_S: Final = 3600.0
"""So often, in such a time, a session is ended because pushes were missed."""
_OVERDUE_LOOK_S: Final = 1.0


class RecoverySweeps:
    """Sweeps on behalf of one term."""

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        questions: StatusQueries,
        rest: VenueRest,
        session: VenueSession,
        events: VenueListener,
        publisher: Publisher,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._log = _log.bind(account=name)
        self._account = account
        self._judge = account.listening.recovery
        self._questions = questions
        self._rest = rest
        self._session = session
        self._events = events
        self._lists = SweepLists(account, rest=rest, publisher=publisher, clock=clock, log=self._log)
        self._clock = clock
        self._wake = wake
        self._login = asyncio.Event()
        self._endpoint = ""
        self._logged_in_at = 0.0
        self._failing_since = inf
        self.trouble = ""
        """Why the last sweep failed; empty when it did not."""
        self._risks_owed = False
        self._renewed: list[float] = []
        self._missed_at = -inf

    def begin(self, endpoint: str) -> None:
        """Sweep for the session that has just logged in."""
        self._endpoint = endpoint
        self._logged_in_at = self._clock().boot_s
        self._risks_owed = True
        self._rest.prefer(endpoint)
        self._login.set()

    async def run(self) -> None:
        """Sweep after every login, and whenever a sweep is due, until cancelled."""
        while True:
            await self._login.wait()
            self._login.clear()
            retry_s = _RETRY_FIRST_S
            while self._is_current():
                if await self._swept():
                    retry_s = _RETRY_FIRST_S
                    await self._wait_for_sweep()
                else:
                    await self._wait(retry_s)
                    retry_s = min(2 * retry_s, _RETRY_LAST_S)

    def _is_current(self) -> bool:
        """Whether the session that is swept for still lives."""
        return self._session.logged_in and not self._login.is_set()

    async def _wait_for_sweep(self) -> None:
        """Wait until the next sweep is due, and ask meanwhile for orders whose push, or executions, are overdue."""
        while self._is_current() and (left_s := self._judge.sweep_due_boot_s - self._clock().boot_s) > 0:
            for order_id in self._judge.overdue.pop_overdue(self._clock()):
                await self._ask_for_overdue(order_id)
            for short in self._account.listening.pop_short_orders(self._clock()):
                await self._ask_for_executions(short)
            await self._wait(min(left_s, _OVERDUE_LOOK_S))

    async def _ask_for_overdue(self, order_id: str) -> None:
        """Ask for one order that was acked and not pushed. Where nothing is told, the audits go on looking."""
        try:
            row = await self._rest.fetch_order(order_id=order_id)
        except VenueError as error:
            self._log.warning("order.overdue", order_id=order_id, detail=str(error))
            return
        if row is not None and self._is_current():
            push, raw = name_row(row.order, row.raw, order_id)
            self._judge.overdue.publish_row(raw, self._clock())
            self._account.on_order(push, self._clock())

    async def _ask_for_executions(self, short: ShortOrder) -> None:
        """Ask for the executions of one order that ended with more than they add up to."""
        rows = list[TradeRow]()
        unreadable = 0
        try:
            async for some in self._rest.fetch_order_executions(short.order_id, short.begin_ms):
                rows += some
                unreadable += some.unreadable
                if len(rows) > _EXECUTIONS_MAX:
                    raise ListTooLong(f"order {short.order_id}: more than {_EXECUTIONS_MAX} executions")
        except VenueError as error:
            self._log.warning("executions.short", order_id=short.order_id, detail=str(error))
            return
        if self._is_current() and not unreadable:
            self._account.listening.take_executions(short, [row.raw for row in rows], self._clock())
            for row in rows:
                self._account.on_trade(row.trade, self._clock())

    async def _wait(self, time_s: float) -> None:
        """Wait, but let no new login wait for what concerned the one before it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(time_s, 0)):
                await self._login.wait()

    async def _swept(self) -> bool:
        """Sweep once; False when the venue did not tell everything, or what it told was too much for us."""
        try:
            await self._sweep()
        except KafkaTrouble:
            raise
        except VenueError as error:
            refused = isinstance(error, VenueRefused)
            (self._log.error if refused else self._log.warning)("sweep.failed", detail=str(error))
            self._failed(str(error), stalled=refused)
            return False
        except Exception as error:  # noqa: BLE001 - the next term would ask the same, and end by the same answer
            self._log.exception("sweep.crashed")
            self._failed(f"a mistake in the bridge: {type(error).__name__}", stalled=True)
            return False
        self._failing_since, self.trouble = inf, ""
        told = "the venue has answered every question of a sweep"
        self._account.alarms.clear_alarm(Alarm.RECOVERY_STALLED, told, self._clock())
        return True

    def _failed(self, why: str, *, stalled: bool) -> None:
        """Note that a sweep failed; `stalled` is one that fails until somebody does something about it."""
        now, self.trouble = self._clock(), why
        self._failing_since = min(self._failing_since, now.boot_s)
        if stalled or now.boot_s - self._failing_since >= _STALLED_S:
            self._account.alarms.raise_alarm(Alarm.RECOVERY_STALLED, why, now)

    async def _sweep(self) -> None:
        account = self._account
        sweep = self._judge.begin_sweep(self._clock())
        open_orders = await self._lists.read_all(sweep)
        if self._rest.clock_reading is not None:
            self._events.clock_read(self._rest.clock_reading, self._clock())
        if not account.recovered:
            await self._questions.ask_all()
        await self._lists.make_durable()
        if not self._is_current():
            return
        verdict = self._judge.end_sweep(sweep, self._clock())
        account.listening.sweep_ended(sweep, self._clock())
        if not account.recovered:
            self._complete(sweep, open_orders)
        await self._risks(sweep)
        if not self._is_current():
            return
        if verdict is SweepOutcome.MAY_CLOSE:
            account.listening.close_gaps(self._clock())
            self._log.info("gaps.closed", since_ms=sweep.since_ms)
        elif verdict is SweepOutcome.MISSED:
            self._missed()
        elif sweep.is_audit and self._clock().boot_s - self._missed_at >= _RENEWALS_S:
            told = f"for {_RENEWALS_S / 3600:g} h REST has told nothing that was not pushed"
            self._account.alarms.clear_alarm(Alarm.AUDIT_DISAGREES, told, self._clock())

    def _missed(self) -> None:
        """Renew the session, unless that has not helped before: then what was missed is given back as it is."""
        now, missing = self._clock(), self._judge.name_missing()
        self._missed_at = now.boot_s
        self._renewed = [at for at in self._renewed if now.boot_s - at < _RENEWALS_S]
        if len(self._renewed) < _RENEWALS_MAX:
            self._renewed.append(now.boot_s)
            self._session.drop(Cause.PUSHES_MISSED, missing)
            return
        self._log.error("audit.disagrees", detail=missing)
        self._account.alarms.raise_alarm(Alarm.AUDIT_DISAGREES, missing, now)
        self._account.listening.pushes_missed(missing, now)

    def _complete(self, sweep: Sweep, open_orders: int) -> None:
        now = self._clock()
        took_ms = round((now.boot_s - self._logged_in_at) * 1000)
        self._account.recovery_complete(self._endpoint, open_orders, sweep, took_ms, now)
        self._log.info("recovery.complete", endpoint=self._endpoint, open_orders=open_orders, took_ms=took_ms)
        self._wake()

    async def _risks(self, sweep: Sweep) -> None:
        """Ask for the risk of the exchange accounts, once for a session that closes a gap. Nothing waits for it."""
        if sweep.is_audit or not self._risks_owed:
            return
        try:
            rows = [row async for some in self._rest.fetch_account_risks() for row in some]
        except VenueError as error:
            self._log.warning("risks.untold", detail=str(error))
            self._risks_owed = not isinstance(error, VenueRefused)  # there are keys that may not know
            return
        if self._is_current():
            self._risks_owed = False
            self._judge.publish_risks(sweep, rows, self._clock())

"""Sweeps: what REST knows is asked for after every login until the gaps are closed, and now and then afterwards."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from math import inf
from typing import Final, TypeVar

import structlog

from bridge.contract.session import Alarm, Cause
from bridge.contract.topics import Stream
from bridge.core.account import Account
from bridge.core.fill_sums import ShortOrder
from bridge.core.order_ends import name_row
from bridge.core.sweep import ARCHIVE_REACH_MS, Sweep, Verdict
from bridge.core.traffic import Rows
from bridge.errors import KafkaTrouble, ListTooLong, RowNotUnderstood, VenueError, VenueRefused
from bridge.flow.events import Events
from bridge.flow.ports import Clock, OrderRow, Publisher, VenueRest, VenueSession
from bridge.flow.questions import Questions
from bridge.flow.together import together

_log = structlog.get_logger()
Row = TypeVar("Row")
_STALLED_S: Final = 120.0
"""So long sweeps may fail before somebody is told."""
_RETRY_FIRST_S: Final = 1.0
_RETRY_LAST_S: Final = 8.0
_RENEWALS_MAX: Final = 3
_RENEWALS_S: Final = 3600.0
"""So often, in such a time, a session is ended because pushes were missed."""
_DAY_MS: Final = 24 * 3600 * 1000
_LEAST_MS: Final = 1000
_ROWS: Final = 500
_Ask = Callable[[str | None, int, int | None], Awaitable[Rows[Row]]]
_ONE_BY_ONE_MAX: Final = 1000
"""More orders than these are looked for in the history's pages first, back to the oldest of them, within reason."""
_SEARCHED_MS: Final = 7 * _DAY_MS
_AT_ONCE: Final = 10
_WHOLE_MAX: Final = 500
"""So many of the orders that ended in a gap are asked for whole; of more, the history's rows must do."""
_FLUSH_S: Final = 5.0
_OVERDUE_LOOK_S: Final = 1.0


class Recovery:
    """Sweeps on behalf of one term."""

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        questions: Questions,
        rest: VenueRest,
        session: VenueSession,
        events: Events,
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
        self._publisher = publisher
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
        self._logged_in_at = self._clock().mono
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
        while self._is_current() and (left_s := self._judge.sweep_at - self._clock().mono) > 0:
            for order_id in self._judge.overdue.pop(self._clock()):
                await self._ask_for_overdue(order_id)
            for short in self._account.listening.pop_short_orders(self._clock()):
                await self._ask_for_executions(short)
            await self._wait(min(left_s, _OVERDUE_LOOK_S))

    async def _ask_for_overdue(self, order_id: str) -> None:
        """Ask for one order that was acked and not pushed. Where nothing is told, the audits go on looking."""
        try:
            row = await self._rest.order(order_id=order_id)
        except VenueError as error:
            self._log.warning("order.overdue", order_id=order_id, detail=str(error))
            return
        if row is not None and self._is_current():
            push, raw = name_row(row.order, row.raw, order_id)
            self._judge.overdue.take(raw, self._clock())
            self._account.order_row(push, self._clock())
            self._events.publish()

    async def _ask_for_executions(self, short: ShortOrder) -> None:
        """Ask for the executions of one order that ended with more than they add up to."""
        try:
            rows = await self._rest.executions_of(short.order_id, short.begin_ms)
        except VenueError as error:
            self._log.warning("executions.short", order_id=short.order_id, detail=str(error))
            return
        if self._is_current() and not rows.unreadable:
            self._account.listening.take_executions(short, [row.raw for row in rows], self._clock())
            for row in rows:
                self._account.trade_row(row.trade, self._clock())
            self._events.publish()

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
        if self._account.alarms.clear_alarm(Alarm.RECOVERY_STALLED, told, self._clock()):
            self._events.publish()
        return True

    def _failed(self, why: str, *, stalled: bool) -> None:
        """Note that a sweep failed; `stalled` is one that fails until somebody does something about it."""
        now, self.trouble = self._clock(), why
        self._failing_since = min(self._failing_since, now.mono)
        if stalled or now.mono - self._failing_since >= _STALLED_S:
            self._account.alarms.raise_alarm(Alarm.RECOVERY_STALLED, why, now)
            self._events.publish()

    async def _sweep(self) -> None:
        account = self._account
        sweep = self._judge.begin(self._clock())
        open_orders, *_ = await together(
            self._orders(sweep),
            self._trades(sweep),
            self._states(sweep, Stream.ASSETS, self._rest.assets),
            self._states(sweep, Stream.POSITIONS, self._rest.positions),
        )
        if self._rest.clock_reading is not None:
            self._events.clock_read(self._rest.clock_reading, self._clock())
        if not account.recovered:
            await self._questions.ask_all()
        await self._durable()
        if not self._is_current():
            return
        verdict = self._judge.end(sweep, self._clock())
        account.listening.swept(sweep, self._clock())
        if not account.recovered:
            self._complete(sweep, open_orders)
            self._events.publish()
        await self._risks(sweep)
        if not self._is_current():
            return
        if verdict is Verdict.MAY_CLOSE:
            account.listening.close_gaps(self._clock())
            self._log.info("gaps.closed", since_ms=sweep.since_ms)
        elif verdict is Verdict.MISSED:
            self._missed()
        elif sweep.is_audit and self._clock().mono - self._missed_at >= _RENEWALS_S:
            told = f"for {_RENEWALS_S / 3600:g} h REST has told nothing that was not pushed"
            self._account.alarms.clear_alarm(Alarm.AUDIT_DISAGREES, told, self._clock())
        self._events.publish()

    def _missed(self) -> None:
        """Renew the session, unless that has not helped before: then what was missed is given back as it is."""
        now, missing = self._clock(), self._judge.missing()
        self._missed_at = now.mono
        self._renewed = [at for at in self._renewed if now.mono - at < _RENEWALS_S]
        if len(self._renewed) < _RENEWALS_MAX:
            self._renewed.append(now.mono)
            self._session.drop(Cause.PUSHES_MISSED, missing)
            return
        self._log.error("audit.disagrees", detail=missing)
        self._account.alarms.raise_alarm(Alarm.AUDIT_DISAGREES, missing, now)
        self._account.listening.missed(missing, now)

    def _complete(self, sweep: Sweep, open_orders: int) -> None:
        now = self._clock()
        took_ms = round((now.mono - self._logged_in_at) * 1000)
        self._account.recovery_complete(self._endpoint, open_orders, sweep, took_ms, now)
        self._log.info("recovery.complete", endpoint=self._endpoint, open_orders=open_orders, took_ms=took_ms)
        self._wake()

    async def _orders(self, sweep: Sweep) -> int:
        """Ask for what is open, for what has ended, and one by one for what is neither; return how many are open."""
        account = self._account
        asked_at = self._clock().mono
        live = await self._rest.open_orders()
        sweep.unreadable += live.unreadable
        listed = self._judge.take(sweep, Stream.ORDERS, [row.raw for row in live], self._clock())
        if live.unreadable:
            for row in live:
                account.order_row(row.order, self._clock())
        else:
            account.open_orders([row.order for row in live], asked_at, self._clock())
        await self._durable()
        unlisted = self._judge.unlisted(sweep, listed)
        begin_ms = sweep.since_ms
        if len(unlisted) > _ONE_BY_ONE_MAX:
            oldest_ms = min([begin_ms, *(order.created_ms for order in unlisted if order.created_ms)])
            begin_ms = min(begin_ms, max(oldest_ms, self._clock().wall_ms - _SEARCHED_MS))
        singly: dict[str, OrderRow | None] = {}
        async for rows in self._in_parts(sweep, self._rest.history, begin_ms):
            for row in rows:
                listed.add(str(row.order.order_id))
                if self._judge.is_news(Stream.ORDERS, row.raw) and len(singly) < _WHOLE_MAX and row.order.order_id:
                    singly[str(row.order.order_id)] = row
                else:
                    self._take(sweep, row)
            await self._durable()
        names = [*singly.items(), *((order.order_id, None) for order in self._judge.unlisted(sweep, listed))]
        for some in (names[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE)):
            await together(*(self._order(sweep, order_id, row, whole=not live.unreadable) for order_id, row in some))
            await self._durable()
        return len(live)

    async def _order(self, sweep: Sweep, order_id: str, row: OrderRow | None, *, whole: bool) -> None:
        """Ask for one order; `row` is what the history tells of it, which leaves out what was last done to it.

        One that the venue refuses to speak of holds up no other. `whole`: the list of open orders, which lacks it, is.
        """
        told = None
        try:
            told = await self._rest.order(order_id=order_id)
        except (VenueRefused, RowNotUnderstood) as error:
            self._log.error("order.refused", order_id=order_id, detail=str(error))
            sweep.unreadable += row is None
        else:
            if told is None:
                self._log.warning("order.unknown_to_venue", order_id=order_id)
        for one in (told, row):
            if one is not None:
                self._take(sweep, one, order_id)
        if whole and row is None:
            now = self._clock()
            ended = self._judge.unaccounted(sweep, order_id, told.order.order_state if told is not None else "", now)
            if ended is not None:
                self._account.order_row(ended, now)

    def _take(self, sweep: Sweep, row: OrderRow, order_id: str = "") -> None:
        push, raw = name_row(row.order, row.raw, order_id)
        self._judge.take(sweep, Stream.ORDERS, [raw], self._clock())
        self._account.order_row(push, self._clock())

    async def _trades(self, sweep: Sweep) -> None:
        async for rows in self._in_parts(sweep, self._rest.executions, sweep.since_ms):
            self._judge.take(sweep, Stream.TRADES, [row.raw for row in rows], self._clock())
            for row in rows:
                self._account.trade_row(row.trade, self._clock())
            await self._durable()

    async def _in_parts(self, sweep: Sweep, ask: _Ask[Row], since_ms: int) -> AsyncIterator[Sequence[Row]]:
        """Ask for what happened since a time, by the day or less, and yield a few rows at a time.

        What waits in memory has a bound, and no other work waits long for what is made of the rows.
        """
        now_ms = self._clock().wall_ms
        begin_ms, size_ms = max(since_ms, now_ms - ARCHIVE_REACH_MS), _DAY_MS
        while begin_ms < now_ms:
            end_ms = begin_ms + size_ms if begin_ms + size_ms < now_ms else None
            try:
                rows = await ask(None, begin_ms, end_ms)
            except ListTooLong:
                if size_ms <= _LEAST_MS:
                    raise
                size_ms //= 2
                continue
            sweep.unreadable += rows.unreadable
            for at in range(0, max(len(rows), 1), _ROWS):
                yield rows[at : at + _ROWS]
                await asyncio.sleep(0)
            begin_ms += size_ms

    async def _states(self, sweep: Sweep, stream: Stream, ask: Callable[[], Awaitable[Rows[bytes]]]) -> None:
        """Ask for everything of a stream. With a row that was not understood, the list proves nothing to be gone."""
        rows = await ask()
        sweep.unreadable += rows.unreadable
        self._judge.take_states(sweep, stream, rows, self._clock(), whole=not rows.unreadable)

    async def _risks(self, sweep: Sweep) -> None:
        """Ask for the risk of the exchange accounts, once for a session that closes a gap. Nothing waits for it."""
        if sweep.is_audit or not self._risks_owed:
            return
        try:
            rows = await self._rest.account_risks()
        except VenueError as error:
            self._log.warning("risks.untold", detail=str(error))
            self._risks_owed = not isinstance(error, VenueRefused)  # there are keys that may not know
            return
        if self._is_current():
            self._risks_owed = False
            self._judge.take_risks(sweep, rows, self._clock())

    async def _durable(self) -> None:
        """Publish what was recovered and wait until it is durable: no more of it waits in memory than one answer."""
        self._events.publish()
        while not await self._publisher.flush(_FLUSH_S):
            self._log.warning("sweep.waits_for_kafka")

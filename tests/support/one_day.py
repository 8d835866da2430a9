"""A desk's day in virtual time: open orders, fills, and the sweeps of one term, with the venue's lists in pages."""

import asyncio
import contextlib
import gc
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.account import Account
from bridge.core.commands.claims import TermStart
from bridge.core.now import Now
from bridge.core.outbox import Outbox
from bridge.core.records import OutgoingRecord, Push, Rows
from bridge.core.rest_rows import OrderRow, TradeRow
from bridge.core.skew import ClockReading, Skew
from bridge.flow.dependencies import TermDependencies
from bridge.flow.recovery_sweeps import RecoverySweeps
from bridge.flow.status_queries import StatusQueries
from bridge.flow.venue_listener import VenueListener
from bridge.ltp.rows import read_order, read_trade
from bridge.metrics import AccountMetrics, Metrics
from tests.support.clock_readings import read_clocks, reading_of
from tests.support.one_account import COMMANDS, LIMITS, START, TIMING
from tests.support.virtual_time import VirtualTime

PAGE_SIZE = 1000
AT_A_TIME = 100
_RECENT_MS = 600_000
"""So far back the day's venue can be asked; an audit asks for less."""
_ORDER: dict[str, Any] = {
    "portfolioId": "1702884522340000",
    "exchangeType": "BINANCE",
    "businessType": "PERP",
    "sym": "BINANCE_PERP_ETH_USDT",
    "limitPrice": "2346",
    "orderQty": "0.01",
    "quoteOrderQty": "0",
    "side": "BUY",
    "exchangeOrderType": "LIMIT",
    "orderType": "DMA",
    "timeInForce": "GTC",
    "executedAmount": "0",
    "executedAvgPrice": "0",
    "lastExecutedQty": "0",
    "lastExecutedPrice": "0",
    "lastExecutedAmount": "0",
    "fee": "0",
    "feeCoin": "",
    "rebate": "0",
    "rebateCoin": "",
    "borrowAmount": "0",
    "borrowAsset": "",
    "reason": "",
    "leverage": "1",
    "positionSide": "NONE",
    "reduceOnly": False,
    **dict.fromkeys(("tpTriggerPrice", "tpTriggerType", "tpPrice", "slTriggerPrice", "slTriggerType", "slPrice"), ""),
    **dict.fromkeys(("action", "actionMsg", "cancelType", "amendType"), ""),
}
_REST_OF_ORDER = json.dumps(_ORDER)[1:]
_TRADE = {
    "portfolioId": "1702884522340000",
    "exchangeType": "BINANCE",
    "businessType": "PERP",
    "sym": "BINANCE_PERP_ETH_USDT",
    "side": "BUY",
    "quantity": "0.01",
    "price": "2346",
    "tradingFee": "-0.00089804",
    "tradingFeeCoin": "USDT",
    "rpnl": "0",
    "execType": "MAKER",
}


def order_row(order_id: str, state: str, at_ms: int, created_ms: int) -> bytes:
    """Show a limit order with every field that the venue documents."""
    executed = "0.01" if state == "FILLED" else "0"
    return (
        f'{{"orderId":"{order_id}","clientOrderId":"c0a81f{order_id:>020}","orderState":"{state}","createAt":"{created_ms}",'
        f'"updateAt":"{at_ms}","executedQty":"{executed}",{_REST_OF_ORDER}'
    ).encode()


def resident_mib() -> float:
    """Return what this process has in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 2**20


class DayVenue:
    """The venue's REST, which shows what happened at once, and counts its pages; and the pushes of what happens."""

    def __init__(self, clock: VirtualTime) -> None:
        self._clock = clock
        self.open: dict[str, OrderRow] = {}
        self._ended: deque[tuple[int, OrderRow]] = deque()
        self._executed: deque[tuple[int, TradeRow]] = deque()
        self._names = iter(range(10**9))
        self._balance = {"asset": b"[]", "position": b"[]"}
        self.asked_by_minute: Counter[int] = Counter()
        self.key_problem: str | None = None
        self.slowed_limits: Sequence[str] = ()

    @property
    def clock_reading(self) -> ClockReading:
        """Agree with the account's clock."""
        return reading_of(Skew(0, 0), self._clock.clock())

    def prefer(self, endpoint: str) -> None:
        """Have one endpoint only."""

    def place(self) -> Iterator[Push]:
        """Let an order come to rest."""
        name, now_ms = next(self._names), self._clock.clock().wall_ms
        for state, at_ms in (("NEW", now_ms - 1), ("OPEN", now_ms)):
            row = order_row(f"17{name:014}", state, at_ms, now_ms - 1)
            yield Push("Orders", row, row)
        self.open[f"17{name:014}"] = read_order(row)

    def fill(self) -> Iterator[Push]:
        """Let the oldest order be filled; its trade, the balance and the position are told as well."""
        now_ms = self._clock.clock().wall_ms
        order_id = next(iter(self.open))
        created_ms = int(str(self.open.pop(order_id).order.create_at))
        ended = order_row(order_id, "FILLED", now_ms, created_ms)
        names = {"orderId": order_id, "clientOrderId": f"c0a81f{order_id:>020}", "transactionId": f"38{order_id}"}
        trade = json.dumps({**_TRADE, **names, "createAt": str(now_ms)}).encode()
        self._ended.append((now_ms, read_order(ended)))
        self._executed.append((now_ms, read_trade(trade)))
        for past in (self._ended, self._executed):
            while past[0][0] < now_ms - _RECENT_MS:
                past.popleft()
        balance = {"exchangeType": "BINANCE", "coin": "USDT", "balance": str(now_ms), "frozen": "0"}
        position = {"sym": "BINANCE_PERP_ETH_USDT", "positionSide": "NONE", "positionQty": str(now_ms)}
        for channel, row in (("Assets", balance), ("Positions", position)):
            value = json.dumps({**row, "updateAt": str(now_ms)}).encode()
            self._balance[channel] = value
            yield Push(channel, value, value)
        yield Push("Orders", ended, ended)
        yield Push("Trades", trade, trade)

    def fetch_open_orders(self) -> AsyncIterator[Rows[OrderRow]]:
        """Show what is open."""
        return self._pages(list(self.open.values()))

    async def fetch_order(self, *, order_id: str | None = None, client_order_id: str | None = None) -> OrderRow | None:
        """Show one order."""
        self._count()
        return next(
            (row for _, row in self._ended if str(row.order.order_id) == order_id), self.open.get(order_id or "")
        )

    def fetch_ended_orders(
        self, sym: str | None, begin_ms: int, end_ms: int | None = None
    ) -> AsyncIterator[Rows[OrderRow]]:
        """Show what has ended, the newest first."""
        return self._pages([row for at_ms, row in reversed(self._ended) if at_ms >= begin_ms])

    def fetch_executions(
        self, sym: str | None, begin_ms: int, end_ms: int | None = None
    ) -> AsyncIterator[Rows[TradeRow]]:
        """Show what was executed, the newest first."""
        return self._pages([row for at_ms, row in reversed(self._executed) if at_ms >= begin_ms])

    def fetch_order_executions(self, order_id: str, begin_ms: int) -> AsyncIterator[Rows[TradeRow]]:
        """Show what was executed of one order."""
        return self._pages([row for _, row in self._executed if str(row.trade.order_id) == order_id])

    def fetch_assets(self) -> AsyncIterator[Rows[bytes]]:
        """Show the balance."""
        return self._pages([self._balance["Assets"]] if "Assets" in self._balance else [])

    def fetch_positions(self) -> AsyncIterator[Rows[bytes]]:
        """Show the position."""
        return self._pages([self._balance["Positions"]] if "Positions" in self._balance else [])

    def fetch_account_risks(self) -> AsyncIterator[Rows[bytes]]:
        """Show nothing."""
        return self._pages([])

    async def _pages(self, rows: list[Any]) -> AsyncIterator[Rows[Any]]:
        for first in range(0, max(len(rows), 1), PAGE_SIZE):
            self._count()
            await asyncio.sleep(0.2)
            page = rows[first : first + PAGE_SIZE]
            for at in range(0, len(page), AT_A_TIME):
                yield Rows(page[at : at + AT_A_TIME])
                await asyncio.sleep(0)

    def _count(self) -> None:
        self.asked_by_minute[int(self._clock.time() - START.boot_s) // 60] += 1


class _CountingTopics:
    """A publisher on which everything is durable at once, and nothing is kept but its number and the alarms."""

    overfull, is_draining, healthy, answer_bytes, renewals = False, True, True, 0, 0
    oldest_age_s = oldest_wait_s = 0.0
    problems: Sequence[str] = ()
    clock_reading: ClockReading | None = None

    def __init__(self) -> None:
        self.count: Counter[Stream] = Counter()
        self.session_events: list[dict[str, Any]] = []

    @property
    def stuck_streams(self) -> Collection[Stream]:
        """Have every topic take records."""
        return ()

    async def wait_for_room(self) -> bool:
        """Have room."""
        return False

    def begin_epoch(self, epoch: int, on_durable: Callable[[Sequence[OutgoingRecord]], None]) -> None:
        """Give out no numbers."""

    def publish(self, record: OutgoingRecord) -> None:
        """Count a record."""
        self.count[record.stream] += 1
        if record.stream is Stream.SESSION:
            self.session_events.append(json.loads(record.value or b""))

    def oldest_pending_boot_s(self) -> float | None:
        """Have nothing that waits."""
        return None

    async def flush(self, timeout_s: float, streams: Collection[Stream] | None = None) -> bool:
        """Have nothing to wait for."""
        return True


class _DaySession:
    """A session that never ends by itself."""

    logged_in = True
    last_frame_boot_s = 0.0

    def __init__(self) -> None:
        self.dropped: list[str] = []

    def ready_to_write(self, now: Now) -> bool:
        """Take no commands."""
        return False

    def login_due(self, now: Now) -> bool:
        """Log in never again."""
        return False

    def send(self, frame: bytes) -> None:
        """Take no commands."""

    def drop(self, cause: Cause, detail: str) -> None:
        """Write down why somebody wants its end."""
        self.dropped.append(detail)

    async def run(self) -> None:
        """Live."""


class Hour(Struct, frozen=True):
    """What one hour of the day has shown."""

    hour: int
    fills: int
    resident_mib: float
    asked_per_minute: float
    asked_most: int
    longest_turn_s: float


class OneDay:
    """One account that trades on a steady link while it is audited; run on the loop whose clock it has."""

    def __init__(self, loop: VirtualTime, *, open_orders: int, fills_per_hour: int) -> None:
        self._loop = loop
        self._open_orders = open_orders
        self._fills_per_hour = fills_per_hour
        self.venue, self.topics, self.session = DayVenue(loop), _CountingTopics(), _DaySession()
        outbox = Outbox("main", self.topics.publish)
        self.account = Account(outbox, COMMANDS, LIMITS, TIMING, TermStart(1, 0), now=loop.clock())
        self._events = VenueListener(
            "main", self.account, self.topics, wake=_nothing, on_login=lambda _: None, began_ms=START.wall_ms
        )
        self._events.session = self.session
        queries = StatusQueries("main", self.account, self.venue, self._events, loop.clock)
        unused = cast("Any", None)
        parts = TermDependencies(
            membership=unused,
            publisher=self.topics,
            rest=self.venue,
            open_session=unused,
            encode=unused,
            clock=loop.clock,
            key_fingerprint=unused,
            read_commands=unused,
            topics=unused,
            result_log=unused,
            topic_watch=unused,
            metrics=AccountMetrics(Metrics("test"), "main"),
        )
        self._recovery = RecoverySweeps(
            "main", self.account, parts, session=self.session, events=self._events, queries=queries
        )

    async def run(self, hours: int, hour_s: int = 3600) -> AsyncIterator[Hour]:
        """Trade and be audited, and tell of every hour, which may be shorter than others."""
        self.account.begin("here", self._loop.clock())
        for _ in range(self._open_orders):
            self._push(self.venue.place())
        self._events.logged_in("az4", self._loop.clock())
        self._recovery.begin("az4")
        sweeps = asyncio.create_task(self._recovery.run())
        try:
            for hour in range(hours):
                yield await self._live(hour, hour_s)
        finally:
            sweeps.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeps

    async def _live(self, hour: int, seconds: int) -> Hour:
        fills = 0
        await asyncio.sleep(0)  # what the test has done before is no turn of the bridge's
        self._loop.pop_longest_turn_s()
        for second in range(seconds):
            await asyncio.sleep(1)
            read_clocks(self.account, self._loop.clock())
            due = self._fills_per_hour * (second + 1) // seconds
            while fills < due:
                self._push(self.venue.place())
                self._push(self.venue.fill())
                fills += 1
            self.account.tick(self._loop.clock())
        minutes = range(hour * seconds // 60, (hour + 1) * seconds // 60)
        asked = [self.venue.asked_by_minute.pop(minute, 0) for minute in minutes]
        longest_s = self._loop.pop_longest_turn_s()
        return Hour(hour, fills, resident_mib(), sum(asked) / len(asked), max(asked), longest_s)

    def _push(self, pushes: Iterable[Push]) -> None:
        for push in pushes:
            self._events.received(push, self._loop.clock())


def _nothing() -> None:
    """Wake nobody."""

"""Cuts of the WebSocket, one after the other, at an account with many open orders; something happens in each gap."""

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.recovery import told
from tests.support.replica import replica
from tests.support.rig import PLACE, Rig, Topic
from tests.witness.replica import Replica
from tests.witness.waiting import DEADLINE_S, comes_true

Tell = Callable[[str], None]
_HOUR_MS: Final = 3600 * 1000
_SYM: Final = PLACE["sym"]
_PRICE: Final = Decimal(PLACE["limitPrice"])
_RECOVERED_S: Final = 120.0
_CLOSED_S: Final = 300.0
_SOME: Final = 10


class Cut(Struct):
    """One cut and what followed. Unix ms; `took_ms` is what the daemon says of it."""

    cut_ms: int
    opened_ms: int
    complete_ms: int
    took_ms: int
    recovered: dict[str, int]


class Found(Struct):
    """What the cuts were like, and what was wrong."""

    cuts: list[Cut]
    gaps: int
    closed_ms: int
    """From the last login to the end of the gaps."""
    trades: int
    published_twice: int
    warnings: dict[str, int]
    wrong: list[str]


class Cuts:
    """One account, its venue, and its readers."""

    def __init__(self, rig: Rig, orders: int, delay_s: float, tell: Tell) -> None:
        self._rig = rig
        self._orders = orders
        self._delay_s = delay_s
        self._tell = tell
        self._cuts: list[Cut] = []
        self._session: Topic

    async def run(self, times: int) -> Found:
        """Cut so often, wait for the end of the gaps, and hold everything against the venue."""
        venue = self._rig.venue
        self._place(int(time.time() * 1000) - _HOUR_MS)
        venue.faults.add(Fault(kind=FaultKind.DELAY_ANSWER, action="GET", delay_s=self._delay_s, times=None))
        async with replica(self._rig) as daemon:
            self._session = await self._rig.topic(Stream.SESSION)
            topics = await told.read_all(self._rig)
            await self._recovered(1)
            for number in range(times):
                self._trade("BUY")
                await self._cut(number)
            closed_ms = await self._closed()
            await _settled(lambda: told.untrue(self._rig, topics))
            return self._found(topics, daemon, closed_ms)

    async def _cut(self, number: int) -> None:
        cut_ms = int(time.time() * 1000)
        assert self._rig.venue.cut_connections() == 1
        self._while_away()
        complete = await self._recovered(number + 2)
        opened_ms = self._of("session.opened")[-1]["at"]
        self._cuts.append(Cut(cut_ms, opened_ms, complete["at"], complete["tookMs"], complete["recovered"]))
        if (number + 1) % _SOME == 0:
            self._tell(f"  {number + 1} cuts, the last was recovered {complete['at'] - cut_ms} ms after it")

    async def _recovered(self, times: int) -> dict[str, Any]:
        await self._session.until(lambda _: len(self._of("recovery.complete")) >= times, _RECOVERED_S)
        return self._of("recovery.complete")[-1]

    async def _closed(self) -> int:
        gaps = {one["gapId"] for one in self._of("gap.opened")}
        await self._session.until(lambda _: gaps <= {one["gapId"] for one in self._of("gap.closed")}, _CLOSED_S)
        return int(self._of("gap.closed")[-1]["at"] - self._of("session.opened")[-1]["at"])

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [value for value in self._session.values if value["type"] == kind]

    def _while_away(self) -> None:
        """Let orders be filled, in part or whole, cancelled and placed while nobody listens."""
        venue = self._rig.venue
        market = venue.quotation(_SYM)
        price = market.price
        market.move(_PRICE - 1)
        venue.settle_prices()
        market.move(price)
        self._trade("SELL")
        oldest = next(iter(venue.portfolio().open_orders))
        venue.inject.foreign_action("main", "cancel_order", {"orderId": oldest})
        while len(venue.portfolio().open_orders) < self._orders:
            venue.inject.foreign_action("main", "place_order", PLACE)

    def _trade(self, side: str) -> None:
        args = {"sym": _SYM, "side": side, "orderType": "MARKET", "orderQty": "0.01"}
        self._rig.venue.inject.foreign_action("main", "place_order", args)

    def _place(self, at_ms: int) -> None:
        """Place the orders that are open from the beginning, long ago."""
        venue = self._rig.venue
        for _ in range(self._orders):
            assert venue.gateway.act(venue.portfolio(), "place_order", PLACE, at_ms).is_success

    def _found(self, topics: told.Topics, daemon: Replica, closed_ms: int) -> Found:
        warnings = [line["event"] for line in daemon.lines if line["level"] in {"warning", "error"}]
        lost = [one for one in self._of("session.lost") if one["cause"] != "link_failed"]
        alarms = [one["detail"] for one in self._of("alarm.raised")]
        more = len(self._of("session.opened")) - len(self._cuts) - 1
        wrong = [*told.untrue(self._rig, topics), *told.over_limit(self._rig)]
        wrong += [f"lost by {one['cause']}: {one['detail']}" for one in lost]
        wrong += [f"alarm: {detail}" for detail in alarms] + [f"{more} sessions too many"] * bool(more)
        return Found(
            cuts=self._cuts,
            gaps=len(self._of("gap.opened")),
            closed_ms=closed_ms,
            trades=len(topics[Stream.TRADES].values),
            published_twice=told.published_twice(topics[Stream.TRADES]),
            warnings={event: warnings.count(event) for event in sorted(set(warnings))},
            wrong=wrong,
        )


async def _settled(wrong: Callable[[], list[str]]) -> None:
    """Wait for what is still on its way to the readers; what stays wrong is told afterwards."""
    await comes_true(lambda: not wrong(), DEADLINE_S)

"""A healthy link under load: pushes that are late and a REST that lags are no gap, and a push that never comes is."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from bridge.config import Settings, Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from tests.recovery.told import read_all, untrue
from tests.support.rig import PLACE, Rig, Topic, command

REST_LAG_S = 2.0
LATE_S = 0.6
TRADING_S = 10.0
CLOSED_S = 90.0
MARKETS = [
    {"sym": "BINANCE_PERP_BTC_USDT", "side": side, "orderType": "MARKET", "orderQty": "0.01"}
    for side in ("BUY", "SELL")
]
LATE_PUSHES = [Fault(kind=FaultKind.DELAY_PUSH, delay_s=LATE_S * part, share=0.3, times=None) for part in (1, 0.5)]
MUTED_STATES = [
    Fault(kind=FaultKind.MUTE_PUSH, channel=channel, times=None) for channel in ("Orders", "Assets", "Positions")
]
LAGGING_REST = [Fault(kind=FaultKind.LAG_READ, delay_s=LATE_S * part, share=0.5, times=None) for part in (1, 0.5)]


def _settings(rig: Rig) -> Settings:
    return rig.settings(timing=Timing(rest_lag_s=REST_LAG_S, audit_period_s=0.5))


def _of(session: Topic, kind: str) -> list[dict[str, Any]]:
    return [value for value in session.values if value["type"] == kind]


async def _closed(session: Topic, gaps: int) -> None:
    """Wait until so many gaps, and no others, have been opened and closed."""
    await session.until(lambda _: len(_of(session, "gap.closed")) >= gaps, CLOSED_S)
    assert [one["gapId"] for one in _of(session, "gap.opened")] == [one["gapId"] for one in _of(session, "gap.closed")]


def _audits(rig: Rig) -> int:
    return len(rig.venue.ledger.requests_received("rest_executions", rig.venue.keys["main"].portfolio_id))


class Desk:
    """Trades, one command after the other."""

    def __init__(self, rig: Rig, results: Topic) -> None:
        self._rig = rig
        self._results = results

    async def do(self, action: str, args: Mapping[str, str]) -> str:
        """Send a command, see that it is accepted, and return its order."""
        one = command(action, dict(args))
        await self._rig.send(one)
        result = await self._results.result(one)
        assert result["outcome"] == "accepted"
        return str(result["orderId"])

    async def _trade(self) -> None:
        for market in itertools.cycle(MARKETS):
            await self.do("place_order", market)
            await self.do("cancel_order", {"orderId": await self.do("place_order", PLACE)})

    @contextlib.asynccontextmanager
    async def trading(self) -> AsyncIterator[asyncio.Task[None]]:
        """Trade until the end of the block, and the last command to its end."""
        work = asyncio.create_task(self._trade())
        try:
            yield work
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work


async def _trade_on(rig: Rig, work: asyncio.Task[None], faults: list[Fault]) -> None:
    """Let things go wrong for a while; at least two audits look at it."""
    script = [rig.venue.faults.add(fault) for fault in faults]
    before, until = _audits(rig), time.monotonic() + TRADING_S
    await rig.venue.ledger.wait_until(
        lambda: work.done() or (time.monotonic() > until and _audits(rig) > before + 1), 60
    )
    assert not work.done(), work
    assert all(one.trigger_count for one in script)
    for one in script:
        one.remove()


async def test_late_pushes_and_a_lagging_rest_are_no_gap_and_lost_pushes_are_one(rig: Rig) -> None:
    """A desk trades while pushes are late, then REST: nothing is told. Then pushes are lost: one gap, recovered."""
    async with rig.daemon(_settings(rig)):
        session, results = await rig.topic(Stream.SESSION), await rig.topic(Stream.RESULTS)
        topics = await read_all(rig)
        async with Desk(rig, results).trading() as work:
            await _closed(session, 1)
            await _trade_on(rig, work, LATE_PUSHES)
            await _trade_on(rig, work, LAGGING_REST)
            assert [one["type"] for one in session.values[-2:]] == ["recovery.complete", "gap.closed"]
            muted = rig.venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, channel="Trades", times=None))
            await rig.venue.ledger.wait_until(lambda: muted.trigger_count > 1)
            muted.remove()
        await _closed(session, 2)
        await topics[Stream.TRADES].until(lambda _: untrue(rig, topics) == [])
    assert any(entry.facts["hidden"] for entry in rig.venue.ledger.entries(EntryKind.ANSWER) if "hidden" in entry.facts)
    first, second = _of(session, "gap.closed")
    assert (first["cause"], second["cause"]) == ("first_start", "pushes_missed")
    assert second["recovered"]["trades"] >= muted.trigger_count
    assert {one["alarm"] for one in _of(session, "alarm.raised")} <= {"commands_behind"}  # the machine may be busy


async def test_states_that_are_not_pushed(rig: Rig) -> None:
    """Where the last state of an order, a position and a coin is never pushed, REST tells it, and a gap that it did."""
    async with rig.daemon(_settings(rig)):
        session, results = await rig.topic(Stream.SESSION), await rig.topic(Stream.RESULTS)
        topics, desk = await read_all(rig), Desk(rig, results)
        await desk.do("place_order", MARKETS[0])
        await _closed(session, 1)
        muted = [rig.venue.faults.add(fault) for fault in MUTED_STATES]
        await desk.do("place_order", MARKETS[0])
        for one in muted:
            assert one.trigger_count
            one.remove()
        await _closed(session, 2)
        await topics[Stream.TRADES].until(lambda _: untrue(rig, topics) == [])
    assert [one["cause"] for one in _of(session, "gap.closed")] == ["first_start", "pushes_missed"]
    assert {one["alarm"] for one in _of(session, "alarm.raised")} <= {"commands_behind"}  # the machine may be busy

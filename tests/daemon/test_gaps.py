"""Nothing the venue did goes missing unsaid: crashes, freezes and long outages of Kafka, held against the ledger."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.sandbox.broker.launcher import Broker
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.proxy import PRODUCE, KafkaProxy
from tests.support.rig import PLACE, Rig, Topic
from tests.support.states import (
    all_trades_are_there,
    last_states,
    recovered,
    tells_the_truth,
    trades_by_id,
    true_states,
)
from tests.witness.waiting import until

MARKET = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}
DAY_MS = 24 * 3600 * 1000
SHORT = {"rest_lag_s": 1.5, "audit_period_s": 2}


@pytest_asyncio.fixture(loop_scope="session")
async def rig(bootstrap: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """Return a rig whose prices stand still, so that a state has the same worth in the stream and in REST."""
    async with Venue(VenueSettings()) as venue, Rig(bootstrap, venue, tmp_path) as built:
        yield built


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(bootstrap: str) -> AsyncIterator[KafkaProxy]:
    """Return a daemon's way to the broker."""
    async with KafkaProxy(bootstrap) as running:
        yield running


def say(what: str, told: object) -> None:
    """Print what was found, for whoever runs this with -rP."""
    print(what, told)  # noqa: T201 - a figure to look at


def fill(rig: Rig, *, count: int = 1) -> None:
    """Let somebody with the same key trade at the market."""
    for number in range(count):
        rig.venue.inject.foreign_action("main", "place_order", {**MARKET, "side": "SELL" if number % 2 else "BUY"})


async def all_topics(rig: Rig) -> dict[Stream, Topic]:
    """Read every topic that the venue's pushes go to."""
    return {stream: await rig.topic(stream) for stream in (*STATE_STREAMS, Stream.TRADES, Stream.SESSION)}


def of_type(topic: Topic, kind: str) -> list[dict[str, Any]]:
    """Return the session events of a type so far."""
    return [value for value in topic.values if value["type"] == kind]


async def until_true(rig: Rig, topics: dict[Stream, Topic], deadline_s: float = 40) -> None:
    """Wait until the topics tell the ledger's truth and every gap is closed."""
    session = topics[Stream.SESSION]
    trades = topics[Stream.TRADES]
    await until(lambda: all_trades_are_there(rig, trades), deadline_s, "every trade on its topic")
    for stream in STATE_STREAMS:
        holds = partial(tells_the_truth, rig, topics[stream], stream)
        await until(holds, deadline_s, f"the truth on {stream}")
    await until(lambda: not open_gaps(session), deadline_s, "the end of every gap")


def open_gaps(session: Topic) -> set[str]:
    """Return the gaps that are not closed."""
    opened = {gap["gapId"] for gap in of_type(session, "gap.opened")}
    return opened - {gap["gapId"] for gap in of_type(session, "gap.closed")}


async def test_pushes_in_the_memory_of_a_killed_owner(rig: Rig, proxy: KafkaProxy) -> None:
    """What was received and not yet durable when the owner dies, its successor recovers from REST."""
    async with rig.daemon_process(unread=True, kafka=rig.kafka(proxy.bootstrap), timing=SHORT) as owner:
        topics = await all_topics(rig)
        session = topics[Stream.SESSION]
        await until(lambda: bool(of_type(session, "gap.closed")), 40, "the first gap's end")
        proxy.cut_at(lambda kind, _: kind == PRODUCE)
        fill(rig, count=5)
        await until(lambda: proxy.cut > 0, what="a record that does not get through")
        owner.kill()
        await owner.wait()
    assert recovered(topics[Stream.TRADES]) == 0
    async with rig.daemon(rig.settings(timing=SHORT)):
        await until_true(rig, topics)
    closed = of_type(session, "gap.closed")[-1]
    say("recovered after a kill:", closed["recovered"])
    assert closed["recovered"]["trades"] == recovered(topics[Stream.TRADES]) == 5


async def test_an_owner_killed_before_its_gap_is_closed(rig: Rig) -> None:
    """REST lags, so the first sweep after the cut knows nothing yet; the successor closes what was left open."""
    timing = {**SHORT, "rest_lag_s": 8}
    async with rig.daemon_process(unread=True, timing=timing) as owner:
        topics = await all_topics(rig)
        session = topics[Stream.SESSION]
        await until(lambda: bool(of_type(session, "recovery.complete")), what="the first sweep")
        rig.venue.faults.add(Fault(kind=FaultKind.LAG_READ, delay_s=7.5, times=None))
        rig.venue.cut_connections()
        fill(rig, count=3)
        await until(lambda: len(of_type(session, "recovery.complete")) == 2, what="the sweep after the cut")
        owner.kill()
        await owner.wait()
    left = open_gaps(session)
    assert (len(left), recovered(topics[Stream.TRADES])) == (2, 0)
    async with rig.daemon(rig.settings(timing=timing)):
        await until_true(rig, topics, 60)
    closed = of_type(session, "gap.closed")
    say("recovered by the next owner:", [(gap["gapId"], gap["recovered"]) for gap in closed])
    assert left < {gap["gapId"] for gap in closed}
    assert sum(gap["recovered"]["trades"] for gap in closed) == 3


async def test_an_owner_that_is_frozen_with_unflushed_pushes(rig: Rig, proxy: KafkaProxy) -> None:
    """Its records reach the topics after its successor's; whoever passes over void ones reads the truth."""
    async with rig.daemon_process(unread=True, kafka=rig.kafka(proxy.bootstrap), timing=SHORT) as frozen:
        topics = await all_topics(rig)
        session = topics[Stream.SESSION]
        await until(lambda: bool(of_type(session, "gap.closed")), 40, "the first gap's end")
        proxy.hold(lambda kind, _: kind == PRODUCE)
        order = rig.venue.inject.foreign_action("main", "place_order", PLACE).data or {}
        fill(rig)
        await until(lambda: proxy.held > 0, what="a record on its way")
        os.kill(frozen.pid, signal.SIGSTOP)
        async with rig.daemon(rig.settings(timing=SHORT)):
            await until(lambda: len(of_type(session, "owner.acquired")) == 2, 30, "the successor")
            rig.venue.inject.foreign_action("main", "cancel_order", {"orderId": str(order["orderId"])})
            await until_true(rig, topics)
            proxy.release()
            orders = topics[Stream.ORDERS]
            await until(
                lambda: any(int(dict(r.headers)["ce_epoch"]) == 1 for r in orders.records[-3:]), what="its flush"
            )
            assert last_states(orders)[str(order["orderId"])]["orderState"] == "CANCELLED"
            await until_true(rig, topics)


@pytest.mark.parametrize("away_s", [6, pytest.param(120, marks=pytest.mark.pace)])
async def test_fills_while_kafka_is_down(own_broker: Broker, tmp_path: Path, away_s: float) -> None:
    """200 pushes a second wait in memory: none is lost, and no gap is needed."""
    async with Venue(VenueSettings()) as venue, Rig(own_broker.bootstrap_servers, venue, tmp_path) as rig:
        async with rig.daemon(rig.settings(timing=SHORT)):
            topics = await all_topics(rig)
            session = topics[Stream.SESSION]
            await until(lambda: bool(of_type(session, "gap.closed")), 40, "the first gap's end")
            await own_broker.kill()
            pushed = await _pushing(rig, away_s)
            await own_broker.restart()
            await until_true(rig, topics, 90)
        say(f"Kafka down for {away_s} s:", f"{pushed} pushes")
        assert pushed > 150 * away_s
        assert {gap["cause"] for gap in of_type(session, "gap.opened")} <= {"first_start", "stopped"}
        assert sum(map(recovered, (topics[Stream.TRADES], topics[Stream.ORDERS]))) == 0


async def test_fills_while_kafka_takes_no_records_for_longer_than_fits(rig: Rig, proxy: KafkaProxy) -> None:
    """The session is closed when memory is full: a gap is published, and what was not received comes back by REST."""
    settings = rig.settings(kafka=rig.kafka(proxy.bootstrap), timing=SHORT, limits={"event_buffer_bytes_max": 400_000})
    async with rig.daemon(settings):
        topics = await all_topics(rig)
        session = topics[Stream.SESSION]
        await until(lambda: bool(of_type(session, "gap.closed")), 40, "the first gap's end")
        # A commit that is cut on its way ends the term, and with it the session, before memory is full.
        proxy.cut_at(lambda kind, _: kind == PRODUCE)
        await _pushing(rig, 6)
        proxy.cut_at(None)
        await until_true(rig, topics, 60)
    closed = of_type(session, "gap.closed")[-1]
    say("recovered after the buffer was full:", closed["recovered"])
    assert "buffer_full" in {gap["cause"] for gap in of_type(session, "gap.opened")}
    assert closed["recovered"]["trades"] > 0


async def _pushing(rig: Rig, time_s: float) -> int:
    """Let some 200 pushes a second be made for a while; return how many."""
    before = len(rig.venue.ledger.entries(EntryKind.EVENT))
    loop = asyncio.get_running_loop()
    end = loop.time() + time_s
    while loop.time() < end:
        fill(rig, count=2)
        await asyncio.sleep(0.045)  # the pace of the pushes, not a wait for something
    return len(rig.venue.ledger.entries(EntryKind.EVENT)) - before


async def test_the_first_start_tells_the_state(rig: Rig) -> None:
    """Open orders, balances and positions as they are, marked as recovered, before the stream goes on."""
    rig.venue.inject.foreign_action("main", "place_order", PLACE)
    fill(rig)
    async with rig.daemon(rig.settings(timing=SHORT)):
        topics = await all_topics(rig)
        session = topics[Stream.SESSION]
        await until(lambda: bool(of_type(session, "gap.closed")), 40, "the first gap's end")
        complete = of_type(session, "recovery.complete")[0]
        orders = {key for key, row in true_states(rig, Stream.ORDERS).items() if row["orderState"] == "OPEN"}
        assert orders <= last_states(topics[Stream.ORDERS]).keys()
        for stream in (Stream.ASSETS, Stream.POSITIONS):
            assert tells_the_truth(rig, topics[stream], stream)
            assert recovered(topics[stream]) == len(topics[stream].records)
        assert topics[Stream.TRADES].records == []
    assert (complete["openOrders"], complete["recovered"]["orders"]) == (1, 1)


async def test_past_executions_at_the_first_start(rig: Rig) -> None:
    """Where they are wanted, those since a time are published, from the venue's archive too; older ones are not."""
    now_ms = int(time.time() * 1000)
    for days in (12, 8, 3):
        at_ms = now_ms - days * DAY_MS
        rig.venue.inject.past_order("main", at_ms, fills_at_ms=[at_ms + 1000])
    settings = rig.settings(timing=SHORT)
    since = datetime.now(UTC) - timedelta(days=10)
    account = settings.accounts["main"].model_copy(update={"executions_since": since})
    async with rig.daemon(settings.model_copy(update={"accounts": {"main": account}})):
        topics = await all_topics(rig)
        await until(lambda: bool(of_type(topics[Stream.SESSION], "gap.closed")), 60, "the first gap's end")
    (closed,) = of_type(topics[Stream.SESSION], "gap.closed")
    found = sorted(int(trade["createAt"]) for trade in trades_by_id(topics[Stream.TRADES]).values())
    assert found == [now_ms - days * DAY_MS + 1000 for days in (8, 3)]
    assert closed["fromMs"] == int(since.timestamp() * 1000)
    assert (closed["cause"], closed["recovered"]["trades"]) == ("first_start", 2)

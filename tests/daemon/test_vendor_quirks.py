"""Vendor quirks that concern the whole: a daemon and a venue of each dialect, that loses pushes, or trades alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.config import Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.rig import PLACE, Rig, Topic, command
from tests.support.truth import lies
from tests.witness.waiting import until

TIMING = Timing(ack_timeout_s=1, late_landing_s=3, rest_lag_s=2, audit_period_s=1, reconnect_cap_s=1.2)
MARKET = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}
TOO_SMALL = {**PLACE, "orderQty": "0.0000001"}
SAME = {
    (Stream.ORDERS, "Orders"): ("orderState", "executedQty"),
    (Stream.ASSETS, "Assets"): ("balance", "frozen"),
    (Stream.POSITIONS, "Positions"): ("positionQty", "avgPrice"),
}
"""What the last record of a key and the venue's last word about it must agree in."""
CHANNELS = {"Trades", *(channel for _, channel in SAME)}
DEADLINE_S = 60


def _last(topic: Topic) -> dict[str, Any]:
    """Return the last value of every key."""
    return {(record.key or b"").decode(): json.loads(record.value or b"null") for record in topic.records}


def _differences(rig: Rig, topics: dict[Stream, Topic]) -> list[str]:
    """Return the keys whose last record is not the venue's last word, and the trades that are missing."""
    ledger, portfolio_id = rig.venue.ledger, rig.venue.portfolio().portfolio_id
    found = []
    for (stream, channel), fields in SAME.items():
        last = _last(topics[stream])
        for key, event in ledger.last_states(channel, portfolio_id).items():
            true, said = json.loads(event.payload), last.get(key) or {}
            found += [f"{key} {name}" for name in fields if said.get(name) != true[name]]
    ids = {dict(record.headers)["ce_id"].decode() for record in topics[Stream.TRADES].records}
    return found + [event.identity for event in ledger.trades(portfolio_id) if f"trade:{event.identity}" not in ids]


def _all_arrived(rig: Rig, topics: dict[Stream, Topic]) -> bool:
    """Tell whether every push was sent, and published byte for byte."""
    ledger = rig.venue.ledger
    sent = {entry.facts["event_number"] for entry in ledger.entries(EntryKind.DELIVER)}
    published = {record.value for topic in topics.values() for record in topic.records}
    made = ledger.entries(EntryKind.EVENT)
    return all(one.number in sent and one.event is not None and one.event.payload in published for one in made)


def _count(values: list[Any], kind: str) -> int:
    return sum(value["type"] == kind for value in values)


async def _topics(rig: Rig) -> dict[Stream, Topic]:
    return {stream: await rig.topic(stream) for stream in (Stream.TRADES, *(stream for stream, _ in SAME))}


async def _asked(rig: Rig, results: Topic, *commands: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Send commands at once and wait for their last words; return them by offset."""
    offsets = await rig.send(*commands)
    for one in commands:
        await results.result(one)
    return dict(zip(offsets, commands, strict=True))


@pytest.mark.parametrize(
    ("dialect", "refusal"),
    [
        pytest.param(
            Dialect(login_success="string_code", login_failure="older"), "rejected", id="02 login code type: all along"
        ),
        pytest.param(Dialect(heartbeat="text"), "rejected", id="04 heartbeat style: all along"),
        pytest.param(Dialect(action_failure="older"), "not_found", id="06 action failure shape: all along"),
        pytest.param(
            Dialect(rest_success_code=200, rest_failure_status=400),
            "rejected",
            id="07 ack success code: REST's, all along",
        ),
        pytest.param(Dialect(order_states="synonyms"), "rejected", id="08 order state spelling: all along"),
        pytest.param(Dialect(batch_cancel_honours_sym=True), "rejected", id="17 cancel_orders scope: never over REST"),
    ],
)
async def test_every_answer_is_true_in_every_dialect(
    dialect: Dialect, refusal: str, bootstrap: str, tmp_path: Path
) -> None:
    """Place, refusal, fill, replace, cancel, cancel_orders; a refusal that names no reason proves nothing by itself."""
    async with Venue(VenueSettings(dialect=dialect)) as venue, Rig(bootstrap, venue, tmp_path) as rig:
        async with rig.daemon(rig.settings(timing=TIMING)):
            results, topics = await rig.topic(Stream.RESULTS), await _topics(rig)
            place, small = command("place_order", PLACE), command("place_order", TOO_SMALL)
            more = command("place_order", PLACE)
            sent = await _asked(rig, results, place, small, more, command("place_order", MARKET))
            name = {"clientOrderId": (await results.result(place))["clientOrderId"]}
            sent |= await _asked(rig, results, command("replace_order", {**name, "replacePrice": "20100"}))
            sent |= await _asked(rig, results, command("cancel_order", name))
            sent |= await _asked(rig, results, command("cancel_orders", {"exchangeType": "BINANCE"}))
            await until(lambda: _differences(rig, topics) == [], what="what is published being what is true")
        said = [(await results.result(one))["outcome"] for one in sent.values()]
        assert said == ["accepted", refusal, *["accepted"] * 5]
        assert lies(rig, results, sent) == []
        assert venue.portfolio().open_orders == {}
        assert {entry.facts["method"] for entry in venue.ledger.entries(EntryKind.REST)} == {"GET"}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(FaultKind.MUTE_PUSH, id="28 no sequence: pushes lost on a healthy link"),
        pytest.param(FaultKind.DUPLICATE_PUSH, id="28 no sequence: pushes doubled"),
        pytest.param(FaultKind.SWAP_PUSH, id="28 no sequence: pushes swapped"),
        pytest.param(FaultKind.DELAY_PUSH, id="28 no sequence: pushes late"),
    ],
)
async def test_what_is_published_is_true_however_pushes_arrive(rig: Rig, kind: FaultKind) -> None:
    """Every trade is on its topic, and the last record of an order, balance or position is the venue's last word."""
    lost = kind is FaultKind.MUTE_PUSH
    for channel in CHANNELS:
        rig.venue.faults.add(Fault(kind=kind, channel=channel, after=1, times=2, delay_s=1))
    async with rig.daemon(rig.settings(timing=TIMING)):
        results, session, topics = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION), await _topics(rig)
        await session.until(
            lambda values: _count(values, "gap.closed" if lost else "recovery.complete") == 1, DEADLINE_S
        )
        for _ in range(2):
            await _asked(rig, results, place := command("place_order", PLACE), command("place_order", MARKET))
            await _asked(rig, results, command("cancel_order", {"orderId": (await results.result(place))["orderId"]}))
        if lost:
            await session.until(lambda values: _count(values, "gap.closed") == 2, DEADLINE_S)
        else:
            await until(lambda: _all_arrived(rig, topics), what="every push being published")
        await until(lambda: _differences(rig, topics) == [], what="what is published being what is true")
    assert {entry.facts["channel"] for entry in rig.venue.ledger.entries(EntryKind.FAULT)} == CHANNELS
    causes = {event["cause"] for event in session.values if event["type"] == "gap.opened"}
    assert ("pushes_missed" in causes) == lost


@pytest.mark.parametrize(
    "origin",
    [
        pytest.param("SYSTEM_LIQ", id="32 orders of others: a liquidation, as it happens"),
        pytest.param("DMA", id="32 orders of others: another program, as it happens"),
    ],
)
async def test_orders_of_others_are_published_and_may_be_cancelled(rig: Rig, origin: str) -> None:
    """As they are pushed; whose they are makes no difference."""
    async with rig.daemon(rig.settings(timing=TIMING)):
        results, orders, session = [await rig.topic(one) for one in (Stream.RESULTS, Stream.ORDERS, Stream.SESSION)]
        await session.until(lambda values: _count(values, "recovery.complete") == 1)
        outcome = rig.venue.inject.foreign_action("main", "place_order", {**PLACE, "clientOrderId": "theirs"}, origin)
        order_id = str((outcome.data or {})["orderId"])
        await orders.until(lambda values: any(value["orderState"] == "OPEN" for value in values))
        await _asked(rig, results, cancel := command("cancel_order", {"orderId": order_id}))
        await orders.until(lambda values: values[-1]["orderState"] == "CANCELLED")
    assert (await results.result(cancel))["outcome"] == "accepted"
    assert {(value["orderId"], value["orderType"]) for value in orders.values} == {(order_id, origin)}
    assert {dict(record.headers).get("ce_recovered") for record in orders.records} == {None}


@pytest.mark.parametrize(
    "fills", [pytest.param(3, id="33 nothing kept for the absent: while the venue was out of reach")]
)
async def test_what_happened_while_nobody_listened_is_given_back(rig: Rig, fills: int) -> None:
    """Marked as recovered, counted in the gap that it fell into, and true in the end."""
    async with rig.daemon(rig.settings(timing=TIMING)):
        session, topics = await rig.topic(Stream.SESSION), await _topics(rig)
        await session.until(lambda values: _count(values, "recovery.complete") == 1, DEADLINE_S)
        await rig.venue.close_tier("az4")
        for _ in range(fills):
            rig.venue.inject.foreign_action("main", "place_order", MARKET)
        await rig.venue.open_tier("az4")
        await session.until(lambda values: _count(values, "gap.closed") == 2, DEADLINE_S)
        await until(lambda: _differences(rig, topics) == [], what="what is published being what is true")
    closed = [value for value in session.values if value["type"] == "gap.closed"]
    assert [gap["recovered"]["trades"] for gap in closed] == [0, fills]
    recovered = [dict(record.headers)["ce_recovered"] for record in topics[Stream.TRADES].records]
    assert recovered == [b"true"] * fills

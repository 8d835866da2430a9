"""Both streets from end to end: commands to the venue and back, pushes to their topics."""

from typing import Literal

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat

from bridge.config import Limits
from bridge.contract.topics import Stream
from bridge.sandbox.venue.ledger import VenuePush
from tests.support.rig import PLACE, Rig, Topic, command
from tests.witness.waiting import until

CHANNELS = {
    "Orders": Stream.ORDERS,
    "Trades": Stream.TRADES,
    "Assets": Stream.ASSETS,
    "Positions": Stream.POSITIONS,
    "MarginCall": Stream.MARGIN_CALLS,
}
MARKET = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}


@pytest.mark.parametrize(
    ("policy", "cancels"),
    [
        ("single_cancels", {"cancel_order": 2, "cancel_orders": 0}),
        ("venue_message", {"cancel_order": 1, "cancel_orders": 1}),
    ],
)
async def test_all_four_actions_are_answered_by_the_venue(
    rig: Rig, policy: Literal["single_cancels", "venue_message"], cancels: dict[str, int]
) -> None:
    """Place, replace, cancel and cancel_orders are accepted, and the ledger has each exactly once.

    A cancel_orders goes out as cancels of what is open, unless the venue's own message is wanted.
    """
    async with rig.daemon(rig.settings(limits=Limits(cancel_orders=policy))):
        results = await rig.topic(Stream.RESULTS)
        first, second = command("place_order", PLACE), command("place_order", PLACE)
        await rig.send(first, second)
        order_id = (await results.result(first))["orderId"]
        name = (await results.result(second))["clientOrderId"]
        replace = command("replace_order", {"clientOrderId": name, "replacePrice": "20100"})
        cancel = command("cancel_order", {"orderId": order_id})
        await rig.send(replace, cancel)
        outcomes = [(await results.result(one))["outcome"] for one in (replace, cancel)]
        everything = command("cancel_orders", {"exchangeType": "ALL"})
        await rig.send(everything)
        outcomes.append((await results.result(everything))["outcome"])
    portfolio = rig.venue.keys["main"].portfolio_id
    received = {
        action: len(rig.venue.ledger.requests_received(action, portfolio))
        for action in ("place_order", "replace_order", "cancel_order", "cancel_orders")
    }
    assert outcomes == ["accepted"] * 3
    assert received == {"place_order": 2, "replace_order": 1, **cancels}
    assert rig.venue.portfolio().open_orders == {}
    assert rig.venue.portfolio().open_orders == {}


async def _is_published(made: list[VenuePush], topic: Topic) -> None:
    def pushed() -> list[tuple[str, bytes]]:
        """Return what came from the stream; the first sweep tells the rest."""
        return [(r.key.decode(), r.value) for r in topic.records if "ce_recovered" not in dict(r.headers)]

    await until(lambda: len(pushed()) >= len(made))
    assert made
    assert pushed()[: len(made)] == [(event.key, event.payload) for event in made]


async def test_every_push_is_on_its_topic_byte_for_byte(rig: Rig) -> None:
    """Each of the five push types is published once for every push, in order, under its key, in the venue's bytes."""
    async with rig.daemon():
        topics = {channel: await rig.topic(stream) for channel, stream in CHANNELS.items()}
        results = await rig.topic(Stream.RESULTS)
        trade = command("place_order", MARKET)
        await rig.send(trade, command("place_order", PLACE))
        await results.result(trade)
        rig.venue.inject.margin_call("main")
        portfolio = rig.venue.keys["main"].portfolio_id
        for channel, topic in topics.items():
            await _is_published(rig.venue.ledger.events(channel, portfolio), topic)


async def test_the_cloudevents_sdk_reads_every_event(rig: Rig) -> None:
    """The official SDK parses the records; sequences are contiguous from 1, and repeats of an id do not exist."""
    async with rig.daemon():
        topics = [await rig.topic(stream) for stream in (*CHANNELS.values(), Stream.SESSION, Stream.RESULTS)]
        results = topics[-1]
        trade = command("place_order", MARKET)
        await rig.send(trade)
        await results.result(trade)
        rig.venue.inject.margin_call("main")
        for topic in topics:
            await topic.until(bool)
            events = [
                from_kafka(KafkaMessage(dict(record.headers), record.key, record.value), JSONFormat())
                for record in topic.records
            ]
            assert {event.get_source() for event in events} == {"/ltp/sandbox/main"}
            assert {event.get_extension("epoch") for event in events} == {"1"}
            sequences = [int(event.get_extension("sequence")) for event in events]
            assert sequences == list(range(1, len(sequences) + 1))
            ids = [event.get_id() for event in events]
            assert len(set(ids)) == len(ids)
            subjects = [
                (record.key.decode(), event.get_subject()) for record, event in zip(topic.records, events, strict=True)
            ]
            assert all(key == subject for key, subject in subjects)


async def test_what_nobody_documented_is_kept(rig: Rig) -> None:
    """A push on an unknown channel, one that does not parse, and a frame that is no JSON are on `unrecognized`."""
    frames = [
        b'{"channel":"Weather","data":{"sunny":true}}',
        b'{"channel":"Orders","data":{"no":"orderId"}}',
        b"\xf0\x9f\x8c\xa7 not JSON",
    ]
    async with rig.daemon():
        session, unrecognized = await rig.topic(Stream.SESSION), await rig.topic(Stream.UNRECOGNIZED)
        await session.until(lambda values: any(v["type"] == "recovery.complete" for v in values))
        for frame in frames:
            rig.venue.inject.frame("main", frame)
        await until(lambda: len(unrecognized.records) == len(frames))
    assert [record.value for record in unrecognized.records] == frames
    assert [record.key for record in unrecognized.records] == [b"Weather", b"Orders", b"UNKNOWN"]


async def test_headers_of_a_command_come_back_on_its_result(rig: Rig) -> None:
    """`traceparent` and the correlation ids of request/reply users are echoed unchanged, other headers are not."""
    asked = [
        ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("kafka_correlationId", b"\x00\x01"),
    ]
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        place = command("place_order", PLACE)
        await rig.send(place, headers=[*asked, ("secret-sauce", b"no")])
        await results.result(place)
    (record,) = [r for r in results.records if r.key == place["commandId"].encode()]
    echoed = [
        (name, value)
        for name, value in record.headers
        if name in {"traceparent", "kafka_correlationId", "secret-sauce"}
    ]
    assert sorted(echoed) == sorted(asked)


async def test_a_cancel_behind_many_places_goes_first(rig: Rig) -> None:
    """A cancel of a live order overtakes a queue of places; a cancel of a queued place removes it unsent."""
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        live = command("place_order", PLACE)
        await rig.send(live)
        order_id = (await results.result(live))["orderId"]
        places = [command("place_order", PLACE) for _ in range(300)]
        last = places[-1]["commandId"].replace("-", "")
        cancel_live = command("cancel_order", {"orderId": order_id})
        cancel_last = command("cancel_order", {"clientOrderId": last})
        await rig.send(*places, cancel_live, cancel_last)
        await results.result(cancel_live)
        await results.result(cancel_last)
        for place in places:
            await results.result(place)
    order = [v["commandId"] for v in results.values if v.get("commandId")]
    waiting = [place["commandId"] for place in places[-50:]]
    overtaken = [one for one in waiting if order.index(one) > order.index(cancel_live["commandId"])]
    removed = results.results_of(places[-1])[0]["outcome"]
    answered = results.results_of(cancel_last)[0]["outcome"]
    assert overtaken or removed == "superseded"
    assert (removed, answered) in {("superseded", "superseded"), ("accepted", "accepted")}
    portfolio = rig.venue.keys["main"].portfolio_id
    sent = len(rig.venue.ledger.requests_received("place_order", portfolio))
    assert sent == 301 - sum(results.results_of(p)[0]["outcome"] == "superseded" for p in places)

"""A takeover that finds records which came late: behind newer ones of their key, in the log of the owner before."""

import asyncio
import json
from collections.abc import Callable

from bridge.account_parts import clock
from bridge.contract.topics import Stream
from bridge.core.commands.claims import CommitMetadata, encode
from bridge.core.records import OutgoingRecord, Push
from bridge.errors import ClusterUnreachable
from tests.support.outside import Outside, Tail
from tests.witness.waiting import until

ORDER = {"orderId": "17", "clientOrderId": "c17", "sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "LIMIT"}
POSITION = {"sym": "BINANCE_PERP_BTC_USDT", "positionSide": "NONE", "positionQty": "1", "updateAt": "1700000000000"}
RESULT = {"commandId": "a", "commandOffset": 0, "answeredAt": 1, "action": "place_order"}
GAP = {"at": 1, "gapId": "1-1", "fromMs": 1, "cause": "stopped"}
CLOSED = {"toMs": 2, "recovered": {}, "lost": []}


def said(stream: Stream, key: bytes, name: str, value: dict[str, object] | None) -> OutgoingRecord:
    """Return a record of the owner before, whose caller wanted a header back."""
    text = None if value is None else json.dumps(value).encode()
    return OutgoingRecord(stream, key, text, clock().wall_ms, name, headers=[("correlation_id", b"7")])


def story(word: str, gap: dict[str, object], result: str, position: dict[str, object] | None) -> list[OutgoingRecord]:
    """Return one record of each kind."""
    return [
        said(Stream.ORDERS, b"17", f"order:{word}", {**ORDER, "orderState": word, "updateAt": "1700000000000"}),
        said(Stream.SESSION, b"main", f"gap:{word}", {**GAP, **gap}),
        said(Stream.RESULTS, b"a", f"result:{result}", {**RESULT, "outcome": result}),
        said(Stream.POSITIONS, b"BTC", f"position:{word}", position),
    ]


def both_ends() -> tuple[list[OutgoingRecord], list[OutgoingRecord]]:
    """Return the story's beginning, and its end."""
    return (
        story("OPEN", {"type": "gap.opened", "detail": ""}, "unknown", dict(POSITION)),
        story("FILLED", {"type": "gap.closed", **CLOSED}, "accepted", None),
    )


def lasts(outside: Outside) -> dict[Stream, tuple[bytes | None, bytes, bytes | None]]:
    """Return what stands last on each topic under the keys of the story: value, `ce_id` and the caller's header."""
    found = {}
    for stream in (Stream.ORDERS, Stream.RESULTS, Stream.POSITIONS, Stream.SESSION):
        for record in outside.topics.read_back(stream):
            if record.key in {b"17", b"a", b"BTC"} or b'"1-1"' in (record.value or b""):
                headers = dict(record.headers)
                found[stream] = record.value, headers["ce_id"], headers.get("correlation_id")
    return found


async def test_records_that_came_late_before_a_takeover_are_corrected() -> None:
    """An order that is filled, a command that is answered, a position and a gap that are closed: each stands last."""
    before, after, outside = *both_ends(), Outside()
    an_owner_before(outside, *before, *after)
    for record in before:
        outside.topics.deliver_again(1, record)
    truth = what_is_said(after)
    assert lasts(outside) != truth
    async with outside.running():
        assert lasts(outside) == truth
    assert {epoch for epoch, one in outside.topics.durable if one.event_id == "order:FILLED"} == {1, 2}
    assert [gap["gapId"] for gap in outside.topics.session_events("gap.closed")].count("1-1") == 2
    async with outside.running():
        assert lasts(outside) == truth
    assert [gap["gapId"] for gap in outside.topics.session_events("gap.closed")].count("1-1") == 2


def what_is_said(records: list[OutgoingRecord]) -> dict[Stream, tuple[bytes | None, bytes, bytes | None]]:
    """Return what a reader finds of these records."""
    return {one.stream: (one.value, (one.event_id or "").encode(), b"7") for one in records}


def an_owner_before(outside: Outside, *records: OutgoingRecord) -> None:
    """Let an owner of epoch 1 have published these."""
    outside.topics.begin_epoch(1)
    for record in records:
        outside.topics.publish(record)
    outside.topics.release()
    outside.group.commit(0, encode(CommitMetadata(1, clock().wall_ms, ()), 0))


async def publish_and_deliver_late(outside: Outside, new: list[OutgoingRecord], late: list[OutgoingRecord]) -> None:
    """Let the owner publish, and what the owner before has published stand behind it as well."""
    for record in new:
        outside.topics.publish(record)
    await until(lambda: all(one.stream in outside.topics.unwritable for _, one in outside.topics.pending))
    for record in late:
        outside.topics.deliver_again(1, record)


async def test_a_repeat_that_harms_nothing_is_left_alone() -> None:
    """What was sent again in its order after an outage stands twice, and the last record is the truth already."""
    before, after, outside = *both_ends(), Outside()
    an_owner_before(outside, *before, *after)
    for record in (*before, *after):
        outside.topics.deliver_again(1, record)
    async with outside.running():
        pass
    again = [one for epoch, one in outside.topics.durable if epoch > 1 and one.event_id in {o.event_id for o in after}]
    assert again == []
    assert all(gap["gapId"] != "1-1" for gap in outside.topics.session_events("gap.closed")[2:])


async def test_what_comes_late_in_a_term_is_followed_by_the_truth_again() -> None:
    """The owner before has died, and what it had sent lands behind what its successor published: once, and healed."""
    before, after, outside = *both_ends(), Outside()
    outside.late_after_s = 0.2
    an_owner_before(outside, *before)
    async with outside.running():
        await publish_and_deliver_late(outside, after, before)
        await until(lambda: lasts(outside) == what_is_said(after))
        published = len(outside.topics.durable)
        outside.topics.renewals += 1
        for record in before:
            outside.topics.deliver_again(1, record)
        await until(lambda: lasts(outside) == what_is_said(after))
    assert len(outside.topics.durable) >= published + 2 * len(before)


async def test_what_is_published_while_the_topics_are_read_is_not_overtaken() -> None:
    """A state that arrives when its topic has been read for late records already is newer than what is found there."""
    before, after, outside = *both_ends(), Outside()
    outside.late_after_s = 0.2
    an_owner_before(outside, *before)
    newest = json.dumps({**ORDER, "orderState": "FILLED", "executedQty": "2", "updateAt": "1800000000000"}).encode()
    read_tail, reading = outside.topics.read_tail, asyncio.Event()

    async def read_slowly(topic: str, since_ms: int, take: Callable[[list[Tail]], None]) -> None:
        await read_tail(topic, since_ms, take)
        if outside.trading and topic.endswith(".orders") and not reading.is_set():
            reading.set()
            outside.venue.session.receive(Push("Orders", newest, newest))

    outside.topics.read_tail = read_slowly  # type: ignore[method-assign] # the topics of the tests
    async with outside.running():
        await publish_and_deliver_late(outside, after, before)
        outside.topics.renewals += 1  # on a busy machine, the topics have been read once before
        await until(lambda: [one.event_id for one in outside.topics.said()].count("gap:FILLED") == 2)
    assert reading.is_set()
    orders = [one.value for _, one in outside.topics.durable if one.stream is Stream.ORDERS]
    assert orders[-1] == newest


async def test_late_records_are_looked_for_again_when_brokers_come_back() -> None:
    """What is published is not durable, and then the topics cannot be read: the look is made up for."""
    before, after, outside = *both_ends(), Outside()
    outside.late_after_s = 0.2
    an_owner_before(outside, *before)
    read_tail, refused = outside.topics.read_tail, asyncio.Event()

    async def refuse_once(topic: str, since_ms: int, take: Callable[[list[Tail]], None]) -> None:
        if outside.trading and not refused.is_set():
            refused.set()
            raise ClusterUnreachable("no broker answers")
        await read_tail(topic, since_ms, take)

    outside.topics.read_tail = refuse_once  # type: ignore[method-assign] # the topics of the tests
    async with outside.running():
        await publish_and_deliver_late(outside, after, before)
        await until(refused.is_set)
        await until(lambda: lasts(outside) == what_is_said(after))


async def test_a_topic_that_takes_nothing_holds_up_the_repair_of_no_other() -> None:
    """It is looked through when what was published there is durable; the others at once."""
    before, after, outside = *both_ends(), Outside()
    outside.late_after_s = 0.2
    an_owner_before(outside, *before)
    async with outside.running():
        outside.topics.unwritable = {Stream.ASSETS}
        outside.topics.publish(said(Stream.ASSETS, b"BINANCE:USDT", "asset:1", dict(POSITION)))
        await publish_and_deliver_late(outside, after, before)
        await until(lambda: lasts(outside) == what_is_said(after))
        assert outside.topics.pending

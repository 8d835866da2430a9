"""A page of bad commands: each gets a clear result or dead letter, and what stands behind them goes on."""

import json
import uuid
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from bridge.contract.topics import Stream, topic_name
from tests.support.rig import PLACE, Rig, command
from tests.witness.waiting import until


def _named(action: str, args: dict[str, Any], **more: Any) -> tuple[str, bytes]:  # noqa: ANN401 - any JSON
    name = str(uuid.uuid4())
    return name, json.dumps({"commandId": name, "action": action, "args": args, **more}).encode()


TWICE = json.dumps({"commandId": "twice-1", "action": "place_order", "args": PLACE}).encode()
TWICE = TWICE.replace(b'"orderQty"', b'"orderQty":"0.001","orderQty"')

DENIED = {
    "unknown action": (_named("buy_everything", {}), "bad_schema", "buy_everything"),
    "missing fields": (_named("place_order", {"sym": "BINANCE_PERP_BTC_USDT"}), "bad_schema", "side"),
    "float quantity": (_named("place_order", {**PLACE, "orderQty": 0.003}), "bad_schema", "orderQty"),
    "exponent": (_named("place_order", {**PLACE, "orderQty": "3e-3"}), "bad_schema", "orderQty"),
    "line feed": (_named("place_order", {**PLACE, "orderQty": "1\n"}), "bad_schema", "orderQty"),
    "full-width digits": (_named("place_order", {**PLACE, "orderQty": "\uff11"}), "bad_schema", "orderQty"),
    "unknown field": (_named("place_order", {**PLACE, "leverage": "100"}), "bad_schema", "leverage"),
    "no price": (
        _named("place_order", {k: v for k, v in PLACE.items() if k != "limitPrice"}),
        "bad_value",
        "limitPrice",
    ),
    "no scope": (_named("cancel_orders", {}), "bad_schema", "exchangeType"),
    "no order": (_named("cancel_order", {}), "bad_value", "orderId"),
    "valid for ever": (_named("place_order", PLACE, validUntil=4_000_000_000_000), "bad_value", "validUntil"),
    "key twice": (("twice-1", TWICE), "bad_schema", "orderQty"),
    "1 MB": (_named("place_order", {**PLACE, "note": "x" * 1_000_000}), "too_large", "bytes"),
}
DEAD = {
    "not JSON": (b"buy low, sell high", "not_json"),
    "NaN": (b'{"commandId":"nan-1","action":"place_order","args":{"orderQty":NaN}}', "not_json"),
    "a list": (b"[1,2,3]", "not_json"),
    "no commandId": (json.dumps({"action": "place_order", "args": PLACE}).encode(), "no_command_id"),
    "no UTF-8": (b'{"commandId":"\xff"}', "not_json"),
    "deep": (b"[" * 60_000, "not_json"),
    "tombstone": (None, "tombstone"),
}


async def test_a_page_of_bad_commands(rig: Rig) -> None:
    """Bad commands are denied or dead-lettered with the field named; the good ones between them trade."""
    async with rig.daemon():
        results, dead = await rig.topic(Stream.RESULTS), await rig.topic(Stream.DEAD_LETTERS)
        good = [command("place_order", PLACE) for _ in range(2)]
        expired = command("place_order", PLACE, valid_s=-5)
        letters = await rig.send(*(value for value, _ in DEAD.values()))
        await rig.send(good[0], expired, *(value for (_, value), _, _ in DENIED.values()), good[1])
        assert [(await results.result(one))["outcome"] for one in good] == ["accepted", "accepted"]
        assert (await results.result(expired))["outcome"] == "expired"
        for what, ((name, _), reason, text) in DENIED.items():
            answer = await results.result({"commandId": name})
            assert (answer["outcome"], answer["reason"]) == ("denied", reason), what
            assert text in answer["message"], what
        await until(lambda: len(dead.records) == len(DEAD))
        for (what, (value, code)), record, offset in zip(DEAD.items(), dead.records, letters, strict=True):
            headers = dict(record.headers)
            assert headers["error_code"].decode() == code, what
            assert headers["__connect.errors.offset"].decode() == str(offset), what
            assert headers["__connect.errors.exception.message"], what
            assert record.value == value, what
    portfolio = rig.venue.keys["main"].portfolio_id
    assert len(rig.venue.ledger.requests_received("place_order", portfolio)) == len(good)


async def test_a_key_of_half_a_megabyte(rig: Rig) -> None:
    """It stands in the dead letter once; twice, as subject too, it would fit no record."""
    key = b"k" * 550_000
    async with rig.daemon(), AIOKafkaProducer(bootstrap_servers=rig.bootstrap) as producer:
        dead = await rig.topic(Stream.DEAD_LETTERS)
        await producer.send_and_wait(topic_name(rig.prefix, "main", Stream.COMMANDS), b"no JSON", key)
        await until(lambda: len(dead.records) == 1)
    assert (dead.records[0].key, dead.records[0].value) == (key, b"no JSON")


async def test_a_command_submitted_again(rig: Rig) -> None:
    """A command submitted again gets its first outcome and is not sent; another body is a dead letter."""
    async with rig.daemon():
        results, dead = await rig.topic(Stream.RESULTS), await rig.topic(Stream.DEAD_LETTERS)
        place = command("place_order", PLACE)
        (first,) = await rig.send(place)
        await results.result(place)
        (again,) = await rig.send(place)
        await results.until(lambda _: len(results.results_of(place)) == 2)
        await rig.send({**place, "args": {**PLACE, "orderQty": "9"}})
        await until(lambda: len(dead.records) == 1)
    one, two = results.results_of(place)
    assert (one["commandOffset"], two["commandOffset"]) == (first, again)
    assert {**one, "commandOffset": 0, "repeated": True} == {**two, "commandOffset": 0}
    assert dict(dead.records[0].headers)["error_code"] == b"id_conflict"
    portfolio = rig.venue.keys["main"].portfolio_id
    assert len(rig.venue.ledger.requests_received("place_order", portfolio)) == 1


async def test_the_venue_refuses_and_the_reason_comes_through(rig: Rig) -> None:
    """A definitive refusal is `rejected` with the venue's code and text."""
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        too_big = command("place_order", {**PLACE, "orderQty": "9999999"})
        nobody = command("cancel_order", {"orderId": "1234567890123456"})
        unknown = command("replace_order", {"clientOrderId": "nosuchorder", "replaceQty": "1"})
        await rig.send(too_big, nobody, unknown)
        refused = await results.result(too_big)
        missing = await results.result(nobody)
        denied = await results.result(unknown)
    assert refused["outcome"] == "rejected"
    assert refused["code"] > 401000
    assert refused["message"]
    assert (missing["outcome"], missing["code"]) == ("rejected", 401018)
    assert (denied["outcome"], denied["reason"]) == ("denied", "unknown_order")


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_compressed_commands_are_read(rig: Rig, codec: str) -> None:
    """Whatever compression a caller's producer uses, its commands trade."""
    async with rig.daemon(), AIOKafkaProducer(bootstrap_servers=rig.bootstrap, compression_type=codec) as producer:
        results = await rig.topic(Stream.RESULTS)
        place = command("place_order", PLACE)
        topic = topic_name(rig.prefix, "main", Stream.COMMANDS)
        await producer.send_and_wait(topic, json.dumps(place).encode())
        assert (await results.result(place))["outcome"] == "accepted"

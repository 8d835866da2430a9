"""A log written by hand, with everything in it that must not fool a reader, and somebody who answers on it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from bridge.contract.topics import CLEANUP_POLICY, Stream, topic_name
from tests.support.published import samples

ORDER, TRADE, RESULT, TAKEOVER, NOTE = "ltp.order.v1", "ltp.trade.v1", "ltp.result.v1", "ltp.takeover.v1", "ltp.note.v1"
"""The last is a type that nobody knows yet."""
OPEN: Final = {"orderState": "OPEN"}
_SAMPLES: Final = {ORDER: "order", TRADE: "trade", RESULT: "result.accepted", TAKEOVER: "takeover", NOTE: "order"}
_PARTS: Final = (Stream.ORDERS, Stream.TRADES, Stream.RESULTS, Stream.COMMANDS)


class Line(NamedTuple):
    """One record. `changes` go into the value of the golden sample; None is a record without value."""

    epoch: int
    sequence: int
    key: str
    changes: dict[str, Any] | None
    ce_type: str
    ce_id: str = ""


ORDERS: Final = [
    Line(1, 1, "a", OPEN, ORDER),  # expires: the log begins after it and the next
    Line(1, 2, "a", OPEN, ORDER),
    Line(1, 3, "b", OPEN, ORDER),
    Line(1, 4, "c", OPEN, ORDER),
    Line(1, 4, "c", OPEN, ORDER),  # written again
    Line(1, 7, "d", OPEN, ORDER),  # 5 and 6 may have been compacted
    Line(1, 8, "c", {"orderState": "FILLED"}, ORDER),
    Line(2, 1, "b", None, ORDER),
    Line(1, 9, "d", {"orderState": "CANCELLED"}, ORDER),  # void
    Line(2, 2, "x", OPEN, NOTE),
    Line(2, 4, "e", {"orderState": "PARTIALLY_FILLED"}, ORDER),  # 3 may have been compacted
]
"""At the end d and e are live."""
TRADES: Final = [
    Line(1, 1, "a", {"quantity": "7"}, TRADE, "t1"),  # expires
    Line(2, 1, "a", {"quantity": "7"}, TRADE, "t1"),  # expires
    Line(1, 2, "b", {"quantity": "0.1"}, TRADE, "t2"),
    Line(1, 3, "c", {"quantity": "5", "sym": "OKX_PERP_ETH_USDT"}, TRADE, "t3"),
    Line(2, 2, "b", {"quantity": "0.1"}, TRADE, "t2"),  # told again; what is missing before it may have expired
    Line(1, 4, "d", {"quantity": 0.20, "side": "BUY"}, TRADE, "t4"),  # late, and a fact all the same; no string
    Line(2, 3, "e", {"quantity": "100000000.00000001"}, TRADE, "t5"),
    Line(2, 6, "f", {"quantity": "100000000", "side": "SELL"}, TRADE, "t6"),  # 4 and 5 are lost
    Line(2, 6, "f", {"quantity": "100000000", "side": "SELL"}, TRADE, "t6"),  # written again
    Line(2, 7, "g", {"quantity": {"much": 1}}, NOTE, "t7"),
]
RESULTS: Final = [
    Line(1, 1, "main", {"epoch": 1}, TAKEOVER),
    Line(2, 2, "another", {}, RESULT),  # 1 is lost: this topic is there from its beginning
    Line(1, 2, "another", {}, RESULT),  # void
]
OWN: Final = "own"
"""Stands in the key of an answer for the commandId that was asked."""
ANSWERS: Final = [
    [
        Line(1, 3, OWN, {"outcome": "rejected"}, RESULT),  # void, and first
        Line(2, 3, "another", {"outcome": "rejected"}, RESULT),
        Line(2, 4, OWN, {"outcome": "unknown"}, RESULT),
        Line(2, 5, OWN, {"outcome": "rejected"}, NOTE),
        Line(2, 6, OWN, {}, RESULT),
        Line(1, 4, OWN, {"outcome": "rejected"}, RESULT),  # void, and last
    ],
    [
        Line(1, 5, OWN, {"outcome": "rejected"}, RESULT),  # void
        Line(2, 7, OWN, {}, RESULT),
    ],
]
"""To the first command and to the second."""
FIGURES: Final = """\
BROKEN  records were lost
LOST  results: 1 before sequence 2 of epoch 2
LOST  trades: 2 before sequence 6 of epoch 2
cancel_order  accepted
live orders 2  BINANCE_PERP_BTC_USDT trades 4  bought 0.30000001
ltp.main.orders  records 9  lost 0  gone 5  void 1
ltp.main.results  records 11  lost 1  gone 0  void 4
ltp.main.trades  records 8  lost 2  gone 2  void 0
place_order  accepted"""
"""What a desk has to tell of this log, as `figures` puts it."""


def figures(told: str, prefix: str) -> str:
    """Put what a desk told in an order of its own."""
    return "\n".join(sorted(line.rstrip() for line in told.replace(f"{prefix}.", "ltp.").splitlines()))


@contextlib.asynccontextmanager
async def planted(bootstrap: str, prefix: str, *, answered: bool = True) -> AsyncIterator[None]:
    """Write the log under a prefix and, if `answered`, answer the commands there; remove it at the end."""
    names = {stream: topic_name(prefix, "main", stream) for stream in _PARTS}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        settings = {stream: {"cleanup.policy": CLEANUP_POLICY[stream]} for stream in names}
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=settings[s]) for s, name in names.items()])
        await _write(bootstrap, names[Stream.ORDERS], ORDERS)
        await _write(bootstrap, names[Stream.TRADES], TRADES)
        await _write(bootstrap, names[Stream.RESULTS], RESULTS)
        expired = {
            TopicPartition(names[s], 0): RecordsToDelete(before_offset=2) for s in (Stream.ORDERS, Stream.TRADES)
        }
        await admin.delete_records(expired)
        answering = asyncio.create_task(_answer(bootstrap, names, ANSWERS if answered else []))
        try:
            yield
        finally:
            answering.cancel()
            await asyncio.wait({answering})
    finally:
        await admin.delete_topics(list(names.values()))
        await admin.close()


async def _answer(bootstrap: str, names: dict[Stream, str], scripts: Iterable[list[Line]]) -> None:
    commands = AIOKafkaConsumer(names[Stream.COMMANDS], bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with commands:
        for script in scripts:
            await _write(bootstrap, names[Stream.RESULTS], script, await commands.getone())


async def _write(bootstrap: str, topic: str, lines: list[Line], command: ConsumerRecord | None = None) -> None:
    """Append records; those under OWN answer a command, and carry its other headers back."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for line in lines:
            key = command.key.decode() if command is not None and line.key == OWN else line.key
            headers = _headers(line, command.headers if command is not None else ())
            await producer.send_and_wait(topic, _value(line, key), key=key.encode(), headers=headers)


def _value(line: Line, key: str) -> bytes | None:
    if line.changes is None:
        return None
    named = {"commandId": key} if line.ce_type == RESULT else {}
    return json.dumps({**samples()[_SAMPLES[line.ce_type]]["value"], **named, **line.changes}).encode()


def _headers(line: Line, echoed: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    made = {
        **samples()[_SAMPLES[line.ce_type]]["headers"],
        "ce_type": line.ce_type,
        "ce_epoch": str(line.epoch),
        "ce_sequence": f"{line.sequence:020}",
        "ce_id": line.ce_id or f"{line.ce_type}:{line.epoch}:{line.sequence}",
    }
    made.pop("traceparent", None)
    others = [("kafka_correlationId", b"\xff\x00")] if line.ce_type == RESULT else []  # no text
    return [*((name, content.encode()) for name, content in made.items()), *others, *echoed]

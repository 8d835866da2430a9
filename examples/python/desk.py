"""A small desk: follows orders and trades on the bridge's topics, places one order far from the market, cancels it."""

import asyncio
import json
import os
import sys
import time
import uuid
from collections import OrderedDict, defaultdict
from decimal import Context, Decimal, Inexact, InvalidOperation, setcontext
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
ACCOUNT = f"{os.environ.get('LTP_PREFIX', 'ltp')}.{os.environ.get('LTP_ACCOUNT', 'main')}"
WATCH_S = float(os.environ.get("LTP_SECONDS", "10"))
ANSWER_S = float(os.environ.get("LTP_ANSWER_SECONDS", "10"))
CATCH_UP_S = 120
LOOK_BACK = 10_000  # results: more than an owner that was put out can still write after its successor's first word
TRADE_IDS = 100_000  # over an hour of trades at the venue's pace; for longer, make ce_id a key of your database
OVER = {"FILLED", "CANCELLED", "CANCELED", "REJECT", "REJECTED", "FAIL", "EXPIRED"}
PLACE = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "LIMIT", "timeInForce": "GTC"}
PLACE |= {"orderQty": "0.003", "limitPrice": "20000"}


class Broken(Exception):
    """Something is not as it must be; the text says what."""


class Topic:
    """What has been read of one topic: what is missing, and what is void."""

    def __init__(self, stream: str, ce_type: str, *, compacted: bool = False, can_be_void: bool = True) -> None:
        self.name, self.ce_type = f"{ACCOUNT}.{stream}", ce_type
        self.compacted, self.can_be_void = compacted, can_be_void
        self.records = self.holes = self.gone = self.void = 0
        self._epoch = self._absent = 0
        self._last: dict[int, tuple[int, int]] = {}  # by epoch: the last sequence, and how many offsets were absent

    def take(self, record: ConsumerRecord) -> dict[str, str] | None:
        """Count a record and return its headers; None when it is void, or of a type that this program does not know."""
        headers = {name: (value or b"").decode() for name, value in record.headers}
        epoch, sequence = int(headers["ce_epoch"]), int(headers["ce_sequence"])
        # Kafka gives every offset out, so one that is absent has expired, or was compacted, or lies before where we
        # began. That many numbers may be missing without a loss; one more, and a record was lost: a hole.
        if self.compacted or not self.records:
            self._absent = record.offset - self.records
        self.records += 1
        last, absent = self._last.get(epoch, (0, 0))
        if sequence > last:  # else it was written again because its acknowledgement was lost
            self._last[epoch] = (sequence, self._absent)
            missing = sequence - last - 1
            gone = min(missing, self._absent - absent)
            self.gone += gone
            if missing > gone:
                self.holes += 1
                print(f"HOLE  {self.name}: {missing - gone} lost before sequence {sequence} of epoch {epoch}")
        if self.can_be_void and epoch < self._epoch:
            self.void += 1
            return None
        self._epoch = max(epoch, self._epoch)
        return headers if headers["ce_type"] == self.ce_type else None

    def __str__(self) -> str:
        return f"{self.name}  records {self.records}  holes {self.holes}  gone {self.gone}  void {self.void}"


class Desk:
    """What the topics have told, and a way to ask."""

    def __init__(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        self._consumer, self._producer = consumer, producer
        self.orders = Topic("orders", "ltp.order.v1", compacted=True)
        self.trades = Topic("trades", "ltp.trade.v1", can_be_void=False)  # an execution is a fact, whoever tells it
        self.results = Topic("results", "ltp.result.v1")
        self.topics = {TopicPartition(one.name, 0): one for one in (self.orders, self.trades, self.results)}
        self.live: dict[str, dict[str, Any]] = {}
        self.net: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.duplicates = 0
        self._trade_ids: OrderedDict[str, None] = OrderedDict()
        self._asked = ""
        self._answers: list[tuple[dict[str, Any], dict[str, str]]] = []

    async def begin(self) -> None:
        """Read up to now: orders and trades from the beginning, results from a little before their end.

        In no consumer group: what is known is only in memory, so nothing that was read is done with, and a topic has
        one partition, so there is nothing to share out.
        """
        *events, results = self.topics
        self._consumer.assign([*events, results])
        begins = await self._consumer.beginning_offsets([*events, results])
        ends = await self._consumer.end_offsets([results])
        for partition in events:
            self._consumer.seek(partition, begins[partition])
        self._consumer.seek(results, max(begins[results], ends[results] - LOOK_BACK))
        await self.catch_up()

    async def catch_up(self) -> None:
        """Read to where the topics end now."""
        until_s = time.monotonic() + CATCH_UP_S
        for partition, end in (await self._consumer.end_offsets(list(self.topics))).items():
            while await self._consumer.position(partition) < end:
                if time.monotonic() > until_s:
                    raise Broken(f"{partition.topic} was not read to its end within {CATCH_UP_S} s")
                await self.read()

    async def read(self) -> None:
        """Take what is there, or wait a moment for it."""
        for partition, records in (await self._consumer.getmany(timeout_ms=250)).items():
            for record in records:
                try:
                    self._take(self.topics[partition], record)
                except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                    raise Broken(f"{record.topic} offset {record.offset} cannot be read: {error!r}") from error

    def _take(self, topic: Topic, record: ConsumerRecord) -> None:
        headers = topic.take(record)
        if headers is None:
            return
        key, value = record.key.decode(), json.loads(record.value or b"null", parse_float=Decimal)
        if topic is self.orders:  # the last record of a key is the truth; one without value ends it
            if value is None or value["orderState"].upper() in OVER:
                self.live.pop(key, None)
            else:
                self.live[key] = value
        elif topic is self.results:
            if key == self._asked and value["outcome"] != "unknown":  # no last word: the venue is being asked
                self._answers.append((value, headers))
        elif headers["ce_id"] in self._trade_ids:
            self.duplicates += 1
        else:
            self._trade_ids[headers["ce_id"]] = None
            if len(self._trade_ids) > TRADE_IDS:
                self._trade_ids.popitem(last=False)
            quantity = Decimal(value["quantity"])
            self.net[value["sym"]] += quantity if value["side"] == "BUY" else -quantity

    async def ask(self, action: str, args: dict[str, str]) -> dict[str, Any]:
        """Write a command and return its last word. Raises Broken when none comes in time."""
        command_id, trace = str(uuid.uuid4()), f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"
        valid_until = int((time.time() + ANSWER_S) * 1000)  # what nobody waits for any more must not be sent
        command = {"commandId": command_id, "action": action, "validUntil": valid_until, "args": args}
        value, key, headers = json.dumps(command).encode(), command_id.encode(), [("traceparent", trace.encode())]
        self._asked, self._answers, begun_s = command_id, [], time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._producer.send_and_wait(f"{ACCOUNT}.commands", value, key=key, headers=headers)
                while not self._answers:
                    await self.read()
        except (KafkaError, TimeoutError) as error:
            raise Broken(
                f"no last word on {action} {command_id} within {ANSWER_S:g} s. It may have been carried out, or may be "
                "yet. Send the same command again, under the same commandId: it is carried out at most once, and its "
                f"first outcome comes again; a new one may be a second order. See {ACCOUNT}.dead-letters too."
            ) from error
        result, answered = self._answers[0]
        took_ms = (time.monotonic() - begun_s) * 1000
        print(f"{action:<12}  {result['outcome']} in {took_ms:.1f} ms  {result.get('orderId', '')}")
        if answered.get("traceparent") != trace:
            raise Broken(f"the result of {action} {command_id} came without its traceparent")
        return result

    async def trade(self) -> None:
        """Place, cancel, and watch for a while. Raises Broken for what was missing or not answered as it should be."""
        await self.begin()
        placed = await self.ask("place_order", PLACE)
        if placed["outcome"] != "accepted":
            raise Broken(f"the place was not accepted: {placed}")
        await self.ask("cancel_order", {"orderId": placed["orderId"]})
        until_s = time.monotonic() + WATCH_S
        while time.monotonic() < until_s:
            await self.read()
        await self.catch_up()
        if placed["orderId"] in self.live:  # whatever the cancel's outcome was, this is the truth
            raise Broken(f"order {placed['orderId']} is still live")
        if any(topic.holes for topic in self.topics.values()):
            raise Broken("records were lost")

    def tell(self) -> None:
        """Print what was seen."""
        net = ", ".join(f"{sym} {quantity.normalize():f}" for sym, quantity in sorted(self.net.items()))
        print(f"{self.orders}  live {len(self.live)}")
        print(f"{self.trades}  duplicates {self.duplicates}  net {net or 'nothing'}")
        print(self.results)


async def main() -> None:
    """Connect, trade, tell, and disconnect."""
    options = {"bootstrap_servers": SERVERS, "request_timeout_ms": 5000}
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(**options, acks="all", enable_idempotence=True)
    desk = Desk(consumer, producer)
    try:
        await consumer.start()
        await producer.start()
        await desk.trade()
    finally:
        desk.tell()
        # Either may wait for ever for a broker that is away.
        await asyncio.wait([asyncio.ensure_future(one.stop()) for one in (producer, consumer)], timeout=5)


if __name__ == "__main__":
    setcontext(Context(prec=60, traps=[Inexact, InvalidOperation]))  # a sum is never rounded in silence
    try:
        asyncio.run(main())
    except (Broken, KafkaError) as error:
        sys.exit(f"BROKEN  {error}")

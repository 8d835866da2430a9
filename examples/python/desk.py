"""A small desk: it follows orders and trades, places one order far below the market, awaits its result, cancels it."""

import asyncio
import json
import os
import time
import uuid
from decimal import Decimal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition, errors

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
ACCOUNT = f"{os.environ.get('LTP_PREFIX', 'ltp')}.{os.environ.get('LTP_ACCOUNT', 'main')}"
WATCH_S = float(os.environ.get("LTP_SECONDS", "10"))
ANSWER_S = 15  # a place is valid for 10 s: after that it has its terminal result, or the bridge is down
ORDER = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "LIMIT", "timeInForce": "GTC"}
ORDER |= {"orderQty": "0.003", "limitPrice": "20000"}
OVER = {"FILLED", "CANCELLED", "CANCELED", "REJECT", "REJECTED", "FAIL", "EXPIRED"}


class Topic:
    """The sequence numbers of one topic, which show missing and void records."""

    def __init__(self, stream: str) -> None:
        self.stream, self.last = stream, dict[int, int]()  # the last sequence of each epoch
        self.begin = self.records = self.lost = self.gone = self.void = 0

    def counts(self, offset: int, epoch: int, sequence: int) -> bool:
        """Count the next record; return False if it is void."""
        self.begin = self.begin if self.records else offset
        self.records += 1
        # Each epoch numbers its records from 1. A missing number is a lost record, unless Kafka may have removed it:
        # anywhere in a compacted topic, and before an epoch's first record if the topic begins after offset 0. A
        # reader cannot see what is lost after an epoch's last record.
        last = self.last.get(epoch, 0)
        missing = max(0, sequence - last - 1)  # a number that is not higher than the last is a repeat
        self.last[epoch] = max(last, sequence)
        if self.stream == "orders" or (last == 0 and self.begin > 0):
            self.gone += missing
        elif missing > 0:
            self.lost += missing
            print(f"LOST  {self.stream}: {missing} before sequence {sequence} of epoch {epoch}")
        # A former owner may still be writing: its executions count, its states and answers are void.
        void = epoch < max(self.last) and self.stream != "trades"
        self.void += void
        return not void


topics = {f"{ACCOUNT}.{stream}": Topic(stream) for stream in ("orders", "trades", "results")}
live: dict[str, dict[str, str]] = {}  # by orderId
bought: dict[bytes, Decimal] = {}  # by ce_id, so each trade counts once; in a long run, a unique key in your database
results: dict[str, tuple[dict[str, str], bytes | None]] = {}  # by commandId, with its traceparent


async def read(consumer: AIOKafkaConsumer) -> None:
    """Read the next records, or wait a moment for them."""
    for records in (await consumer.getmany(timeout_ms=250)).values():
        for record in records:
            headers = dict(record.headers)  # bytes: headers of other callers may not be text
            if not topics[record.topic].counts(record.offset, int(headers["ce_epoch"]), int(headers["ce_sequence"])):
                continue
            key, value = record.key.decode(), json.loads(record.value or "null", parse_float=Decimal)
            match headers["ce_type"]:  # all others are ignored
                case b"ltp.order.v1" if value is None or value["orderState"].upper() in OVER:
                    live.pop(key, None)
                case b"ltp.order.v1":
                    live[key] = value
                case b"ltp.trade.v1" if value["sym"] == ORDER["sym"]:
                    bought[headers["ce_id"]] = Decimal(value["quantity"]) * (1 if value["side"] == "BUY" else -1)
                case b"ltp.result.v1" if value["outcome"] != "unknown":  # unknown is not terminal
                    results[key] = value, headers.get("traceparent")


async def follow(consumer: AIOKafkaConsumer, seconds: float = 0) -> None:
    """Read for so many seconds, and at least to the present ends of the topics."""
    until_s = time.monotonic() + seconds
    for partition, end in (await consumer.end_offsets(consumer.assignment())).items():
        while time.monotonic() < until_s or await consumer.position(partition) < end:
            await read(consumer)


async def ask(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, action: str, args: dict[str, str]) -> str:
    """Write a command, await its terminal result, and return the order's id."""
    command_id, trace = str(uuid.uuid4()), f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01".encode()
    command = json.dumps({"commandId": command_id, "action": action, "args": args})
    try:
        async with asyncio.timeout(ANSWER_S):
            headers = [("traceparent", trace)]
            await producer.send_and_wait(f"{ACCOUNT}.commands", command.encode(), command_id.encode(), headers=headers)
            while command_id not in results:
                await read(consumer)
    except TimeoutError:
        raise SystemExit(f"BROKEN  no result within {ANSWER_S} s: send the SAME command again: {command}") from None
    result, traced = results[command_id]
    print(f"{action}  {result['outcome']}")
    if result["outcome"] != "accepted" or traced != trace:
        raise SystemExit(f"BROKEN  {action} was not accepted, or not under traceparent {trace!r}: {result} {traced!r}")
    if result.get("repeated"):  # a used commandId: this is the first answer, and the bridge did nothing now
        raise SystemExit(f"BROKEN  {action} has a commandId that is not fresh: {result}")
    return result["orderId"]


async def main() -> None:
    """Trade without a consumer group: the state is only in memory, so every start reads from the beginning."""
    consumer = AIOKafkaConsumer(bootstrap_servers=SERVERS, auto_offset_reset="earliest")
    async with consumer, AIOKafkaProducer(bootstrap_servers=SERVERS, acks="all") as producer:
        if unknown := topics.keys() - await consumer.topics():
            raise SystemExit(f"BROKEN  no topic {' nor '.join(sorted(unknown))} at {SERVERS}")
        consumer.assign([TopicPartition(topic, 0) for topic in topics])
        await follow(consumer)  # results too: be at their end before you send a command
        order_id = await ask(consumer, producer, "place_order", ORDER)
        await ask(consumer, producer, "cancel_order", {"orderId": order_id})
        await follow(consumer, WATCH_S)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except errors.KafkaError as error:
        raise SystemExit(f"BROKEN  {error}") from None
    for name, seen in topics.items():
        print(f"{name}  records {seen.records}  lost {seen.lost}  gone {seen.gone}  void {seen.void}")
    total = sum(bought.values(), Decimal()).normalize()
    print(f"live orders {len(live)}  {ORDER['sym']} trades {len(bought)}  bought {total:f}")
    if any(seen.lost for seen in topics.values()):
        raise SystemExit("BROKEN  records were lost")

"""The owner of an account, as far as Kafka sees one: its publisher, in a process and a network of its own.

It is told what to do by lines on its input, each a JSON object, and answers with one line each: `publish` is a list of
stream, key and word; `flush_s` is how long to wait for what was published, answered with whether all is durable.
"""

import asyncio
import json
import sys
from typing import Any

from bridge.config import Kafka
from bridge.contract.topics import Stream
from bridge.core.records import OutgoingRecord
from bridge.kafka.publisher import Publisher


async def _obey(publisher: Publisher, order: dict[str, Any]) -> bool:
    for stream, key, word in order.get("publish", ()):
        said = json.dumps(word).encode()
        publisher.publish(OutgoingRecord(Stream(stream), key.encode(), said, 1_700_000_000_000, f"{key}:{word}"))
    return await publisher.flush(order.get("flush_s", 0))


def _answer(*, is_durable: bool) -> None:
    sys.stdout.write(f"{json.dumps(is_durable)}\n")
    sys.stdout.flush()


async def main(settings: str, epoch: str) -> None:
    """Publish until the input ends."""
    kafka = Kafka.model_validate_json(settings)
    publisher = Publisher(kafka, environment="test", account="main", buffer_bytes_max=2**20, pause_bytes=2**20)
    await publisher.start()
    publisher.begin_epoch(int(epoch))
    _answer(is_durable=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        _answer(is_durable=await _obey(publisher, json.loads(line)))
    await publisher.stop(1)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

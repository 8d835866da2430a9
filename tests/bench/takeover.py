"""The measurement of a takeover: an owner of many accounts is killed, and each account is asked to trade."""

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from statistics import median
from typing import Final

from aiokafka import AIOKafkaProducer, ConsumerRecord

from bridge.contract.topics import Stream
from tests.bench.processes import Daemon, deadline
from tests.bench.stage import Contestant, Measured
from tests.bench.topics import Reader
from tests.support.rig import PLACE

_ANSWER_DEADLINE_S: Final = 60.0
_VALID_S: Final = 120.0


async def measure_takeover(owner: Daemon, standby: Contestant, accounts: Sequence[str]) -> Measured:
    """Kill the owner, hand a place to every account at once, and time its answer from the kill on."""
    answered_s: dict[str, float] = {}
    problems: list[str] = []
    topics = {standby.topic(Stream.RESULTS, account): account for account in accounts}
    is_complete = asyncio.Event()
    command_id = uuid.uuid4().hex
    valid_until = int((time.time() + _VALID_S) * 1000)
    body = {"commandId": command_id, "action": "place_order", "validUntil": valid_until, "args": PLACE}

    def take(record: ConsumerRecord, read_ns: int) -> None:
        result = json.loads(record.value)
        if result.get("commandId") != command_id or result["outcome"] == "unknown":
            return
        account = topics[record.topic]
        if account in answered_s or result["outcome"] != "accepted":
            problems.append(f"{account}: the answer {result['outcome']} is one too many, or the wrong one")
        answered_s[account] = (read_ns - killed_ns) / 1e9
        if len(answered_s) == len(accounts):
            is_complete.set()

    producer = AIOKafkaProducer(bootstrap_servers=standby.bootstrap, acks="all")
    async with Reader(standby.bootstrap, list(topics), take, from_beginning=False):
        await producer.start()
        try:
            killed_ns = time.monotonic_ns()
            owner.kill()
            names = [standby.topic(Stream.COMMANDS, account) for account in accounts]
            value = json.dumps(body).encode()
            await asyncio.gather(*[producer.send_and_wait(name, value, partition=0) for name in names])
            async with deadline(_ANSWER_DEADLINE_S, f"the answers of {len(accounts)} accounts"):
                await is_complete.wait()
        finally:
            await producer.stop()
    taken_s = sorted(answered_s.values())
    memory_mib, peak_mib = standby.process.memory_mib()
    figures = {
        "kill to answer, the quickest account s": taken_s[0],
        "kill to answer, the median account s": median(taken_s),
        "kill to answer, the slowest account s": taken_s[-1],
        "memory MiB": memory_mib,
        "peak memory MiB": peak_mib,
    }
    return Measured(figures, problems, standby.process.loop_name())

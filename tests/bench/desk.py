"""A desk with a stopwatch: hands commands to Kafka, and notes when each result reaches a reader."""

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord
from msgspec import Struct

from bridge.contract.topics import Stream
from tests.bench.processes import BenchFailed, Helper, deadline
from tests.bench.stage import Contestant
from tests.bench.topics import Reader
from tests.bench.venue import CommandFrame
from tests.support.rig import PLACE

_ANSWER_DEADLINE_S: Final = 60.0
_PLACE, _CANCEL = "place_order", "cancel_order"

_RESULT_FIELDS: Final = {
    *("commandId", "commandOffset", "outcome", "answeredAt", "action", "code", "message", "orderId", "clientOrderId"),
    *("bodyDigest", "sentAt"),
}
_RESULT_HEADERS: Final = {
    *("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type", "ce_sequence", "ce_epoch"),
    "ce_subject",
}

Noted = dict[tuple[str, str], CommandFrame]
"""What the venue noted of each request, by action and name of its order."""


class Sent(Struct):
    """One command, when it was handed to the producer, and when and how it was answered (CLOCK_MONOTONIC ns)."""

    action: str
    client_order_id: str
    handed_monotonic_ns: int
    read_monotonic_ns: int = 0
    outcome: str = ""

    @property
    def took_ns(self) -> int:
        """From the hand-over to a reader of `results`."""
        return self.read_monotonic_ns - self.handed_monotonic_ns


class Desk:
    """One caller of one account, for the length of a block."""

    def __init__(self, contestant: Contestant) -> None:
        self._topic = contestant.topic(Stream.COMMANDS)
        self._producer = AIOKafkaProducer(bootstrap_servers=contestant.bootstrap, acks="all")
        results = [contestant.topic(Stream.RESULTS)]
        self._reader = Reader(contestant.bootstrap, results, self._take, from_beginning=False)
        self._sent: dict[str, Sent] = {}
        self._unanswered: dict[str, Sent] = {}
        self._answered = asyncio.Event()
        self._shape = _RESULT_FIELDS, _RESULT_HEADERS
        self.repeated_count = 0
        """How many terminal results came for a command that had one."""

    async def __aenter__(self) -> Self:
        async with deadline(_ANSWER_DEADLINE_S, "the desk's producer"):
            await self._producer.start()
        await self._reader.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.__aexit__()
        await self._producer.stop()

    def _take(self, record: ConsumerRecord, read_ns: int) -> None:
        result = msgspec.json.decode(record.value)
        command_id, outcome = result.get("commandId"), result.get("outcome")
        if command_id not in self._sent or outcome == "unknown":
            return
        sent = self._unanswered.pop(command_id, None)
        if sent is None:
            self.repeated_count += 1
            return
        sent.read_monotonic_ns, sent.outcome = read_ns, outcome
        if outcome == "accepted":
            self._shape = set(result), {name for name, _ in record.headers}
        self._answered.set()

    async def send(self, action: str, args: dict[str, str], valid_s: float = 60.0) -> tuple[Sent, Any]:
        """Hand one command to the producer; return it, and the future of its append."""
        command_id = uuid.uuid4().hex
        valid_until = int((time.time() + valid_s) * 1000) if valid_s else 0
        body = {"commandId": command_id, "action": action, "validUntil": valid_until, "args": args}
        value = json.dumps(body).encode()
        sent = Sent(action, args.get("clientOrderId", command_id), time.monotonic_ns())
        self._sent[command_id] = self._unanswered[command_id] = sent
        return sent, await self._producer.send(self._topic, value=value, key=command_id.encode(), partition=0)

    async def place_all(self, count: int, valid_s: float = 60.0) -> list[Sent]:
        """Hand over places as fast as the log takes them; returns once all are in it."""
        sent = [await self.send(_PLACE, PLACE, valid_s) for _ in range(count)]
        async with deadline(_ANSWER_DEADLINE_S, f"the append of {count} places"):
            await asyncio.gather(*(appended for _, appended in sent))
        return [one for one, _ in sent]

    async def place_one_by_one(self, count: int) -> list[Sent]:
        """Place, and wait for the result before the next place."""
        return [await self._send_and_wait(_PLACE, PLACE) for _ in range(count)]

    async def cancel_one_by_one(self, names: Sequence[str]) -> list[Sent]:
        """Cancel the orders of these names, each once the one before has its result."""
        return [await self._send_and_wait(_CANCEL, {"clientOrderId": name}) for name in names]

    async def read_up_to_here(self) -> None:
        """Return once everything before was read: a command that is no longer valid is answered at once."""
        sent, _ = await self.send(_PLACE, PLACE, valid_s=0)
        await self.wait_for_answers([sent])

    async def _send_and_wait(self, action: str, args: dict[str, str]) -> Sent:
        sent, _ = await self.send(action, args)
        await self.wait_for_answers([sent])
        return sent

    async def wait_for_answers(self, commands: Sequence[Sent]) -> None:
        """Wait until these commands have their results. Raises BenchFailed where they do not come."""
        async with deadline(_ANSWER_DEADLINE_S, f"the results of {len(commands)} commands"):
            for one in commands:
                while not one.outcome:
                    self._answered.clear()
                    await self._answered.wait()

    def find_problems(self, commands: Sequence[Sent]) -> list[str]:
        """Return what is wrong with the answers to some commands, which must all have been accepted."""
        refused = [one.outcome for one in commands if one.outcome != "accepted"]
        problems = [f"{len(refused)} of {len(commands)} commands were not accepted: {sorted(set(refused))}"]
        is_odd = self._shape != (_RESULT_FIELDS, _RESULT_HEADERS)
        odd = [f"a result has other fields or headers: {self._shape}"] * is_odd
        twice = [f"{self.repeated_count} commands were answered twice"] * bool(self.repeated_count)
        return problems * bool(refused) + odd + twice


async def take_noted(venue: Helper, folder: Path) -> Noted:
    """Return what the venue has noted since the last time. Raises BenchFailed where a request came twice."""
    path = folder / "frames.json"
    await venue.ask("frames", to=str(path))
    frames = msgspec.json.decode(_read(path), type=list[CommandFrame])
    noted = {(one.action, one.client_order_id): one for one in frames}
    if len(noted) != len(frames):
        raise BenchFailed(f"{len(frames) - len(noted)} requests reached the venue twice")
    return noted


def _read(path: Path) -> bytes:
    return path.read_bytes()

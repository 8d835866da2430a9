"""A desk on many accounts: sends places, and notes for each account when the last word came, and how often."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from bridge.contract.topics import Stream, topic_name
from tests.support.rig import PLACE, Rig, command
from tests.witness.epochs import EpochFence
from tests.witness.topic_log import record_of
from tests.witness.waiting import until

_VALID_S = 60.0
_LAST_WORD_S = 90.0


class SentPlace(Struct):
    """A place on its way; monotonic seconds."""

    account: str
    sent_s: float
    outcomes: list[str] = []
    answered_s: float = 0.0


class Traders:
    """One caller for each account, and one reader of all `results` and `session` from where they end now."""

    def __init__(self, rig: Rig, accounts: Sequence[str]) -> None:
        self._rig = rig
        self.accounts = accounts
        self.sent: dict[str, SentPlace] = {}
        self.session: list[tuple[str, float, dict[str, Any]]] = []
        """Account, monotonic seconds of the arrival, event."""
        self._consumer = AIOKafkaConsumer(bootstrap_servers=rig.bootstrap, enable_auto_commit=False)
        self._fences: dict[str, EpochFence] = {}
        self._reading: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        topics = [
            topic_name(self._rig.prefix, account, stream)
            for account in self.accounts
            for stream in (Stream.RESULTS, Stream.SESSION)
        ]
        self._fences = {topic: EpochFence() for topic in topics}
        partitions = [TopicPartition(topic, 0) for topic in topics]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_beginning(*partitions)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._consumer.stop()

    async def _read(self) -> None:
        async for consumed in self._consumer:
            record, arrived_s = record_of(consumed), time.monotonic()
            if record.value is None or self._fences[consumed.topic].is_void(record):
                continue
            value = msgspec.json.decode(record.value)
            if record.stream == Stream.SESSION.value:
                self.session.append((record.account, arrived_s, value))
            elif (place := self.sent.get(value.get("commandId", ""))) and value["outcome"] != "unknown":
                place.outcomes.append(value["outcome"])
                place.answered_s = place.answered_s or arrived_s

    async def place(self, account: str) -> SentPlace:
        """Send a place; it has no answer yet."""
        order = command("place_order", PLACE, valid_s=_VALID_S)
        sent = self.sent[order["commandId"]] = SentPlace(account, time.monotonic())
        await self._rig.send(order, account=account)
        return sent

    async def place_on_all(self, accounts: Sequence[str]) -> list[SentPlace]:
        """Send a place on each account and wait until all are answered."""
        sent = [await self.place(account) for account in accounts]
        await self.answered(sent)
        return sent

    async def answered(self, sent: Sequence[SentPlace]) -> None:
        """Wait until places have their last word."""
        await until(lambda: all(one.outcomes for one in sent), _LAST_WORD_S, "an answer to every place")

    @asynccontextmanager
    async def trading(self, pause_s: float) -> AsyncIterator[None]:
        """Send a place on one account after the other for the length of the block; then wait for every answer."""

        async def trade() -> None:
            while True:
                for account in self.accounts:
                    await self.place(account)
                    await asyncio.sleep(pause_s)

        task = asyncio.create_task(trade())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self.answered(list(self.sent.values()))

    def count_faults(self) -> dict[str, int]:
        """Return how many places have no last word, several, or went to the venue more than once."""
        written = Counter(frame["args"]["clientOrderId"] for frame in self._rig.written("place_order"))
        return {
            "places": len(self.sent),
            "accepted": sum(one.outcomes == ["accepted"] for one in self.sent.values()),
            "without_answer": sum(not one.outcomes for one in self.sent.values()),
            "answered_twice": sum(len(one.outcomes) > 1 for one in self.sent.values()),
            "sent_twice": sum(count > 1 for count in written.values()),
        }

    def moves_at_once(self, since_s: float) -> int:
        """Return how many accounts were on the way at one time at most: from a lost session to the recovery."""
        changes = []
        for account in self.accounts:
            own = [(at_s, event["type"]) for name, at_s, event in self.session if name == account and at_s >= since_s]
            begins = [at_s for at_s, kind in own if kind == "session.lost"]
            ends = [at_s for at_s, kind in own if kind == "recovery.complete"]
            changes += [(at_s, 1) for at_s in begins] + [(at_s, -1) for at_s in ends]
        most = running = 0
        for _, step in sorted(changes):
            running += step
            most = max(most, running)
        return most

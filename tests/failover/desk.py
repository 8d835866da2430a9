"""A desk with a stopwatch: sends commands, and notes for each how long its last word took to reach a reader."""

import asyncio
import gc
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from bridge.contract.topics import Stream, topic_name
from tests.support.rig import PLACE, Rig, command
from tests.witness.epochs import EpochFence
from tests.witness.topic_log import record_of
from tests.witness.waiting import until

PLACES_PER_S = 15
CANCELS_PER_S = 10
_VALID_S = 60.0
_LAG_PERIOD_S = 0.01
_LAST_WORDS_S = 90.0


class Answered(Struct):
    """One command: when it was handed to Kafka, and when and how it was answered (monotonic seconds)."""

    action: str
    name: str
    sent_at: float
    answered_at: float = 0.0
    outcome: str = ""

    @property
    def took_s(self) -> float:
        """From the hand-over to a reader of `results`."""
        return self.answered_at - self.sent_at


class Desk:
    """One caller of one account, which reads `results` from where they end now."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.sent: list[Answered] = []
        self._open: dict[str, Answered] = {}
        self._accepted: deque[str] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._topic = topic_name(rig.prefix, "main", Stream.RESULTS)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=rig.bootstrap, enable_auto_commit=False)
        self._lag_s = 0.0
        self._fence = EpochFence()
        self.void = 0
        """How many records came behind a takeover record although their epoch is lower."""

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        partition = TopicPartition(self._topic, 0)
        self._consumer.assign([partition])
        await self._consumer.seek_to_end(partition)
        await self._consumer.position(partition)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._watch_lag())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._consumer.stop()

    async def _read(self) -> None:
        async for record in self._consumer:
            now = time.monotonic()
            result = record_of(record)
            if self._fence.is_void(result):
                self.void += 1
            elif result.fields.get("outcome", "unknown") != "unknown":
                self._take(result.fields, now)

    def _take(self, value: dict[str, Any], now: float) -> None:
        one = self._open.pop(value["commandId"], None)
        if one is None:
            return
        one.answered_at, one.outcome = now, value["outcome"]
        if one.action == "place_order" and one.outcome == "accepted":
            self._accepted.append(one.name)

    async def _watch_lag(self) -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(_LAG_PERIOD_S)
            self._lag_s = max(self._lag_s, time.monotonic() - begun - _LAG_PERIOD_S)

    def lag_s(self) -> float:
        """Return by how much this process itself was late at worst, since the last look."""
        worst, self._lag_s = self._lag_s, 0.0
        return worst

    async def send(self, action: str, args: dict[str, str]) -> Answered:
        """Send a command; returns once it is in the log."""
        one = command(action, args, valid_s=_VALID_S)
        answered = Answered(action, one["commandId"].replace("-", ""), time.monotonic())
        self._open[one["commandId"]] = answered
        self.sent.append(answered)
        await self._rig.send(one)
        return answered

    async def place(self) -> Answered:
        """Send a place that rests, and wait for its last word."""
        one = await self.send("place_order", PLACE)
        await self.settled([one])
        return one

    async def settled(self, commands: list[Answered]) -> None:
        """Wait until these commands have their last words."""
        await until(lambda: all(one.outcome for one in commands), _LAST_WORDS_S, "a last word for every command")

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Place and cancel at a steady rate for the length of the block; every command is answered at its end."""
        begun = len(self.sent)
        await self.settled([await self.send("place_order", PLACE) for _ in range(3 * CANCELS_PER_S)])
        gc.collect()
        gc.freeze()
        sending = [
            asyncio.create_task(self._steadily(PLACES_PER_S, "place_order")),
            asyncio.create_task(self._steadily(CANCELS_PER_S, "cancel_order")),
        ]
        try:
            yield
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
        await self.settled(self.sent[begun:])

    async def _steadily(self, per_s: float, action: str) -> None:
        """Send on the beat, whether answers come or not; cancels name orders that were accepted before."""
        at = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while True:
                at += 1 / per_s
                await asyncio.sleep(max(0.0, at - time.monotonic()))
                if action == "place_order":
                    group.create_task(self.send(action, PLACE))
                elif self._accepted:
                    group.create_task(self.send(action, {"clientOrderId": self._accepted.popleft()}))

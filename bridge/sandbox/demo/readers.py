"""Independent readers of every topic: plain consumers that read from the beginning."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from bridge.contract.headers import EPOCH, ID, SEQUENCE
from bridge.contract.topics import Stream, topic_name
from bridge.sandbox.broker.launcher import Broker

EVENTS: Final = (
    Stream.ORDERS,
    Stream.TRADES,
    Stream.ASSETS,
    Stream.POSITIONS,
    Stream.MARGIN_CALLS,
    Stream.LIQUIDATIONS,
    Stream.SESSION,
    Stream.UNRECOGNIZED,
)
COMMANDS: Final = (Stream.COMMANDS, Stream.RESULTS, Stream.DEAD_LETTERS)
_NUMBERED: Final = frozenset({ID, EPOCH, SEQUENCE})
_POLL_MS = 1000


class ReadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a topic, and when it was read."""

    stream: Stream
    key: bytes
    value: bytes
    headers: dict[str, bytes]
    timestamp_ms: int
    read_monotonic_s: float
    offset: int = 0

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object of the value; empty if the value is none. On `commands` anybody may write anything."""
        try:
            value = msgspec.json.decode(self.value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


class TopicRecords:
    """The records that were read from each topic, in order."""

    def __init__(self) -> None:
        self._records: dict[Stream, list[ReadRecord]] = defaultdict(list)
        self._listeners: list[Callable[[ReadRecord], None]] = []
        self._waiting: set[asyncio.Event] = set()

    def __getitem__(self, stream: Stream) -> list[ReadRecord]:
        return self._records[stream]

    def add_listener(self, listener: Callable[[ReadRecord], None]) -> None:
        """Call a listener with each later record, before waiting conditions are checked."""
        self._listeners.append(listener)

    def add(self, records: Iterable[ReadRecord]) -> None:
        """Append records and call the listeners."""
        for record in records:
            self._records[record.stream].append(record)
            for listener in self._listeners:
                listener(record)
        for waiter in self._waiting:
            waiter.set()

    async def wait_until(self, holds: Callable[[], bool], deadline_s: float) -> bool:
        """Wait until a condition on the records holds; return False at the deadline."""
        waiter = asyncio.Event()
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(deadline_s):
                while not holds():
                    waiter.clear()
                    await waiter.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(waiter)
        return True


class TopicReader:
    """A consumer of some topics, without a group."""

    def __init__(self, bootstrap_servers: str, topics: dict[str, Stream], topic_records: TopicRecords) -> None:
        self._topics = topics
        self._topic_records = topic_records
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self._partitions = [TopicPartition(topic, 0) for topic in topics]

    async def start(self) -> None:
        """Connect, and read from the beginning."""
        await self._consumer.start()
        self._consumer.assign(self._partitions)

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def read(self) -> None:
        """Read until cancelled."""
        while True:
            batches = await self._consumer.getmany(timeout_ms=_POLL_MS)
            now_s = time.monotonic()
            for partition, records in batches.items():
                self._topic_records.add(
                    ReadRecord(
                        stream=self._topics[partition.topic],
                        key=record.key or b"",
                        value=record.value or b"",
                        headers=dict(record.headers),
                        timestamp_ms=record.timestamp,
                        read_monotonic_s=now_s,
                        offset=record.offset,
                    )
                    for record in records
                    # Without its headers it is not the bridge's: somebody has written to a topic that is not for them.
                    if self._topics[partition.topic] is Stream.COMMANDS or dict(record.headers).keys() >= _NUMBERED
                )

    async def find_ends(self) -> dict[TopicPartition, int]:
        """Return the present ends of the topics."""
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(self._partitions)
        return ends

    async def has_read(self, ends: dict[TopicPartition, int]) -> bool:
        """Return whether everything before these ends is read."""
        # Not the last record's offset: the markers of a caller's transactions take offsets and are no records.
        return all([await self._consumer.position(partition) >= end for partition, end in ends.items()])


@contextlib.asynccontextmanager
async def read_topics(
    bootstrap_servers: str, prefix: str, account: str, topic_records: TopicRecords
) -> AsyncIterator[list[TopicReader]]:
    """Run a reader of the event topics and one of the command topics; the topics must exist."""
    async with contextlib.AsyncExitStack() as stack:
        readers = []
        for streams in (EVENTS, COMMANDS):
            topics = {topic_name(prefix, account, stream): stream for stream in streams}
            reader = TopicReader(bootstrap_servers, topics, topic_records)
            stack.push_async_callback(reader.stop)
            await reader.start()
            readers.append(reader)
        yield readers


@contextlib.asynccontextmanager
async def choose_prefix(broker: Broker, given_prefix: str, accounts: Sequence[str]) -> AsyncIterator[str]:
    """Yield the topic prefix for the length of the block: "ltp" on a broker that was started here.

    On a given broker it is `given_prefix`, and the accounts' topics are removed at the end.
    """
    if broker.kind != "given":
        yield "ltp"
        return
    async with remove_topics_afterwards(broker.bootstrap_servers, given_prefix, accounts):
        yield given_prefix


@contextlib.asynccontextmanager
async def remove_topics_afterwards(bootstrap_servers: str, prefix: str, accounts: Sequence[str]) -> AsyncIterator[None]:
    """Remove every topic of these accounts at the end of the block."""
    try:
        yield
    finally:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
        await admin.start()
        try:
            names = [topic_name(prefix, account, stream) for account in accounts for stream in Stream]
            await admin.delete_topics(names)
        finally:
            await admin.close()

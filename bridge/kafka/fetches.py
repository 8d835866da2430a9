"""Fetches of a consumer, decoded within bounds and released at once; uses private parts of aiokafka 0.14.

aiokafka decompresses a batch whatever its size, and fails for ever at the first that it cannot decode: one such batch
would stop everything behind it. So a fetch of a started consumer is read here, through batches.py. Its bytes are freed
with the last reference: a mebibyte in a circle of references would stay until the garbage collector runs, which counts
objects and not bytes, and so may run only after hundreds of fetches.
"""
# ruff: noqa: SLF001 - see above

from collections.abc import Iterator
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.protocol.fetch import FetchRequest

from bridge.contract.headers import count_memory_bytes
from bridge.kafka.batches import BATCH_BYTES_MAX, BatchReader, FetchedRecord

FETCH_BYTES_MAX: Final = BATCH_BYTES_MAX
"""A fetch ends when its records hold this much: a megabyte may be fifty batches that decompress to the bound."""


class FetchedRecords:
    """Iterates the records of one fetch from an offset on. `suspect` is that of the BatchReader of the fetch before."""

    def __init__(self, data: bytes, start: int, suspect: int | None = None) -> None:
        # The generator holds the bytes of the fetch, so what it holds must not hold it.
        self._reader = BatchReader(start, suspect)
        self._returned_bytes = 0
        self._records: Iterator[FetchedRecord] = self._reader.read_batches(data)

    @property
    def next_fetch_offset(self) -> int:
        """The offset to fetch next."""
        return self._reader.next_offset

    @property
    def suspect(self) -> int | None:
        """The base offset of the batch whose checksum was wrong last."""
        return self._reader.suspect

    def __iter__(self) -> Iterator[FetchedRecord]:
        return self

    def __next__(self) -> FetchedRecord:
        record = next(self._records, None) if self._returned_bytes < FETCH_BYTES_MAX else None
        if record is None:  # at its end, or at the bound: then the rest is fetched again
            self._records = iter(())  # frees the bytes
            raise StopIteration
        self._returned_bytes += len(record.key or b"") + len(record.value or b"") + count_memory_bytes(record.headers)
        return record


def fetch_position(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """Return the offset that would be fetched next: past control batches and what compaction removed."""
    subscription = consumer._subscription.subscription
    assignment = subscription.assignment if subscription is not None else None
    state = assignment.state_value(partition) if assignment is not None else None
    return int(state.position) if state is not None and state.has_valid_position else None


def known_end(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int:
    """Return the end of the log as of the last fetch; 0 before the first."""
    subscription = consumer._subscription.subscription
    assignment = subscription.assignment if subscription is not None else None
    state = assignment.state_value(partition) if assignment is not None else None
    return int(state.highwater or 0) if state is not None else 0


class _FetchRecordingClient:
    """A client for a fetcher that keeps the bytes of the last fetch of each partition, and the records read from it."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client
        self.data: dict[TopicPartition, bytes] = {}
        self.last: dict[TopicPartition, FetchedRecords] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any) -> Any:  # noqa: ANN401 - the client publishes no types
        response = await self._client.send(node_id, request)
        if isinstance(request, FetchRequest):
            self.data = {
                TopicPartition(topic, partition[0]): partition[-1]
                for topic, partitions in response.topics
                for partition in partitions
            }
        return response


def decode_fetches_within_bounds(consumer: AIOKafkaConsumer) -> None:
    """Let a started consumer return FetchedRecord (batches.py) in place of its own records."""
    fetcher = consumer._fetcher
    kept = fetcher._client = _FetchRecordingClient(fetcher._client)
    process = fetcher._proc_fetch_request

    async def process_fetch(assignment: Any, node_id: int, request: Any) -> bool:  # noqa: ANN401 - see above
        has_new: bool = await process(assignment, node_id, request)
        for partition, data in kept.data.items():
            result = fetcher._records.get(partition)
            if isinstance(result, FetchResult) and not isinstance(result._partition_records, FetchedRecords):
                before, theirs = kept.last.get(partition), result._partition_records
                theirs._records_iterator = None  # it and its generator hold each other, and the bytes of the fetch
                records = FetchedRecords(data, theirs.next_fetch_offset, before.suspect if before is not None else None)
                result._partition_records = kept.last[partition] = records
        kept.data = {}
        return has_new

    fetcher._proc_fetch_request = process_fetch


async def fetch_records(
    consumer: AIOKafkaConsumer, partition: TopicPartition, timeout_ms: int, max_records: int | None = None
) -> list[FetchedRecord]:
    """Return the records that have arrived, in order, from a consumer that decodes its fetches within bounds."""
    try:
        found = await consumer.getmany(timeout_ms=timeout_ms, max_records=max_records)
    except Exception:
        # After an error the client counts the fetch as running for ever, and would never call this member idle.
        consumer._subscription._fetch_count = 0
        raise
    records: list[FetchedRecord] = found.get(partition, [])
    return records


def set_fetch_wait(consumer: AIOKafkaConsumer, wait_ms: int) -> None:
    """Let the broker hold each later fetch for so long until there is a record."""
    if consumer._fetcher is not None:
        consumer._fetcher._fetch_max_wait_ms = wait_ms


def forget_fetches(consumer: AIOKafkaConsumer) -> None:
    """Free what was fetched and not read: the parts of a consumer hold each other until garbage is collected."""
    fetcher = consumer._fetcher
    if fetcher is None:
        return
    fetcher._records.clear()
    if isinstance(fetcher._client, _FetchRecordingClient):
        fetcher._client.data, fetcher._client.last = {}, {}

"""What tells of the broker's clock: the append times that it acknowledges, and when a record was not there yet."""

import asyncio
import time
from math import inf
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import RecordMetadata

from bridge.core.skew import ClockReading

_LOG_APPEND_TIME: Final = 1
_AHEAD_MAX_MS: Final = 30 * 60 * 1000


def boot_s() -> float:
    """Read the clock that never steps and counts suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class AppendClock:
    """The broker's clock, as the acknowledgements of records that it stamps (LogAppendTime) tell it."""

    def __init__(self) -> None:
        self.reading: ClockReading | None = None
        """The last one; None before the first."""

    def acknowledged(self, asked_boot_s: float, future: asyncio.Future[RecordMetadata]) -> None:
        """Read the clock: a record that was sent at `asked_boot_s` was stamped before now."""
        if future.cancelled() or future.exception() is not None:
            return
        stamped = future.result()
        if stamped.timestamp_type == _LOG_APPEND_TIME and stamped.timestamp is not None:
            self.reading = ClockReading(asked_boot_s, boot_s(), stamped.timestamp)

    def stamp_ms(self) -> int:
        """Return the timestamp of a record that is sent now, Unix ms: by our clock, not far ahead of the broker's.

        Brokers refuse what is an hour ahead of theirs (`message.timestamp.after.max.ms`), and with it what is behind.
        """
        now_ms = time.time_ns() // 1_000_000
        if self.reading is None:
            return now_ms
        return min(now_ms, int(self.reading.offset_high_ms + boot_s() * 1000) + _AHEAD_MAX_MS)


class AbsenceWatch:
    """When a topic was last known to hold nothing more than was read."""

    def __init__(self) -> None:
        self.absent_boot_s = -inf
        """The records that are read next were not there yet, on our boot clock."""
        self._fetch: tuple[int, float] | None = None

    def look(self, consumer: AIOKafkaConsumer, partition: TopicPartition, position: int) -> None:
        """Note what the latest fetch told: up to `position` everything has been read.

        A fetch is sent when the one before it has been answered. So one that brought nothing more proves that there
        was nothing more at that answer, however long its own was on the way.
        """
        if partition not in consumer.assignment():
            return
        end, fetched_ms = consumer.highwater(partition), consumer.last_poll_timestamp(partition)
        if end is None or fetched_ms is None:
            return
        if self._fetch is None or self._fetch[0] != fetched_ms:
            if self._fetch is not None and end <= position:
                self.absent_boot_s = self._fetch[1]
            now_boot_s, age_s = boot_s(), time.time() - fetched_ms / 1000
            self._fetch = fetched_ms, now_boot_s - max(0.0, age_s)

    def forget(self) -> None:
        """Begin anew: another part of the topic is read now."""
        self.absent_boot_s, self._fetch = -inf, None

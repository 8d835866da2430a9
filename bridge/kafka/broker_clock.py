"""Reading the broker's clock: from the append times in acknowledgements, and from fetches that found no record."""

import asyncio
import time
from math import inf
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import RecordMetadata

from bridge.core.skew import ClockReading

_LOG_APPEND_TIME: Final = 1
_AHEAD_MAX_MS: Final = 30 * 60 * 1000


def read_boot_s() -> float:
    """Return CLOCK_BOOTTIME in seconds: it never steps, and counts the time for which the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class AppendClock:
    """The broker's clock, by the acknowledgements of records that the broker stamps (LogAppendTime)."""

    def __init__(self) -> None:
        self.reading: ClockReading | None = None
        """The last reading; None before the first."""

    def on_acknowledgement(self, sent_boot_s: float, future: asyncio.Future[RecordMetadata]) -> None:
        """Read the clock: a record that was sent at `sent_boot_s` was stamped between then and now."""
        if future.cancelled() or future.exception() is not None:
            return
        stamped = future.result()
        if stamped.timestamp_type == _LOG_APPEND_TIME and stamped.timestamp is not None:
            self.reading = ClockReading(sent_boot_s, read_boot_s(), stamped.timestamp)

    def current_timestamp_ms(self) -> int:
        """Return the timestamp of a record that is sent now, Unix ms: our clock, at most 30 min ahead of the broker's.

        A broker refuses a record that is an hour ahead of its clock (`message.timestamp.after.max.ms`), and with it
        every later one; so its clock is taken to be as late as the last reading allows.
        """
        now_ms = time.time_ns() // 1_000_000
        if self.reading is None:
            return now_ms
        return min(now_ms, int(self.reading.offset_high_ms + read_boot_s() * 1000) + _AHEAD_MAX_MS)


class AbsenceWatch:
    """Notes when a topic was last known to hold no record beyond those that were read."""

    def __init__(self) -> None:
        self.absent_boot_s = -inf
        """The records that are read next were not in the topic at this time; -inf while no such time is known."""
        self._fetch: tuple[int, float] | None = None

    def note_fetch(self, consumer: AIOKafkaConsumer, partition: TopicPartition, position: int) -> None:
        """Note the end of the log in the latest fetch; up to `position` everything has been read.

        A fetch is sent when the one before it has been answered. So one that brought nothing more proves that there
        was nothing more when that one was answered, however long its own answer took.
        """
        if partition not in consumer.assignment():
            return
        end, fetched_ms = consumer.highwater(partition), consumer.last_poll_timestamp(partition)
        if end is None or fetched_ms is None:
            return
        if self._fetch is None or self._fetch[0] != fetched_ms:
            if self._fetch is not None and end <= position:
                self.absent_boot_s = self._fetch[1]
            now_boot_s, age_s = read_boot_s(), time.time() - fetched_ms / 1000
            self._fetch = fetched_ms, now_boot_s - max(0.0, age_s)

    def reset(self) -> None:
        """Forget what is known, because another part of the topic is read from now on."""
        self.absent_boot_s, self._fetch = -inf, None

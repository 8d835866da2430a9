"""The measurements of the events: a flood, a steady stream, and many accounts."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from aiokafka import ConsumerRecord

from bridge.contract.headers import EVENT_TYPES, build_event_headers, format_source
from bridge.contract.topics import Stream
from tests.bench.figures import name_percentiles
from tests.bench.pushes import STATES, Stamp, make_frame, order_id_of, read_stamp
from tests.bench.stage import Contestant, Measured, Stage
from tests.bench.topics import ACCOUNT, EndOfTopic, Reader
from tests.witness.topic_log import read_topic

_STALL_S: Final = 15.0
_EXECUTED: Final = "0"
_PROBLEMS_SHOWN: Final = 5
_UPDATED: Final = b'"updateAt":"'
_MS_DIGITS: Final = 13


class PushCheck:
    """Holds the records of one topic to the pushes that the venue wrote: each once, in order, with all of its bytes."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._sequence = 0
        self.next_number = 0
        self.problem_count = 0
        self.problems: list[str] = []

    def take(self, record: ConsumerRecord) -> Stamp:
        """Take in the next record; return its stamp."""
        stamp = read_stamp(record.value)
        if stamp.number != self.next_number:
            self._note(f"push {stamp.number} stands where {self.next_number} must")
        self.next_number = stamp.number + 1
        begin = record.value.index(_UPDATED) + len(_UPDATED)
        updated_ms = int(record.value[begin : begin + _MS_DIGITS])
        if not make_frame(stamp, updated_ms).endswith(record.value + b"}"):
            self._note(f"push {stamp.number} is not as it was written")
        self._check_headers(record, stamp.number, updated_ms)
        return stamp

    def _check_headers(self, record: ConsumerRecord, number: int, updated_ms: int) -> None:
        """Hold key and headers to the contract: those of the daemon and of its floor are the same."""
        headers = dict(record.headers)
        self._sequence += 1
        sequence = int(headers["ce_sequence"])
        if sequence != self._sequence:
            self._note(f"sequence {sequence} stands where {self._sequence} must")
            self._sequence = sequence
        key = order_id_of(number)
        expected = build_event_headers(
            event_id=f"order:{key.decode()}:{STATES[number % 2]}:{_EXECUTED}:{updated_ms}",
            event_source=format_source("sandbox", self._account),
            event_type=EVENT_TYPES[Stream.ORDERS],
            time_ms=updated_ms,
            subject=key,
            epoch=int(headers["ce_epoch"]),
            sequence=sequence,
        )
        if record.key != key or dict(expected) != headers or len(record.headers) != len(expected):
            self._note(f"push {number} has another key or other headers: {record.key!r}, {record.headers}")

    def expect_count(self, count: int) -> None:
        """Note it if there were fewer pushes."""
        if self.next_number < count:
            self._note(f"the last {count - self.next_number} of {count} pushes are missing")

    def _note(self, text: str) -> None:
        self.problem_count += 1
        if len(self.problems) < _PROBLEMS_SHOWN:
            self.problems.append(f"{self._account}: {text}")


async def _find_lost_sessions(contestant: Contestant, accounts: Sequence[str]) -> list[str]:
    """Return what the daemon tells of lost sessions, and of gaps beside that of its start."""
    problems: list[str] = []
    for account in accounts if contestant.is_daemon else ():
        records = await read_topic(contestant.bootstrap, contestant.topic(Stream.SESSION, account))
        told = [record.json for record in records]
        lost = [one for one in told if one["type"] == "session.lost"]
        problems += [f"{account} lost its session: {one['cause']}: {one['detail']}" for one in lost]
        gaps = sum(one["type"] == "gap.opened" for one in told) - 1
        problems += [f"{account} opened {gaps} gaps after its start"] * bool(gaps)
    return problems


async def measure_flood(stage: Stage, contestant: Contestant, pushes: int) -> Measured:
    """Have the venue write as fast as it is read; the flood ends when its last push is durable."""
    topic, process = contestant.topic(Stream.ORDERS), contestant.process
    async with EndOfTopic(stage.bootstrap, topic) as end:
        first = await end.read_offset()
        cpu_s, venue_cpu_s = process.cpu_s(), stage.venue.cpu_s()
        deadline_s = 120 + pushes / 1000
        writing = asyncio.create_task(stage.venue.ask("flood", deadline_s, account=ACCOUNT, pushes=pushes))
        try:
            durable = await end.wait_for_offset(first + pushes, _STALL_S) - first
            ended_ns = time.monotonic_ns()
            told = await writing
        finally:
            writing.cancel()
    cpu_s, venue_cpu_s = process.cpu_s() - cpu_s, stage.venue.cpu_s() - venue_cpu_s
    memory_mib, peak_mib = process.memory_mib()
    problems = await _find_lost_sessions(contestant, [ACCOUNT])
    check = PushCheck(ACCOUNT)

    def take(record: ConsumerRecord, _: int) -> None:
        check.take(record)

    async with Reader(stage.bootstrap, [topic], take, from_beginning=True) as reader:
        await reader.wait_for_records(durable, _STALL_S)
    check.expect_count(pushes)
    problems += check.problems
    figures = {
        "pushes durable": float(durable),
        "cpu us per push": cpu_s / max(durable, 1) * 1e6,
        "venue cpu us per push": venue_cpu_s / max(told["written"], 1) * 1e6,
        "memory MiB": memory_mib,
        "peak memory MiB": peak_mib,
    }
    if durable >= pushes:  # of a flood that broke off the time would say nothing
        figures = {"pushes per s": pushes / (ended_ns - told["began_monotonic_ns"]) * 1e9, **figures}
    return Measured(figures, problems, process.loop_name())


async def measure_paced(
    stage: Stage, contestant: Contestant, per_s: float, seconds: float, accounts: Sequence[str] = (ACCOUNT,)
) -> Measured:
    """Have the venue push at a steady rate, for all accounts together; time each push from its write to a reader."""
    process = contestant.process
    pushes = max(1, round(per_s * seconds / len(accounts)))
    checks = {contestant.topic(Stream.ORDERS, account): PushCheck(account) for account in accounts}
    read: list[tuple[ConsumerRecord, int]] = []  # to be checked later, when nothing is measured

    def take(record: ConsumerRecord, read_ns: int) -> None:
        read.append((record, read_ns))

    async with Reader(stage.bootstrap, list(checks), take, from_beginning=False) as reader:
        cpu_s, began_s = process.cpu_s(), time.monotonic()
        ask = partial(stage.venue.ask, "paced", 60 + 2 * seconds)
        told = await ask(accounts=list(accounts), pushes=pushes, per_s=per_s)
        await reader.wait_for_records(pushes * len(accounts), _STALL_S)
        cpu_s, took_s = process.cpu_s() - cpu_s, time.monotonic() - began_s
    taken_ns = [read_ns - checks[record.topic].take(record).written_monotonic_ns for record, read_ns in read]
    problems = await _find_lost_sessions(contestant, accounts)
    for check in checks.values():
        check.expect_count(pushes)
        problems += check.problems
    memory_mib, peak_mib = process.memory_mib()
    figures = {
        "pushes per s": told["written"] / took_s,
        "cpu us per push": cpu_s / max(told["written"], 1) * 1e6,
        **name_percentiles("written to read", taken_ns),
        "memory MiB": memory_mib,
        "peak memory MiB": peak_mib,
    }
    return Measured(figures, problems, process.loop_name())


async def measure_idle(contestant: Contestant, seconds: float, after_s: float) -> Measured:
    """Let nothing happen, and see what that costs; of the daemon, once the sweeps behind its login are over."""
    process = contestant.process
    await asyncio.sleep(after_s if contestant.is_daemon else 1.0)
    cpu_s, began_s = process.cpu_s(), time.monotonic()
    await asyncio.sleep(seconds)
    share = (process.cpu_s() - cpu_s) / (time.monotonic() - began_s)
    memory_mib, peak_mib = process.memory_mib()
    figures = {"% of a core": 100 * share, "memory MiB": memory_mib, "peak memory MiB": peak_mib}
    return Measured(figures, [], process.loop_name())

"""The poison page: hostile batches, records, headers and frames, each with cancels before, during and after it."""

import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from msgspec import Struct

from bridge.contract.headers import CORRELATION_HEADERS, ERROR_MESSAGE, ERROR_OFFSET, HEADER_BYTES_MAX, ID
from bridge.contract.session import Alarm
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.support.raw_batches import (
    ZSTD,
    batch,
    gzip_with_more_behind,
    lz4_with_wrong_checksum,
    produce,
    record,
    snappy_of_version_2,
    zstd_bomb,
)
from tests.support.rig import PLACE, Rig, Topic, command
from tests.witness.waiting import until

LIMIT_BYTES: Final = 512 * 1024 * 1024
"""What the chart gives a container."""
PEAK_MIB_MAX: Final = 256
"""Half of it: the rest is for other accounts, and for a venue that is busy as well."""
ANSWERED_WITHIN_MS: Final = 3000
"""A second on a machine that has nothing else to do, and as much again and more on one that has. Else the alarm."""
SHORT: Final = (
    "lz4, wrong checksum",
    "zstd, 1 GiB in 32 KB",
    "zstd, 15 MiB of spaces, again and again",
    "400,000 headers in a record",
    "records without anything",
    "JSON with a key of thousands twice",
    "JSON that speaks of a cancel",
    "places with long headers",
    "a runaway strategy",
    "an answer nested deeply",
    "an answer that is no JSON",
    "a push of 500,000 noughts",
    "a push of 50,000 balances",
    "a push of 700,000 balances",
)
"""One of each kind."""
_UNKNOWN_ORDER: Final = {"orderId": "1703213979730000"}
_DEEP: Final = "[" * 50_000
_LONG: Final = [(name.encode(), b"x" * HEADER_BYTES_MAX) for name in sorted(CORRELATION_HEADERS)]
_UNREADABLE: Final = re.compile(r"offsets (\d+) to (\d+) cannot be read")


class Line(Struct, frozen=True):
    """One line of the page: how long each cancel took, in milliseconds, and the process's largest memory so far."""

    pill: str
    bytes_written: int
    broker: str
    before_ms: int
    during_ms: int
    after_ms: int
    told: str
    """What the account said meanwhile why cancels take longer."""
    peak_mib: int


def batches(scale: int) -> dict[str, Callable[[], list[bytes]]]:
    """Name what is written, batch by batch; `scale` is how often what comes by the hundred comes."""
    ok = record(0, b'{"commandId":"in-a-bad-batch","action":"cancel_orders","args":{"exchangeType":"ALL"}}')
    return {
        "gzip, bytes behind its end": lambda: [gzip_with_more_behind(ok)],
        "lz4, wrong checksum": lambda: [lz4_with_wrong_checksum(ok)],
        "snappy of version 2": lambda: [snappy_of_version_2(ok)],
        "zstd, 1 GiB in 32 KB": lambda: [zstd_bomb(1024)],
        "zstd, 256 MiB of zeros": lambda: [zstd_bomb(256, b"\0")],
        "zstd, 15 MiB of spaces, again and again": lambda: [zstd_bomb(15)] * min(20, 4 * scale),
        "no zstd at all, but called so": lambda: [batch(b"no zstd", 1, attributes=ZSTD)],
        "a header name that is no text": lambda: [batch(record(0, b"x", headers=[(b"\xff\xfe", b"x")]), 1)],
        "400,000 headers in a record": lambda: [batch(record(0, b"x", headers=[(b"", None)] * 400_000), 1)],
        "records without anything": lambda: [
            batch(b"".join(record(delta, None) for delta in range(100)), 100) for _ in range(2 * scale)
        ],
        "JSON with a key of thousands twice": lambda: [
            batch(b"".join(record(delta, _repeated_key()) for delta in range(10)), 10) for _ in range(2 * scale)
        ],
        "JSON nested deeply": lambda: [batch(record(0, b'{"commandId":"deep","x":' + _DEEP.encode()), 1)],
        "a number of 60,000 digits": lambda: [
            batch(record(0, b'{"commandId":"int","action":"cancel_orders","validUntil":' + b"9" * 60_000 + b"}"), 1)
        ],
        "a value of 900 KB": lambda: [batch(record(0, b'{"commandId":"' + b"cancel" * 150_000 + b'"}'), 1)],
        "JSON that speaks of a cancel": lambda: [
            batch(b"".join(record(delta, _repeated_key(b"cancel\\u0020")) for delta in range(10)), 10)
            for _ in range(2 * scale)
        ],
        "one commandId 1,000 times": lambda: [
            batch(b"".join(record(delta, _place("the-same")) for delta in range(1000)), 1000)
        ],
        "places with long headers": lambda: [
            batch(b"".join(record(delta, _place(uuid.uuid4().hex), headers=_LONG) for delta in range(100)), 100)
            for _ in range(2 * scale)
        ],
        "a thousand headers each": lambda: [
            batch(b"".join(record(delta, b"x", headers=[(b"", None)] * 1000) for delta in range(400)), 400)
            for _ in range(scale // 10)
        ],
        "a runaway strategy": lambda: runaway(4 * scale),
    }


def runaway(thousands: int) -> list[bytes]:
    """Return so many thousand places, as a strategy that has lost its mind writes them."""
    return [
        batch(b"".join(record(delta, _place(uuid.uuid4().hex)) for delta in range(1000)), 1000)
        for _ in range(thousands)
    ]


def _balances(count: int) -> str:
    return '{"channel":"Assets","data":[' + ",".join(f'{{"coin":"{number:07}"}}' for number in range(count)) + "]}"


FRAMES: Final[dict[str, str]] = {
    "an answer nested deeply": _DEEP,
    "an answer with a number of 60,000 digits": '{"id":"x","event":"cancel_order","code":' + "9" * 60_000 + "}",
    "an answer of 3 MB": '{"id":"' + "x" * 3_000_000 + '"}',
    "an answer that is no JSON": "\x00\x1b[2J",
    "a push of 500,000 noughts": '{"channel":"Orders","data":[' + "0," * 500_000 + "0]}",
    "a push of 50,000 balances": _balances(50_000),
    "a push of 700,000 balances": _balances(700_000),
}


def _repeated_key(text: bytes = b"") -> bytes:
    keys = [f"k{number}" for number in range(6500)]
    pairs = ",".join(f'"{key}":0' for key in [*keys, keys[-1]])
    return b'{"commandId":"%b",%b,"x":"%b"}' % (uuid.uuid4().hex.encode(), pairs.encode(), text)


def _place(command_id: str) -> bytes:
    return json.dumps({"commandId": command_id, "action": "place_order", "args": PLACE}).encode()


class Page:
    """Writes pills to the commands of a rig whose daemon is a process, and measures what they cost others."""

    def __init__(
        self, rig: Rig, pid: int, *, results: Topic, letters: Topic, session: Topic, deadline_s: float
    ) -> None:
        self._rig = rig
        self._pid = pid
        self._results = results
        self._letters = letters
        self._session = session
        self._deadline_s = deadline_s
        self._topic = topic_name(rig.prefix, "main", Stream.COMMANDS)
        self.lines: list[Line] = []

    async def set_compression(self, kind: str) -> None:
        """Change the topic's compression: with `producer`, as before there was a rule, a broker takes nearly all."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._rig.bootstrap)
        await admin.start()
        try:
            configs = {"message.timestamp.type": "LogAppendTime", "compression.type": kind}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, self._topic, configs)])
        finally:
            await admin.close()

    async def take_batches(self, pill: str, written: list[bytes]) -> None:
        """Write hostile batches between ordinary cancels."""
        before_ms, since = await self.cancel(), len(self._session.values)
        await self._add(pill, sum(map(len, written)), await self._write(written), before_ms, since)

    async def take_over(self, pill: str, written: list[bytes], next_owner: Callable[[], Awaitable[int]]) -> None:
        """Write batches and let another process own the account, which returns its id."""
        before_ms, since = await self.cancel(), len(self._session.values)
        broker, self._pid = await self._write(written), await next_owner()
        await self._add(pill, sum(map(len, written)), broker, before_ms, since)

    async def _write(self, written: list[bytes]) -> str:
        codes = {(await produce(self._rig.bootstrap, self._topic, data))[0] for data in written}
        return "takes it" if codes == {0} else f"refuses it ({', '.join(map(str, sorted(codes)))})"

    async def take_frame(self, pill: str, text: str) -> None:
        """Let the venue answer a cancel with a hostile frame, between ordinary cancels."""
        before_ms, since = await self.cancel(), len(self._session.values)
        self._rig.venue.faults.add(Fault(kind=FaultKind.REPLACE_ANSWER, action="cancel_order", text=text, times=1))
        written = len(self._rig.written("cancel_order"))
        await self._rig.send(command("cancel_order", _UNKNOWN_ORDER, valid_s=60))
        await until(lambda: len(self._rig.written("cancel_order")) > written, self._deadline_s)
        await self._add(pill, len(text), "-", before_ms, since)

    async def _add(self, pill: str, size: int, broker: str, before_ms: int, since: int) -> None:
        during_ms = await self.cancel()
        if during_ms > ANSWERED_WITHIN_MS:
            what = f"a word of the account on {pill}, whose cancel took {during_ms} ms,"
            await until(lambda: self._reason(since) != "-", 30, what)
        reason = self._reason(since)
        await until(self._is_well, self._deadline_s, "the end of what the account has told")
        after_ms = await self.cancel()
        assert after_ms <= ANSWERED_WITHIN_MS, f"after {pill}"
        self.lines.append(Line(pill, size, broker, before_ms, during_ms, after_ms, reason, self.peak_mib()))

    def _reason(self, since: int) -> str:
        """Return what the account has said since a session event why a cancel takes longer."""
        told = {v.get("alarm", v["type"]) for v in self._session.values[since:]}
        return ", ".join(sorted(told & {Alarm.COMMANDS_BEHIND.value, "session.lost"})) or "-"

    def _is_well(self) -> bool:
        valid = self._session.valid()
        of_owner = [value for epoch, value in valid if epoch == valid[-1][0]]  # its alarms end with an owner
        behind = [v["type"] for v in of_owner if v.get("alarm") == Alarm.COMMANDS_BEHIND]
        session = [v["type"] for v in of_owner if v["type"] in {"session.opened", "session.lost"}]
        return behind[-1:] != ["alarm.raised"] and session[-1:] == ["session.opened"]

    async def cancel(self) -> int:
        """Send a cancel, and return after how many milliseconds its answer was appended, by the broker."""
        one = command("cancel_order", _UNKNOWN_ORDER, valid_s=600)
        key, begun_ms = one["commandId"].encode(), time.time_ns() // 1_000_000
        await self._rig.send(one)
        await until(lambda: one["commandId"] in self._results.answered_ms, self._deadline_s, "the cancel's answer")
        answered_ms: int = next(one.timestamp for one in reversed(self._results.records) if one.key == key)
        return answered_ms - begun_ms

    def peak_mib(self) -> int:
        """Return the largest resident memory that the process has had."""
        status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    async def committed(self) -> int:
        """Return the group's offset: below it everything has an answer."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._rig.bootstrap)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(group_name(self._rig.prefix, "main"))
        finally:
            await admin.close()
        offset: int = found[TopicPartition(self._topic, 0)].offset
        return offset

    async def every_command_is_answered(self, last: int) -> None:
        """Wait until each offset up to one has its answer, and require that it has one only."""
        numbers = range(last + 1)
        await until(lambda: len(set(self._answered())) > last, self._deadline_s, "an answer to each command")
        answers = Counter(self._answered())
        assert [offset for offset in numbers if answers[offset] != 1] == []

    def _answered(self) -> Iterator[int]:
        """Yield the offset of each terminal result and dead letter; the same record once more is the same answer."""
        seen = set()
        for answer, value in zip(self._results.records, self._results.values, strict=False):
            offset, ce_id = value.get("commandOffset"), dict(answer.headers)[ID]
            if offset is not None and value["outcome"] != "unknown" and (ce_id, offset) not in seen:
                seen.add((ce_id, offset))
                yield offset
        letters = (dict(record.headers) for record in self._letters.records)
        for headers in {headers[ID]: headers for headers in letters}.values():
            offset = int(headers[ERROR_OFFSET])
            span = _UNREADABLE.search(headers[ERROR_MESSAGE].decode())
            yield from range(offset, int(span[2]) + 1) if span else (offset,)

    async def end(self) -> int:
        """Write one more record, and return its offset."""
        async with AIOKafkaProducer(bootstrap_servers=self._rig.bootstrap) as producer:
            sent = await producer.send_and_wait(self._topic, b"the last")
        offset: int = sent.offset
        return offset

    def __str__(self) -> str:
        """Return the page as a table."""
        rows = [f"{'pill':42} {'bytes':>10}  {'broker':18} {'before':>7} {'during':>7} {'after':>7} {'peak':>5}  told"]
        rows += [
            f"{one.pill:42} {one.bytes_written:10}  {one.broker:18} {one.before_ms:4} ms {one.during_ms:4} ms "
            f"{one.after_ms:4} ms {one.peak_mib:5}  {one.told}"
            for one in self.lines
        ]
        return "\n".join(rows)

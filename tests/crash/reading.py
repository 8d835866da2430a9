"""The harness's own way to the broker: writes commands, reads every topic, asks for the committed offset."""

import asyncio
import contextlib
import json
import time
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DeleteGroupsRequest

from tests.crash.answers import STREAMS
from tests.witness.record import Plain, Record
from tests.witness.topic_log import read_topic, record_of

_LOOK_S = 0.05
_TOPICS_DEADLINE_S = 60.0
_UPHEAVAL_DEADLINE_S = 30.0


class Broker:
    """One account's topics as an outsider sees them. `results` and `session` are read as they come."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap = bootstrap
        self._group = f"{prefix}.main"
        self._producer: AIOKafkaProducer
        self._reader: AIOKafkaConsumer
        self._reading: asyncio.Task[None]
        self.results: list[Record] = []
        self.session: list[Record] = []
        self.incarnations = [0]
        """For each `commands` topic that there has been, the epoch that the first owner to read it has at least."""
        self._commands_before: list[Plain] = []

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", linger_ms=0)
        self._reader = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, auto_offset_reset="earliest")
        await self._producer.start()
        await self._reader.start()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        await self._reader.stop()
        await self._producer.stop()

    @property
    def recoveries(self) -> int:
        """How often an owner has said that it is recovered."""
        return sum(record.fields["type"] == "recovery.complete" for record in self.session)

    async def until_topics(self) -> None:
        """Wait until a daemon has made the topics."""
        wanted = {self._topic(stream) for stream in STREAMS}
        async with asyncio.timeout(_TOPICS_DEADLINE_S):
            while not wanted <= await self._reader.topics():  # noqa: ASYNC110 - a broker has no event for it
                await asyncio.sleep(_LOOK_S)

    async def send(self, commands: list[dict[str, Any] | bytes]) -> None:
        """Append commands, in their order."""
        waiting = []
        for one in commands:
            value = one if isinstance(one, bytes) else json.dumps(one).encode()
            waiting.append(await self._producer.send(self._topic("commands"), value=value, key=b"k", partition=0))
        await asyncio.gather(*waiting)

    async def committed(self) -> dict[str, Any]:
        """Return the group's committed offset and its metadata."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(self._group)
        finally:
            await admin.close()
        entry = next(iter(found.values()), None)
        return {"offset": entry.offset, "metadata": entry.metadata} if entry else {"offset": -1, "metadata": ""}

    async def until_committed(self, offset: int, patience_s: float) -> None:
        """Wait until the group has committed an offset, or patience is over."""
        deadline = time.monotonic() + patience_s
        while (await self.committed())["offset"] != offset and time.monotonic() < deadline:  # noqa: ASYNC110 - a broker
            await asyncio.sleep(4 * _LOOK_S)

    async def end(self) -> int:
        """Return the offset after the last command."""
        partition = TopicPartition(self._topic("commands"), 0)
        return int((await self._reader.end_offsets([partition]))[partition])

    async def everything(self) -> dict[str, list[Plain]]:
        """Read every topic from its beginning to its end."""
        topics = {stream: await read_topic(self._bootstrap, self._topic(stream)) for stream in STREAMS}
        plain = {stream: [record.plain() for record in records] for stream, records in topics.items()}
        return {**plain, "commands": self._commands_before + self._of_this_incarnation(topics["commands"])}

    async def delete_group(self) -> None:
        """Delete the group and with it the committed offset, as seven idle days do; no member may live any more."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            async with asyncio.timeout(_UPHEAVAL_DEADLINE_S):
                while True:
                    node = await admin.find_coordinator(self._group)
                    answer = await admin._send_request_to_node(node, DeleteGroupsRequest([self._group]))
                    if all(code == 0 for _, code in answer.results):
                        return
                    await asyncio.sleep(_LOOK_S)  # a killed member is in the group until its session times out
        finally:
            await admin.close()

    async def delete_commands(self) -> None:
        """Delete `commands`, which the next daemon makes again; what was on it is kept for the checker."""
        topic = self._topic("commands")
        self._commands_before += self._of_this_incarnation(await read_topic(self._bootstrap, topic))
        told = await read_topic(self._bootstrap, self._topic("results"))
        self.incarnations.append(1 + max(record.epoch for record in told))
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([topic])
            async with asyncio.timeout(_UPHEAVAL_DEADLINE_S):
                while topic in await admin.list_topics():  # noqa: ASYNC110 - a broker has no event for it
                    await asyncio.sleep(_LOOK_S)
        finally:
            await admin.close()

    def _of_this_incarnation(self, commands: list[Record]) -> list[Plain]:
        return [{**record.plain(), "incarnation": len(self.incarnations) - 1} for record in commands]

    async def _read(self) -> None:
        kept = {self._topic("results"): self.results, self._topic("session"): self.session}
        await self.until_topics()
        self._reader.assign([TopicPartition(topic, 0) for topic in kept])
        await self._reader.seek_to_beginning()
        while True:
            for partition, found in (await self._reader.getmany(timeout_ms=100)).items():
                kept[partition.topic] += [record_of(record) for record in found]

    def _topic(self, stream: str) -> str:
        return f"{self._group}.{stream}"

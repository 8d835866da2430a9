"""A whole bridge for a test: the real broker, the sandbox venue, the daemon in this process, and readers of topics."""

import asyncio
import contextlib
import json
import time
import uuid
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from bridge import app
from bridge.config import Settings
from bridge.contract.topics import Stream, topic_name
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.venue import Venue
from tests.witness.child_process import start_module
from tests.witness.daemon_settings import account_section, as_toml, daemon_settings
from tests.witness.epochs import valid
from tests.witness.record import Record
from tests.witness.topic_log import record_of
from tests.witness.waiting import DEADLINE_S, until

_VICTIM = "tests.support.victim"

PLACE: dict[str, str] = {
    "sym": "BINANCE_PERP_BTC_USDT",
    "side": "BUY",
    "orderType": "LIMIT",
    "timeInForce": "GTC",
    "orderQty": "0.003",
    "limitPrice": "20000",
}
"""A place that rests: far below the market."""

FIRST_SESSION = ["owner.acquired", "gap.opened", "session.opened", "recovery.complete"]
"""What `session` tells of a first start, until its gap is closed or something happens."""


def command(action: str, args: dict[str, str], *, command_id: str | None = None, valid_s: float = 30) -> dict[str, Any]:
    """Return a command with a fresh id, valid for some seconds."""
    return {
        "commandId": command_id or str(uuid.uuid4()),
        "action": action,
        "validUntil": int((time.time() + valid_s) * 1000),
        "args": args,
    }


class Topic:
    """Reads a topic from its beginning, as an independent consumer would."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self.records: list[ConsumerRecord] = []
        self.values: list[Any] = []
        """The values as JSON, those that are; `unrecognized` and `dead-letters` hold others too."""
        self.answered_ms: dict[str, int] = {}
        """When the first terminal result of a command arrived here: Unix ms by commandId."""
        self._reading = asyncio.create_task(self._read(consumer))

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            self.records.append(record)
            with contextlib.suppress(ValueError, RecursionError):
                self.values.append(json.loads(record.value or b""))
                self._stamp(self.values[-1])

    def _stamp(self, value: Any) -> None:  # noqa: ANN401 - JSON
        if isinstance(value, dict) and "commandId" in value and value.get("outcome") not in {None, "unknown"}:
            self.answered_ms.setdefault(value["commandId"], time.time_ns() // 1_000_000)

    def headers(self, index: int) -> dict[str, bytes]:
        """Return the headers of one record."""
        return dict(self.records[index].headers)

    async def until(self, holds: Callable[[list[Any]], bool], deadline_s: float = DEADLINE_S) -> list[Any]:
        """Wait until the values satisfy a condition and return them."""
        try:
            await until(lambda: self._reading.done() or holds(self.values), deadline_s)
        except AssertionError:
            raise AssertionError(
                f"not among {len(self.records)} records within {deadline_s:g} s: {self.values[-5:]}"
            ) from None
        return self.values

    async def result(self, one: dict[str, Any], deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """Wait for the terminal result of a command, and require that there is one only."""
        await self.until(lambda _: bool(self.results_of(one)), deadline_s)
        (found,) = self.results_of(one)
        return found

    def results_of(self, one: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the terminal results of a command so far."""
        wanted = one["commandId"]
        return [v for v in self.values if v.get("commandId") == wanted and v["outcome"] != "unknown"]

    def valid(self) -> list[tuple[int, Any]]:
        """Return epoch and value of the records that count: a lower epoch after a higher one makes a record void."""
        return [(one.epoch, None if one.is_tombstone else one.json) for one in valid(self.as_records())]

    def as_records(self) -> list[Record]:
        """Return what was read so far, as the checkers take it."""
        return [record_of(record) for record in self.records]

    async def close(self) -> None:
        """Stop reading."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


class Rig:
    """What a test holds."""

    def __init__(self, bootstrap: str, venue: Venue, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.venue = venue
        self.prefix = f"t{uuid.uuid4().hex[:12]}"
        self._folder = folder
        self._stack = contextlib.AsyncExitStack()
        self._producer: AIOKafkaProducer

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
        await self._producer.start()
        self._stack.push_async_callback(self._producer.stop)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def settings(self, **changes: Any) -> Settings:  # noqa: ANN401 - any section of the settings
        """Build settings for the sandbox and the broker; `changes` replace whole sections."""
        keys = [self.venue.keys[name] for name in changes.pop("accounts", ["main"])]
        values = daemon_settings(
            ws_url=self.venue.ws_url,
            rest_url=self.venue.rest_url,
            bootstrap=self.bootstrap,
            prefix=self.prefix,
            accounts={key.name: account_section(self._folder, key.name, key.api_key, key.api_secret) for key in keys},
        )
        return Settings(**{**values, **changes})

    def kafka(self, bootstrap: str) -> dict[str, Any]:
        """Return the section `kafka` of the settings with another way to the broker."""
        return {**self.settings().kafka.model_dump(mode="json", exclude_none=True), "bootstrap_servers": bootstrap}

    def written(self, action: str) -> list[dict[str, Any]]:
        """Return the requests of an action as the venue read them, whatever became of them."""
        frames = [json.loads(entry.facts["text"]) for entry in self.venue.ledger.entries(EntryKind.RECV)]
        return [frame for frame in frames if frame.get("action") == action]

    def write_config(self, **changes: Any) -> Path:  # noqa: ANN401 - as above
        """Write the settings of a daemon, and return the file."""
        config = self._folder / f"bridge-{uuid.uuid4().hex[:6]}.toml"
        config.write_text(as_toml(self.settings(**changes).model_dump(mode="json", exclude_none=True)))
        return config

    @contextlib.asynccontextmanager
    async def daemon(self, settings: Settings | None = None) -> AsyncIterator[asyncio.Task[None]]:
        """Run the daemon until the end of the block, and stop it in good order."""
        stop = asyncio.Event()
        running = asyncio.create_task(app.serve(settings or self.settings(), stop))
        try:
            yield running
        finally:
            stop.set()
            await running

    @contextlib.asynccontextmanager
    async def daemon_process(
        self,
        victim_of: str = "",
        *,
        program: tuple[str, ...] = ("bridge",),
        unread: bool = False,
        **changes: Any,  # noqa: ANN401
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run `ltp-bridge run` as a process of its own; it is killed at the end of the block if it still runs.

        `victim_of` names the point at which it kills itself (victim.py), else `program` is the module, with what it is
        given first. `unread`: nobody reads its log, so it goes to nowhere instead of a pipe, which would be full soon.
        """
        config = self.write_config(**changes)
        what = (_VICTIM, victim_of) if victim_of else program
        process = await start_module(*what, "run", "--config", str(config), stdout=DEVNULL if unread else PIPE)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def topic(self, stream: Stream, account: str = "main") -> Topic:
        """Read a topic from its beginning."""
        partition = TopicPartition(topic_name(self.prefix, account, stream), 0)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        self._stack.push_async_callback(consumer.stop)
        await until(
            lambda: partition.topic in consumer._client.cluster.topics() or _refresh(consumer), what="the topic"
        )
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        topic = Topic(consumer)
        self._stack.push_async_callback(topic.close)
        return topic

    async def send(
        self,
        *commands: dict[str, Any] | bytes | None,
        account: str = "main",
        headers: list[tuple[str, bytes]] | None = None,
    ) -> list[int]:
        """Append commands to the topic; return their offsets."""
        name = topic_name(self.prefix, account, Stream.COMMANDS)
        waiting = []
        for one in commands:
            value = json.dumps(one).encode() if isinstance(one, dict) else one
            key = one["commandId"].encode() if isinstance(one, dict) and isinstance(one.get("commandId"), str) else b"k"
            waiting.append(await self._producer.send(name, value=value, key=key, headers=headers))
        return [(await one).offset for one in waiting]


def _refresh(consumer: AIOKafkaConsumer) -> bool:
    consumer._client.force_metadata_update()
    return False

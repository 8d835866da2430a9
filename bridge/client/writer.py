"""Append commands to the topic in the order of the calls, and each at most once.

aiokafka's idempotent producer retries for ever while brokers are away, and cannot be used after a failed batch. So when
a record has no acknowledgement in time, the writer ends the producer and everything that it holds, and resets its
connections. Otherwise the producer could send an order minutes later, after its caller got an error. The next command
gets a new producer with the same id and the next epoch (KIP-360). Once the record of that command is on the topic, the
broker refuses what the network may still deliver of the producer before it: a late place cannot land behind the cancel
that the caller sent to be safe.
"""

# ruff: noqa: SLF001 - aiokafka has no public way to end connections with a reset

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection

from bridge.client.command_handle import NotAnswered, NotSent, Unreachable
from bridge.contract.commands import Command
from bridge.contract.headers import Headers
from bridge.forced_end import finish_producer, stop_sending
from bridge.producer_identity import ProducerIdentity, identity_of, take_identity
from bridge.sockets import abort_on_close

_BATCH_BYTES: Final = 262_144
"""How many bytes wait while a batch is on its way; a larger burst waits for the lock."""
_CLOSED: Final = "the client was closed"
_KAFKA_FAILURES: Final = (kafka_errors.KafkaError, OSError, TimeoutError)


class CommandWriter:
    """The writer of one topic of commands; it has one idempotent producer at a time."""

    def __init__(self, topic: str, options: Mapping[str, Any], timeout_s: float) -> None:
        self._topic = topic
        self._options = options
        self._timeout_s = timeout_s
        self._append_lock = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._next_identity: ProducerIdentity | None = None
        self._unconfirmed: set[asyncio.Future[int]] = set()
        self._closed = False
        self._endings: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect. Raises Unreachable."""
        try:
            async with asyncio.timeout(self._timeout_s):
                self._producer = await self._connect()
        except _KAFKA_FAILURES as error:
            raise Unreachable(f"{self._topic} cannot be written to: {describe_error(error)}") from error

    async def append(self, command: Command, value: bytes, headers: Headers) -> int:
        """Append a command and return its offset. Raises NotSent (certainly not on the topic) or NotAnswered."""
        confirmed: asyncio.Future[int] | None = None
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self._append_lock:
                    producer = await self._ready_producer()
                    key = command.command_id.encode()
                    sent = await producer.send(self._topic, value, key, partition=0, headers=list(headers))
                    confirmed = self._expect_confirmation(sent)
                return await confirmed
        except _KAFKA_FAILURES as error:
            if confirmed is None:
                raise NotSent(command, describe_error(error)) from error
            self._give_up(producer, describe_error(error))
            raise NotAnswered(command, f"its record was not confirmed: {describe_error(error)}") from error

    async def close(self) -> None:
        """End at once; commands without a confirmation will get none."""
        self._closed = True
        self._give_up(self._producer, _CLOSED)
        async with self._append_lock:  # after a call that is connecting or waiting for room now
            self._give_up(self._producer, _CLOSED)
        while self._endings:
            await asyncio.wait(self._endings)

    def _expect_confirmation(self, sent: "asyncio.Future[Any]") -> "asyncio.Future[int]":
        confirmed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._unconfirmed.add(confirmed)
        confirmed.add_done_callback(self._unconfirmed.discard)
        sent.add_done_callback(partial(_copy_confirmation, confirmed))
        return confirmed

    async def _ready_producer(self) -> AIOKafkaProducer:
        if self._producer is None and not self._closed:
            self._producer = await self._connect()
        if self._producer is None or self._closed:
            raise ConnectionAbortedError(_CLOSED)
        return self._producer

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._options, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=_BATCH_BYTES
        )
        _reset_connections_on_close(producer.client)
        if self._next_identity is not None:
            take_identity(producer, self._next_identity)
        try:
            await producer.start()
            await producer.partitions_for(self._topic)
        except BaseException:
            self._end_producer(producer)
            raise
        self._next_identity = identity_of(producer).successor()
        return producer

    def _give_up(self, producer: AIOKafkaProducer | None, why: str) -> None:
        if producer is None or producer is not self._producer:
            return
        self._producer = None
        for confirmed in list(self._unconfirmed):
            if not confirmed.done():
                confirmed.set_exception(ConnectionAbortedError(why))
        self._end_producer(producer)

    def _end_producer(self, producer: AIOKafkaProducer) -> None:
        stop_sending(producer)
        ending = asyncio.create_task(finish_producer(producer), name=f"end of a producer of {self._topic}")
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)


def _reset_connections_on_close(client: AIOKafkaClient) -> None:
    """Make each connection of this client end with a reset, also when aiokafka closes it."""
    connect = client._get_conn

    async def connect_to(node: object, **options: Any) -> AIOKafkaConnection | None:  # noqa: ANN401 - passed on
        connection = await connect(node, **options)
        if connection is not None:
            abort_on_close(connection._writer)
        return connection

    client._get_conn = connect_to


def _copy_confirmation(confirmed: "asyncio.Future[int]", sent: "asyncio.Future[Any]") -> None:
    error = sent.exception()
    if confirmed.done():
        return
    if error is None:
        confirmed.set_result(sent.result().offset)
    else:
        confirmed.set_exception(error)


def describe_error(error: BaseException) -> str:
    """Return the type and the text of an error."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

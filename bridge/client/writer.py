"""Appending commands to the topic: in the order of the calls, and each at most once.

aiokafka's idempotent producer tries for ever while brokers are away, and is of no more use after a failed batch. So
what has no acknowledgement in time takes its producer with it, and whatever else that one held: nothing is left behind
that would send an order minutes later, after its caller has been told that it failed. Its connections are reset. The
next command gets a new producer, of the same id and the next epoch (KIP-360): once its record is on the topic, the
broker refuses what the network may still deliver of the one before, a place behind the cancel that was to make sure,
too.
"""

# ruff: noqa: SLF001 - aiokafka has no public way to end a producer at once

import asyncio
import contextlib
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
from bridge.producer_identity import ProducerIdentity, identity_of, take_identity
from bridge.sockets import abort_on_close

_END_S: Final = 2.0
_BATCH_BYTES: Final = 262_144
"""What is held while a batch is on its way; a burst that is larger waits its turn."""
_CLOSED: Final = "the client was closed"
_TROUBLE: Final = (kafka_errors.KafkaError, OSError, TimeoutError)


class Writer:
    """One topic's commands, through one idempotent producer at a time."""

    def __init__(self, topic: str, options: Mapping[str, Any], timeout_s: float) -> None:
        self._topic = topic
        self._options = options
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
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
        except _TROUBLE as error:
            raise Unreachable(f"{self._topic} cannot be written to: {words(error)}") from error

    async def append(self, command: Command, value: bytes, headers: Headers) -> int:
        """Append a command and return its offset. Raises NotSent when it surely is not there, else NotAnswered."""
        confirmed: asyncio.Future[int] | None = None
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self._turn:
                    producer = await self._ready()
                    key = command.command_id.encode()
                    sent = await producer.send(self._topic, value, key, partition=0, headers=list(headers))
                    confirmed = self._confirmation(sent)
                return await confirmed
        except _TROUBLE as error:
            if confirmed is None:
                raise NotSent(command, words(error)) from error
            self._give_up(producer, words(error))
            raise NotAnswered(command, f"its record was not confirmed: {words(error)}") from error

    async def close(self) -> None:
        """End at once; what is not confirmed yet will not be."""
        self._closed = True
        self._give_up(self._producer, _CLOSED)
        async with self._turn:  # whoever connects or waits for room right now
            self._give_up(self._producer, _CLOSED)
        while self._endings:
            await asyncio.wait(self._endings)

    def _confirmation(self, sent: "asyncio.Future[Any]") -> "asyncio.Future[int]":
        confirmed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._unconfirmed.add(confirmed)
        confirmed.add_done_callback(self._unconfirmed.discard)
        sent.add_done_callback(partial(_confirm, confirmed))
        return confirmed

    async def _ready(self) -> AIOKafkaProducer:
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
            self._end(producer)
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
        self._end(producer)

    def _end(self, producer: AIOKafkaProducer) -> None:
        # stop() would wait for brokers that are away, and send what is still held.
        producer._closed = True
        sender = producer._sender.sender_task
        if sender is not None:
            sender.cancel()
        for connection in list(producer.client._conns.values()):
            connection.close()  # what was requested ends, for which the sender's end would wait
        ending = asyncio.create_task(_finish(producer, sender), name=f"end of a producer of {self._topic}")
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)


def _reset_connections_on_close(client: AIOKafkaClient) -> None:
    """Make each connection that this client opens end with a reset, also where aiokafka closes it."""
    connect = client._get_conn

    async def connect_to(node: object, **options: Any) -> AIOKafkaConnection | None:  # noqa: ANN401 - passed on
        connection = await connect(node, **options)
        if connection is not None:
            abort_on_close(connection._writer)
        return connection

    client._get_conn = connect_to


async def _finish(producer: AIOKafkaProducer, sender: "asyncio.Task[None] | None") -> None:
    if sender is not None:
        await end_within(sender)
    await end_within(asyncio.ensure_future(producer.client.close()))


async def end_within(task: "asyncio.Future[Any]") -> None:
    """Wait for an end for 2 s, then force it; how it ends has no consequence any more."""
    await asyncio.wait({task}, timeout=_END_S)
    task.cancel()
    await asyncio.wait({task}, timeout=_END_S)
    with contextlib.suppress(asyncio.CancelledError, asyncio.InvalidStateError):
        task.exception()


def _confirm(confirmed: "asyncio.Future[int]", sent: "asyncio.Future[Any]") -> None:
    error = sent.exception()
    if confirmed.done():
        return
    if error is None:
        confirmed.set_result(sent.result().offset)
    else:
        confirmed.set_exception(error)


def words(error: BaseException) -> str:
    """Write an error for a person."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

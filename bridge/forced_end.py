"""The forced end of a Kafka client: it takes a bounded time, and nothing that the client still holds is sent later.

aiokafka's own `stop()` waits for brokers that are away, sends what is still buffered, and may raise CancelledError
half-way. Written against aiokafka 0.14, which has no public way to end a client at once.
"""
# ruff: noqa: SLF001 - as in kafka/aiokafka_internals.py

import asyncio
import contextlib
from collections.abc import Collection, Coroutine
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

_CLOSE_TIMEOUT_S: Final = 2.0
_SENDER_CHECK_S: Final = 0.05
_SENDER_CHECKS_MAX: Final = 10


def stop_sending(producer: AIOKafkaProducer) -> None:
    """Let a producer send nothing from this moment on; `finish_producer` must follow."""
    producer._closed = True
    producer._message_accumulator._closed = True
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
    for connection in list(producer.client._conns.values()):
        connection.close()  # ends the requests in flight, for which the sender waits before it ends


async def finish_producer(producer: AIOKafkaProducer) -> None:
    """End the tasks and connections of a producer after `stop_sending`, within a few seconds."""
    sender = producer._sender.sender_task
    for _ in range(_SENDER_CHECKS_MAX):
        # A request that ends so may begin to wait for metadata, which is not fetched any more.
        await release_metadata_waiters(producer.client)
        if sender is None or sender.done():
            break
        await asyncio.wait({sender}, timeout=_SENDER_CHECK_S)
    if sender is not None:
        await end_tasks({sender})
    await run_within(producer.client.close(), _CLOSE_TIMEOUT_S)


async def release_metadata_waiters(client: AIOKafkaClient) -> None:
    """End the client's fetching of metadata, and let those go on that wait for it."""
    synchronizer, client._sync_task = client._sync_task, None
    if synchronizer is not None:
        await end_tasks({synchronizer})
    update = client._md_update_fut
    if update is not None and not update.done():
        update.set_result(False)


async def run_within(coroutine: Coroutine[Any, Any, Any], timeout_s: float) -> None:
    """Run to the end or to the bound; what it raises is dropped, because it concerns something that is over."""
    task = asyncio.ensure_future(coroutine)
    try:
        await asyncio.wait({task}, timeout=timeout_s)
    finally:
        await end_tasks({task})


async def end_tasks(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel tasks and wait for their end for 2 s; what they raise is dropped."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_CLOSE_TIMEOUT_S)
    for task in tasks:
        if task.done():
            with contextlib.suppress(asyncio.CancelledError):
                task.exception()

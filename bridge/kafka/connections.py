"""The connections of aiokafka in this process: a refused password is not tried again at once, and each is reset.

aiokafka closes a connection by itself when a request is overdue, and when a client is stopped. What it had written
and no broker had taken would then be sent for minutes, and an old record would stand behind newer ones. Written
against 0.14.
"""
# ruff: noqa: SLF001 - as in aiokafka_internals.py: aiokafka has no public way

from typing import Any

import aiokafka.client
from aiokafka.conn import AIOKafkaConnection

from bridge.kafka.credentials import create_guarded_connection
from bridge.sockets import abort_on_close


async def create_connection(host: str, port: int, **options: Any) -> AIOKafkaConnection:  # noqa: ANN401 - passed on
    """Connect as aiokafka does. Raises what it raises, and LoginHeldBack."""
    connection = await create_guarded_connection(host, port, **options)
    abort_on_close(connection._writer)
    return connection


def install_connection_factory() -> None:
    """Let every client of aiokafka in this process connect by `create_connection`."""
    aiokafka.client.create_conn = create_connection

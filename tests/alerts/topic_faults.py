"""Faults of topics, grants and offsets: each is a block, as in `faults.py`."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from bridge.contract.topics import Stream, topic_name
from tests.alerts.scene import ACCOUNT, Scene
from tests.support.rig import PLACE, command

_ALL, _WRITE = 2, 4
_DENY, _ALLOW = 2, 3
_TOPIC, _LITERAL = 2, 3
_RULES: Final = (("User:*", _ALL, _ALLOW), ("User:ANONYMOUS", _WRITE, _DENY))
"""Everybody may do everything with a topic but write, which is denied to the daemon."""


@contextlib.asynccontextmanager
async def grant_taken(scene: Scene) -> AsyncIterator[None]:
    """Deny the daemon to write to a topic."""
    topic = topic_name(scene.rig.prefix, ACCOUNT, Stream.UNRECOGNIZED)
    admin = AIOKafkaAdminClient(bootstrap_servers=scene.broker.bootstrap_servers)
    await admin.start()
    try:
        rules = [(_TOPIC, topic, _LITERAL, who, "*", operation, effect) for who, operation, effect in _RULES]
        for rule in rules:
            await admin._send_request(CreateAclsRequest(*rule))
        yield
        for rule in reversed(rules):
            await admin._send_request(DeleteAclsRequest(*rule))
    finally:
        await admin.close()


@contextlib.asynccontextmanager
async def topic_deleted(scene: Scene) -> AsyncIterator[None]:
    """Delete a topic; the daemon makes it again."""
    admin = AIOKafkaAdminClient(bootstrap_servers=scene.broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([topic_name(scene.rig.prefix, ACCOUNT, Stream.UNRECOGNIZED)])
    finally:
        await admin.close()
    yield


@contextlib.asynccontextmanager
async def commands_removed(scene: Scene) -> AsyncIterator[None]:
    """Remove commands that were not read, while the daemon is stopped; then its offset is set by hand."""
    await scene.stop_daemon()
    await scene.rig.send(command("place_order", PLACE), command("place_order", PLACE))
    (end,) = await scene.rig.send(command("place_order", PLACE))
    admin = AIOKafkaAdminClient(bootstrap_servers=scene.broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({scene.commands: RecordsToDelete(before_offset=end)})
    finally:
        await admin.close()
    await scene.start_daemon()
    yield
    await offset_set(scene)


@contextlib.asynccontextmanager
async def claims_lost(scene: Scene) -> AsyncIterator[None]:
    """Set the group's offset by hand, so that the claims are gone."""
    await offset_set(scene)
    yield


async def offset_set(scene: Scene) -> None:
    """Set the group's offset while no daemon runs."""
    await scene.stop_daemon()
    await scene.set_group_offset()
    await scene.start_daemon()

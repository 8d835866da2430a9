"""The client continues when all brokers come back under other addresses behind the same bootstrap name."""

import asyncio
import contextlib

from bridge.client import Client, CommandHandle, NotAnswered, NotSent, cancel_orders
from bridge.contract.topics import Stream
from tests.support.moving import MovingCluster
from tests.support.rig import Rig


async def test_answers_are_read_again_when_all_brokers_have_moved(rig: Rig) -> None:
    """Every confirmed command gets its answer, before the brokers move and afterwards."""
    async with MovingCluster(rig.bootstrap) as cluster, rig.daemon():
        session = await rig.topic(Stream.SESSION)
        await session.until(lambda values: any(v["type"] == "recovery.complete" for v in values))
        async with asyncio.timeout(60), Client(cluster.bootstrap, prefix=rig.prefix, append_timeout_s=2) as client:
            assert (await client.cancel_all("ALL")).outcome == "accepted"
            await cluster.move()
            again: CommandHandle | None = None
            while again is None:
                with contextlib.suppress(NotAnswered, NotSent):
                    again = await client.submit(cancel_orders("ALL"))
            assert (await again.result()).outcome == "accepted"

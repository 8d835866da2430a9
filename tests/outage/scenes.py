"""What happens while packets are dropped, and what stands on the topics when no kernel sends any more."""

import asyncio
import contextlib
import signal
import sys
import time
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from typing import Any, Final, Self

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream, topic_name
from bridge.kafka.preflight import check_topics
from bridge.sandbox.broker.embedded import EmbeddedBroker
from tests.outage.network import BROKER_ADDRESS, Network
from tests.witness.child_process import Conversation, send_signal, start_module
from tests.witness.console import say
from tests.witness.topic_log import read_topic

OUTAGE_S: Final = 40.0
"""Longer than a publisher waits for an acknowledgement (30 s)."""
KILLED_AFTER_S: Final = 20.0
_KERNEL_S: Final = 200.0
"""Longer than Linux tries to deliver what a closed socket holds (tcp_orphan_retries: 8, about 100 s)."""
_FLUSH_S: Final = 60.0

STORY: Final = {
    (Stream.ORDERS, "17"): ("NEW", "OPEN", "FILLED"),
    (Stream.RESULTS, "a"): ("accepted before", "unknown", "accepted"),
    (Stream.SESSION, "main"): ("session.opened", "gap.opened", "gap.closed"),
}


class ReachableBroker(EmbeddedBroker):
    """A broker that other network namespaces reach."""

    @property
    def bootstrap_servers(self) -> str:
        """Where it listens."""
        return super().bootstrap_servers.replace("127.0.0.1", BROKER_ADDRESS)

    def _write_settings(self, controller_port: int) -> None:
        super()._write_settings(controller_port)
        settings = self.folder / "server.properties"
        of_clients = f"127.0.0.1:{self._port}"
        settings.write_text(settings.read_text().replace(of_clients, self.bootstrap_servers))


class Owner:
    """A publisher in a process and a network namespace of its own (owner.py)."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._conversation = Conversation(process)

    @classmethod
    async def start(cls, network: Network, kafka: Kafka, epoch: int) -> Self:
        """Start it, and wait until it has reached the broker."""
        inside = ("ip", "netns", "exec", network.client)
        arguments = (kafka.model_dump_json(), str(epoch))
        owner = cls(await start_module("tests.outage.owner", *arguments, inside=inside, stdin=PIPE))
        async with asyncio.timeout(_FLUSH_S + 10):
            await owner._conversation.hear()
        return owner

    async def publish(self, part: int, flush_s: float) -> bool:
        """Publish one part of the story; returns whether it is durable in time."""
        return await self._ask(
            publish=[(stream, key, words[part]) for (stream, key), words in STORY.items()], flush_s=flush_s
        )

    async def flush(self, flush_s: float) -> bool:
        """Wait for what was published."""
        return await self._ask(flush_s=flush_s)

    async def _ask(self, **order: Any) -> bool:  # noqa: ANN401 - whatever JSON can carry
        async with asyncio.timeout(_FLUSH_S + 10):
            return bool(await self._conversation.ask(order))

    async def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        send_signal(self._process, signal.SIGKILL)
        await self._process.wait()


async def outlives(network: Network, kafka: Kafka) -> None:
    """Let the owner go on after the outage."""
    owner = await Owner.start(network, kafka, 1)
    try:
        assert await owner.publish(0, _FLUSH_S)
        network.drop_packets()
        assert not await owner.publish(1, OUTAGE_S)
        say(f"  sockets that were closed and still send: {network.sockets_still_sending() or 'none'}")
        network.pass_packets()
        await finish(owner)
    finally:
        await owner.kill()


async def is_killed(network: Network, kafka: Kafka) -> None:
    """Kill the owner in the outage, and let another one follow after it."""
    first = await Owner.start(network, kafka, 1)
    try:
        assert await first.publish(0, _FLUSH_S)
        network.drop_packets()
        assert not await first.publish(1, KILLED_AFTER_S)
    finally:
        await first.kill()
    await asyncio.sleep(OUTAGE_S - KILLED_AFTER_S)
    say(f"  sockets that were closed and still send: {network.sockets_still_sending() or 'none'}")
    network.pass_packets()
    successor = await Owner.start(network, kafka, 2)
    try:
        await finish(successor)
    finally:
        await successor.kill()


async def finish(owner: Owner) -> None:
    """Publish the end of the story as soon as the network is back."""
    began_s = time.monotonic()
    assert await owner.flush(_FLUSH_S)
    flushed_s = time.monotonic() - began_s
    assert await owner.publish(2, _FLUSH_S)
    say(f"  durable after the outage: what waited within {flushed_s:.1f} s, the end {time.monotonic() - began_s:.1f} s")


async def kernel_is_silent(network: Network) -> None:
    """Wait until no socket that was closed is still being sent."""
    began_s = time.monotonic()
    while sending := network.sockets_still_sending():
        assert time.monotonic() - began_s < _KERNEL_S, f"the kernel goes on: {sending}"
        await asyncio.sleep(1)
    say(f"  no kernel sends any more: {time.monotonic() - began_s:.0f} s later")


async def judge(kafka: Kafka) -> int:
    """Print every topic, and count those whose last record is not the truth."""
    wrong = 0
    for (stream, _), words in STORY.items():
        records = await read_topic(kafka.bootstrap_servers, topic_name(kafka.topic_prefix, "main", stream))
        found = [f"{one.json}({one.epoch}-{one.sequence})" for one in records]
        is_right = bool(records) and records[-1].json == words[-1]
        wrong += not is_right
        say(f"  {'ok   ' if is_right else 'WRONG'} {stream.value}: {', '.join(found)}")
    return wrong


@contextlib.asynccontextmanager
async def topics(broker: ReachableBroker) -> AsyncIterator[Kafka]:
    """Have topics of one's own."""
    values = {"topic_prefix": f"t{uuid.uuid4().hex[:8]}", "replication_factor": 1, "min_insync_replicas": 1}
    kafka = Kafka.model_validate({"bootstrap_servers": broker.bootstrap_servers, "create_topics": True, **values})
    problems = await check_topics(kafka, Timing(), ["main"])
    assert not problems, problems
    yield kafka


async def main(run: int) -> int:
    """Run both scenes; return how many topics end in something else than the truth."""
    network = Network(run)
    broker = await ReachableBroker.start(say)
    wrong = 0
    try:
        for title, scene in (
            ("the owner outlives it", outlives),
            ("the owner is killed, and another follows", is_killed),
        ):
            say(f"packets are dropped for {OUTAGE_S:.0f} s; {title}")
            async with topics(broker) as kafka:
                await scene(network, kafka)
                await kernel_is_silent(network)
                wrong += await judge(kafka)
    finally:
        await broker.close()
    return wrong


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]))) > 0)

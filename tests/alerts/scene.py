"""What alerts are about: a broker, the sandbox venue behind wires, a daemon that is scraped, a desk that trades."""

import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from aiokafka import AIOKafkaConsumer, OffsetAndMetadata, TopicPartition

from bridge.contract.topics import Stream, topic_name
from bridge.sandbox.broker.cluster import find_free_ports
from bridge.sandbox.broker.embedded import EmbeddedBroker
from bridge.sandbox.venue.settings import DOCUMENTED_LIMITS, RequestLimit, VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.chaos.desk import Desk
from tests.chaos.stepped_clock import SetClock
from tests.support.proxy import KafkaProxy
from tests.support.replica import replica
from tests.support.rig import Rig, Topic
from tests.support.wire_proxy import WireProxy
from tests.witness.console import say
from tests.witness.replica import Replica

ACCOUNT: Final = "main"
_TIMING: Final = {
    "ack_timeout_s": 1,
    "late_landing_s": 6,
    "ping_interval_s": 1,
    "pong_deadline_s": 1,
    "connect_timeout_s": 2,
    "reconnect_cap_s": 1.5,
    "failover_after_s": 2,
    "rest_lag_s": 2,
    "audit_period_s": 2,
    "login_give_up_s": 2,
    "stop_deadline_s": 10,
}
"""What lasts minutes otherwise; all that Kafka has to do with is as by default."""
_LIMITS: Final = {
    "window_s": 5,
    "place_per_window": 100,
    "replace_per_window": 100,
    "cancel_per_window": 100,
    "cancel_all_per_window": 100,
    "lane_commands_max": 200,
}
"""Small ones can be used up."""
_QUICK_REST: Final = {
    name: RequestLimit(one.count * 20, one.window_s) for name, one in DOCUMENTED_LIMITS.items() if "rest" in name
}


class AuthorizingBroker(EmbeddedBroker):
    """A broker on which everybody may do what no rule is about, so that a fault can take a grant away."""

    def settings(self, controller_port: int) -> dict[str, str]:
        """Add the authorizer."""
        return {
            **super().settings(controller_port),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
        }


@contextlib.asynccontextmanager
async def start_authorizing_broker() -> AsyncIterator[AuthorizingBroker]:
    """Run such a broker for the length of the block."""
    broker = await AuthorizingBroker.start(say)
    try:
        yield broker
    finally:
        await broker.close()


class Scene:
    """All of it, from a first session on."""

    def __init__(self, broker: EmbeddedBroker, folder: Path) -> None:
        self.broker = broker
        self.venue = Venue(VenueSettings(limits=DOCUMENTED_LIMITS | _QUICK_REST))
        self.clock = SetClock(folder / "clock")
        (self.port,) = find_free_ports(1)
        self.broker_wire = KafkaProxy(broker.bootstrap_servers)
        """The daemon's way to the broker; readers and desk have their own."""
        self.wire: WireProxy
        """To the venue's sockets."""
        self.rest_wire: WireProxy
        self.rig: Rig
        self.results: Topic
        self.session: Topic
        self.daemon: Replica
        self._folder = folder
        self._daemon_life = contextlib.AsyncExitStack()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        try:
            await enter(self.venue)
            await enter(self.broker_wire)
            self.wire = await enter(WireProxy(self.venue.ws_url))
            self.rest_wire = await enter(WireProxy(self.venue.rest_url))
            self.rig = await enter(Rig(self.broker.bootstrap_servers, self.venue, self._folder))
            self._stack.push_async_callback(self.stop_daemon)
            await self.start_daemon()
            await self.daemon.until("recovery.complete")
            self.results = await self.rig.topic(Stream.RESULTS)
            self.session = await self.rig.topic(Stream.SESSION)
            await enter(Desk(self.rig, random.Random(1)))  # noqa: S311 - to be had again, no secret
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def key_file(self) -> Path:
        """The file of the account's API key."""
        return self._folder / f"{ACCOUNT}-key"

    @property
    def group(self) -> str:
        """The consumer group of the account."""
        return f"{self.rig.prefix}.{ACCOUNT}"

    @property
    def commands(self) -> TopicPartition:
        """Where the commands are."""
        return TopicPartition(topic_name(self.rig.prefix, ACCOUNT, Stream.COMMANDS), 0)

    async def start_daemon(self, **changes: Any) -> Replica:  # noqa: ANN401 - sections of the settings
        """Start the daemon, on the port that is scraped, and return it."""
        settings = {
            "timing": _TIMING,
            "limits": _LIMITS,
            "endpoints": [{"name": "SANDBOX", "ws_url": self.wire.url, "rest_url": self.rest_wire.url}],
            "kafka": self.rig.kafka(self.broker_wire.bootstrap),
            "management": {"port": self.port},
        }
        program = ("tests.chaos.stepped_clock", str(self.clock.path))
        self.daemon = await self._daemon_life.enter_async_context(
            replica(self.rig, program=program, **{**settings, **changes})
        )
        return self.daemon

    async def stop_daemon(self) -> None:
        """Stop the daemon in good order."""
        self.daemon.thaw()
        self.daemon.stop()
        await self.daemon.ended()
        await self._daemon_life.aclose()

    async def set_group_offset(self) -> None:
        """Set the group's offset to the end, as an operator does by hand: the claims in its metadata are gone."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.broker.bootstrap_servers, group_id=self.group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign([self.commands])
            end = (await consumer.end_offsets([self.commands]))[self.commands]
            await consumer.commit({self.commands: OffsetAndMetadata(end, "")})
        finally:
            await consumer.stop()

    async def read_readiness(self) -> str:
        """Return what `/readyz` says, for a person who wonders why nothing clears."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http,
                http.get(f"http://127.0.0.1:{self.port}/readyz") as answer,
            ):
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"no answer: {error}"

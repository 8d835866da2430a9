"""The producers of one publisher, one after the other: each shuts out what the ones before it may have on the way.

What a producer that was given up has written may arrive at any time: a proxy, a firewall or a broker that stood still
may have it. So each takes the id of the first one with the next epoch, as Kafka's own clients do where a sequence is
broken (KIP-360). A topic that has got a record of it refuses every older epoch of that id, for as long as its brokers
remember the id: `producer.id.expiration.ms` (a day) after its last record there. As what was not acknowledged is sent
again at once and in order, it stands behind whatever did arrive, and in front of all that is newer.
"""

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from bridge.config import Kafka
from bridge.kafka import aiokafka_internals
from bridge.kafka.producer import ThrottledReport, connect, unknown_because
from bridge.producer_identity import ProducerIdentity, identity_of

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

_RETRY_FIRST_S: Final = 0.1
_RETRY_LAST_S: Final = 2.0


class ProducerSuccession:
    """Makes the producers of one publisher. `current` is the one that sends; None while there is none."""

    def __init__(self, kafka: Kafka, topics: Collection[str], trouble: ThrottledReport) -> None:
        self._kafka = kafka
        self._topics = topics
        self._trouble = trouble
        self._identity: ProducerIdentity | None = None
        self._retry_s = _RETRY_FIRST_S
        self.current: AIOKafkaProducer | None = None
        self.renewals = 0
        """How many producers have followed another one."""

    async def begin(self) -> None:
        """Make the next producer; tries until a broker answers."""
        heir = None if self._identity is None else self._identity.successor()
        self.current = await connect(self._kafka, self._topics, self._trouble, heir)
        self.renewals += self._identity is not None
        self._identity = identity_of(self.current)

    def has_metadata(self, topic: str) -> bool:
        """Check that sending to a topic would not wait for its metadata; if it would, say why, and ask for it."""
        if self.current is None:
            return False
        why = unknown_because(self.current, topic)
        if why is not None:
            self._trouble.tell(why)
            aiokafka_internals.learn_topics(self.current, self._topics)  # the answer is not waited for
        return why is None

    async def give_up(self) -> None:
        """End the producer at once: what it holds is not sent any more."""
        producer, self.current = self.current, None
        if producer is not None:
            await aiokafka_internals.abandon_producer(producer)

    async def wait_before_next(self) -> None:
        """Wait before the next one, for twice as long each time, until one has proved useful."""
        await asyncio.sleep(self._retry_s)
        self._retry_s = min(self._retry_s * 2, _RETRY_LAST_S)

    def proved_useful(self) -> None:
        """Note that brokers acknowledge what is sent."""
        self._retry_s = _RETRY_FIRST_S

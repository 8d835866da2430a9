"""A producer that is renewed: the next one shuts out what the one before may still have on its way.

What a producer that was given up has written may arrive at any time: a proxy, a firewall or a broker that stood still
may have it. So each takes the id of the first one with the next epoch, as Kafka's own clients do where a sequence is
broken (KIP-360). A topic that has got a record of it refuses every older epoch of that id, for as long as its brokers
remember the id: `producer.id.expiration.ms` (a day) after its last record there. As what was not acknowledged is sent
again at once and in order, it stands behind whatever did arrive, and in front of all that is newer.
"""

import asyncio
from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from bridge.config import Kafka
from bridge.kafka import aiokafka_internals
from bridge.kafka.producer import RETRY_FIRST_S, RETRY_LAST_S, ThrottledReport, connect, describe_unknown_topic
from bridge.kafka.retry_wait import RetryWait
from bridge.producer_identity import ProducerIdentity, identity_of

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer


class ProducerState(Enum):
    """Whether records can be given to the producer."""

    CONNECTING = auto()
    """There is no producer: the first or the next one is being made."""
    LIVE = auto()
    """The producer takes records."""
    RENEWING = auto()
    """The producer takes no record any more; what it has got may still be acknowledged until it is ended."""


_S = ProducerState
TRANSITIONS: Final[Mapping[ProducerState, frozenset[ProducerState]]] = {
    _S.CONNECTING: frozenset({_S.CONNECTING, _S.LIVE, _S.RENEWING}),
    _S.LIVE: frozenset({_S.RENEWING}),
    _S.RENEWING: frozenset({_S.RENEWING, _S.CONNECTING}),
}


class RenewableProducer:
    """One idempotent producer at a time. `current` is None while there is none."""

    def __init__(self, kafka: Kafka, topics: Collection[str], report: ThrottledReport) -> None:
        self._kafka = kafka
        self._topics = topics
        self._report = report
        self._identity: ProducerIdentity | None = None
        self._retry_wait = RetryWait(RETRY_FIRST_S, RETRY_LAST_S)
        self.state = ProducerState.CONNECTING
        self.current: AIOKafkaProducer | None = None
        self.renewals = 0
        """How many producers have followed another one."""

    @property
    def is_live(self) -> bool:
        """Whether the producer takes records."""
        return self.state is ProducerState.LIVE

    async def connect(self) -> None:
        """Make the next producer; tries until a broker answers."""
        self._move(ProducerState.CONNECTING)
        identity = None if self._identity is None else self._identity.successor()
        self.current = await connect(self._kafka, self._topics, self._report, identity)
        self.renewals += self._identity is not None
        self._identity = identity_of(self.current)
        self._move(ProducerState.LIVE)

    def require_renewal(self) -> None:
        """Give no record to the producer any more."""
        self._move(ProducerState.RENEWING)

    async def end(self) -> None:
        """End the producer at once: what it holds is not sent any more."""
        producer, self.current = self.current, None
        if producer is not None:
            self._move(ProducerState.RENEWING)
            await aiokafka_internals.abandon_producer(producer)

    async def wait_before_next(self) -> None:
        """Wait before the next one, for twice as long each time, until brokers acknowledge what is sent."""
        await asyncio.sleep(self._retry_wait.next_s())

    def note_acknowledgement(self) -> None:
        """Note that brokers acknowledge what is sent."""
        self._retry_wait.reset()

    def has_metadata(self, topic: str) -> bool:
        """Return whether a record to a topic could be sent at once; if not, report why and ask for its metadata."""
        if self.current is None:
            return False
        problem = describe_unknown_topic(self.current, topic)
        if problem is not None:
            self._report.report(problem)
            aiokafka_internals.learn_topics(self.current, self._topics)  # the answer is not waited for
        return problem is None

    def _move(self, state: ProducerState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"a producer cannot go from {self.state.name} to {state.name}")
        self.state = state

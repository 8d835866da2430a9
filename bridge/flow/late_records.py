"""Records that land behind newer ones when a term runs already: each is followed by the truth again.

What an owner has sent and got no answer to may be anywhere: in a proxy, in a broker that stood still, in the kernel of
a machine without power. The brokers refuse it once they have a record of the same owner's next producer, but not where
that owner died, or where they have forgotten the id. So a while after each takeover, and after each renewal of the
producer, the topics are read once more.
"""

import asyncio
from typing import Final

import structlog

from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.account import Account
from bridge.core.clocks import UNMEASURED_MS
from bridge.core.late_records import publish_again
from bridge.errors import ClusterUnreachable, KafkaTrouble
from bridge.flow.ports import Clock, Publisher
from bridge.flow.record_sink import RecordSink
from bridge.flow.replay import TopicReplay

LATE_AFTER_S: Final = 150.0
"""Longer than anything old may still arrive: TCP itself counts on two minutes for a packet (RFC 9293), and Linux gives
up after 100 s what the socket of a process that is no more still holds."""

_STREAMS: Final = (Stream.RESULTS, Stream.SESSION, *sorted(STATE_STREAMS))
"""Where the order of a key's records says what is true. The records of the others are facts each for itself."""
_LOOK_S: Final = 0.5
_FLUSH_S: Final = 10.0
_AGAIN_S: Final = 5.0

_log = structlog.get_logger()


class LateRecordRepair:
    """Finds during one term what has come late, and publishes what it stands behind once more."""

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        topics: TopicReplay,
        publisher: Publisher,
        sink: RecordSink,
        clock: Clock,
        late_after_s: float,
    ) -> None:
        self._name = name
        self._account = account
        self._topics = topics
        self._publisher = publisher
        self._sink = sink
        self._clock = clock
        self._late_after_s = late_after_s
        self._renewals = publisher.renewals
        self._due_s: float | None = clock().boot_s + late_after_s
        self._unjudged = set(_STREAMS)
        """Topics that are still to be read once it is due."""
        self._since_ms = clock().wall_ms - UNMEASURED_MS

    async def run(self) -> None:
        """Look when it is due, until cancelled. Without brokers it is tried again."""
        while True:
            self._note_renewal()
            if self._due_s is None or self._clock().boot_s < self._due_s:
                await asyncio.sleep(self._at_most(_LOOK_S))
                continue
            for stream in sorted(self._unjudged):
                try:
                    if await self._look(stream):
                        self._unjudged.discard(stream)
                except (ClusterUnreachable, KafkaTrouble) as error:
                    _log.warning("records.unread", account=self._name, reason=str(error))
            if self._unjudged:
                await asyncio.sleep(self._at_most(_AGAIN_S))
            else:
                self._due_s = None

    def _at_most(self, seconds: float) -> float:
        return min(seconds, self._late_after_s)

    def _note_renewal(self) -> None:
        if self._publisher.renewals == self._renewals:
            return
        self._renewals, now = self._publisher.renewals, self._clock()
        if self._due_s is None:
            self._since_ms = now.wall_ms - UNMEASURED_MS
        self._due_s, self._unjudged = now.boot_s + self._late_after_s, set(_STREAMS)

    async def _look(self, stream: Stream) -> bool:
        """Read a topic and publish what has been overtaken; False where what was published there is not durable yet.

        What is published under a key meanwhile is newer than what is found, and needs no other.
        """
        with self._sink.noting_keys() as noted:
            if not await self._publisher.flush(_FLUSH_S, [stream]):
                return False
            overtaken = await self._topics.overtaken_since(stream, self._since_ms)
            found = [publish_again(stream, record) for record in overtaken]
            # Nothing may happen between the comparison and the publication.
            again = [one for one in found if stream is Stream.SESSION or (stream, one.key) not in noted]
        self._account.outbox.publish_all(again)
        if again:
            _log.warning("records.late", account=self._name, stream=stream.value, published_again=len(again))
        return True

"""Records that land behind newer ones while a term runs: the newest record of each key is published once more.

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
from bridge.errors import ClusterUnreachable, KafkaTrouble
from bridge.flow.dependencies import TermDependencies

_REPAIRED_STREAMS: Final = (Stream.RESULTS, Stream.SESSION, *sorted(STATE_STREAMS))
"""The topics on which the last record of a key is what its readers believe. On the others each record is a fact."""
_CHECK_PERIOD_S: Final = 1.0
_FLUSH_S: Final = 10.0
_AGAIN_S: Final = 5.0

_log = structlog.get_logger()


class LateRecordRepair:
    """Finds during one term the records that have come late, and publishes the newer ones again."""

    def __init__(
        self,
        name: str,
        account: Account,
        parts: TermDependencies,
    ) -> None:
        self._name = name
        self._account = account
        self._topics = parts.topics
        self._publisher = parts.publisher
        self._clock = parts.clock
        self._late_after_s = parts.late_after_s
        self._renewals = parts.publisher.renewals
        self._due_boot_s: float | None = parts.clock().boot_s + parts.late_after_s
        self._unread = set(_REPAIRED_STREAMS)
        """The topics that are still to be read at that time."""
        self._since_ms = parts.clock().wall_ms - UNMEASURED_MS

    async def run(self) -> None:
        """Read the topics whenever that is due, until cancelled. Without brokers it is tried again."""
        while True:
            self._note_renewal()
            if self._due_boot_s is None or self._clock().boot_s < self._due_boot_s:
                await asyncio.sleep(self._at_most(_CHECK_PERIOD_S))
                continue
            for stream in sorted(self._unread):
                try:
                    if await self._repair_topic(stream):
                        self._unread.discard(stream)
                except (ClusterUnreachable, KafkaTrouble) as error:
                    _log.warning("records.unread", account=self._name, reason=str(error))
            if self._unread:
                await asyncio.sleep(self._at_most(_AGAIN_S))
            else:
                self._due_boot_s = None

    def _at_most(self, seconds: float) -> float:
        return min(seconds, self._late_after_s)

    def _note_renewal(self) -> None:
        if self._publisher.renewals == self._renewals:
            return
        self._renewals, now = self._publisher.renewals, self._clock()
        if self._due_boot_s is None:
            self._since_ms = now.wall_ms - UNMEASURED_MS
        self._due_boot_s, self._unread = now.boot_s + self._late_after_s, set(_REPAIRED_STREAMS)

    async def _repair_topic(self, stream: Stream) -> bool:
        """Read a topic and publish again what was overtaken; return False where ours there is not durable yet.

        What is published under a key meanwhile is newer than what is found, and needs no other.
        """
        with self._account.noting_published_keys() as noted:
            if not await self._publisher.flush(_FLUSH_S, [stream]):
                return False
            overtaken = await self._topics.read_overtaken_since(stream, self._since_ms)
            # Nothing may happen between the comparison and the publication.
            again = [one for one in overtaken if stream is Stream.SESSION or (stream, one.key or b"") not in noted]
        self._account.publish_again(stream, again)
        if again:
            _log.warning("records.late", account=self._name, stream=stream.value, published_again=len(again))
        return True

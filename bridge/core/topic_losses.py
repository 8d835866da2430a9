"""Topics that are lost while the account is owned, and the records that are published again.

The records of a deleted topic are gone for every reader that has not read them. The bridge still has the newest states
and the events of the open session, and publishes them again; for the other topics the alarm says what is gone.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from bridge.contract.session import Alarm, OwnerAcquired
from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.commands.claims import Claims
from bridge.core.commands.results import Results
from bridge.core.now import Now
from bridge.core.outbox import Outbox
from bridge.core.stream.venue_stream import VenueStream

_STATES: Final = "its records are gone; what stands, and the orders that ended within the last horizon, is told again"
_NOT_TOLD_AGAIN: Final = "its records are gone, and the venue does not tell them again"
GONE: Final = {
    Stream.ORDERS: _STATES,
    Stream.ASSETS: _STATES,
    Stream.POSITIONS: _STATES,
    Stream.TRADES: "its records are gone and are not published again; the venue's REST has the trades of 90 days",
    Stream.MARGIN_CALLS: _NOT_TOLD_AGAIN,
    Stream.LIQUIDATIONS: _NOT_TOLD_AGAIN,
    Stream.UNRECOGNIZED: _NOT_TOLD_AGAIN,
    Stream.SESSION: "its records are gone; the owner, its alarms, its open gaps and its session are told again",
    Stream.COMMANDS: "the commands on it are gone; those that had not been read are not carried out",
    Stream.RESULTS: (
        "the answers on it are gone: this owner answers what is submitted again as before, and to the next one it is "
        "new"
    ),
    Stream.DEAD_LETTERS: "its records are gone; they are still on `commands`, by their offsets",
}
"""What is lost with each topic, and what of it is published again."""


class LostTopic(Struct, frozen=True):
    """A topic that was lost at `since_ms`, Unix ms.

    `problem` says what is wrong now and what mends it; empty once the topic is as it must be. `is_empty`: the records
    are gone, because it is another topic of that name, or there is none.
    """

    topic: str
    stream: Stream
    since_ms: int
    problem: str
    is_empty: bool = True


class MissingGrant(Struct, frozen=True):
    """An operation on a topic that is not granted since `since_ms`, Unix ms; `detail` says which, and what mends it."""

    topic: str
    since_ms: int
    detail: str


class TopicLosses:
    """Raises and clears the alarms for lost topics and missing grants, and publishes lost records again."""

    def __init__(
        self,
        outbox: Outbox,
        results: Results,
        stream: VenueStream,
        *,
        claims: Claims,
        epoch: int,
    ) -> None:
        self._outbox = outbox
        self._alarms = outbox.alarms
        self._results = results
        self._stream = stream
        self._claims = claims
        self._epoch = epoch
        self._republished_ms: dict[str, int] = {}
        """When the topics were lost whose records were published again, Unix ms."""
        self._without_grants: set[str] = set()

    def publish_losses(self, lost: Sequence[LostTopic], instance: str, now: Now) -> list[str]:
        """Raise and clear the alarms for lost topics; return the topics that are restored, with their records."""
        return [one.topic for one in lost if self._publish_loss(one, instance, now)]

    def _publish_loss(self, lost: LostTopic, instance: str, now: Now) -> bool:
        gone = GONE[lost.stream] if lost.is_empty else "its records are still there"
        self._alarms.raise_alarm(Alarm.TOPIC_LOST, f"{lost.problem or 'it was made again'}; {gone}", now, lost.topic)
        if lost.problem:
            return False
        if lost.is_empty and self._republished_ms.get(lost.topic) != lost.since_ms:
            self._republished_ms[lost.topic] = lost.since_ms
            self._republish_records(lost.stream, instance, now)
        if self._stream.are_states_republished(lost.stream):
            self._alarms.clear_alarm(Alarm.TOPIC_LOST, f"it is there as it must be; {gone}", now, lost.topic)
            return True
        return False

    def _republish_records(self, stream: Stream, instance: str, now: Now) -> None:
        if stream in STATE_STREAMS:
            self._stream.republish_states(stream, now)
        elif stream is Stream.SESSION:
            self._outbox.publish_session_event(OwnerAcquired(at=now.wall_ms, epoch=self._epoch, instance=instance))
            self._alarms.republish()
            self._stream.republish_session(now)
        elif stream is Stream.RESULTS:
            self._results.publish_takeover(self._epoch, instance, now, self._claims.origin)

    def publish_missing_grants(self, missing: Sequence[MissingGrant], now: Now) -> None:
        """Raise the alarms for grants that are missing, and clear those for grants that are there again."""
        for one in missing:
            self._alarms.raise_alarm(Alarm.GRANT_MISSING, one.detail, now, one.topic)
        without_grants = {one.topic for one in missing}
        for topic in sorted(self._without_grants - without_grants):
            self._alarms.clear_alarm(Alarm.GRANT_MISSING, "everything that is needed is granted again", now, topic)
        self._without_grants = without_grants

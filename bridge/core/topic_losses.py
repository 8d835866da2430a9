"""Topics that are lost while the account is owned, and what of them is told again.

Whoever deletes a topic takes the records on it away from everybody who has not read them. The bridge still knows what
stands, so the states, and what `session` has to say, are published again; of the rest the alarm says that it is gone.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from bridge.contract.session import Alarm, OwnerAcquired
from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.alarms import ActiveAlarms
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
"""What the loss of a topic takes, and what of it is given back."""


class LostTopic(Struct, frozen=True):
    """A topic that was lost at `since_ms`, Unix ms.

    `problem` says what is wrong now and what mends it; empty once the topic is as it must be. `is_empty`: it is another
    topic of that name, or none.
    """

    topic: str
    stream: Stream
    since_ms: int
    problem: str
    is_empty: bool = True


class MissingGrant(Struct, frozen=True):
    """What this principal may not do with a topic, since when (Unix ms), and what mends it."""

    topic: str
    since_ms: int
    detail: str


class TopicLosses:
    """Tells of one account's lost topics and missing grants, and tells again what was lost with them."""

    def __init__(
        self,
        outbox: Outbox,
        alarms: ActiveAlarms,
        replies: Results,
        listening: VenueStream,
        *,
        claims: Claims,
        epoch: int,
    ) -> None:
        self._outbox = outbox
        self._alarms = alarms
        self._replies = replies
        self._listening = listening
        self._claims = claims
        self._epoch = epoch
        self._told_again: dict[str, int] = {}
        """Which topics' content has been told again, after which loss."""
        self._refused: set[str] = set()

    def publish_losses(self, lost: Sequence[LostTopic], instance: str, now: Now) -> list[str]:
        """Tell what is lost and what is there again; return the topics of which everything has been told."""
        return [one.topic for one in lost if self._tell(one, instance, now)]

    def _tell(self, one: LostTopic, instance: str, now: Now) -> bool:
        gone = GONE[one.stream] if one.is_empty else "its records are still there"
        self._alarms.raise_alarm(Alarm.TOPIC_LOST, f"{one.problem or 'it was made again'}; {gone}", now, one.topic)
        if one.problem:
            return False
        if one.is_empty and self._told_again.get(one.topic) != one.since_ms:
            self._told_again[one.topic] = one.since_ms
            self._tell_again(one.stream, instance, now)
        if self._listening.are_states_republished(one.stream):
            self._alarms.clear_alarm(Alarm.TOPIC_LOST, f"it is there as it must be; {gone}", now, one.topic)
            return True
        return False

    def _tell_again(self, stream: Stream, instance: str, now: Now) -> None:
        if stream in STATE_STREAMS:
            self._listening.republish_states(stream, now)
        elif stream is Stream.SESSION:
            self._outbox.publish_session_event(OwnerAcquired(at=now.wall_ms, epoch=self._epoch, instance=instance))
            self._alarms.republish()
            self._listening.republish_session(now)
        elif stream is Stream.RESULTS:
            self._replies.publish_takeover(self._epoch, instance, now, self._claims.origin)

    def publish_missing_grants(self, missing: Sequence[MissingGrant], now: Now) -> None:
        """Tell what this principal may not do any more, and when it may again."""
        for one in missing:
            self._alarms.raise_alarm(Alarm.GRANT_MISSING, one.detail, now, one.topic)
        refused = {one.topic for one in missing}
        for topic in sorted(self._refused - refused):
            self._alarms.clear_alarm(Alarm.GRANT_MISSING, "everything that is needed is granted again", now, topic)
        self._refused = refused

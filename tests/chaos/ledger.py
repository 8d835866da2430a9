"""The venue's ledger by pushes: the states of each key, and what was done to topics and clocks beside it."""

from collections import defaultdict
from collections.abc import Iterable

from tests.witness.ledger import Ledger, Push
from tests.witness.request import Entry, Request

SPACE_MS = 5
"""What two readings of one machine's clock, rounded to ms on both sides, may differ by."""
_GATED = ("place_order", "replace_order")


class PushLedger(Ledger):
    """What the checker looks up again and again."""

    def __init__(self, entries: Iterable[Entry], step_ms: int = 0) -> None:
        super().__init__(entries)
        self.space_ms = SPACE_MS + step_ms
        """What a moment may differ by between this ledger and the bridge, whose clock was set `step_ms` wrong."""
        self.limited = len(self.of_kind("LIMITED"))
        self._deleted: set[int] = set()

    @property
    def gated(self) -> list[Request]:
        """The places and replaces that reached the venue."""
        return [request for request in self.requests if request.action in _GATED]

    def mark_deleted(self, topic: str, until_ms: int) -> None:
        """Note that a topic was deleted, with what had been pushed until then."""
        self._deleted |= {push.number for push in self.of_topic(topic) if push.at_ms <= until_ms}

    def is_deleted(self, push: Push) -> bool:
        """Tell whether the topic of a push may have been deleted, with its record, after it was published."""
        return push.number in self._deleted

    def by_key(self, topic: str) -> dict[str, list[Push]]:
        """Return the pushes that belong on a topic, by what they are the state of."""
        found: dict[str, list[Push]] = defaultdict(list)
        for push in self.of_topic(topic):
            found[push.key].append(push)
        return found

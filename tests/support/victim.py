"""A daemon that a power cut hits at one point: SIGKILL ends it there.

`python -m tests.support.victim POINT run --config FILE` runs it. The points are those at which a test could not hit it
from outside: between two lines.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final

from bridge.cli import main
from bridge.contract.commands import CANCEL_ALL
from bridge.contract.topics import Stream
from bridge.core.commands.dispatch import Commit, Dispatcher
from bridge.core.now import Now
from bridge.core.records import OutgoingRecord
from bridge.kafka.publisher import Publisher
from bridge.kafka.record_sender import RecordSender
from bridge.kafka.topic_queue import SequencedRecord, TopicQueue
from bridge.ltp.session import Session

BEFORE_CLAIM: Final = "before_claim"
"""A cancel_orders is to be claimed, and the commit that claims it is not sent."""
CLAIMED: Final = "claimed"
"""A cancel_orders is claimed, the gate is passed, and nothing is written, nor a single cancel for it."""
BETWEEN_RESULTS: Final = "between_results"
"""Of two `superseded` results the first is durable, the second never reaches Kafka."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before_claim() -> None:
    next_commit = Dispatcher.next_commit

    def dying(self: Dispatcher, now: Now, durable_until_ms: int, *, may_claim: bool) -> Commit | None:
        commit = next_commit(self, now, durable_until_ms, may_claim=may_claim)
        if commit is not None and any(command.action == CANCEL_ALL for command in commit.claimed):
            _die()
        return commit

    Dispatcher.next_commit = dying  # type: ignore[method-assign]


def _claimed() -> None:
    send = Session.send

    def dying(self: Session, frame: bytes) -> None:
        if b'"cancel_order' in frame:
            _die()
        send(self, frame)

    Session.send = dying  # type: ignore[method-assign]


def _between_results() -> None:
    publish, report, seen = Publisher.publish, RecordSender._report_durable, []

    def dying(self: Publisher, record: OutgoingRecord) -> None:
        if record.stream is Stream.RESULTS and b'"superseded"' in (record.value or b""):
            seen.append(record)
        if len(seen) <= 1:
            publish(self, record)

    def reported(self: RecordSender, queue: TopicQueue, durable: Sequence[SequencedRecord]) -> None:
        if any(sequenced.record in seen for sequenced in durable):
            _die()
        report(self, queue, durable)

    Publisher.publish = dying  # type: ignore[method-assign]
    RecordSender._report_durable = reported  # type: ignore[method-assign]


_POINTS: Final[dict[str, Callable[[], None]]] = {
    BEFORE_CLAIM: _before_claim,
    CLAIMED: _claimed,
    BETWEEN_RESULTS: _between_results,
}

if __name__ == "__main__":
    _POINTS[sys.argv.pop(1)]()
    main()

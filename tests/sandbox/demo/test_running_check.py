"""The demo's check while it runs: what is lost and duplicated so far."""

import pytest

from bridge.contract.topics import Stream
from bridge.sandbox.demo.readers import TopicRecords
from bridge.sandbox.demo.running_check import RunningCheck
from bridge.sandbox.venue.clock import ManualClock
from bridge.sandbox.venue.ledger import Ledger
from tests.support.demo_records import PORTFOLIO, make_push, read_record

NOW_MS = 1_795_000_000_000


class Run:
    """A ledger, the records of its topics, and the check that follows both."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_MS)
        self.ledger = Ledger(self.clock)
        self.topic_records = TopicRecords()
        self.check = RunningCheck(self.ledger, PORTFOLIO, self.topic_records)

    def push(self, channel: str, payload: bytes) -> None:
        """Make a push of one key."""
        self.ledger.write_event(make_push(channel, "7", payload))

    def read(self, stream: Stream, value: bytes, ce_id: str = "") -> None:
        """Read a record of that key."""
        self.topic_records.add([read_record(stream, "7", value, ce_id=ce_id)])

    def count_lost_after(self, seconds: float) -> int:
        """Let time pass, and return what is lost then."""
        self.clock.advance(seconds)
        return self.check.count_lost(self.clock.monotonic_s())


@pytest.fixture
def run() -> Run:
    """Return a run without pushes."""
    return Run()


def test_a_push_is_lost_when_it_is_not_there_after_a_while(run: Run) -> None:
    """It counts from 10 s on, and no longer once its record is read."""
    run.push("Trades", b"trade")
    assert (run.count_lost_after(9), run.count_lost_after(2)) == (0, 1)
    run.read(Stream.TRADES, b"Trade")
    assert run.count_lost_after(0) == 1
    run.read(Stream.TRADES, b"trade")
    assert run.count_lost_after(0) == 0


def test_the_newest_state_is_enough(run: Run) -> None:
    """A state that a newer one has followed is not missed; the newest one is."""
    for state in (b"new", b"open", b"filled"):
        run.push("Orders", state)
    run.read(Stream.ORDERS, b"open")
    assert run.count_lost_after(11) == 1
    run.read(Stream.ORDERS, b"filled")
    assert run.count_lost_after(0) == 0


def test_a_push_in_a_published_gap_is_not_lost(run: Run) -> None:
    """It is not lost from the gap's start to the next session."""
    run.read(Stream.SESSION, b'{"type":"gap.opened","gapId":"1-2","at":0,"fromMs":%d,"cause":"link_failed"}' % NOW_MS)
    run.push("Trades", b"trade")
    assert run.count_lost_after(11) == 0
    run.read(Stream.SESSION, b'{"type":"session.opened","at":%d}' % (NOW_MS + 11_000))
    run.clock.advance(1)
    run.push("Trades", b"second trade")
    assert run.count_lost_after(11) == 1


def test_a_repeated_record_is_counted_once(run: Run) -> None:
    """A record that repeats a `ce_id` is a duplicate."""
    for _ in range(2):
        run.read(Stream.TRADES, b"trade", "same")
    assert run.check.duplicated == 1

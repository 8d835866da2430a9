"""One topic's records on their way: for how long a topic that refuses them is left alone."""

import pytest

from bridge.contract.topics import Stream
from bridge.core.records import OutgoingRecord
from bridge.kafka.topic_queue import TopicQueue


def test_a_topic_that_refuses_is_asked_ever_more_seldom() -> None:
    """Up to a minute; a record that it takes ends that."""
    lane = TopicQueue("topic")
    held_s = []
    for _ in range(9):
        lane.hold_after_refusal(100.0)
        held_s.append(lane.held_until_monotonic_s - 100.0)
    assert held_s == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    lane.add(OutgoingRecord(Stream.ORDERS, b"k", b"1", 1), epoch=1, now_monotonic_s=0.0)
    lane.acknowledge(lane.mark_in_flight(0.0), 0.0, lambda _: None)
    lane.hold_after_refusal(100.0)
    assert lane.held_until_monotonic_s == pytest.approx(101.0)


def test_a_topic_that_is_known_to_take_records_again_is_asked_at_once() -> None:
    """Whatever it refused before; since when it took none is kept while the reason changes."""
    lane = TopicQueue("topic")
    lane.hold_after_refusal(100.0)
    lane.trouble = "refused"
    lane.set_unwritable("lacks Write", 100.0)
    lane.set_unwritable("does not exist", 105.0)
    assert (lane.unwritable, lane.unwritable_since_monotonic_s) == ("does not exist", 100.0)
    lane.set_unwritable("", 110.0)
    assert (lane.unwritable, lane.held_until_monotonic_s, lane.refusals, lane.trouble) == ("", 0.0, 0, "")


def test_a_record_is_given_up_for_its_size_when_nobody_mends_the_topic() -> None:
    """It takes three refusals; the next is given up at once, until somebody says that the topic is another one."""
    lane = TopicQueue("topic")
    tries = [lane.gives_up_oversize(100.0) for _ in range(5)]
    assert tries == [False, False, False, True, True]
    assert lane.held_until_monotonic_s == 104.0
    lane.set_unwritable("max.message.bytes is 1000", 110.0)
    lane.set_unwritable("", 120.0)
    assert not lane.gives_up_oversize(120.0)

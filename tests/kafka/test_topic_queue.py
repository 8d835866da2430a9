"""The queue of one topic: the order of its records, and how long a topic that refuses them is held."""

import pytest

from bridge.contract.topics import Stream
from bridge.core.records import OutgoingRecord
from bridge.kafka.topic_queue import PendingBytes, TopicQueue


def test_a_topic_that_refuses_is_tried_ever_more_seldom() -> None:
    """Up to a minute; a record that it takes ends that."""
    queue = TopicQueue("topic")
    held_s = []
    for _ in range(9):
        queue.hold_after_refusal(100.0)
        held_s.append(queue.held_until_monotonic_s - 100.0)
    assert held_s == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    queue.add(OutgoingRecord(Stream.ORDERS, b"k", b"1", 1), epoch=1, now_monotonic_s=0.0)
    queue.move_to_batch()
    queue.acknowledge(0.0)
    queue.hold_after_refusal(100.0)
    assert queue.held_until_monotonic_s == pytest.approx(101.0)


def test_a_topic_that_is_known_to_take_records_again_is_tried_at_once() -> None:
    """Whatever it refused before; since when it took none is kept while the reason changes."""
    queue = TopicQueue("topic")
    queue.hold_after_refusal(100.0)
    queue.trouble = "refused"
    queue.set_unwritable("lacks Write", 100.0)
    queue.set_unwritable("does not exist", 105.0)
    assert (queue.unwritable, queue.unwritable_since_monotonic_s) == ("does not exist", 100.0)
    queue.set_unwritable("", 110.0)
    assert (queue.unwritable, queue.held_until_monotonic_s, queue.refusals, queue.trouble) == ("", 0.0, 0, "")


def test_a_record_is_given_up_for_its_size_when_the_topic_is_not_mended() -> None:
    """It takes three refusals; the next is given up at once, until the topic is known to be another one."""
    queue = TopicQueue("topic")
    tries = [queue.gives_up_oversize(100.0) for _ in range(5)]
    assert tries == [False, False, False, True, True]
    assert queue.held_until_monotonic_s == 104.0
    queue.set_unwritable("max.message.bytes is 1000", 110.0)
    queue.set_unwritable("", 120.0)
    assert not queue.gives_up_oversize(120.0)


def test_after_a_refused_batch_its_records_are_sent_one_by_one_and_no_others() -> None:
    """One of them is the one that the topic refuses; a busy topic would never come to an end of what waits."""
    queue = TopicQueue("topic")
    for number in range(4):
        queue.add(OutgoingRecord(Stream.ORDERS, b"k", b"%d" % number, 1), epoch=1, now_monotonic_s=0.0)
    queue.singles_left = 2
    for left in (1, 0, 0):
        queue.move_to_batch()
        queue.acknowledge(0.0)
        assert queue.singles_left == left


def test_records_are_durable_in_the_order_of_their_sequence() -> None:
    """What an acknowledged batch held is durable; what a batch without an acknowledgement held waits in front again."""
    total = PendingBytes()
    queue, other = TopicQueue("topic", total), TopicQueue("other", total)
    for number in range(4):
        record = OutgoingRecord(Stream.ORDERS, b"k", b"%d" % number, 1, received_boot_s=number / 2)
        queue.add(record, epoch=1, now_monotonic_s=0.0)
    other.add(OutgoingRecord(Stream.RESULTS, b"k", b"1", 1), epoch=1, now_monotonic_s=0.0)
    for _ in range(2):
        queue.move_to_batch()
    assert [one.sequence for one in queue.acknowledge(0.0)] == [1, 2]
    assert queue.oldest_received_boot_s == 1.0
    for _ in range(2):
        queue.move_to_batch()
    queue.requeue()
    assert [one.sequence for one in queue.waiting] == [3, 4]
    assert (total.events, total.all) == (queue.pending_bytes, queue.pending_bytes + other.pending_bytes)
    for _ in range(2):
        queue.move_to_batch()
    assert [one.sequence for one in queue.acknowledge(0.0)] == [3, 4]
    assert (queue.pending_bytes, queue.acknowledged_count, queue.oldest) == (0, 4, None)
    assert (total.events, total.all) == (0, other.pending_bytes)

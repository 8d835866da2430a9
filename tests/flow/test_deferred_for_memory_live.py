"""While too many answers wait for Kafka, a term defers places and replaces; cancels go out meanwhile."""

from bridge.contract.topics import Stream
from bridge.core.records import OutgoingRecord
from tests.support.one_account import ORDER_ID, cancel, replace
from tests.support.outside import Outside
from tests.witness.waiting import until

_MANY_ANSWERS = OutgoingRecord(Stream.RESULTS, b"k", b"x" * (17 * 1024 * 1024), 0, "many", event_type=b"others")


async def test_what_comes_behind_a_deferred_command_waits_for_its_answer() -> None:
    """A successor would not defer it again, and could send it after what came behind it."""
    outside = Outside()
    async with outside.running():
        outside.topics.hold = True
        outside.topics.publish(_MANY_ANSWERS)
        outside.group.write(replace("early", orderId=ORDER_ID), cancel("c", clientOrderId="theirs"))
        await until(lambda: outside.venue.actions("cancel_order"))
        outside.topics.release()
        outside.group.write(replace("late", orderId=ORDER_ID, price="102"))
        await until(lambda: outside.venue.actions("replace_order"))
        assert outside.topics.outcomes("early") == ["denied"]
        await until(lambda: outside.topics.outcomes("late") == ["accepted"])
        assert [sent["replacePrice"] for sent in outside.venue.actions("replace_order")] == ["102"]

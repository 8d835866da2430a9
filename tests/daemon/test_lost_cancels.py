"""Cancels whose answers are lost, and orders that a replace gives another orderId: the daemon against the sandbox."""

import pytest

from bridge.config import Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.support.rig import PLACE, Rig, command
from tests.witness.waiting import until

TIMING = Timing(ack_timeout_s=1, late_landing_s=6)


async def test_a_cancel_whose_answer_is_lost_is_accepted(rig: Rig) -> None:
    """The venue has ended the order, and tells the repeat that it is over."""
    place = command("place_order", PLACE)
    async with rig.daemon(rig.settings(timing=TIMING)):
        results = await rig.topic(Stream.RESULTS)
        await rig.send(place)
        order = (await results.result(place))["orderId"]
        rig.venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action="cancel_order"))
        cancel = command("cancel_order", {"orderId": order})
        await rig.send(cancel)
        answer = await results.result(cancel)
    assert (answer["outcome"], answer.get("code")) == ("accepted", None)
    assert rig.venue.portfolio().open_orders == {}


@pytest.mark.parametrize("lost", [False, True])
async def test_a_cancel_by_the_first_order_id_ends_what_a_replace_has_made_of_it(rig: Rig, lost: bool) -> None:  # noqa: FBT001
    """The replace ends the order and opens another; the cancel goes to that one, though its first answer is lost."""
    place = command("place_order", PLACE)
    async with rig.daemon(rig.settings(timing=TIMING)):
        results = await rig.topic(Stream.RESULTS)
        await rig.send(place)
        order = (await results.result(place))["orderId"]
        rig.venue.faults.add(Fault(kind=FaultKind.REPLACE_BY_NEW_ORDER))
        replace = command("replace_order", {"orderId": order, "replacePrice": "20100"})
        await rig.send(replace)
        assert (await results.result(replace))["outcome"] == "accepted"
        await until(lambda: list(rig.venue.portfolio().open_orders) not in ([], [order]), what="the other order")
        if lost:
            rig.venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action="cancel_order"))
        cancel = command("cancel_order", {"orderId": order})
        await rig.send(cancel)
        assert (await results.result(cancel, 60))["outcome"] == "accepted"
        assert rig.venue.portfolio().open_orders == {}

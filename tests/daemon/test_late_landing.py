"""A place that lands after all doubt: it was answered `not_found`, and the contradiction is told, not hidden."""

from typing import Literal

import pytest

from bridge.config import Limits, Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.support.rig import PLACE, Rig, Topic, command
from tests.support.truth import lies
from tests.witness.waiting import until

TIMING = Timing(
    ack_timeout_s=0.5,
    late_landing_s=3,
    session_timeout_s=3,
    heartbeat_s=0.5,
    rebalance_timeout_s=4,
    lease_s=1.4,
    commit_period_s=0.5,
)
Policy = Literal["cancel", "report"]


def _alarms(session: Topic) -> list[str]:
    return [v["detail"] for v in session.values if v.get("alarm") == "late_landed"]


@pytest.mark.parametrize(
    ("policy", "pushed"), [("cancel", True), ("report", False)], ids=["pushed, cancelled", "swept, reported"]
)
async def test_an_order_that_lands_after_not_found(rig: Rig, policy: Policy, *, pushed: bool) -> None:
    """One alarm names it; it is cancelled or left alone as the setting says; the answer stays as given."""
    held = rig.venue.faults.add(Fault(kind=FaultKind.HOLD_REQUEST, action="place_order"))
    place = command("place_order", PLACE)
    async with rig.daemon(rig.settings(timing=TIMING, limits=Limits(late_landings=policy))):
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        sent = dict(zip(await rig.send(place), [place], strict=True))
        assert (await results.result(place))["outcome"] == "not_found"
        assert lies(rig, results, sent) == []
        muted = rig.venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, times=0 if pushed else None))
        held.release()
        (order_id,) = rig.venue.portfolio().open_orders
        if not pushed:
            rig.venue.cut_connections()
        await session.until(lambda _: bool(_alarms(session)))
        muted.remove()
        if policy == "cancel":
            await until(lambda: not rig.venue.portfolio().open_orders, what="the end of the late order")
        after = command("place_order", PLACE)
        await rig.send(after)
        live = [(await results.result(after))["orderId"]]
    (alarm,) = _alarms(session)
    assert order_id in alarm
    assert place["commandId"] in alarm
    assert [v["outcome"] for v in results.values if v.get("commandId") == place["commandId"]] == [
        "unknown",
        "not_found",
    ]
    assert list(rig.venue.portfolio().open_orders) == (live if policy == "cancel" else [order_id, *live])


async def test_the_next_owner_watches_for_it_too(rig: Rig) -> None:
    """It lands after the owner that answered `not_found` is gone: the next one raises the alarm and cancels it."""
    held = rig.venue.faults.add(Fault(kind=FaultKind.HOLD_REQUEST, action="place_order"))
    place = command("place_order", PLACE)
    async with rig.daemon(rig.settings(timing=TIMING)):
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        await rig.send(place)
        assert (await results.result(place))["outcome"] == "not_found"
    held.release()
    async with rig.daemon(rig.settings(timing=TIMING)):
        await session.until(lambda _: bool(_alarms(session)))
        await until(lambda: not rig.venue.portfolio().open_orders, what="the end of the late order")
    assert len(_alarms(session)) == 1
    assert len(results.results_of(place)) == 1

"""Ownership with real processes: one owner at a time, quick to be replaced, and nobody else's word counts.

The limits in seconds are promises and hold at the default settings; where a test is about something else, shorter
times spare it the wait.
"""

import time
from collections import Counter
from typing import Any

from bridge.config import Limits, Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from tests.support.proxy import PRODUCE, KafkaProxy
from tests.support.replica import owner_and_standby, replica
from tests.support.rig import FIRST_SESSION, PLACE, Rig, Topic, command
from tests.witness.waiting import until

KILLED_S = 10.0
"""From the kill of the owner to the standby's first answer of the venue."""
STOPPED_S = 2.0
"""The same from SIGTERM."""
SHORT = Timing(session_timeout_s=3, heartbeat_s=0.3, rebalance_timeout_s=3, lease_s=1, commit_period_s=0.4)
SOON_FREE = SHORT.model_copy(update={"late_landing_s": 6})
"""What an earlier owner may have sent holds its slot of the rate limit for a shorter time."""


async def _traded(rig: Rig, results: Topic) -> dict[str, Any]:
    """Send a place and wait until the venue has taken it."""
    place = command("place_order", PLACE)
    await rig.send(place)
    assert (await results.result(place))["outcome"] == "accepted"
    return place


def _names(rig: Rig) -> Counter[str]:
    """Count how often each order was placed at the venue, by clientOrderId."""
    return Counter(frame["args"]["clientOrderId"] for frame in rig.written("place_order"))


def _name(place: dict[str, Any]) -> str:
    return str(place["commandId"].replace("-", ""))


async def test_after_a_kill_the_standby_trades_within_ten_seconds(rig: Rig) -> None:
    """A place sent right after the owner's SIGKILL is accepted in time, and no order went out twice."""
    async with owner_and_standby(rig) as (owner, _):
        results = await rig.topic(Stream.RESULTS)
        before = await _traded(rig, results)
        begun = time.monotonic()
        owner.kill()
        after = await _traded(rig, results)
        took_s = time.monotonic() - begun
    assert took_s < KILLED_S
    assert _names(rig) == {_name(before): 1, _name(after): 1}
    assert min(rig.venue.ledger.login_gaps_s(rig.venue.keys["main"].api_key)) >= 1.0


async def test_after_a_stop_the_standby_trades_within_two_seconds(rig: Rig) -> None:
    """A place sent right after the owner's SIGTERM is accepted in time, and no order went out twice."""
    async with owner_and_standby(rig) as (owner, _):
        results = await rig.topic(Stream.RESULTS)
        before = await _traded(rig, results)
        begun = time.monotonic()
        owner.stop()
        after = await _traded(rig, results)
        took_s = time.monotonic() - begun
        assert await owner.ended() == 0
    assert took_s < STOPPED_S
    assert _names(rig) == {_name(before): 1, _name(after): 1}


async def test_what_was_in_flight_at_a_kill_is_answered_by_the_next_owner(rig: Rig) -> None:
    """A place that landed, one that lands late, a cancel that was done: each gets its one true answer, none is redone.

    The late one stays `unknown` until it has landed.
    """
    async with owner_and_standby(rig, timing=SHORT) as (owner, standby):
        results = await rig.topic(Stream.RESULTS)
        target = await _traded(rig, results)
        for kind, action in (
            (FaultKind.DROP_ANSWER, "cancel_order"),
            (FaultKind.HOLD_REQUEST, "place_order"),
            (FaultKind.DROP_ANSWER, "place_order"),
        ):
            rig.venue.faults.add(Fault(kind=kind, action=action))
        cancel = command("cancel_order", {"clientOrderId": _name(target)})
        late, landed = command("place_order", PLACE), command("place_order", PLACE)
        await rig.send(cancel, late, landed)
        await until(lambda: len(rig.written("place_order")) == 3 and bool(rig.written("cancel_order")))
        owner.kill()
        await standby.until("recovery.complete")
        assert (await results.result(landed))["outcome"] == "accepted"
        assert (await results.result(cancel))["outcome"] in {"accepted", "rejected"}
        assert [v["outcome"] for v in results.values if v.get("commandId") == late["commandId"]] == ["unknown"]
        rig.venue.faults.clear()
        assert (await results.result(late))["outcome"] == "accepted"
    assert _names(rig) == {_name(target): 1, _name(late): 1, _name(landed): 1}
    assert {order.client_order_id for order in rig.venue.portfolio().open_orders.values()} == {
        _name(late),
        _name(landed),
    }


async def test_a_frozen_owner_wakes_up_and_is_nobody(bootstrap: str, rig: Rig) -> None:
    """An owner is frozen with places in its lanes and results on their way, is replaced, and wakes up.

    It writes nothing more to the venue. The results that its producer still flushes are void: by the rule of epochs
    a reader finds one last word for each place, the new owner's or one that was there before it. It joins again as a
    standby, and takes over when the new owner stops.
    """
    limits = Limits(window_s=2, place_per_window=20)
    async with (
        KafkaProxy(bootstrap) as proxy,
        owner_and_standby(rig, owner_kafka=rig.kafka(proxy.bootstrap), timing=SOON_FREE, limits=limits) as (
            owner,
            standby,
        ),
    ):
        results = await rig.topic(Stream.RESULTS)
        proxy.hold(lambda kind, request: kind == PRODUCE and b".results" in request)
        places = [command("place_order", PLACE, valid_s=120) for _ in range(30)]
        await rig.send(*places)
        await until(lambda: bool(proxy.held), what="a result on its way")
        owner.freeze()
        await standby.until("recovery.complete")
        asleep = len(rig.written("place_order"))
        owner.thaw()
        proxy.release()
        await owner.until("account.standby", times=2)
        await results.until(lambda _: all(results.results_of(place) for place in places), 60)
        standby.stop()
        await owner.until("recovery.complete", times=2)
        places.append(await _traded(rig, results))
    assert _names(rig) == Counter(_name(place) for place in places)
    epochs = [int(frame["id"].partition("x")[0], 16) for frame in rig.written("place_order")]
    assert set(epochs) == {1, 2, 3}
    assert 1 not in epochs[asleep:]
    _is_answered_once(results, places)


def _is_answered_once(results: Topic, places: list[dict[str, Any]]) -> None:
    """Require one last word that counts for each place, and that there were last words that do not."""
    valid = [value for _, value in results.valid()]
    counting, all_there_are = (
        Counter(value["commandId"] for value in values if value.get("outcome", "unknown") != "unknown")
        for values in (valid, results.values)
    )
    assert counting == Counter(place["commandId"] for place in places)
    assert all_there_are.total() > counting.total()


async def test_a_third_replica_moves_nothing(rig: Rig) -> None:
    """While a replica joins under a stream of places the owner keeps epoch and session; each place is accepted once."""
    async with owner_and_standby(rig) as (owner, _):
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        places = [await _traded(rig, results)]
        async with replica(rig) as third:
            while not third.logged("account.standby"):
                places.append(await _traded(rig, results))
            places += [await _traded(rig, results) for _ in range(3)]
    assert not owner.logged("session.lost")
    assert [value["type"] for value in session.values] == FIRST_SESSION
    assert {epoch for epoch, _ in results.valid()} == {1}
    assert len(rig.venue.ledger.entries(EntryKind.LOGIN)) == 1
    assert _names(rig) == Counter(_name(place) for place in places)

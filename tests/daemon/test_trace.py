"""`ltp-bridge trace` tells what really happened: a real broker, the sandbox venue, daemons that live and die."""

from pathlib import Path

from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.support.inspecting import Inspection
from tests.support.rig import PLACE, Rig, command
from tests.witness.waiting import until


async def test_a_place_in_doubt_over_the_death_of_its_owner(rig: Rig, tmp_path: Path) -> None:
    """The owner is killed after the write; its successor says that it is in doubt, finds the order, and answers.

    The story has the record, the change of owner, both results and the recovered order, and says so in the end.
    """
    rig.venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action="place_order"))
    rig.venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, channel="Orders", times=None))
    place = command("place_order", PLACE)
    async with rig.daemon_process() as process:
        results = await rig.topic(Stream.RESULTS)
        await rig.send(place)
        await until(lambda: len(rig.written("place_order")) == 1, what="the write")
        process.kill()
        await process.wait()
    async with rig.daemon():
        order_id = (await results.result(place))["orderId"]
        orders = await rig.topic(Stream.ORDERS)
        await orders.until(lambda seen: any(one["orderId"] == order_id for one in seen))
    inspection = Inspection(tmp_path, rig.bootstrap, rig.prefix)
    story = await inspection.trace_json(place["commandId"])
    told = [
        (one["topic"].rpartition(".")[2], one["epoch"], one["value"].get("outcome") or one["value"].get("type"))
        for one in story[:-1]
    ]
    assert told[0] == ("commands", -1, None)
    assert told.index(("results", 2, "unknown")) < told.index(("results", 2, "accepted"))
    assert told.index(("session", 2, "owner.acquired")) < told.index(("results", 2, "accepted"))
    assert ("session", 2, "gap.opened") in told
    assert [one["recovered"] for one in story if one.get("topic", "").endswith(".orders")] == [True]
    lines = await inspection.trace(order_id)
    assert len(lines) == len(story)
    assert f"  commands@0          place_order BUY 0.003 {PLACE['sym']} @ 20000 LIMIT GTC, command" in lines[0]
    assert lines[-1] == story[-1]["fate"]
    assert lines[-1].startswith(f"place_order {place['commandId']} accepted after ")
    for expected in (
        f"order {order_id} still OPEN 0 of 0.003",
        "in doubt from 2",
        "when a new owner found it without a result",
        "the account had a new owner (epoch ",
        "2); the session was lost",
    ):
        assert expected in lines[-1]


async def test_an_order_that_was_replaced_and_then_cancelled(rig: Rig, tmp_path: Path) -> None:
    """Once in place, once by another order; asked for by any of its names, the story is the same."""
    place = command("place_order", PLACE)
    async with rig.daemon():
        results, orders = await rig.topic(Stream.RESULTS), await rig.topic(Stream.ORDERS)
        await rig.send(place)
        first = (await results.result(place))["orderId"]
        other = command("place_order", PLACE)
        moved = command("replace_order", {"orderId": first, "replacePrice": "20100"})
        await rig.send(other, moved)
        assert (await results.result(moved))["outcome"] == "accepted"
        await orders.until(lambda seen: any(one.get("action") == "AMEND_COMPLETED" for one in seen))
        rig.venue.faults.add(Fault(kind=FaultKind.REPLACE_BY_NEW_ORDER))
        renewed = command(
            "replace_order", {"clientOrderId": place["commandId"].replace("-", ""), "replaceQty": "0.004"}
        )
        await rig.send(renewed)
        assert (await results.result(renewed))["outcome"] == "accepted"
        await orders.until(
            lambda seen: any(one["orderId"] == first and one["orderState"] == "CANCELLED" for one in seen)
        )
        cancel = command("cancel_order", {"orderId": first})
        await rig.send(cancel)
        assert (await results.result(cancel))["outcome"] == "accepted"
        last = (await results.result(cancel))["orderId"]
        await orders.until(
            lambda seen: any(one["orderId"] == last and one["orderState"] == "CANCELLED" for one in seen)
        )
    inspection = Inspection(tmp_path, rig.bootstrap, rig.prefix)
    lines = await inspection.trace(place["commandId"])
    assert last != first
    assert other["commandId"] not in "\n".join(lines)
    assert lines[-1].startswith(f"place_order {place['commandId']} accepted after ")
    for expected in (
        f"order {first} CANCELLED 0 of 0.003; continued as order {last} CANCELLED 0 of 0.004",
        f"replaced 2 times by {moved['commandId']}, {renewed['commandId']}; cancelled by {cancel['commandId']}",
    ):
        assert expected in lines[-1]
    for name in (first, last, place["commandId"].replace("-", "")):
        assert await inspection.trace(name) == lines
    for name in (moved["commandId"], cancel["commandId"]):
        assert (await inspection.trace(name))[:-1] == lines[:-1]
    assert "ms after its record" in next(line for line in lines if "accepted cancel_order" in line)


async def test_nothing_that_is_known_says_where_it_looked(rig: Rig, tmp_path: Path) -> None:
    """The exit code is 1, and the text names topics and time span."""
    async with rig.daemon():
        session = await rig.topic(Stream.SESSION)
        await session.until(lambda seen: any(one["type"] == "recovery.complete" for one in seen))
    inspection = Inspection(tmp_path, rig.bootstrap, rig.prefix)
    code, out, err = await inspection.run("trace", "no-such-command", "--since", "2026-11-20T08:42:36Z")
    assert (code, out) == (1, "")
    assert err.startswith("Error: nothing about no-such-command on ")
    for stream in ("commands", "results", "dead-letters", "orders", "trades", "session"):
        assert f"{rig.prefix}.main.{stream}" in err
    assert "from 2026-11-20T08:42:36.000Z to 2" in err
    assert "--since 7d" in err
    assert err.count("\n") == 1

"""Scripted faults: each has its effect, and the ledger records it."""

import time
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Exchange, Trader

PLACE = "place_order"
POST_ORDER = "POST /api/v1/trading/order"
OPEN_ORDERS = "GET /api/v1/trading/orders"


def triggered_faults(venue: Venue) -> list[str]:
    """Return the triggered faults of the ledger."""
    return [entry.facts["fault"] for entry in venue.ledger.entries(EntryKind.FAULT)]


async def test_lost_ack(venue: Venue, trader: "Trader") -> None:
    """The order is open and pushed, its ack is lost; the next request is answered again."""
    venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action=PLACE))
    await trader.send({"id": "lost", "action": PLACE, "args": _resting("c1")})
    await trader.push("Orders", orderState="OPEN", clientOrderId="c1")
    assert (await trader.place(clientOrderId="c2"))["code"] == 200000
    assert "lost" not in [frame.get("id") for frame in trader.frames]
    assert triggered_faults(venue) == ["drop_answer"]


async def test_a_fault_may_be_meant_for_one_request(venue: Venue, trader: "Trader") -> None:
    """A fault that mentions an order does not apply to requests about others."""
    venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action=PLACE, mentions='"c2"', times=None))
    assert (await trader.place(clientOrderId="c1"))["code"] == 200000
    await trader.send({"id": "lost", "action": PLACE, "args": _resting("c2")})
    assert (await trader.place(clientOrderId="c3"))["code"] == 200000
    assert "lost" not in [frame.get("id") for frame in trader.frames]
    assert triggered_faults(venue) == ["drop_answer"]


async def test_late_ack_comes_after_its_pushes(venue: Venue, trader: "Trader") -> None:
    """A delayed ack comes after the pushes of its order."""
    venue.faults.add(Fault(kind=FaultKind.DELAY_ANSWER, action=PLACE, delay_s=0.05))
    await trader.place()
    assert "channel" in trader.frames[1]


async def test_repeated_ack(venue: Venue, trader: "Trader") -> None:
    """An answer may come twice; the request is performed once."""
    venue.faults.add(Fault(kind=FaultKind.DUPLICATE_ANSWER, action=PLACE, copies=3))
    await trader.place()
    await trader.settle()
    assert [frame.get("event") for frame in trader.frames].count(PLACE) == 3
    assert len(venue.portfolio().orders) == 1


async def test_an_answer_of_any_shape_carries_the_id(venue: Venue, trader: "Trader") -> None:
    """In the text of a scripted answer `$id` stands for the id of the request."""
    venue.faults.add(Fault(kind=FaultKind.REPLACE_ANSWER, action=PLACE, text='{"id":"$id","event":"error","code":"1"}'))
    assert await trader.place() == {"id": "q1", "event": "error", "code": "1"}


async def test_pushes_may_come_first(venue: Venue, trader: "Trader") -> None:
    """A fault sends the pushes before the ack."""
    venue.faults.add(Fault(kind=FaultKind.PUSH_FIRST, action=PLACE))
    await trader.place()
    assert (
        [row["orderState"] for row in trader.seen("Orders")],
        trader.frames[-1]["event"],
    ) == (["NEW", "OPEN"], "place_order")


async def test_muted_push(venue: Venue, trader: "Trader") -> None:
    """A muted push is in the ledger and is sent to no socket."""
    venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, channel="Orders", times=None))
    await trader.place()
    await trader.settle()
    assert trader.seen("Orders") == []
    assert len(venue.ledger.events("Orders", trader.key.portfolio_id)) == 2
    delivered = {entry.facts["channel"] for entry in venue.ledger.entries(EntryKind.DELIVER)}
    assert delivered == {"Assets"}


async def test_repeated_and_swapped_pushes(venue: Venue, trader: "Trader") -> None:
    """A push may come twice, and two pushes may change places."""
    venue.faults.add(Fault(kind=FaultKind.SWAP_PUSH, channel="Orders"))
    venue.faults.add(Fault(kind=FaultKind.DUPLICATE_PUSH, channel="Orders", after=1, copies=3))
    await trader.place()
    await trader.settle()
    assert [row["orderState"] for row in trader.seen("Orders")] == ["OPEN", "OPEN", "OPEN", "NEW"]


async def test_swapped_push_without_a_next_one_still_comes(venue: Venue, trader: "Trader") -> None:
    """A push that waits for another to change places with is sent after a time."""
    venue.faults.add(Fault(kind=FaultKind.SWAP_PUSH, channel="MarginCall", delay_s=0.02))
    venue.inject.margin_call("main")
    await trader.push("MarginCall")


async def test_delayed_push(venue: Venue, trader: "Trader") -> None:
    """A delayed push is overtaken by later ones."""
    venue.faults.add(Fault(kind=FaultKind.DELAY_PUSH, channel="Orders", delay_s=0.05))
    await trader.place()
    await trader.push("Orders", orderState="NEW")
    assert [row["orderState"] for row in trader.seen("Orders")] == ["OPEN", "NEW"]


@pytest.mark.parametrize(("kind", "orders"), [(FaultKind.CLOSE_BEFORE, 0), (FaultKind.CLOSE_AFTER, 1)])
async def test_socket_closes_around_a_request(venue: Venue, trader: "Trader", kind: FaultKind, orders: int) -> None:
    """A socket that closes on a request leaves an order or none, by the kind of the fault."""
    venue.faults.add(Fault(kind=kind, action=PLACE))
    await trader.send({"id": "1", "action": PLACE, "args": _resting("c1")})
    while (await trader.socket.receive(timeout=3)).type is not aiohttp.WSMsgType.CLOSED:
        pass
    await venue.ledger.wait_until(lambda: venue.connections == [])
    assert orders == len(venue.portfolio().orders)
    (drop,) = venue.ledger.entries(EntryKind.DROP)
    assert drop.facts["reason"] == str(kind)


async def test_held_request_lands_when_released(venue: Venue, trader: "Trader") -> None:
    """A held request is performed when it is released, after later requests, and even if its socket has closed."""
    held = venue.faults.add(Fault(kind=FaultKind.HOLD_REQUEST, action=PLACE))
    await trader.send({"id": "late", "action": PLACE, "args": _resting("c1")})
    assert (await trader.place(clientOrderId="c2"))["code"] == 200000
    await trader.socket.close()
    assert list(venue.portfolio().orders_by_client_order_id) == ["c2"]
    held.release()
    assert list(venue.portfolio().orders_by_client_order_id) == ["c2", "c1"]


async def test_held_request_lands_by_itself(venue: Venue, trader: "Trader") -> None:
    """A request may be held for a given time."""
    venue.faults.add(Fault(kind=FaultKind.HOLD_REQUEST, action=PLACE, delay_s=0.05))
    began = time.monotonic()
    assert (await trader.place())["code"] == 200000
    assert time.monotonic() - began >= 0.05


async def test_venue_that_stops_reading(venue: Venue, trader: "Trader") -> None:
    """Frames that are written while the venue does not read are performed in order later; pings wait as well."""
    venue.faults.add(Fault(kind=FaultKind.STOP_READING, action=PLACE, delay_s=0.15))
    await trader.send({"id": "1", "action": PLACE, "args": _resting("c1")})
    await trader.send({"id": "2", "action": PLACE, "args": _resting("c2")})
    await trader.send("ping")
    await venue.ledger.wait_until(lambda: triggered_faults(venue) == ["stop_reading"])
    assert venue.portfolio().orders == {}
    await trader.until(lambda frame: frame.get("text") == "pong")
    assert list(venue.portfolio().orders_by_client_order_id) == ["c1", "c2"]


@pytest.mark.parametrize("lands", [False, True])
@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (
            {"code": 400013, "message": "request timeout"},
            {"id": "q1", "event": "place_order", "code": 400013, "msg": "request timeout", "data": None},
        ),
        ({"shape": "older"}, {"id": "q1", "event": "error", "code": "60009", "msg": "Place order failed."}),
        ({"text": '{"id":"q1"}'}, {"id": "q1"}),
    ],
)
async def test_answer_in_a_chosen_shape(
    venue: Venue,
    trader: "Trader",
    fault: dict[str, object],
    answer: dict[str, object],
    lands: bool,  # noqa: FBT001 - a row
) -> None:
    """An answer may be replaced, with or without the order being placed."""
    venue.faults.add(Fault(kind=FaultKind.REPLACE_ANSWER, action=PLACE, lands=lands, **fault))  # type: ignore[arg-type] # rows
    assert answer == await trader.place()
    assert lands == bool(venue.portfolio().orders)


async def test_shrunk_limit(venue: Venue, trader: "Trader") -> None:
    """A limit may be smaller than documented."""
    venue.faults.add(Fault(kind=FaultKind.SHRINK_LIMIT, action=PLACE, limit=2, times=None))
    assert [(await trader.place())["code"] for _ in range(3)] == [200000, 200000, 100429]


async def test_refused_login_and_connection(exchange: "Exchange", venue: Venue) -> None:
    """Logins may be refused for one account, and upgrades with an HTTP status."""
    venue.faults.add(Fault(kind=FaultKind.REJECT_LOGIN, account="main", code=601010))
    trader = await exchange.stranger(venue)
    assert (await trader.login())["code"] == 601010
    venue.faults.add(Fault(kind=FaultKind.REFUSE_CONNECTION, status=503))
    with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
        await exchange.stranger(venue)


async def test_order_that_the_exchange_rejects(venue: Venue, trader: "Trader") -> None:
    """An accepted order may still end in REJECT."""
    venue.faults.add(Fault(kind=FaultKind.REJECT_ORDER))
    assert (await trader.place())["code"] == 200000
    row = await trader.push("Orders", orderState="REJECT")
    assert (row["reason"], row["cancelType"]) == ("refused by the exchange", "SYSTEM")


async def test_cancel_and_replace_that_the_exchange_refuses(venue: Venue, trader: "Trader") -> None:
    """An acked cancel or replace may fail and leave the order, or the replace may end it."""
    for kind in (FaultKind.FAIL_CANCEL, FaultKind.FAIL_AMEND, FaultKind.KILL_ON_AMEND):
        action = "cancel_order" if kind is FaultKind.FAIL_CANCEL else "replace_order"
        venue.faults.add(Fault(kind=kind, action=action))
    order_id = (await trader.place())["data"]["orderId"]
    await trader.ask("cancel_order", orderId=order_id)
    assert (await trader.push("Orders", action="CANCEL_FAILED"))["orderState"] == "OPEN"
    for state in ("OPEN", "CANCELLED"):
        assert (await trader.ask("replace_order", orderId=order_id, replaceQty="0.02"))["code"] == 200000
        row = await trader.push("Orders", action="AMEND_FAILED", orderState=state)
        assert row["orderQty"] == "0.01"


async def test_a_replace_may_open_another_order(venue: Venue, trader: "Trader") -> None:
    """A replace may cancel the order and open another, which has its clientOrderId from then on."""
    venue.faults.add(Fault(kind=FaultKind.REPLACE_BY_NEW_ORDER, action="replace_order"))
    first = (await trader.place(clientOrderId="c1"))["data"]["orderId"]
    assert (await trader.ask("replace_order", orderId=first, replaceQty="0.02"))["code"] == 200000
    assert (await trader.push("Orders", orderState="CANCELLED"))["orderId"] == first
    second = await trader.push("Orders", orderState="OPEN", orderQty="0.02")
    assert (second["clientOrderId"], second["orderId"] == first) == ("c1", False)
    assert (await trader.ask("cancel_order", clientOrderId="c1"))["data"]["orderId"] == second["orderId"]
    assert (await trader.ask("cancel_order", orderId=first))["code"] == 401117


async def test_rest_answers_can_be_replaced_lost_and_late(venue: Venue, trader: "Trader") -> None:
    """The same faults apply to REST requests, by method and path."""
    venue.faults.add(Fault(kind=FaultKind.REPLACE_ANSWER, action=OPEN_ORDERS, status=502, text='"gateway"'))
    venue.faults.add(Fault(kind=FaultKind.DELAY_ANSWER, action=OPEN_ORDERS, after=1, delay_s=0.05))
    # A lost answer to a POST: a GET is asked again by the client library itself.
    venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action=POST_ORDER))
    assert (await trader.get("orders")).status == 502
    began = time.monotonic()
    assert (await trader.get("orders")).status == 200
    assert time.monotonic() - began >= 0.05
    with pytest.raises(aiohttp.ClientError):
        await trader.rest("POST", "/api/v1/trading/order", _resting("c1"))
    assert list(venue.portfolio().orders_by_client_order_id) == ["c1"]
    assert triggered_faults(venue) == ["replace_answer", "delay_answer", "drop_answer"]


async def test_faults_end(venue: Venue, trader: "Trader") -> None:
    """A removed or used-up fault no longer applies; one with a share applies to some requests only."""
    always = venue.faults.add(Fault(kind=FaultKind.REPLACE_ANSWER, action=PLACE, times=None, code=400010))
    assert (await trader.place())["code"] == 400010
    always.remove()
    assert (await trader.place())["code"] == 200000
    never = venue.faults.add(Fault(kind=FaultKind.REPLACE_ANSWER, share=0.0, times=None))
    other = venue.faults.add(Fault(kind=FaultKind.REPLACE_ANSWER, account="other", times=None))
    await trader.place()
    assert (always.trigger_count, never.trigger_count, other.trigger_count) == (1, 0, 0)
    venue.faults.clear()


def _resting(client_order_id: str) -> dict[str, str]:
    return {
        "clientOrderId": client_order_id,
        "sym": "BINANCE_PERP_BTC_USDT",
        "side": "BUY",
        "orderType": "LIMIT",
        "orderQty": "0.01",
        "limitPrice": "60000",
    }

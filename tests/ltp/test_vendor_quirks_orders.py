"""Vendor quirks of orders: states, spellings and ids of one resting order, and other programs, on a test's clock."""

import json
from typing import Any

import pytest

from bridge.contract.commands import CANCEL, PLACE, REPLACE
from bridge.contract.results import Result
from bridge.contract.topics import Stream
from bridge.core.records import Push
from bridge.ltp.wire import decode_frame
from tests.support.one_account import BTC, ORDER_ID, OneAccount, cancel, cancel_all, place, replace

OTHER_ID = "1703213979739999"


def placed() -> OneAccount:
    """Return an account whose place with the clientOrderId `a` was acked and pushed as open."""
    one = OneAccount()
    offset = one.offer(place("p", clientOrderId="a"))
    one.send()
    one.answer(offset, order_id=ORDER_ID, client_order_id="a")
    push(one)
    return one


def push(one: OneAccount, **fields: Any) -> None:  # noqa: ANN401 - any JSON
    """Push a snapshot of that order in its present state."""
    row = {
        "orderId": ORDER_ID,
        "clientOrderId": "a",
        "orderState": "OPEN",
        "sym": BTC,
        "side": "BUY",
        "orderQty": "0.5",
        "limitPrice": "100",
        "createAt": str(one.now.wall_ms),
        "updateAt": str(one.now.wall_ms),
        **fields,
    }
    frame = decode_frame(json.dumps({"channel": "Orders", "data": row}).encode())
    assert isinstance(frame, Push)
    one.account.on_frame(frame, one.now)


def sent(one: OneAccount, body: dict[str, Any]) -> int:
    """Offer a command a second later, and write it."""
    one.wait(1)
    offset = one.offer(body)
    one.send()
    return offset


def result(one: OneAccount, offset: int) -> Result | None:
    """Return the last result of a command."""
    said = [result for result in one.results() if result.command_offset == offset]
    return said[-1] if said else None


@pytest.mark.parametrize(
    ("state", "live"),
    [
        pytest.param("CANCELLED", False, id="08 order state spelling: CANCELLED"),
        pytest.param("CANCELED", False, id="08 order state spelling: CANCELED"),
        pytest.param("REJECT", False, id="08 order state spelling: REJECT"),
        pytest.param("REJECTED", False, id="08 order state spelling: REJECTED"),
        pytest.param("EXPIRED", False, id="08 order state spelling: EXPIRED"),
        pytest.param("filled", False, id="08 order state spelling: in small letters"),
        pytest.param("PARTIALLY_FILLED", True, id="08 order state spelling: PARTIALLY_FILLED"),
        pytest.param("NEVER_HEARD_OF", True, id="08 order state spelling: unknown"),
    ],
)
def test_a_state_in_every_spelling(state: str, *, live: bool) -> None:
    """An order in an unknown state counts as live, and the next sweep asks for it."""
    one = placed()
    one.wait(1)
    push(one, orderState=state)
    one.wait(1)
    one.lose_session()
    one.open_session()
    asked = one.account.stream.reconciliation.find_unlisted_orders(
        one.account.stream.reconciliation.begin_sweep(one.now), set(), one.now
    )
    assert [order.order_id for order in asked] == [ORDER_ID] * live


@pytest.mark.parametrize(
    ("body", "fields", "outcome"),
    [
        pytest.param(
            replace("x", clientOrderId="a"),
            {"limitPrice": "101", "action": "AMEND_COMPLETED"},
            "accepted",
            id="09 action word spelling: AMEND_COMPLETED",
        ),
        pytest.param(
            replace("x", clientOrderId="a"),
            {"limitPrice": "101", "action": "AMEND_COMPLETE"},
            "accepted",
            id="09 action word spelling: AMEND_COMPLETE",
        ),
        pytest.param(
            replace("x", clientOrderId="a"),
            {"limitPrice": "101.0"},
            "accepted",
            id="09 action word spelling: the values without a word",
        ),
        pytest.param(
            replace("x", clientOrderId="a"),
            {"action": "AMEND_PENDING"},
            "unknown",
            id="09 action word spelling: AMEND_PENDING",
        ),
        pytest.param(
            replace("x", clientOrderId="a"),
            {"action": "AMEND_FAILED", "orderState": "CANCELLED"},
            "accepted",
            id="16 replace gives another order: taken by the venue, and the order is gone",
        ),
        pytest.param(
            cancel("x", clientOrderId="a"),
            {"orderState": "CANCELLED", "action": "CANCEL_COMPLETE"},
            "accepted",
            id="09 action word spelling: CANCEL_COMPLETE",
        ),
        pytest.param(
            cancel("x", clientOrderId="a"),
            {"orderState": "CANCELED", "action": "CANCEL_COMPLETED"},
            "accepted",
            id="09 action word spelling: CANCEL_COMPLETED",
        ),
        pytest.param(
            cancel("x", clientOrderId="a"),
            {"action": "cancel_failed"},
            "accepted",
            id="09 action word spelling: in small letters",
        ),
    ],
)
def test_what_a_push_proves_about_an_unknown_command(
    body: dict[str, Any], fields: dict[str, str], outcome: str
) -> None:
    """Values and states decide. Of the action words only that of a failure counts, which has one spelling."""
    one = placed()
    offset = sent(one, body | {"validUntil": one.now.wall_ms + 3000})
    one.renew(one.timing.ack_timeout_s)
    push(one, **fields)
    one.ask()
    said = result(one, offset)
    assert said is not None
    assert said.outcome.value == outcome


@pytest.mark.parametrize(
    "name",
    [
        pytest.param({"clientOrderId": "a"}, id="15 replace by name: the caller's"),
        pytest.param({"orderId": ORDER_ID}, id="15 replace by name: the venue's"),
        pytest.param({"orderId": ORDER_ID, "clientOrderId": "a"}, id="15 replace by name: both"),
    ],
)
def test_a_replace_goes_by_orderid(name: dict[str, str]) -> None:
    """It is the one id that every document accepts, whichever id the caller used."""
    one = placed()
    sent(one, replace("r", **name))
    assert one.written[-1].args == {"orderId": ORDER_ID, "replacePrice": "101"}


@pytest.mark.parametrize("name", [pytest.param("stranger", id="15 replace by name: of an order that nobody knows")])
def test_a_replace_of_an_unknown_order_is_looked_up(name: str) -> None:
    """The order is looked up before the write: the venue would not accept its clientOrderId."""
    one = placed()
    sent(one, replace("r", clientOrderId=name))
    assert [written.action for written in one.written] == [PLACE]
    assert one.account.intake.list_lookups() == [name]


@pytest.mark.parametrize(
    "ack",
    [
        pytest.param({"order_id": OTHER_ID}, id="16 replace gives another order: told by the ack alone"),
        pytest.param(
            {"order_id": OTHER_ID, "client_order_id": "a"}, id="16 replace gives another order: with both names"
        ),
    ],
)
def test_the_orderid_that_a_replace_returns_is_the_orders(ack: dict[str, Any]) -> None:
    """The next replace uses it, and the result has it."""
    one = placed()
    offset = sent(one, replace("r1", orderId=ORDER_ID))
    one.answer(offset, **ack)
    push(one, orderState="CANCELLED")
    sent(one, replace("r2", "102", clientOrderId="a"))
    said = result(one, offset)
    assert said is not None
    assert (said.order_id, said.client_order_id) == (OTHER_ID, "a")
    assert one.written[-1].args == {"orderId": OTHER_ID, "replacePrice": "102"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(place("x"), id="01 preferred tier: a place in doubt stays with one"),
        pytest.param(replace("x", clientOrderId="a"), id="01 preferred tier: a replace in doubt stays with one"),
        pytest.param(cancel_all("x"), id="01 preferred tier: a cancel_orders in doubt stays with one"),
    ],
)
def test_an_unknown_command_is_not_written_at_the_other_tier(body: dict[str, Any]) -> None:
    """When the session is back at another endpoint, the venue is asked what became of the command."""
    one = placed()
    offset = sent(one, body)
    one.lose_session()
    one.account.stream.logged_in("ha", one.now)
    one.account.recovery_complete("ha", 0, one.account.stream.reconciliation.begin_sweep(one.now), 0, one.now)
    one.renew(3)
    assert [written.offset for written in one.written].count(offset) == 1
    assert offset in [question.offset for question in one.ask()]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param({"clientOrderId": ""}, id="32 orders of others: without a clientOrderId"),
        pytest.param({"clientOrderId": None}, id="32 orders of others: null for a clientOrderId"),
        pytest.param({"clientOrderId": "By-Hand"}, id="32 orders of others: with one of another kind"),
    ],
)
def test_anyones_order_may_be_cancelled_and_replaced(names: dict[str, str | None]) -> None:
    """Its push gave the orderId; another program may have placed it."""
    one = placed()
    push(one, orderId=OTHER_ID, **names)
    sent(one, replace("r", orderId=OTHER_ID))
    sent(one, cancel("c", orderId=OTHER_ID))
    assert [(written.action, written.args["orderId"]) for written in one.written[1:]] == [
        (REPLACE, OTHER_ID),
        (CANCEL, OTHER_ID),
    ]


@pytest.mark.parametrize("price", [pytest.param("100", id="33 nothing kept for the absent: a fill")])
def test_facts_of_a_gap_are_published_from_rest(price: str) -> None:
    """The record has the id of the push and is marked as recovered; a late push is a repeat."""
    one = placed()
    one.lose_session()
    row = {"transactionId": "7", "orderId": ORDER_ID, "sym": BTC, "side": "BUY", "quantity": "0.5", "price": price}
    row["createAt"] = str(one.now.wall_ms)
    raw = json.dumps(row).encode()
    one.wait(5)
    one.account.stream.logged_in("az4", one.now)
    for _ in range(2):
        one.account.stream.reconciliation.compare_rows(
            one.account.stream.reconciliation.begin_sweep(one.now), Stream.TRADES, [raw], one.now
        )
    one.account.on_frame(Push("Trades", raw, raw), one.now)
    trades = [record for record in one.drain() if record.stream is Stream.TRADES]
    assert [(record.value, record.recovered) for record in trades] == [(raw, True), (raw, False)]
    assert len({record.event_id for record in trades}) == 1

"""Requests in flight: their acks, unknown outcomes, and the snapshots that settle them."""

from typing import Any

import pytest

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.core.in_flight.ack_codes import ACCEPTED_CODES, KINDS, RATE_CODES, AckClass, classify_code
from bridge.core.records import Answer
from tests.support.one_account import BTC, ORDER_ID, START, OneAccount, cancel, order_push, place, replace


def _placed(**terms: Any) -> OneAccount:  # noqa: ANN401 - any of the settings
    one = OneAccount(**terms)
    one.offer(place("p"))
    one.send()
    return one


def test_an_ack_accepts() -> None:
    """The result carries both names of the order, the code, and when it was sent and answered."""
    one = _placed()
    one.wait(0.25)
    assert one.answer(0, order_id=ORDER_ID, client_order_id="p", message="Success")
    (result,) = one.results()
    assert (result.outcome, result.order_id, result.client_order_id) == ("accepted", ORDER_ID, "p")
    assert (result.code, result.message, result.action) == (200000, "Success", PLACE)
    assert (result.sent_at, result.answered_at) == (START.wall_ms, START.wall_ms + 250)


def test_a_definitive_code_rejects() -> None:
    """The result has the venue's code and message; a clientOrderId that exists proves nothing about an order."""
    one = _placed()
    one.answer(0, 401009, "clientOrderId already exists")
    (result,) = one.results()
    assert (result.outcome, result.code, result.order_id) == ("rejected", 401009, None)


def test_a_long_message_of_the_venue_is_cut_in_the_result() -> None:
    """A result that is too large for its topic could not be published."""
    one = _placed()
    one.answer(0, 401009, "e" * 2_000_000)
    (result,) = one.results()
    assert result.message == "e" * 300 + "…"


@pytest.mark.parametrize("code", [60009, 400010, 400013, 50001, 999999, -1])
def test_any_other_code_proves_nothing(code: int) -> None:
    """The command stays unknown, once, and keeps its claim."""
    one = _placed()
    one.answer(0, code, "busy")
    assert one.outcomes() == [(0, "unknown")]
    assert one.results()[0].code == code
    assert one.committed()[1].claimed == (0,)


def test_codes_belong_to_one_class() -> None:
    """No code both accepts and refuses, and every rate code is a refusal."""
    assert not ACCEPTED_CODES & {code for code in KINDS if classify_code(code) is AckClass.REFUSED}
    assert {classify_code(code) for code in RATE_CODES} == {AckClass.REFUSED}
    assert {classify_code(code) for code in ACCEPTED_CODES} == {AckClass.ACCEPTED}


def test_no_answer_in_time_is_unknown_and_a_late_ack_still_settles() -> None:
    """`unknown` is published once, then the result of the late ack; a second ack changes nothing."""
    one = _placed()
    one.renew(4)
    assert one.account.table.count_awaiting() == 1
    assert one.account.in_flight.wake_at_boot_s() == START.boot_s + 5
    one.renew(1)
    assert one.outcomes() == [(0, "unknown")]
    assert one.account.table.count_awaiting() == 0
    one.renew(20)
    one.answer(0, order_id=ORDER_ID, client_order_id="p")
    assert not one.answer(0)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


def test_a_lost_link_makes_every_awaited_command_unknown() -> None:
    """No ack of it is awaited any more."""
    one = _placed()
    one.offer(replace("r", orderId="1" * 16))
    one.send()
    one.lose_session()
    assert one.outcomes() == [(0, "unknown"), (1, "unknown")]
    assert one.account.table.count_awaiting() == 0
    assert not one.answer(0)
    assert [question.client_order_id for question in one.account.unknown.list_queries()] == ["p", None]


def test_an_answer_that_names_no_request_of_ours_is_unmatched() -> None:
    """Neither a null id nor a foreign one touches a command."""
    one = _placed()
    for request_id in (None, "x", "1x0x2"):
        assert not one.account.on_frame(Answer(request_id, "place_order", 200000, "", ORDER_ID, "p"), one.now)
    assert one.outcomes() == []


def test_a_push_settles_an_unknown_place() -> None:
    """A snapshot from the stream or from REST proves that it was accepted; its late ack changes nothing."""
    one = _placed()
    one.renew(5)
    one.account.on_order(order_push("p"), one.now)
    one.answer(0, 401009, "too late")
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]
    assert one.results()[1].order_id == ORDER_ID


def test_an_order_seen_before_a_place_is_unknown_settles_it_at_once() -> None:
    """With a push first and a lost ack, it is settled as soon as it is unknown."""
    one = _placed()
    one.account.on_order(order_push("p"), one.now)
    assert one.outcomes() == []
    one.renew(5)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


@pytest.mark.parametrize(
    "other",
    [
        {"sym": "BINANCE_PERP_ETH_USDT"},
        {"side": "SELL"},
        {"createAt": str(START.wall_ms - 5100)},
        {"clientOrderId": "q"},
        {"clientOrderId": ""},
    ],
)
def test_another_order_settles_nothing(other: dict[str, str]) -> None:
    """Symbol, side and time must be those of this place."""
    one = _placed()
    one.renew(5)
    one.account.on_order(order_push("p", **other), one.now)
    assert one.outcomes() == [(0, "unknown")]


def test_a_market_buy_by_value_is_known_without_a_quantity() -> None:
    """Where no quantity was asked for, none is compared."""
    one = OneAccount()
    body = place("p", orderType="MARKET", sym="BINANCE_SPOT_BTC_USDT", quoteOrderQty="100")
    del body["args"]["orderQty"], body["args"]["limitPrice"]
    one.offer(body)
    one.send()
    one.renew(5)
    one.account.on_order(order_push("p", sym="BINANCE_SPOT_BTC_USDT", orderQty="7"), one.now)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


def test_a_refused_order_without_an_id_settles_its_place() -> None:
    """The venue shows some refused orders with an empty orderId; the result then names none."""
    one = _placed()
    one.renew(5)
    one.account.on_order(order_push("p", orderId="", orderState="REJECT"), one.now)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]
    assert one.results()[1].order_id is None


@pytest.mark.parametrize("code", sorted(RATE_CODES))
def test_the_first_rate_rejection_halves_the_class(code: int) -> None:
    """The limit is halved once and one alarm raised, however many requests were in flight."""
    one = OneAccount(limits={PLACE: 8, REPLACE: 8, CANCEL: 8, CANCEL_ALL: 8})
    for n in range(3):
        one.offer(place(f"p{n}"))
    one.send()
    for offset in range(3):
        one.answer(offset, code)
    assert [(n, "rejected") for n in range(3)] == one.outcomes()
    assert one.alarms() == ["rate_rejected"]
    for n in range(3):
        one.offer(place(f"q{n}"))
    assert one.send() == [3]


def test_a_replace_teaches_the_id_it_returns() -> None:
    """The order's other id leads to the same order."""
    one = OneAccount()
    one.account.on_order(order_push("mine", sym=BTC), one.now)
    one.offer(replace("r", clientOrderId="mine"))
    one.send()
    one.answer(0, order_id="2" * 16)
    one.offer(cancel("c", orderId="2" * 16))
    one.send()
    one.answer(1)
    assert one.results()[-1].client_order_id == "mine"
    assert [written.action for written in one.written] == [REPLACE, CANCEL]

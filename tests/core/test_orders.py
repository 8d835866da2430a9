"""Orders by both of their names."""

import msgspec
import pytest

from bridge.contract.pushes import OrderPush
from bridge.core import orders as room
from bridge.core import replacements
from bridge.core.odd_fields import parse_time_ms, same_number
from bridge.core.order_states import NO_PROGRESS, TERMINAL, Progress, canonical_state, progress_of
from bridge.core.orders import Orders
from tests.support.one_account import ORDER_ID, START, order_push


def test_both_names_find_an_order_and_the_order_id_wins() -> None:
    """As at the venue."""
    orders = Orders()
    order = orders.update(order_push("mine"))
    other = orders.update(order_push("other", orderId="2" * 16))
    assert orders.find(None, "mine") is orders.find(ORDER_ID, None) is order
    assert orders.find("2" * 16, "mine") is other
    assert (orders.find(None, "unknown"), orders.find("3" * 16, None), orders.find(None, None)) == (None, None, None)
    assert order.exchange == "BINANCE"


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_an_order_that_has_ended_stays_so(state: str) -> None:
    """A later snapshot in another state changes nothing."""
    orders = Orders()
    over = orders.update(order_push("mine", orderState=state.lower()))
    assert over.ended
    assert orders.update(order_push("mine", updateAt=str(START.wall_ms + 1))) == over


def test_an_older_snapshot_changes_nothing() -> None:
    """Pushes may be late, and REST lags behind them."""
    orders = Orders()
    newer = orders.update(order_push("mine", orderQty="2"))
    assert orders.update(order_push("mine", updateAt=str(START.wall_ms - 1))) is newer
    assert orders.update(order_push("mine", orderQty="3")).order_qty == "3"


def test_an_ack_adds_names_and_forgets_nothing() -> None:
    """After the push it adds a name; before it, it is all that is known; without both names it adds nothing."""
    orders = Orders()
    orders.note_ack(ORDER_ID, None, None, 7)
    orders.note_ack(None, "mine", None, 7)
    orders.note_ack("", "mine", None, 7)
    assert orders.find(None, "mine") is None
    orders.note_ack(ORDER_ID, "mine", None, 7)
    first = orders.find(None, "mine")
    assert first is not None
    assert (first.order_id, first.exchange) == (ORDER_ID, None)
    seen = orders.update(order_push("mine"))
    orders.note_ack(ORDER_ID, "mine", None, 7)
    assert orders.find(None, "mine") is seen


def test_a_name_stays_with_the_live_order() -> None:
    """A replace may open a second order under one clientOrderId; the end of the first does not take the name back."""
    orders = Orders()
    orders.update(order_push("mine"))
    orders.update(order_push("mine", orderId="2" * 16))
    orders.update(order_push("mine", orderState="CANCELLED"))
    live = orders.find(None, "mine")
    assert live is not None
    assert live.order_id == "2" * 16


def test_a_name_that_was_used_up_goes_to_the_next_order() -> None:
    """Even if that order has ended when it is first seen."""
    orders = Orders()
    orders.update(order_push("mine", orderState="FILLED"))
    orders.update(order_push("mine", orderId="2" * 16, orderState="FILLED"))
    order = orders.find(None, "mine")
    assert order is not None
    assert order.order_id == "2" * 16


def test_orders_without_names() -> None:
    """A foreign order may have no clientOrderId, a refused one no orderId; the latter is not kept."""
    orders = Orders()
    assert orders.update(order_push("", orderState="FILLED")).client_order_id is None
    refused = [orders.update(order_push(name, orderId="", orderState="REJECT")) for name in ("a", "b")]
    assert [order.client_order_id for order in refused] == ["a", "b"]
    assert orders.find("", None) is None


def test_orders_that_have_ended_are_forgotten_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that has gone to another order is left to it."""
    monkeypatch.setattr(room, "_ENDED_MAX", 2)
    monkeypatch.setattr(room, "FORGOTTEN_AT_ONCE", 1)
    orders = Orders()
    orders.update(order_push("a", orderId="1", orderState="FILLED"))
    orders.update(order_push("a", orderId="2", orderState="FILLED"))
    orders.update(order_push("c", orderId="3", orderState="FILLED"))
    assert orders.find("1", None) is None
    assert orders.find(None, "a") == orders.find("2", None) is not None
    orders.update(order_push("d", orderId="4", orderState="FILLED"))
    assert orders.find(None, "a") is None


def test_numbers_and_times_of_the_venue() -> None:
    """Decimals by value, other text as it is; times that are none are 0."""
    assert same_number("0.50", "0.5")
    assert not same_number("0.51", "0.5")
    assert same_number("much", "much")
    assert [parse_time_ms(text) for text in (None, "", "5", 7, "x", "٣", "9" * 400)] == [0, 0, 5, 7, 0, 0, 0]


def _snapshots(*fields: dict[str, str]) -> list[Progress]:
    pushes = [order_push("mine", **one) for one in fields]
    return [progress_of(canonical_state(one.order_state), one.executed_qty, one.update_at) for one in pushes]


def test_snapshots_are_in_the_order_of_an_orders_life() -> None:
    """Ends last, despite their time; before that by executed quantity, by time, and within a millisecond by state."""
    life = _snapshots(
        {"orderState": "NEW", "updateAt": "5"},
        {"orderState": "ANY", "updateAt": "5"},
        {"orderState": "PARTIALLY_FILLED", "updateAt": "5"},
        {"orderState": "NEW", "updateAt": "6"},
        {"orderState": "PARTIALLY_FILLED", "executedQty": "0.1", "updateAt": "4"},
        {"orderState": "PARTIALLY_FILLED", "executedQty": "0.11", "updateAt": "4"},
        {"orderState": "CANCELLED", "updateAt": "3"},
        {"orderState": "FILLED", "executedQty": "0.5", "updateAt": "3"},
    )
    assert life == sorted(life)
    assert len(set(life)) == len(life)


@pytest.mark.parametrize("executed", ["", "much", "NaN", "sNaN", "Infinity"])
def test_an_executed_quantity_that_is_none_counts_as_nothing(executed: str) -> None:
    """It can be compared, and moves no snapshot before or after another."""
    odd, new = _snapshots({"executedQty": executed, "updateAt": ""}, {"orderState": "new", "updateAt": ""})
    assert odd == msgspec.structs.replace(NO_PROGRESS, stage=1)
    assert new == NO_PROGRESS


def test_executed_quantities_compare_as_numbers() -> None:
    """Not as text, nor by how many zeros they have."""
    nine, ten, same = _snapshots({"executedQty": "9"}, {"executedQty": "10"}, {"executedQty": "9.00"})
    assert nine < ten
    assert nine == same


def test_what_an_order_knows_of_its_time() -> None:
    """The time of its latest snapshot; before that, of its ack."""
    orders = Orders()
    orders.note_ack(ORDER_ID, "mine", None, 7)
    (acked,) = orders.live()
    assert (acked.updated_ms, acked.last_seen_ms, acked.cancelled) == (0, 7, False)
    seen = orders.update(order_push("mine", updateAt=str(START.wall_ms + 5)))
    assert (seen.updated_ms, seen.last_seen_ms, orders.live()) == (START.wall_ms + 5, START.wall_ms + 5, [seen])
    assert orders.update(order_push("mine", orderState="canceled")).cancelled
    assert orders.live() == []


def test_the_last_of_two_ends_counts() -> None:
    """An order that was filled with a part and then cancelled is cancelled, and is forgotten once."""
    orders = Orders()
    part = orders.update(order_push("mine", orderState="FILLED", executedQty="0.2"))
    assert not part.has_final_end
    ended = orders.update(order_push("mine", orderState="CANCELLED", executedQty="0.2"))
    assert (ended.state, orders.find(None, "mine")) == ("CANCELLED", ended)
    assert orders.update(order_push("mine", orderState="FILLED", updateAt="1")) == ended


@pytest.mark.parametrize(
    ("executed", "quantity", "complete"), [("0.5", "0.50", True), ("0", "0.5", True), ("0.2", "much", True)]
)
def test_an_order_that_was_filled_is_complete(executed: str, quantity: str, complete: bool) -> None:  # noqa: FBT001
    """Unless what was executed is surely a part of what was asked for."""
    order = Orders().update(order_push("mine", orderState="FILLED", executedQty=executed, orderQty=quantity))
    assert order.has_final_end == complete


def test_a_push_of_few_fields_takes_nothing_away() -> None:
    """What it does not have is kept, and an older row may add what the newer push did not have."""
    orders = Orders()
    little = OrderPush(ORDER_ID, "OPEN", update_at=str(START.wall_ms + 5))
    assert orders.update(little).created_ms == 0
    order = orders.update(order_push("mine", limitPrice="100"))
    assert (order.client_order_id, order.side, order.order_qty, order.limit_price) == ("mine", "BUY", "0.50", "100")
    assert (order.updated_ms, order.created_ms) == (START.wall_ms + 5, START.wall_ms)
    again = orders.update(OrderPush(ORDER_ID, "FILLED", update_at=str(START.wall_ms + 6)))
    assert (again.side, again.created_ms, again.state) == ("BUY", START.wall_ms, "FILLED")


@pytest.mark.parametrize("name", ["clientOrderId", "sym", "side"])
def test_an_empty_name_takes_nothing_away(name: str) -> None:
    """As one that is missing; the rest of the later snapshot counts."""
    orders = Orders()
    first = orders.update(order_push("mine", updateAt="1"))
    later = orders.update(order_push("mine", **{name: "", "updateAt": "2", "executedQty": "0.1"}))
    assert (later.client_order_id, later.sym, later.side) == (first.client_order_id, first.sym, first.side)
    assert later.updated_ms == 2


def test_a_name_goes_to_the_younger_of_two_that_live() -> None:
    """A late snapshot of the older one does not take it back, nor does an ack of the older one."""
    orders = Orders()
    orders.update(order_push("mine"))
    younger = orders.update(order_push("mine", orderId="2" * 16, createAt=str(START.wall_ms + 1)))
    orders.update(order_push("mine", executedQty="0.1"))
    orders.note_ack(ORDER_ID, "mine", None, 7)
    assert orders.find(None, "mine") is younger


def test_what_was_amended_is_forgotten_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory is bounded."""
    monkeypatch.setattr(replacements, "_REQUESTS_MAX", 1)
    orders = Orders(35_000)
    for order_id in (None, "1", "2", "1"):
        orders.replacements.note_request(order_id, START.wall_ms)
    ended = [orders.update(order_push("", orderId=order_id, orderState="CANCELLED")) for order_id in ("1", "2")]
    assert [orders.may_be_replaced(order, START.wall_ms - 35_000) for order in ended] == [True, False]


def test_an_order_that_was_made_of_itself_has_no_other_id() -> None:
    """Ids that lead back to where they began lead nowhere."""
    orders = Orders()
    orders.replacements.note_successor("1", "2")
    orders.replacements.note_successor("2", "1")
    orders.replacements.note_successor("3", "3")
    orders.replacements.note_successor(None, "4")
    assert [orders.replacements.latest_order_id(order_id) for order_id in ("1", "2", "3")] == ["2", "2", "3"]


def test_the_history_takes_no_action_away() -> None:
    """Its rows have none. An order that a cancel has ended does not come back, although it was replaced before."""
    orders = Orders(rest_lag_ms=30_000)
    orders.update(order_push("mine", action="AMEND_COMPLETED"))
    assert orders.update(order_push("mine", updateAt=str(START.wall_ms + 1))).action == ""
    for action in ("CANCEL_COMPLETE", ""):
        ended = order_push("mine", orderState="CANCELLED", action=action, updateAt=str(START.wall_ms + 2))
        assert orders.update(ended).action == "CANCEL_COMPLETE"
    assert orders.pop_possibly_replaced(START.wall_ms - 35_000) == []

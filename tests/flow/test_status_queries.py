"""Asking the venue what became of commands: over REST, until there is a fact, and without holding anything up."""

import pytest

from bridge.account_parts import clock
from bridge.contract.session import Cause
from bridge.core.in_flight import query_memory
from bridge.core.rest_rows import OrderRow
from bridge.errors import VenueRefused, VenueUnreachable
from tests.support.one_account import ORDER_ID, cancel, cancel_all, order_push, place, replace, trade_push
from tests.support.outside import Outside, order_row
from tests.witness.waiting import until


def _stamped(name: str, **fields: str) -> OrderRow:
    at = str(clock().wall_ms)
    return order_row(order_push(name, createAt=at, updateAt=at, **fields))


async def _cancel_all_unanswered(outside: Outside) -> None:
    """Write a cancel_orders whose answer never comes, while an older order is open."""
    outside.venue.open = [order_row(order_push("", orderId="7" * 16, createAt="1"))]
    outside.venue.answer = None
    outside.group.write(cancel_all("ca"))
    await until(lambda: outside.venue.written)


async def test_a_place_without_an_answer_is_asked_about_until_its_order_shows() -> None:
    """The session stays up; REST tells what the ack did not."""
    outside = Outside(late_landing_s=30)
    outside.venue.answer = None
    async with outside.running():
        outside.group.write(place("p"))
        await until(lambda: outside.venue.asked.count("p") == 2)
        assert outside.topics.outcomes("p") == ["unknown"]
        outside.venue.orders["p"] = _stamped("p")
        await until(lambda: outside.topics.outcomes("p") == ["unknown", "accepted"])
    assert len(outside.venue.actions("place_order")) == 1


async def test_an_answer_that_we_fail_on_ends_no_term() -> None:
    """It is asked again about what is in doubt; a replace of an unknown order waits, and cancels go."""
    outside = Outside(late_landing_s=30)
    outside.venue.answer = None
    async with outside.running():
        outside.venue.order_trouble = OverflowError("a date of the venue's")
        outside.group.write(place("p"), replace("r", clientOrderId="nobody"))
        await until(lambda: outside.venue.asked.count("p") >= 2 and "nobody" in outside.venue.asked)
        assert outside.topics.outcomes("p") == ["unknown"]
        outside.venue.order_trouble = None
        outside.venue.orders["p"] = _stamped("p")
        await until(lambda: outside.topics.outcomes("p") == ["unknown", "accepted"])
    assert len(outside.members) == 1


async def test_unknown_orders_to_look_up_do_not_hold_up_what_is_in_doubt() -> None:
    """A place is settled while most of the look-ups, which came before it, are still to come."""
    outside = Outside()
    outside.venue.answer = None
    async with outside.running():
        outside.group.write(*(replace(f"r{n}", clientOrderId=f"nobody{n}") for n in range(90)), place("p"))
        await until(lambda: outside.venue.actions("place_order"))
        outside.venue.orders["p"] = _stamped("p")
        await until(lambda: outside.topics.outcomes("p")[-1:] == ["accepted"], deadline_s=60)
    assert sum(name.startswith("nobody") for name in outside.venue.asked) < 90


async def test_what_is_not_found_was_looked_for_in_history_and_executions() -> None:
    """Once for all places of a symbol that can no longer land."""
    outside = Outside(late_landing_s=1)
    outside.venue.answer = None
    async with outside.running():
        outside.group.write(*(place(f"p{n}") for n in range(3)))
        await until(lambda: all(outside.topics.outcomes(f"p{n}") == ["unknown", "not_found"] for n in range(3)))
    assert 1 <= outside.venue.searched.count("BINANCE_PERP_BTC_USDT") < 3


async def test_history_and_executions_settle_a_place() -> None:
    """One order is over already, of another only the fill is to be found."""
    outside = Outside(late_landing_s=1)
    outside.venue.answer = None
    async with outside.running():
        outside.venue.ended = [_stamped("p1", orderState="CANCELLED")]
        outside.venue.trades = [trade_push("p2", createAt=str(clock().wall_ms))]
        outside.group.write(place("p1"), place("p2"))
        await until(lambda: outside.topics.outcomes("p1") == ["unknown", "accepted"])
        await until(lambda: outside.topics.outcomes("p2") == ["unknown", "accepted"])


async def test_a_search_that_is_refused_finds_nothing() -> None:
    """The venue knows no such symbol: then no order of it is there."""
    outside = Outside(late_landing_s=0.6)
    outside.venue.answer = None
    outside.venue.search_refusal = VenueRefused(401011, "no such symbol")
    async with outside.running():
        outside.group.write(place("p"))
        await until(lambda: outside.topics.outcomes("p") == ["unknown", "not_found"])


async def test_rest_that_is_away_gives_nothing_up() -> None:
    """The command stays unknown for as long as the venue does not answer."""
    outside = Outside(late_landing_s=0.6)
    outside.venue.answer = None
    async with outside.running():
        outside.venue.order_trouble = VenueUnreachable("HTTP 503")
        outside.group.write(place("p"))
        await until(lambda: outside.venue.asked.count("p") == 2)
        assert outside.topics.outcomes("p") == ["unknown"]
        outside.venue.order_trouble = VenueRefused(1000, "no permission")
        await until(lambda: outside.venue.asked.count("p") == 4)
        assert outside.topics.outcomes("p") == ["unknown"]
        outside.venue.order_trouble = None
        await until(lambda: outside.topics.outcomes("p") == ["unknown", "not_found"], 10)


async def test_a_replace_is_asked_about_by_both_names() -> None:
    """It may have given the order another id."""
    outside = Outside(late_landing_s=30)
    async with outside.running():
        outside.venue.orders["mine"] = _stamped("mine", limitPrice="100")
        outside.venue.answer = None
        outside.group.write(replace("r", clientOrderId="mine"))
        await until(lambda: ORDER_ID in outside.venue.asked)
        outside.venue.orders[ORDER_ID] = _stamped("mine", orderState="CANCELLED", limitPrice="100")
        outside.venue.orders["mine"] = _stamped("mine", orderId="7" * 16, limitPrice="101")
        await until(lambda: outside.topics.outcomes("r") == ["unknown", "accepted"])


async def test_a_cancel_orders_in_doubt_is_finished_by_single_cancels() -> None:
    """Each live order that is older gets its own; then the one result says how many."""
    outside = Outside(late_landing_s=30)
    async with outside.running():
        await _cancel_all_unanswered(outside)
        outside.venue.answer = 200000
        await until(lambda: outside.venue.actions("cancel_order") == [{"orderId": "7" * 16}])
        outside.venue.open = []
        await until(lambda: outside.topics.outcomes("ca") == ["unknown", "accepted"])
    assert outside.topics.results("ca")[-1].message == "its answer was lost; finished by cancelling 1 orders one by one"
    assert len(outside.venue.actions("cancel_orders")) == 1


async def test_a_cancel_of_our_own_that_cannot_be_written_waits_for_the_next_link() -> None:
    """The listener reports the loss of the link."""
    outside = Outside(late_landing_s=30)
    async with outside.running():
        await _cancel_all_unanswered(outside)
        outside.venue.unwritable = True
        asked = outside.venue.swept
        await until(lambda: outside.venue.swept > asked + 1)
        assert outside.venue.actions("cancel_order") == []
        outside.venue.unwritable = False
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: outside.venue.actions("cancel_order"))


async def test_a_lookup_that_is_refused_holds_no_other_up() -> None:
    """A replace by a name that the venue refuses to speak of waits; the next one is looked up."""
    outside = Outside()
    outside.venue.refused = {"odd"}
    async with outside.running():
        outside.venue.orders["mine"] = _stamped("mine")
        outside.group.write(replace("r1", clientOrderId="odd"), replace("r2", clientOrderId="mine"))
        await until(lambda: outside.topics.outcomes("r2") == ["accepted"])
        assert outside.topics.outcomes("r1") == []


async def test_a_name_that_no_order_can_have_holds_nothing_up() -> None:
    """The venue refuses to speak of such an orderId: there is no such order, and the cancel has an end."""
    outside = Outside(late_landing_s=0.4)
    outside.venue.answer = None
    outside.venue.order_trouble = VenueRefused(401082, "invalid orderId")
    async with outside.running():
        outside.group.write(cancel("c", orderId=ORDER_ID) | {"validUntil": clock().wall_ms + 500})
        await until(lambda: outside.topics.outcomes("c") == ["unknown", "not_found"], 30)
        await until(lambda: outside.group.committed.offset == 1, 30)


async def test_a_query_that_is_refused_for_long_is_answered_by_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is open, over and executed tells as much as the order itself, which the venue does not speak of."""
    monkeypatch.setattr(query_memory, "_REFUSED_S", 0.5)
    outside = Outside(late_landing_s=0.4)
    outside.venue.answer = None
    outside.venue.order_trouble = VenueRefused(2003, "not with this key")
    async with outside.running():
        outside.venue.trades = [trade_push("p2", createAt=str(clock().wall_ms))]
        outside.venue.ended = [_stamped("p1", orderState="CANCELLED")]
        outside.group.write(place("p1"), place("p2"), place("p3"))
        await until(lambda: outside.topics.outcomes("p1") == ["unknown", "accepted"], 30)
        await until(lambda: outside.topics.outcomes("p2") == ["unknown", "accepted"], 30)
        await until(lambda: outside.topics.outcomes("p3") == ["unknown", "not_found"], 30)


async def test_a_cancel_is_asked_about_by_both_names() -> None:
    """The clientOrderId is learned from the row, and stands on another order by now: the cancel goes on."""
    outside = Outside(late_landing_s=0.4)
    outside.venue.answer = None
    outside.venue.orders[ORDER_ID] = _stamped("mine", orderState="CANCELLED")
    outside.venue.orders["mine"] = _stamped("mine", orderId="7" * 16)
    async with outside.running():
        outside.group.write(cancel("c", orderId=ORDER_ID) | {"validUntil": clock().wall_ms + 500})
        await until(lambda: outside.topics.outcomes("c") == ["unknown", "not_found"], 30)
    assert {ORDER_ID, "mine"} <= set(outside.venue.asked)
    assert "7" * 16 in (outside.topics.results("c")[-1].message or "")

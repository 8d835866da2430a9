"""Unknown cancels: they are safe to repeat, and repeated after pauses."""

from itertools import pairwise

from bridge.contract.commands import CANCEL
from bridge.core.records import Answer
from tests.support.one_account import ORDER_ID, START, OneAccount, cancel, cancel_all, order_push, place, replace


def test_an_unknown_cancel_is_repeated_after_longer_and_longer_pauses() -> None:
    """It is repeated while it is valid; the pauses double, and its one result has the last ack."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    one.offer(cancel("c", clientOrderId="p"))
    times = []
    for _ in range(620):
        if one.send_cancels():
            times.append(round(one.now.boot_s - START.boot_s, 1))
            one.answer(1, 401018, "order not found")
        one.wait(0.1)
        if one.hand_over():
            one.stored()
    pauses = [round(later - earlier, 1) for earlier, later in pairwise(times)]
    assert pauses[:8] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert times[-1] < 60
    assert one.outcomes() == [(1, "unknown"), (0, "unknown")]


def test_an_unknown_order_is_definitive_once_the_place_is_settled() -> None:
    """While its place may still land the venue may not know the order; afterwards the refusal counts."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    one.offer(cancel("c", clientOrderId="p"))
    one.send()
    one.answer(1, 401018)
    one.answer(0, order_id=ORDER_ID, client_order_id="p")
    one.wait(0.1)
    assert one.send_cancels() == [1]
    one.answer(1, 401018)
    assert one.outcomes() == [(1, "unknown"), (0, "accepted"), (1, "rejected")]


def test_an_unknown_order_id_is_definitive() -> None:
    """A cancel by an orderId waits for no place: the id comes from the ack."""
    one = OneAccount()
    one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    one.answer(0, 401018)
    assert one.outcomes() == [(0, "rejected")]


def test_a_cancel_whose_link_was_lost_goes_out_over_the_next() -> None:
    """It is sent once, before the sweep is complete, and not while its ack is awaited."""
    one = OneAccount()
    one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    one.lose_session()
    one.wait(0.1)
    assert one.send_cancels(ready=False) == []
    assert one.send_cancels() == [0]
    one.open_session()
    one.wait(0.5)
    assert one.send_cancels() == []
    one.answer(0)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


def test_a_late_answer_to_the_first_request_ends_a_repeated_cancel() -> None:
    """The missing ack of the second request changes nothing."""
    one = OneAccount()
    one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    one.renew(6)
    first, _ = one.written
    assert one.account.on_frame(Answer(first.request_id, CANCEL, 200000, "", None, None), one.now)
    one.renew(6)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]
    assert len(one.written) == 2


def test_a_cancel_with_two_inconclusive_acks_is_repeated_once() -> None:
    """Both acks prove nothing, and one repeat is queued."""
    one = OneAccount()
    one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    one.renew(6)
    for written in one.written:
        one.account.on_frame(Answer(written.request_id, CANCEL, 400010, "busy", None, None), one.now)
    one.wait(0.4)
    assert one.send_cancels() == [0]
    one.wait(0.4)
    assert one.send_cancels() == []


def test_a_cancel_that_is_no_longer_valid_is_not_repeated() -> None:
    """It stays unknown: it may have been carried out."""
    one = OneAccount()
    one.offer(cancel("c", orderId=ORDER_ID) | {"validUntil": one.now.wall_ms + 4000})
    one.send()
    one.renew(10)
    assert one.send_cancels() == []
    assert one.outcomes() == [(0, "unknown")]


def test_a_repeat_that_waits_beyond_its_validity_is_dropped() -> None:
    """An unknown cancel that expires in the lane is taken out, and the next one is sent."""
    one = OneAccount()
    one.offer(cancel("c0", orderId=ORDER_ID) | {"validUntil": one.now.wall_ms + 6000})
    one.send()
    one.renew(5)
    one.wait(0.5)
    other = one.offer(cancel("c1", orderId="1" * 16))
    one.wait(0.5)
    assert [other] == one.send_cancels()


def test_an_unknown_command_holds_back_all_of_its_order_but_cancels() -> None:
    """A replace waits for the result of the one before it, a cancel does not."""
    one = OneAccount()
    one.account.on_order(order_push("mine"), one.now)
    one.offer(replace("r0", clientOrderId="mine"))
    one.send()
    one.renew(5)
    one.offer(replace("r1", clientOrderId="mine"))
    assert one.send() == []
    one.offer(cancel("c", clientOrderId="mine"))
    assert one.send() == [2]
    one.answer(2)
    assert one.outcomes() == [(0, "unknown"), (1, "superseded"), (2, "accepted")]


def test_an_unknown_cancel_orders_is_not_repeated() -> None:
    """It is claimed and written once, whatever happens."""
    one = OneAccount()
    one.offer(cancel_all("ca"))
    one.send()
    one.answer(0, 400013)
    one.renew(20)
    assert len(one.written) == 1
    assert one.outcomes() == [(0, "unknown")]


def test_a_late_ack_ends_the_repeats() -> None:
    """A cancel that was to be repeated is not, when its ack comes after all."""
    one = OneAccount()
    one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    one.wait(5)
    one.answer(0)
    one.wait(1)
    assert one.send_cancels() == []
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]

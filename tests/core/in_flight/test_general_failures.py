"""The failure that the venue's WebSocket pages document: `event: error`, "60009", our id, and nothing about why."""

import pytest

from bridge.core.records import Answer
from bridge.ltp.wire import decode_frame
from tests.support.one_account import ORDER_ID, START, OneAccount, cancel, order_push, place, replace

LATE = {"createAt": str(START.wall_ms + 1), "updateAt": str(START.wall_ms + 1)}


def _failed(one: OneAccount, words: str = "Place order failed.") -> None:
    """Let the venue answer the last request as its pages show."""
    frame = f'{{"id":"{one.written[-1].request_id}","event":"error","code":"60009","msg":"{words}"}}'
    answer = decode_frame(frame.encode())
    assert isinstance(answer, Answer)
    assert one.account.on_frame(answer, one.now)


def _placed(one: OneAccount) -> None:
    one.offer(place("p"))
    one.send()
    one.answer(0, order_id=ORDER_ID, client_order_id="p")
    one.account.on_order(order_push("p"), one.now)
    one.wait(1)


def test_a_place_is_queried_at_once_and_not_found_when_rest_has_caught_up() -> None:
    """It does not wait for the landing time, because the venue has ended it. Both results have the venue's message."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    _failed(one)
    assert [question.offset for question in one.ask()] == [0]
    one.renew(34)
    one.ask()
    assert [result.message for result in one.results()] == ["Place order failed."]
    one.renew(12)
    one.ask()
    result = one.results()[-1]
    assert (result.outcome, result.code) == ("not_found", 60009)
    assert result.message == "Place order failed.; the venue knew nothing of it 35 s after it was written"


def test_a_place_whose_order_shows_itself_is_accepted() -> None:
    """The first row that shows it settles it, from REST or from the stream."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    _failed(one)
    one.ask(order_push("p"))
    result = one.results()[-1]
    assert (result.outcome, result.order_id) == ("accepted", ORDER_ID)
    assert result.message == "the venue said: Place order failed.; and it shows that it was done"


@pytest.mark.parametrize("state", ["REJECT", "FAIL"])
def test_a_place_whose_order_shows_itself_as_refused_is_rejected(state: str) -> None:
    """The result has the venue's code and message; a push before the ack counts as well."""
    for pushed_first in (False, True):
        one = OneAccount()
        one.offer(place("p"))
        one.send()
        if pushed_first:
            one.account.on_order(order_push("p", orderState=state), one.now)
        _failed(one)
        one.ask(order_push("p", orderState=state))
        result = one.results()[-1]
        assert (result.outcome, result.code, result.message) == ("rejected", 60009, "Place order failed.")


def test_a_cancel_is_queried_at_once() -> None:
    """It is queried while it is repeated, and its order settles it."""
    one = OneAccount()
    _placed(one)
    offset = one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    _failed(one, "Cancel order failed.")
    one.ask(order_push("p", orderState="CANCELLED", action="CANCEL_COMPLETE", updateAt=str(one.now.wall_ms)))
    result = one.results()[-1]
    assert (result.command_offset, result.outcome) == (offset, "accepted")
    assert result.message == "the venue said: Cancel order failed.; CANCELLED"


def test_a_replace_of_an_order_that_stays_unchanged_is_not_found_as_soon() -> None:
    """The unchanged order proves it, and the result has the venue's message."""
    one = OneAccount()
    _placed(one)
    offset = one.offer(replace("r", orderId=ORDER_ID))
    one.send()
    _failed(one, "Replace order failed.")
    row = order_push("p")
    for _ in range(5):
        one.ask(row)
        one.renew(10)
    result = one.results()[-1]
    assert (result.command_offset, result.outcome, result.code) == (offset, "not_found", 60009)
    assert result.message == f"Replace order failed.; order {ORDER_ID} lives on as OPEN without showing it"

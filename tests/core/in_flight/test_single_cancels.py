"""A cancel_orders that is carried out by single cancels: only orders of this account end, and it has one result."""

from bridge.contract.commands import CANCEL, CANCEL_ALL
from bridge.contract.pushes import OrderPush
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import Answer
from tests.support.one_account import BTC, ETH_ON_OKX, START, OneAccount, cancel, cancel_all, order_push, place, replace

MANY = 1000
_OF_LATE = str(START.wall_ms - 1000)


def _account(*, epoch: int = 1) -> OneAccount:
    limits = {"place_order": 5000, "replace_order": 300, "cancel_order": 1200, "cancel_orders": 1200}
    return OneAccount(epoch=epoch, cancel_orders="single_cancels", limits=limits)


def _shown(one: OneAccount, order_id: str, name: str = "", **fields: str) -> OrderPush:
    """Push an order, and return its row."""
    push = order_push(name, orderId=order_id, **fields)
    one.account.on_order(push, one.now)
    return push


def _placed(one: OneAccount, name: str, order_id: str) -> OrderPush:
    offset = one.offer(place(name))
    one.send()
    one.answer(offset, order_id=order_id, client_order_id=name)
    return _shown(one, order_id, name)


def _answered(one: OneAccount, code: int = 200000, *, first: int = 0) -> None:
    """Let the venue answer the single cancels, from the `first` on."""
    for written in [written for written in one.written if written.offset == -1][first:]:
        one.account.on_frame(Answer(written.request_id, CANCEL, code, "", None, None), one.now)


def _last(one: OneAccount) -> tuple[str, str | None]:
    result = one.results()[-1]
    return result.outcome.value, result.message


def test_orders_end_one_by_one_and_the_answer_comes_once() -> None:
    """No message is sent that could reach other portfolios; open orders are cancelled at once, before the list of REST.

    Resubmissions of the command get the same result.
    """
    one = _account()
    rows = [_placed(one, "ours", "11"), _shown(one, "12", createAt=_OF_LATE), _shown(one, "13", sym=ETH_ON_OKX)]
    offset = one.offer(cancel_all("ca", "BINANCE"))
    assert one.send() == []
    assert one.send_own_cancels() == ["11", "12"]
    one.ask(*rows)
    assert one.send_own_cancels() == []
    _answered(one)
    _shown(one, "11", "ours", orderState="CANCELLED", updateAt=str(START.wall_ms + 1))
    assert one.outcomes()[1:] == []
    _shown(one, "12", createAt=_OF_LATE, orderState="CANCELLED", updateAt=str(START.wall_ms + 1))
    assert one.outcomes()[1:] == [(offset, "accepted")]
    assert _last(one) == ("accepted", "done by cancelling 2 orders one by one")
    assert one.results()[-1].sent_at == START.wall_ms
    assert one.account.table.count_awaiting() == 0
    assert one.account.unknown.list_queries() == []
    again = one.offer(cancel_all("ca", "BINANCE"))
    assert one.outcomes()[2:] == [(again, "accepted")]
    assert [written.action for written in one.written] == ["place_order", CANCEL, CANCEL]


def test_an_exchange_that_no_document_names_has_its_orders_ended() -> None:
    """The venue decides which exchanges there are; without open orders nothing is cancelled, and the result says so."""
    one = _account()
    rows = [_shown(one, "11", sym="NEWEST2_PERP_BTC_USDT", createAt=_OF_LATE), _shown(one, "12", createAt=_OF_LATE)]
    one.offer(cancel_all("ca", "NEWEST2"))
    one.send()
    assert one.send_own_cancels() == ["11"]
    one.ask(*rows)
    _answered(one)
    _shown(one, "11", sym="NEWEST2_PERP_BTC_USDT", orderState="CANCELLED", updateAt=str(START.wall_ms + 1))
    assert _last(one) == ("accepted", "done by cancelling 1 orders one by one")
    one.offer(cancel_all("none", "NEWEST3"))
    one.send()
    one.ask(rows[1])
    assert _last(one) == ("accepted", "done by cancelling 0 orders one by one")
    assert one.send_own_cancels() == []


def test_what_comes_after_it_survives() -> None:
    """A later place is sent at once and stays open, and so does a later order of another program."""
    one = _account()
    one.offer(cancel_all("ca"))
    one.send()
    quote = _placed(one, "quote", "21")
    theirs = _shown(one, "22", createAt=str(START.wall_ms + 10))
    one.ask(quote, theirs)
    assert one.send_own_cancels() == []
    assert _last(one) == ("accepted", "done by cancelling 0 orders one by one")


def test_a_quote_that_was_acked_before_the_claim_came_back_survives() -> None:
    """It is behind the cancel_orders on the topic; only the commits were acknowledged in another order."""
    one = _account()
    one.offer(cancel_all("ca"))
    assert one.hand_over() is not None
    _shown(one, "21", "later")
    one.offer(place("later"))
    one.stored()
    assert one.send_own_cancels() == []


def test_orders_on_their_way_are_waited_for() -> None:
    """The orders of an unanswered place and replace before it are cancelled when they are seen."""
    one = _account()
    old = _placed(one, "old", "11")
    one.offer(place("late"))
    one.send()
    one.offer(replace("r", clientOrderId="old"))
    one.send()
    offset = one.offer(cancel_all("ca"))
    one.send()
    assert one.send_own_cancels() == ["11"]
    one.ask(old)
    _answered(one)
    _shown(one, "11", "old", orderState="CANCELLED", updateAt=str(START.wall_ms + 1))
    assert one.outcomes() == [(0, "accepted")]
    _shown(one, "12", "late", createAt=_OF_LATE)
    assert one.send_own_cancels() == ["12"]
    one.answer(1, order_id="12", client_order_id="late")
    _answered(one, first=1)
    one.answer(2, 401117, "Order is terminal")
    assert one.outcomes()[1:] == [(1, "accepted"), (2, "rejected")]
    _shown(one, "12", "late", createAt=_OF_LATE, orderState="CANCELLED", updateAt=str(START.wall_ms + 2))
    assert one.outcomes()[3:] == [(offset, "accepted")]


def test_places_that_wait_are_superseded() -> None:
    """As with the venue's own message."""
    one = _account()
    waiting = one.offer(place("p"))
    offset = one.offer(cancel_all("ca"))
    one.send()
    one.ask()
    assert one.outcomes() == [(waiting, "superseded"), (offset, "accepted")]


def test_a_lost_link_leaves_it_unknown_and_it_goes_on_over_the_next() -> None:
    """`unknown` is published at once, and the terminal result when all orders have ended."""
    one = _account()
    row = _shown(one, "11")
    offset = one.offer(cancel_all("ca"))
    one.send()
    assert one.send_own_cancels() == ["11"]
    one.lose_session()
    assert one.outcomes() == [(offset, "unknown")]
    one.open_session()
    one.ask(row)
    assert one.send_own_cancels() == ["11"]
    _answered(one, first=1)
    one.wait(0.6)
    one.ask()
    assert one.outcomes() == [(offset, "unknown"), (offset, "accepted")]


def test_what_takes_long_is_unknown_until_it_is_done() -> None:
    """The venue's list proves the end, and a cancel that was accepted is not soon sent again."""
    one = _account()
    row = _shown(one, "11")
    offset = one.offer(cancel_all("ca"))
    one.send()
    one.send_own_cancels()
    _answered(one)
    for _ in range(6):
        one.renew(1)
        one.ask(row)
    assert one.outcomes() == [(offset, "unknown")]
    assert one.send_own_cancels() == []
    one.renew(36)
    one.ask(row)
    assert one.send_own_cancels() == ["11"]
    _shown(one, "11", orderState="FILLED", updateAt=str(START.wall_ms + 1))
    assert _last(one) == ("accepted", "done by cancelling 1 orders one by one")


def test_what_the_venue_will_not_cancel_is_counted() -> None:
    """The result is published when the venue has refused all cancels that are left."""
    one = _account()
    row = _shown(one, "11")
    one.offer(cancel_all("ca"))
    one.send()
    one.send_own_cancels()
    one.ask(row)
    _answered(one, 401019)
    one.renew(121)
    one.ask(row)
    text = "done by cancelling 0 orders one by one; 1 are still open, see their order's last state"
    assert _last(one) == ("accepted", text)


def test_a_thousand_orders_end_within_the_window_of_cancels() -> None:
    """No slot of cancel_orders is used, and each order takes one slot of cancels."""
    one = _account()
    rows = [_shown(one, f"{number}") for number in range(10_000, 10_000 + MANY)]
    offset = one.offer(cancel_all("ca"))
    one.send()
    assert len(one.send_own_cancels()) == MANY
    assert one.last_commit is not None
    assert one.last_commit.extra_count == MANY, "the commit after the claim told of all that waited"
    one.ask(*rows)
    _answered(one)
    for number in range(10_000, 10_000 + MANY):
        _shown(one, f"{number}", orderState="CANCELLED", updateAt=str(START.wall_ms + 1))
    assert one.outcomes() == [(offset, "accepted")]
    assert _last(one)[1] == "done by cancelling 1000 orders one by one"
    second = one.offer(cancel_all("second"))
    one.send()
    one.ask()
    assert one.outcomes()[1:] == [(second, "accepted")]


def test_one_after_the_other_each_has_its_answer() -> None:
    """Two at once share the cancels, and each has its own result."""
    one = _account()
    one.account.on_order(order_push("", orderId="13", sym=ETH_ON_OKX), one.now)
    rows = [_shown(one, "11", sym=BTC)]
    first, second = one.offer(cancel_all("a", "BINANCE")), one.offer(cancel_all("b", "ALL"))
    one.send()
    assert one.send_own_cancels() == ["11", "13"]
    one.ask(*rows, order_push("", orderId="13", sym=ETH_ON_OKX))
    _answered(one)
    _shown(one, "11", orderState="CANCELLED", updateAt=str(START.wall_ms + 1))
    assert one.outcomes() == [(first, "accepted")]
    _shown(one, "13", sym=ETH_ON_OKX, orderState="CANCELLED", updateAt=str(START.wall_ms + 1))
    assert one.outcomes() == [(first, "accepted"), (second, "accepted")]


def test_the_next_owner_continues_the_single_cancels() -> None:
    """A claimed cancel_orders does not cancel newer orders, and has one terminal result."""
    one = _account(epoch=2)
    offset = one.offer(cancel_all("ca"), past=TakeoverStatus.CLAIMED)
    row = order_push("", orderId="11", createAt=str(START.wall_ms - 60_000))
    one.ask(row, order_push("", orderId="12", createAt=str(START.wall_ms)))
    assert one.send_own_cancels() == ["11"]
    _answered(one)
    one.wait(0.6)
    one.ask(order_push("", orderId="12", createAt=str(START.wall_ms)))
    assert one.outcomes() == [(offset, "unknown"), (offset, "accepted")]


def test_the_list_of_open_orders_is_queried_first() -> None:
    """The queries about unknown places wait for it."""
    one = _account()
    for number in range(100):
        one.offer(place(f"p{number}"))
    one.send()
    one.renew(6)
    one.offer(cancel_all("ca"))
    one.send()
    assert one.ask()[0].action == CANCEL_ALL


def test_a_second_press_sends_what_has_no_answer_once_more() -> None:
    """Repeats wait for minutes when the window is full; a second cancel_orders does not, except within five seconds."""
    one = _account()
    for number in range(900):
        one.offer(cancel(f"c{number}", orderId=f"9{number:015d}"))
    one.send()
    _shown(one, "11")
    one.offer(cancel_all("first"))
    one.send()
    assert one.send_own_cancels() == ["11"]
    one.renew(60)
    assert one.send_own_cancels() == []
    for press in ("second", "third"):
        one.offer(cancel_all(press))
        one.send()
        assert one.send_own_cancels() == (["11"] if press == "second" else [])
    one.renew(5)
    assert one.send_own_cancels() == ["11"]


def test_a_halved_limit_leaves_slots_for_orders_to_end() -> None:
    """After a refusal for the rate, with most slots held, half of the reserved ones are still free."""
    one = _account()
    offsets = [one.offer(cancel(f"c{number}", orderId=f"9{number:015d}")) for number in range(700)]
    one.send()
    one.answer(offsets[0], 429)
    for number in range(100, 200):
        _shown(one, f"{number}")
    one.offer(cancel_all("ca"))
    one.send()
    assert len(one.send_own_cancels()) == 60
    fresh = [one.offer(cancel(f"fresh{number}", orderId=f"8{number:015d}")) for number in range(60)]
    assert one.send_cancels() == fresh


def test_a_single_cancel_that_is_refused_for_its_rate_goes_out_again_in_seconds() -> None:
    """It had no effect, so the next one counts as a first: it waits neither for minutes nor for free common slots."""
    one = _account()
    for number in range(900):
        one.offer(cancel(f"c{number}", orderId=f"9{number:015d}"))
    one.send()
    _shown(one, "11")
    one.offer(cancel_all("ca"))
    one.send()
    assert one.send_own_cancels() == ["11"]
    _answered(one, 429)
    one.renew(4)
    assert one.send_own_cancels() == []
    one.renew(1)
    assert one.send_own_cancels() == ["11"]

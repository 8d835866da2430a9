"""One account from takeover to release: commands and the stream together."""

import json
from typing import Any

import pytest

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome, Reason, Result
from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.commands.claims import CommitMetadata, TermStart, decode
from bridge.core.commands.parse import parse_command
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.now import Now
from bridge.core.records import Answer, CommandRecord, InvalidFrame, Push
from tests.support.one_account import (
    BTC,
    ETH_ON_OKX,
    LIMITS,
    ORDER_ID,
    START,
    TIMING,
    OneAccount,
    cancel,
    cancel_all,
    order_push,
    place,
    replace,
    results_of,
)

_ONE_FOR_180_S = ((180, 1),)
"""What a commit tells of one request without an answer a second after its write."""


def _result(command_id: str, offset: int, outcome: Outcome, **more: Any) -> tuple[Result, int]:  # noqa: ANN401 - any field
    return Result(command_id, offset, outcome, START.wall_ms, **more), START.wall_ms - 1000


def _events(one: OneAccount) -> list[dict[str, Any]]:
    one.drain()
    return [json.loads(record.value or b"") for record in one.said if record.stream is Stream.SESSION]


def test_a_takeover_gives_every_command_exactly_one_terminal_result() -> None:
    """Claimed, answered and unclaimed commands side by side; a superseded place is answered before its cancel."""
    one = OneAccount(epoch=7, start=100, live=False)
    one.account.results.publish_takeover(7, "host:1", one.now)
    body = parse_command(
        CommandRecord(0, START.wall_ms, None, json.dumps(place("p-done")).encode(), ()), START, LIMITS, TIMING
    )
    done: dict[str, Any] = {"action": PLACE, "client_order_id": "pdone", "body_digest": body.digest}
    one.account.restore(
        [
            _result("gone", 90, Outcome.REJECTED, action=PLACE, client_order_id="gone"),
            _result("p-done", 100, Outcome.UNKNOWN, **done),
            _result("p-done", 100, Outcome.ACCEPTED, order_id=ORDER_ID, **done),
            _result("ca-done", 104, Outcome.ACCEPTED, action=CANCEL_ALL),
            _result("ca-late", 107, Outcome.EXPIRED, action=CANCEL_ALL),
        ],
        one.now,
    )
    one.offer(place("p-done"), past=TakeoverStatus.ANSWERED)  # 100
    one.offer(place("p-claimed"), past=TakeoverStatus.CLAIMED)  # 101
    one.offer(place("p-purged"), past=TakeoverStatus.READ)  # 102: the cancel_orders behind it has reached the venue
    one.offer(place("p-okx", sym=ETH_ON_OKX), past=TakeoverStatus.READ)  # 103
    one.offer(cancel_all("ca-done", "BINANCE"), past=TakeoverStatus.ANSWERED)  # 104
    one.offer(place("p-read"), past=TakeoverStatus.READ)  # 105
    one.offer(replace("r-read", clientOrderId="pdone"), past=TakeoverStatus.READ)  # 106
    one.offer(cancel_all("ca-late"), past=TakeoverStatus.ANSWERED)  # 107: it never went, so it ends nothing
    one.offer(cancel("c-read", clientOrderId="pclaimed"), past=TakeoverStatus.READ)  # 108
    one.offer(cancel("c-unsent", clientOrderId="pokx"), past=TakeoverStatus.READ)  # 109
    one.offer(place("p-done"), past=TakeoverStatus.READ)  # 110
    one.offer(b"garbage", past=TakeoverStatus.ANSWERED)  # 111
    one.offer(place("p-late") | {"validUntil": 0}, past=TakeoverStatus.READ)  # 112
    assert one.outcomes() == [
        (101, "unknown"),
        (102, "superseded"),
        (103, "superseded"),
        (109, "superseded"),
        (110, "accepted"),
        (112, "expired"),
    ]
    assert one.account.unknown.list_queries()[0].client_order_id == "pclaimed"
    one.account.begin("host:1", one.now)
    first_gap_ms = one.now.wall_ms
    assert one.committed() == (101, CommitMetadata(7, first_gap_ms, (101,)))
    assert one.send_cancels() == [108]
    one.open_session()
    assert one.send() == [106, 105]
    assert one.written[1].args["orderId"] == ORDER_ID
    one.account.on_order(order_push("pclaimed", orderId="2" * 16), one.now)
    for offset in (105, 106, 108):
        one.answer(offset)
    terminal = [offset for offset, outcome in one.outcomes() if outcome != "unknown"]
    assert sorted(terminal) == [101, 102, 103, 105, 106, 108, 109, 110, 112]
    assert one.committed() == (113, CommitMetadata(7, first_gap_ms, (), extra_cancels=_ONE_FOR_180_S))
    assert one.said[0].event_type == b"ltp.takeover.v1"


def test_a_claimed_cancel_orders_ends_the_places_before_it() -> None:
    """It may have reached the venue, so unclaimed places before it are not sent; later ones are."""
    one = OneAccount(epoch=2)
    one.offer(place("p0"), past=TakeoverStatus.READ)
    one.offer(cancel_all("ca", "BINANCE"), past=TakeoverStatus.CLAIMED)
    one.offer(place("p1"), past=TakeoverStatus.READ)
    assert one.outcomes() == [(1, "unknown"), (0, "superseded")]
    assert one.send() == [2]


def test_an_inherited_cancel_is_repeated() -> None:
    """A cancel counts as claimed when the claims were lost; it is safe to repeat, so it is repeated."""
    one = OneAccount(epoch=2)
    one.offer(cancel("c", orderId=ORDER_ID), past=TakeoverStatus.CLAIMED)
    assert one.send() == [0]
    one.answer(0)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]
    assert one.committed() == (1, CommitMetadata(2, one.now.wall_ms, (), extra_cancels=_ONE_FOR_180_S))


def test_a_claimed_command_is_not_denied_by_a_limit_that_has_changed() -> None:
    """The earlier owner accepted it, and may have sent it."""
    one = OneAccount(epoch=2)
    one.offer(place("p") | {"validUntil": START.wall_ms + 7_200_000}, past=TakeoverStatus.CLAIMED)
    assert one.outcomes() == [(0, "unknown")]


def test_an_answered_conflict_ends_nothing() -> None:
    """A dead letter has no result, so it did not reach the venue and supersedes nothing."""
    one = OneAccount(epoch=2)
    one.offer(place("p"), past=TakeoverStatus.READ)
    one.offer(cancel_all("p", "ALL"), past=TakeoverStatus.ANSWERED)
    assert one.send() == [0]


def test_claims_and_results_of_earlier_owners_take_slots() -> None:
    """Each claim, each cancel without a result and each result of a sent command takes one; denials do not."""
    limits = {PLACE: 4, REPLACE: 1, CANCEL: 2, CANCEL_ALL: 1}
    one = OneAccount(epoch=2, limits=limits)
    one.account.restore(
        [
            _result("a", 90, Outcome.ACCEPTED, action=PLACE, sent_at=START.wall_ms - 1500),
            _result("a", 91, Outcome.ACCEPTED, action=PLACE, sent_at=START.wall_ms - 1500),
            _result("b", 92, Outcome.NOT_FOUND, action=PLACE),
            _result("d", 93, Outcome.DENIED, action=PLACE, reason=Reason.OVER_BUDGET),
            _result("e", 94, Outcome.DENIED, reason=Reason.BAD_SCHEMA),
            _result("f", 95, Outcome.UNKNOWN, action=PLACE, sent_at=START.wall_ms - 1500),
        ],
        one.now,
    )
    valid = {"validUntil": START.wall_ms + 600_000}
    one.offer(place("claimed"), past=TakeoverStatus.CLAIMED)
    one.offer(cancel("c0", orderId=ORDER_ID) | valid, past=TakeoverStatus.READ)
    one.offer(cancel("c1", orderId=ORDER_ID) | valid, past=TakeoverStatus.READ)
    one.offer(place("p0") | valid)
    one.offer(place("p1") | valid)
    assert one.send() == [3]
    one.renew(61)
    assert [written.offset for written in one.written] == [3, 4]


def test_an_old_result_takes_no_slot() -> None:
    """A result of more than a window ago was counted by the venue more than a window ago."""
    one = OneAccount(epoch=2, limits={PLACE: 1, REPLACE: 1, CANCEL: 1, CANCEL_ALL: 1})
    one.wait(67)
    one.account.restore([(_result("a", 90, Outcome.ACCEPTED, action=PLACE)[0], START.wall_ms)], one.now)
    one.renew(1)
    offset = one.offer(place("p"))
    assert one.send() == [offset]


def test_a_restored_name_is_taken_unless_it_was_never_sent() -> None:
    """The results of earlier owners have the clientOrderIds that are in use."""
    one = OneAccount(epoch=2)
    one.account.restore(
        [
            _result("a", 1, Outcome.REJECTED, action=PLACE, client_order_id="used"),
            _result("b", 2, Outcome.DENIED, action=PLACE, client_order_id="free"),
        ],
        one.now,
    )
    one.next_offset = 10
    one.offer(place("c", clientOrderId="used"))
    one.offer(place("d", clientOrderId="free"))
    assert one.outcomes() == [(10, "denied")]
    assert one.send() == [11]


def test_lost_claims_stay_lost_for_the_next_owner() -> None:
    """Until every command below the mark is answered, each commit has the mark."""
    one = OneAccount(epoch=2)
    one.begin_term(TermStart(2, 0, claims_lost_below=2))
    one.offer(place("p0"), past=TakeoverStatus.CLAIMED)
    one.offer(place("p1"), past=TakeoverStatus.CLAIMED)
    assert one.committed() == (0, CommitMetadata(2, one.now.wall_ms, (), claims_lost_below=2))
    for name, order_id in (("p0", ORDER_ID), ("p1", "2" * 16)):
        one.account.on_order(order_push(name, orderId=order_id), one.now)
    one.drain()
    assert one.committed() == (2, CommitMetadata(2, one.now.wall_ms, ()))


def test_a_predecessor_that_did_not_finish_leaves_a_gap() -> None:
    """From where its events were durable; until it is closed every commit carries that point."""
    one = OneAccount(live=False)
    one.begin_term(TermStart(3, 0, 1234))
    one.account.begin("host:1", one.now)
    owner, gap = _events(one)
    assert (owner["type"], owner["epoch"], owner["instance"]) == ("owner.acquired", 3, "host:1")
    assert (gap["type"], gap["fromMs"], gap["cause"]) == ("gap.opened", 1234, "owner_changed")
    assert one.committed()[1].durable_until_ms == 1234


@pytest.mark.parametrize(("wanted_ms", "from_ms"), [(None, START.wall_ms), (1234, 1234), (2**50, START.wall_ms)])
def test_the_gap_of_the_first_owner_begins_now(wanted_ms: int | None, from_ms: int) -> None:
    """Nobody has listened before; it begins in the past where past executions are wanted."""
    one = OneAccount(live=False)
    one.account.begin("host:1", one.now, wanted_ms)
    _, gap = _events(one)
    assert (gap["type"], gap["fromMs"], gap["cause"]) == ("gap.opened", from_ms, "first_start")


def test_a_lost_session_opens_a_gap_from_the_last_durable_point() -> None:
    """Not from the last event received; places wait until the next session is swept."""
    one = OneAccount()
    one.account.session_lost("az4", Cause.PONG_OVERDUE, "no pong", START.wall_ms - 700, one.now)
    assert not one.account.first_sweep_done
    lost, gap = _events(one)[-2:]
    assert (lost["type"], lost["cause"], lost["detail"]) == ("session.lost", "pong_overdue", "no pong")
    assert (gap["fromMs"], gap["gapId"]) == (START.wall_ms - 700, "1-1")
    one.offer(place("p"))
    assert one.send() == []
    one.open_session()
    assert one.send() == [0]
    assert one.committed()[1].durable_until_ms == START.wall_ms - 700


def test_pushes_are_published_and_settle_commands() -> None:
    """One push gives the record of the order and the result of an unknown place."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    one.lose_session()
    data = json.dumps(
        {
            "orderId": ORDER_ID, "orderState": "NEW", "clientOrderId": "p", "sym": BTC, "side": "BUY",
            "orderQty": "0.5", "createAt": str(START.wall_ms), "updateAt": str(START.wall_ms),
        }
    ).encode()  # fmt: skip
    assert one.account.on_frame(Push("Orders", data, b'{"channel":"Orders"}'), one.now)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]
    assert [record.value for record in one.said if record.stream is Stream.ORDERS] == [data]


def test_a_trade_conflict_raises_an_alarm() -> None:
    """Two trades of one identity and another price: both published, and somebody is told."""
    one = OneAccount()
    for price in ("1", "2"):
        trade = {"transactionId": "t", "orderId": ORDER_ID, "sym": BTC, "quantity": "1", "price": price, "side": "BUY"}
        one.account.on_frame(Push("Trades", json.dumps(trade).encode(), b""), one.now)
    assert one.alarms() == ["trade_conflict"]
    assert len([record for record in one.said if record.stream is Stream.TRADES]) == 2


def test_a_frame_that_is_no_protocol_is_kept() -> None:
    """The whole frame goes to `unrecognized`."""
    one = OneAccount()
    assert one.account.on_frame(InvalidFrame(b"\x00", "why"), one.now)
    (record,) = [record for record in one.drain() if record.stream is Stream.UNRECOGNIZED]
    assert (record.key, record.value) == (b"UNKNOWN", b"\x00")


def test_the_account_wakes_when_something_is_due() -> None:
    """It is the period of commits, an overdue ack or the end of a validity, whichever is first."""
    one = OneAccount(commit_period_s=100, lease_s=200)
    one.offer(place("p"))
    one.send()
    assert one.account.wake_at_boot_s(one.now) == START.boot_s + 5
    one.answer(0)
    one.offer(place("q") | {"validUntil": one.now.wall_ms + 3000})
    assert one.account.wake_at_boot_s(one.now) == START.boot_s + 3
    one.send()
    one.answer(1)
    one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    one.answer(2, 400010)
    assert one.account.wake_at_boot_s(one.now) == START.boot_s + 0.1


def test_the_log_sees_every_result_once() -> None:
    """What was said since the last look is there to be logged."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    one.answer(0)
    (record,) = (one for one in one.drain() if one.answer is not None)
    assert record.answer is not None
    assert results_of([record]) == [record.answer.result]


def test_time_on_two_clocks() -> None:
    """A Unix time becomes a deadline once; a step of the wall clock afterwards does not move it."""
    assert Now(100.0, 5000).boot_s_of(7500) == 102.5
    assert Now(100.0, 5000).boot_s_of(0) == 95.0


@pytest.mark.parametrize("recording", [True, False])
def test_a_commit_without_claims_has_the_state(*, recording: bool) -> None:
    """Offset, epoch and the durable point, whether or not anything may be claimed."""
    one = OneAccount(epoch=9, start=5)
    one.wait(1)
    commit = one.account.next_commit(one.now, 42, recording=recording)
    assert commit is not None
    assert (commit.offset, decode(commit.metadata, 5)) == (5, CommitMetadata(9, 42, ()))


def test_a_frame_that_is_answer_and_push_is_the_answer_only_to_a_request_of_ours() -> None:
    """With the id of a request it settles the command and is on no topic; with any other it is a push."""
    one = OneAccount()
    offset = one.offer(place("p"))
    one.send()
    data = json.dumps({"orderId": ORDER_ID, "orderState": "OPEN"}).encode()
    push = Push("Orders", data, b"{}")
    ours, another = one.written[-1].request_id, "1x2x3"
    for request_id in (another, ours):
        assert one.account.on_frame(Answer(request_id, "place_order", 200000, "", ORDER_ID, "p", push), one.now)
    assert not one.account.on_frame(Answer(another, "place_order", 200000, "", None, None), one.now)
    assert one.outcomes() == [(offset, "accepted")]
    assert [record.value for record in one.said if record.stream is Stream.ORDERS] == [data]

"""The intake: dedupe, and the results of commands that are not sent."""

import json
import tracemalloc
from typing import Any

import pytest

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Reason
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import CommandRecord
from tests.support.one_account import (
    ORDER_ID,
    START,
    OneAccount,
    cancel,
    cancel_all,
    order_push,
    place,
    replace,
)
from tests.support.waiting_commands import count_waiting, is_nothing_left

LONG = {"validUntil": START.wall_ms + 1_800_000}


def _paused(one: OneAccount) -> bool:
    return one.account.intake.is_paused


def test_the_same_command_again_gets_the_first_answer() -> None:
    """A copy before the result and one after it both get it, with their own offsets and headers."""
    one = OneAccount()
    one.offer(place("p"))
    one.offer(place("p"), headers=[("traceparent", b"00-1"), ("other", b"x")])
    one.send()
    one.answer(0, order_id=ORDER_ID, client_order_id="p")
    one.offer(place("p"))
    assert one.outcomes() == [(0, "accepted"), (1, "accepted"), (2, "accepted")]
    assert [record.headers for record in one.said if record.key == b"p"] == [[], [("traceparent", b"00-1")], []]
    assert len({record.event_id for record in one.said if record.key == b"p"}) == 1
    assert [result.repeated for result in one.results()] == [False, True, True]
    assert is_nothing_left(one)


@pytest.mark.parametrize("second", [place("p", side="SELL"), b'{"commandId":"p","action":"buy"}'])
def test_the_same_id_with_another_body_is_a_dead_letter(second: Any) -> None:  # noqa: ANN401 - body or bytes
    """The first keeps its result; an alarm and a dead letter with the original bytes report the second."""
    one = OneAccount()
    one.offer(place("p"))
    one.offer(second, headers=[("traceparent", b"00-1")])
    one.send()
    one.answer(0)
    assert one.outcomes() == [(0, "accepted")]
    assert one.alarms() == ["id_conflict"]
    (letter,) = one.dead_letters()
    headers = dict(letter.headers)
    assert (headers["error_code"], headers["__connect.errors.offset"]) == (b"id_conflict", b"1")
    assert headers["__connect.errors.topic"] == b"ltp.main.commands"
    assert headers["traceparent"] == b"00-1"
    assert letter.key == b"key"
    assert json.loads(letter.value or b"")["commandId"] == "p"
    assert is_nothing_left(one)


def test_a_refused_body_is_the_first_use_of_its_id() -> None:
    """A corrected body under the same commandId would give one command two results."""
    one = OneAccount()
    bad = b'{"commandId":"p","action":"buy"}'
    one.offer(bad)
    one.offer(bad)
    one.offer(place("p"))
    assert one.outcomes() == [(0, "denied"), (1, "denied")]
    assert one.results()[0].reason is Reason.BAD_SCHEMA
    assert len(one.dead_letters()) == 1
    assert is_nothing_left(one)


def test_what_cannot_be_answered_is_a_dead_letter() -> None:
    """A tombstone becomes one, and so do bytes too large to copy, which are named by their offset."""
    one = OneAccount()
    one.offer(None)
    one.offer(b"x" * 1_000_000)
    tombstone, large = one.dead_letters()
    assert (tombstone.value, dict(tombstone.headers)["error_code"]) == (None, b"tombstone")
    assert (large.value, dict(large.headers)["error_code"]) == (b"", b"too_large")
    assert b"read at the offset" in dict(large.headers)["__connect.errors.exception.message"]
    assert is_nothing_left(one)


@pytest.mark.parametrize(
    ("key_bytes", "value_bytes", "kept"), [(890_000, 10, 890_000), (890_000, 60_000, 890_000), (950_000, 10, 0)]
)
def test_a_dead_letter_fits_a_record(key_bytes: int, value_bytes: int, kept: int) -> None:
    """Key and value together are bounded; if the key alone is too large, only the offset is published."""
    one = OneAccount()
    one.account.intake.offer(CommandRecord(0, one.now.wall_ms, b"k" * key_bytes, b"v" * value_bytes, ()), one.now)
    (letter,) = one.dead_letters()
    fits = key_bytes + value_bytes <= 900_000
    assert (len(letter.key), letter.value) == (kept, b"v" * value_bytes if fits else b"")
    assert (b"left out" in dict(letter.headers)["__connect.errors.exception.message"]) != fits


def test_an_offset_is_taken_in_once() -> None:
    """A rebalance may deliver a held record again."""
    one = OneAccount()
    one.offer(place("p"))
    one.next_offset = 0
    one.offer(place("p"))
    assert one.send() == [0]
    assert one.outcomes() == []


def test_a_client_order_id_names_one_order() -> None:
    """A second place under it is denied while the first is remembered, also after its end."""
    one = OneAccount()
    one.offer(place("a", clientOrderId="mine"))
    one.offer(place("b", clientOrderId="mine"))
    one.send()
    one.answer(0, 401017)
    one.offer(place("c", clientOrderId="mine"))
    assert one.outcomes() == [(1, "denied"), (0, "rejected"), (2, "denied")]
    assert one.results()[0].reason is Reason.CLIENT_ORDER_ID_IN_USE


def test_a_name_that_was_never_sent_is_free_again() -> None:
    """After a denial with retryAfterMs is durable, and not before, the same clientOrderId may be used."""
    one = OneAccount(limits={PLACE: 1, REPLACE: 1, CANCEL: 1, CANCEL_ALL: 1})
    one.offer(place("a"))
    one.send()
    one.offer(place("b", clientOrderId="mine"))
    one.offer(place("c", clientOrderId="mine"))
    one.drain()
    one.offer(place("d", clientOrderId="mine") | LONG)
    assert [result.reason for result in one.results()] == [Reason.OVER_BUDGET, Reason.CLIENT_ORDER_ID_IN_USE]
    assert count_waiting(one)[PLACE] == 1


def test_what_would_wait_too_long_is_denied_at_once() -> None:
    """The result has the time after which a slot is free."""
    one = OneAccount(limits={PLACE: 1, REPLACE: 1, CANCEL: 1, CANCEL_ALL: 1})
    one.offer(place("p0"))
    one.send()
    one.answer(0)
    one.offer(place("p1"))
    result = one.results()[-1]
    assert (result.outcome, result.reason, result.retry_after_ms) == ("denied", Reason.OVER_BUDGET, 60_500)


def test_a_full_lane_denies_and_only_full_cancels_pause() -> None:
    """Places and replaces never hold up the cancels behind them."""
    one = OneAccount(lane_commands_max=2, live=False)
    one.wait(0)
    one.hand_over()
    one.stored()
    for n in range(3):
        one.offer(place(f"p{n}"))
    for n in range(3):
        one.offer(replace(f"r{n}", orderId=str(10**15 + n)))
    assert [result.reason for result in one.results()] == [Reason.LANE_FULL] * 2
    assert not _paused(one)
    one.offer(cancel("c", orderId=ORDER_ID))
    assert not _paused(one)
    one.offer(cancel_all("ca", "EDX"))
    assert _paused(one)
    one.send()
    assert not _paused(one)


def test_what_expires_in_one_moment_is_answered_in_parts() -> None:
    """A cancel that comes in between does not wait for thousands of answers."""
    one = OneAccount()
    one.lose_session()
    for number in range(602):
        one.offer(place(f"p{number}") | {"validUntil": START.wall_ms + 500_000})
    one.renew(499)
    assert one.outcomes() == []
    one.wait(1)
    assert len(one.results()) == 500
    assert one.account.wake_at_boot_s(one.now) <= one.now.boot_s
    one.wait(0)
    assert [result.outcome for result in one.results()] == ["expired"] * 602


def test_what_expires_unsent_says_so() -> None:
    """It expires at once when it is read too late, and on time while it waits in its lane."""
    one = OneAccount()
    one.lose_session()
    one.offer(place("late") | {"validUntil": one.now.wall_ms})
    one.offer(place("p"))
    one.offer(replace("r", clientOrderId="p") | {"validUntil": one.now.wall_ms + 5000})
    assert one.account.intake.wake_at_boot_s(one.now) == one.now.boot_s + 5
    one.renew(12)
    assert one.outcomes() == [(0, "expired"), (2, "expired"), (1, "expired")]
    assert one.account.intake.wake_at_boot_s(one.now) == float("inf")
    assert is_nothing_left(one)


def test_the_bridge_decides_nothing_without_a_lease() -> None:
    """An owner that was frozen neither denies nor expires a command: only the present owner may."""
    one = OneAccount()
    one.offer(place("p"))
    one.drain()
    one.wait(60)
    one.offer(b"garbage")
    one.offer(place("q"))
    assert one.drain() == []
    assert one.account.intake.wake_at_boot_s(one.now) == float("inf")
    one.hand_over()
    one.stored()
    assert one.account.intake.wake_at_boot_s(one.now) == one.now.boot_s
    one.wait(0)
    assert one.outcomes() == [(0, "expired")]
    assert len(one.dead_letters()) == 1
    assert count_waiting(one)[PLACE] == 1


def test_a_replace_by_an_unknown_name_is_sent_after_its_order_was_looked_up() -> None:
    """The venue knows it: the replace goes by its orderId."""
    one = OneAccount()
    one.offer(replace("r", clientOrderId="theirs"))
    assert one.send() == []
    assert one.account.intake.list_lookups() == ["theirs"]
    one.account.on_order(order_push("theirs"), one.now)
    one.account.intake.finish_lookup("theirs", one.now)
    assert one.account.intake.list_lookups() == []
    assert one.send() == [0]
    assert one.written[0].args["orderId"] == ORDER_ID


def test_a_replace_that_a_cancel_ends_during_the_lookup_stays_ended() -> None:
    """The answer about its order comes too late to change its result."""
    one = OneAccount()
    one.offer(replace("r", clientOrderId="theirs"))
    one.send()
    assert one.account.intake.list_lookups() == ["theirs"]
    one.offer(cancel("c", clientOrderId="theirs"))
    one.account.intake.finish_lookup("theirs", one.now)
    assert one.outcomes() == [(0, "superseded")]


def test_a_replace_of_an_order_that_the_venue_does_not_know_is_denied() -> None:
    """It is denied when there is a lease; one that expired meanwhile stays expired and is looked up no more."""
    one = OneAccount()
    one.offer(replace("r0", clientOrderId="theirs"))
    one.offer(replace("r1", clientOrderId="others") | {"validUntil": one.now.wall_ms + 1000})
    one.send()
    assert sorted(one.account.intake.list_lookups()) == ["others", "theirs"]
    one.renew(1)
    assert one.account.intake.list_lookups() == ["theirs"]
    one.wait(2)
    one.account.intake.finish_lookup("theirs", one.now)
    assert "theirs" in one.account.intake.list_lookups()
    one.hand_over()
    one.stored()
    one.account.intake.finish_lookup("theirs", one.now)
    one.account.intake.finish_lookup("others", one.now)
    assert one.outcomes() == [(1, "expired"), (0, "denied")]
    assert one.results()[1].reason is Reason.UNKNOWN_ORDER
    assert is_nothing_left(one)


def test_memory_is_bounded_by_the_horizon() -> None:
    """An answered command is forgotten after an hour, an unanswered one is not."""
    one = OneAccount()
    one.offer(place("p0"))
    one.offer(place("p1"))
    one.send()
    one.answer(0)
    one.drain()
    one.renew(1)
    one.offer(cancel_all("ca"))
    one.send()
    one.answer(2)
    one.drain()
    one.wait(3602)
    memory = one.account.intake._index
    assert memory.find_answered("ca") is None
    assert (memory.find_answered("p0"), memory.find_order_offset("p0")) == (None, None)
    assert memory.find_earlier("p1") is not None
    one.answer(1)
    one.wait(3601)
    assert len(memory) == 0


def test_offsets_without_a_record_are_committed_over() -> None:
    """A control record or a hole is committed over, once the held records below it are taken in."""
    one = OneAccount()
    one.offer(cancel_all("ca"))
    one.account.intake.mark_read_to(3)
    assert one.committed()[0] == 0
    one.send()
    one.answer(0)
    one.drain()
    assert one.committed()[0] == 3
    one.next_offset = 3
    one.wait(10)
    one.offer(cancel_all("cb"))
    one.account.intake.mark_read_to(6)
    assert one.committed()[0] == 3
    one.wait(0)
    one.send()
    one.answer(3)
    one.drain()
    assert one.committed()[0] == 6


def test_an_unreadable_batch_is_one_dead_letter_and_all_its_offsets_are_done() -> None:
    """A hundred thousand unreadable offsets cost one record; a successor skips all of them too."""
    record = CommandRecord(0, START.wall_ms, None, None, (), last_offset=99_999, unreadable="no zstd")
    one = OneAccount()
    one.account.intake.offer(record, one.now)
    (letter,) = one.dead_letters()
    assert dict(letter.headers)["error_code"] == b"unreadable"
    assert one.committed()[0] == 100_000
    successor = OneAccount(epoch=2)
    successor.account.intake.offer(record, successor.now, TakeoverStatus.ANSWERED)
    assert successor.dead_letters() == []
    assert successor.committed()[0] == 100_000


def test_what_is_held_back_has_a_bound_in_bytes() -> None:
    """Without a lease large records pause the reading long before there are many."""
    one = OneAccount()
    one.wait(10, tick=False)
    for _ in range(300):
        assert not _paused(one)
        one.offer(b"x" * 60_000)
        if _paused(one):
            break
    assert _paused(one)
    one.send()
    while one.account.intake.wake_at_boot_s(one.now) == one.now.boot_s:
        one.wait(0)
    assert not _paused(one)


def test_a_dead_letter_that_waits_holds_no_value_that_was_left_out() -> None:
    """Until it is durable it holds its own bytes, and not those of the record it is about."""
    one = OneAccount()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10):
            one.offer(bytes(2_000_000))
        assert tracemalloc.get_traced_memory()[0] - before < 3_000_000
    finally:
        tracemalloc.stop()
    assert len(one.dead_letters()) == 10

"""Deferred commands: read with too many behind them, kept as offsets, and answered after the cancels behind them."""

import itertools
import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.results import Reason
from bridge.core.commands.deferred_offsets import DeferredOffsets, may_be_cancel
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import CommandRecord
from tests.support.one_account import START, OneAccount, cancel, cancel_all, place, replace

LANE = 5
FAR = LANE + 1


class Runaway(OneAccount):
    """An account whose topic has far too many commands."""

    def __init__(self, epoch: int = 1) -> None:
        super().__init__(epoch=epoch, lane_commands_max=LANE)
        self.log: list[CommandRecord] = []

    def read(self, body: object, *, behind: int = FAR, past: TakeoverStatus = TakeoverStatus.NEW) -> int:
        """Read the next command, with so many behind it."""
        value = msgspec.json.encode(body) if isinstance(body, dict) else body
        record = CommandRecord(len(self.log), self.now.wall_ms, b"key", value, ())  # type: ignore[arg-type] # as it is
        self.log.append(record)
        self.account.intake.offer(record, self.now, past, behind=behind)
        return record.offset

    def answer_deferred(self) -> None:
        """Read the deferred commands again, and answer them."""
        span = self.account.intake.deferred_span
        assert span is not None
        for record in self.log[slice(*span)]:
            self.account.intake.answer_deferred(record, self.now)
        self.account.intake.mark_deferred_answered(span[1])
        self.drain()


def _span(one: OneAccount) -> tuple[int, int] | None:
    return one.account.intake.deferred_span


def test_places_far_behind_are_deferred_and_the_cancels_between_them_are_sent() -> None:
    """A place is not parsed before the cancels behind it are written; then it is denied."""
    one = Runaway()
    for number in range(100):
        one.read(place(f"a{number}"))
    panic = one.read(cancel_all("panic"))
    one.read(replace("r", clientOrderId="a1"))
    one.read(None)
    one.read(b"no JSON")
    single = one.read(cancel("single", orderId="1703213979730000"))
    last = one.read(place("last"), behind=LANE)
    one.send()
    one.send()
    assert {written.offset for written in one.written} == {panic, single, last}
    assert one.outcomes() == []
    assert _span(one) == (0, single)
    assert one.committed()[0] == 0
    one.answer_deferred()
    assert _span(one) is None
    results = {result.command_offset: result for result in one.results()}
    assert len(results) == 101
    assert {result.reason for result in results.values()} == {Reason.LANE_FULL}
    assert "more than 5 commands were waiting behind it" in (results[0].message or "")
    assert [dict(letter.headers)["error_code"] for letter in one.dead_letters()] == [b"tombstone", b"not_json"]
    assert one.committed()[0] == panic
    for offset in (panic, single, last):
        one.answer(offset)
    one.drain()
    assert one.committed()[0] == len(one.log)


def test_a_deferred_command_that_has_expired_is_expired() -> None:
    """A command from before a long outage is expired, and not denied for the commands behind it."""
    one = Runaway()
    old = one.read(place("old") | {"validUntil": one.now.wall_ms - 3_600_000})
    fresh = one.read(place("fresh"))
    one.answer_deferred()
    assert one.outcomes() == [(old, "expired"), (fresh, "denied")]


def test_a_deferred_replace_holds_up_no_claim() -> None:
    """Its refusal need not be durable before others are claimed: a successor would defer it too."""
    one = Runaway()
    one.read(replace("r", clientOrderId="theirs"))
    last = one.read(place("last"), behind=0)
    one.account.intake.answer_deferred(one.log[0], one.now)
    assert one.send() == [last]


def test_a_command_submitted_again_behind_is_not_sent_twice() -> None:
    """The deferred record counts as a resubmission of the one that was read after it, and gets the same result."""
    one = Runaway()
    one.read(place("p"))
    again = one.read(place("p"), behind=0)
    assert one.send() == [again]
    one.answer(again)
    one.answer_deferred()
    assert sorted(one.outcomes()) == [(0, "accepted"), (1, "accepted")]
    assert len(one.written) == 1


def test_answered_and_claimed_commands_are_never_deferred() -> None:
    """Far behind at a takeover, an answered command needs no result, and a claimed one is queried."""
    one = Runaway(epoch=2)
    one.read(place("answered"), past=TakeoverStatus.ANSWERED)
    new = [one.read(place("new-1"), past=TakeoverStatus.READ)]
    one.read(place("answered-too"), past=TakeoverStatus.ANSWERED)
    new += [one.read(place("new-2"), past=TakeoverStatus.READ)]
    claimed = one.read(place("claimed"), past=TakeoverStatus.CLAIMED)
    assert _span(one) == (new[0], new[1] + 1)
    assert one.outcomes() == [(claimed, "unknown")]
    one.answer_deferred()
    assert one.outcomes()[1:] == [(offset, "denied") for offset in new]


def test_places_are_deferred_without_a_lease_too() -> None:
    """The number of held records is bounded; the cancels behind them are still found."""
    one = Runaway()
    one.wait(10, tick=False)
    for number in range(20):
        one.read(place(f"p{number}"))
    assert _span(one) == (0, 20)
    assert not one.account.intake.is_paused
    panic = one.read(cancel_all("panic"))
    one.send()
    one.wait(0)
    one.send()
    assert [written.offset for written in one.written] == [panic]


def test_a_record_that_is_delivered_again_is_deferred_once() -> None:
    """A rebalance may deliver it again; a second call to answer it does nothing."""
    one = Runaway()
    one.read(place("p"))
    one.account.intake.offer(one.log[0], one.now, behind=FAR)
    assert one.account.intake.deferred_span == (0, 1)
    one.account.intake.answer_deferred(one.log[0], one.now)
    one.account.intake.answer_deferred(one.log[0], one.now)
    assert one.outcomes() == [(0, "denied")]


def test_a_cancel_is_recognized_by_its_form() -> None:
    """Only a record that is certainly no cancel may be deferred; JSON can write a letter in several ways."""
    hidden = b'{"commandId":"h","action":"c\\u0061ncel_orders","args":{"exchangeType":"ALL"}}'
    cancels = [msgspec.json.encode(cancel("c")), msgspec.json.encode(cancel_all("a")), hidden]
    others = [
        b'{"commandId":"x","action":"cancel_order"}',
        msgspec.json.encode(place("cancel_orders")),
        msgspec.json.encode(place("p") | {"note": "cancel"}),
        b'{"note":"\\u0063","action":"place_order"}',
        b"cancel",
        b"\\u00ff\xff",
        b"[" * 50_000 + b"cancel",
        b"",
        None,
    ]
    for values, expected in ((cancels, True), (others, False)):
        for value in values:
            assert may_be_cancel(CommandRecord(0, START.wall_ms, None, value, ())) is expected, value


def test_a_flood_of_places_that_contain_the_word_cancel_is_deferred() -> None:
    """Neither the word nor a backslash makes a record a cancel: the real one behind them is sent first."""
    one = Runaway()
    for number in range(20):
        one.read(place(f"cancel-{number}"))
        one.read(b'{"commandId":"x","action":"cancel_orders","args":{"exchangeType":"\\u0041LL","x":1}}')
    panic = one.read(cancel_all("panic"))
    one.send()
    one.send()
    assert {written.offset for written in one.written} == {panic}
    assert one.outcomes() == []
    assert _span(one) == (0, panic)


def test_large_records_are_deferred_sooner() -> None:
    """A record of two KiB counts as three, and its refusal says how many were behind it."""
    one = Runaway()
    large = json.dumps(place("large")) + " " * 2048
    put_off = one.read(large.encode(), behind=2)
    ordinary = one.read(place("ordinary"), behind=LANE)
    alone = one.read((large.replace("large", "alone") + " " * 10_000).encode(), behind=1)
    one.send()
    assert {written.offset for written in one.written} == {ordinary, alone}
    assert _span(one) == (put_off, ordinary)
    one.answer_deferred()
    (result,) = one.results()
    assert (result.command_id, result.reason) == ("large", Reason.LANE_FULL)
    assert "more than 1 commands were waiting behind it" in (result.message or "")


@given(st.lists(st.sampled_from(["add", "close", "hole"]), max_size=30), st.data())
def test_ranges_hold_what_was_added_and_only_that(steps: list[str], data: st.DataObject) -> None:
    """In any sequence of cancels, holes and deferred commands, each deferred one is popped once, in order."""
    offsets, ranges, deferred = itertools.count(), DeferredOffsets(), []
    for step in steps:
        offset = next(offsets)
        if step == "add":
            ranges.add(offset, offset + 1)
            deferred.append(offset)
        elif step == "close":
            ranges.end_range()
    assert (ranges.span is None) == (not deferred)
    others = [offset for offset, step in enumerate(steps) if step == "close"]
    for offset in range(len(steps)):
        if offset in others:
            assert not ranges.pop(offset)
        elif offset in deferred and data.draw(st.booleans()):
            assert ranges.pop(offset)
            assert not ranges.pop(offset)
    ranges.drop_below(len(steps))
    assert ranges.span is None

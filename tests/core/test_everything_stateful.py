"""All that can go wrong at once: what is said is true and said once, and nothing is written twice or ended too much.

Commits get lost, results are durable late, links break, requests, answers and pushes get lost or come late, the rate is
refused, the owner changes, its clock is off, its commits are lost with the group. The venue here knows the truth.
"""

import itertools
import json
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome, Result
from bridge.contract.topics import Stream
from bridge.core.commands.claims import CommitMetadata, decode
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.now import Now
from bridge.core.records import Answer, CommandRecord
from bridge.core.takeover_plan import TakeoverStart
from tests.support.one_account import OneAccount, Written, cancel, cancel_all, place, replace, results_of
from tests.support.true_venue import TrueOrder, TrueVenue

if TYPE_CHECKING:
    from bridge.contract.pushes import OrderPush
    from bridge.core.commands.command import TrackedCommand
    from bridge.core.commands.dispatch import Commit
    from bridge.core.records import OutgoingRecord

_NAMES = ("x", "y", "z")
_MOST = st.integers(0, 4).map(lambda n: n > 0)
_SELDOM = st.integers(0, 4).map(lambda n: n == 0)
_ON_THE_WAY_S = 50.0
_OPENS_WITHIN_S = 20.0
_LANE_MAX = 6


class Everything(RuleBasedStateMachine):
    """Topics, group and venue outlive the owner; all else is its own."""

    def __init__(self) -> None:
        super().__init__()
        self.true = Now(1000.0, 1_795_000_000_000)
        self.venue_off_ms = self.broker_off_ms = self.owner_off_ms = 0
        self.single = False
        self.topic: list[CommandRecord] = []
        self.bodies: dict[str, dict[str, Any]] = {}
        self.log: list[tuple[Result, int]] = []
        self.dead: dict[int, bytes | None] = {}
        self.first_offsets: dict[str, int] = {}
        self.placed_at: dict[str, int] = {}
        """By commandId, the offset of the record that was written: what was put off may go at its repeat."""
        self.stored: CommitMetadata | None = CommitMetadata(0, 0, ())
        self.committed_at = 0
        self.epoch = 0
        self.venue = TrueVenue()
        self.shown: dict[str, OrderPush] = {}
        self.on_the_way: list[tuple[float, Written, str | None]] = []
        self.answers: list[Answer] = []
        self.written_ids: list[str] = []
        self.said: dict[str, Result] = {}
        self.ids = itertools.count(1)

    @initialize(
        single=st.booleans(),
        venue=st.sampled_from([0, 0, -2500, 2500]),
        broker=st.sampled_from([0, 0, -2500, 2500]),
    )
    def begin(self, *, single: bool, venue: int, broker: int) -> None:
        """Begin."""
        self.single, self.venue_off_ms, self.broker_off_ms = single, venue, broker
        self.one = OneAccount(live=False)
        self.take_over(0)

    # The venue

    @property
    def venue_ms(self) -> int:
        """What the venue's clock reads."""
        return self.true.wall_ms + self.venue_off_ms

    @property
    def stamp_ms(self) -> int:
        """What the broker's clock reads."""
        return self.true.wall_ms + self.broker_off_ms

    @property
    def venue_now(self) -> Now:
        """The time at the venue."""
        return Now(self.true.boot_s, self.venue_ms)

    def carry_out(self, written: Written, command_id: str | None, *, anew: bool, rate: bool) -> Answer:
        """Let the venue do what a request asks for, or refuse it."""
        if rate:
            return Answer(written.request_id, written.action, 429, "too often", None, None)
        if command_id is None:
            order = self.venue.find(written.args)
            if order is not None and order.live:
                self.check_own_cancel(order)
        return self.venue.carry_out(written, command_id, self.venue_now, anew=anew)

    def check_own_cancel(self, order: TrueOrder) -> None:
        """Hold an own cancel that ends an order against what allows it."""
        said = self.said.get(str(order.made_by))
        if said is not None and said.outcome is Outcome.NOT_FOUND:
            return
        made_at = self.placed_at[str(order.made_by)]
        newer = [
            self.first_offsets[command_id] > made_at
            for command_id, body in self.bodies.items()
            if body["action"] == CANCEL_ALL
        ]
        assert any(newer), "the bridge ended an order that no cancel_orders is about"

    # The owner

    def set_clock(self) -> None:
        """Let the owner's clocks go on."""
        one = self.one
        one.now = Now(self.true.boot_s, self.true.wall_ms + self.owner_off_ms)
        one.venue_ahead_ms = self.venue_off_ms - self.owner_off_ms
        one.broker_ahead_ms = self.broker_off_ms - self.owner_off_ms
        one.read_clocks()

    def take_over(self, off_ms: int) -> None:
        """Begin a new owner's term from what is stored and durable."""
        stored, start = self.stored, self.committed_at
        end = len(self.topic)
        lost = stored is None
        if stored is None:
            stored, start = CommitMetadata(self.epoch, 0, (), end), 0
        self.epoch = stored.epoch + 1
        self.owner_off_ms = off_ms
        self.one = OneAccount(
            epoch=self.epoch,
            start=start,
            live=False,
            lane_commands_max=_LANE_MAX,
            cancel_orders="single_cancels" if self.single else "venue_message",
            claims_lost_below=stored.claims_lost_below,
            limits=dict.fromkeys((PLACE, REPLACE, CANCEL, CANCEL_ALL), 40),
        )
        account = self.one.account
        self.set_clock()
        extra = account.restore_extra_cancels(stored.extra_cancels, self.one.now, in_good_order=stored.released)
        self.stored = CommitMetadata(
            self.epoch, stored.durable_until_ms, stored.claimed, stored.claims_lost_below, extra_cancels=extra
        )
        self.committed_at = start
        self.commit: Commit | None = None
        self.claimed: list[TrackedCommand] = []
        self.unpublished: list[OutgoingRecord] = []
        self.answers = []
        account.restore(self.log, self.one.now)
        for push in self.shown.values():
            account.remember_state(Stream.ORDERS, msgspec.json.encode(push), self.one.now.wall_ms, recovered=False)
        answered = self.answered()
        begin = TakeoverStart(start, stored)
        for record in self.topic[start:]:
            past = TakeoverStatus.UNREAD if begin.is_unread(record.offset) else TakeoverStatus.READ
            if record.offset in answered:
                past = TakeoverStatus.ANSWERED
            elif record.offset < stored.claims_lost_below or record.offset in stored.claimed:
                past = TakeoverStatus.CLAIMED
            account.offer(record, self.one.now, past, behind=end - record.offset)
        gone = [r.command_id for r, _ in self.log if r.command_offset not in answered or not self.same(r)]
        if lost:
            account.forget_offsets(gone, self.one.now)
        self.one.next_offset = end
        self.one.open_session()
        self.collect()

    def same(self, result: Result) -> bool:
        """Whether a result is of the record at its offset."""
        if result.command_offset >= len(self.topic):
            return False
        value = self.topic[result.command_offset].value
        return bool(json.loads(value or b"{}")["commandId"] == result.command_id)

    def answered(self) -> set[int]:
        """Return the offsets of records that have a durable last word."""
        terminal = {r.command_offset for r, _ in self.log if r.outcome.terminal and self.same(r)}
        letters = {
            offset
            for offset, value in self.dead.items()
            if offset < len(self.topic) and self.topic[offset].value == value
        }
        return terminal | letters

    def collect(self) -> None:
        """Take what the owner says, hold it against the truth, and let it wait for the brokers."""
        said = self.one.take_outgoing()
        self.unpublished += said
        for result in results_of(said):
            if result.outcome.terminal:
                self.judge(result)

    def judge(self, result: Result) -> None:
        """Hold a last word against what the venue did and what it may yet do."""
        command_id = result.command_id
        body = self.bodies[command_id]
        before = self.said.get(command_id)
        self.said[command_id] = result
        if result.repeated and before is not None:
            assert before.outcome is result.outcome, f"first {before.outcome}, repeated {result.outcome}"
            return
        taken, action = command_id in self.venue.taken, body["action"]
        flying = [w for _, w, whose in self.on_the_way if whose == command_id]
        if result.outcome.unsent and not (action == CANCEL and command_id not in self.venue.taken):
            assert command_id not in self.written_ids, f"{result.outcome} and written"
        name = result.client_order_id or body["args"].get("clientOrderId")
        if name is None and "orderId" in body["args"]:
            name = self.venue.orders[body["args"]["orderId"]].name
        of_order = self.venue.named(name) if name else []
        lives, ends = [o for o in of_order if o.live], {o.state for o in of_order}
        if result.outcome is Outcome.ACCEPTED:
            if action == CANCEL_ALL:
                self.judge_cancel_all(result)
            elif action != CANCEL or result.code is not None:
                assert taken, "accepted and not taken"
            else:
                assert not lives, "a cancel accepted while its order lives"
                assert "CANCELLED" in ends, "a cancel accepted that cancelled nothing"
        elif result.outcome in {Outcome.REJECTED, Outcome.NOT_FOUND}:
            if action == PLACE:
                assert not taken, f"a place {result.outcome} that was done"
            elif action == CANCEL:
                assert not taken or "FILLED" in ends, f"a cancel {result.outcome} that was done"
            elif action == REPLACE and taken:
                assert not lives, "a replace that was taken is given up while its order lives"
            if result.outcome is Outcome.NOT_FOUND and (lives or action == PLACE):
                assert not flying, "given up while a request of it is on its way"

    def judge_cancel_all(self, result: Result) -> None:
        """Nothing of ours that is older may live on, if single cancels have ended it."""
        if result.code is not None:
            assert result.command_id in self.venue.taken
            return
        if "still open" in (result.message or ""):
            return
        at = self.first_offsets[result.command_id]
        lives = [order for order in self.venue.all() if order.live and self.placed_at[str(order.made_by)] < at]
        assert not lives, f"a cancel_orders is done while {lives[0].order_id} lives"

    def note_written(self, before: int) -> None:
        """Let requests be on their way."""
        for written in self.one.written[before:]:
            command_id = None
            if written.offset >= 0:
                command_id = json.loads(self.topic[written.offset].value or b"")["commandId"]
                if written.action in {PLACE, REPLACE}:
                    assert command_id not in self.written_ids, "written twice"
                    self.placed_at[command_id] = written.offset
                if written.action == CANCEL_ALL:
                    self.check_cancel_all_written(command_id)
                self.written_ids.append(command_id)
            self.on_the_way.append((self.true.boot_s, written, command_id))

    def check_cancel_all_written(self, command_id: str) -> None:
        """Let no message that ends everything be written after an order that came after it."""
        at = self.first_offsets[command_id]
        newer = [one for one in self.written_ids if self.bodies[one]["action"] == PLACE and self.placed_at[one] > at]
        assert not newer, "a cancel_orders was written after a place that is newer"

    def write(self) -> None:
        """Write what is due: cancels, and what an acknowledged commit claims."""
        before = len(self.one.written)
        self.one.write_due(ready=self.one.account.first_sweep_done)
        self.note_written(before)
        self.collect()

    # Callers

    def append(self, body: dict[str, Any], *, padding: int = 0) -> CommandRecord:
        """Append to the topic."""
        value = json.dumps(body).encode() + b" " * padding
        offset = len(self.topic)
        record = CommandRecord(offset, self.stamp_ms, b"key", value, ())
        self.topic.append(record)
        self.bodies.setdefault(body["commandId"], body)
        self.first_offsets.setdefault(body["commandId"], offset)
        return record

    def offer(self, body: dict[str, Any]) -> None:
        """Append to the topic and let the owner read it."""
        record = self.append(body)
        self.one.account.offer(record, self.one.now)
        self.one.next_offset = record.offset + 1
        self.collect()

    def valid(self, body: dict[str, Any], valid_s: float) -> dict[str, Any]:
        """Let a command be valid for so long."""
        return {**body, "validUntil": self.stamp_ms + int(valid_s * 1000)}

    @rule(name=st.sampled_from([None, *_NAMES]), valid_s=st.sampled_from([3, 10, 60]))
    def place(self, name: str | None, valid_s: int) -> None:
        """Place, under a name that may be in use or under its own."""
        args = {} if name is None else {"clientOrderId": name}
        self.offer(self.valid(place(f"p{next(self.ids)}", **args), valid_s))

    @rule(name=st.sampled_from(_NAMES), valid_s=st.sampled_from([10, 60]))
    def replace(self, name: str, valid_s: int) -> None:
        """Replace by name, with a price that no other has."""
        number = next(self.ids)
        self.offer(self.valid(replace(f"r{number}", str(1000 + number), clientOrderId=name), valid_s))

    @rule(name=st.sampled_from(_NAMES), valid_s=st.sampled_from([4, 60]))
    def cancel(self, name: str, valid_s: int) -> None:
        """Cancel by name."""
        self.offer(self.valid(cancel(f"c{next(self.ids)}", clientOrderId=name), valid_s))

    @precondition(lambda self: self.venue.orders)
    @rule(which=st.integers(0, 9), replaces=st.booleans())
    def by_order_id(self, which: int, *, replaces: bool) -> None:
        """Cancel or replace by an orderId that the order may not have any more."""
        order_id = list(self.venue.orders)[which % len(self.venue.orders)]
        number = next(self.ids)
        body = replace(f"r{number}", str(1000 + number), orderId=order_id)
        self.offer(body if replaces else cancel(f"c{number}", orderId=order_id))

    @rule(valid_s=st.sampled_from([4, 60]))
    def cancel_all(self, valid_s: int) -> None:
        """Cancel everything."""
        self.offer(self.valid(cancel_all(f"a{next(self.ids)}"), valid_s))

    @precondition(lambda self: self.bodies)
    @rule(which=st.integers(0, 99))
    def repeat(self, which: int) -> None:
        """Submit a command again."""
        self.offer(list(self.bodies.values())[which % len(self.bodies)])

    @rule(count=st.integers(2, 10), kib=st.sampled_from([0, 0, 2, 60]), bad_luck=_SELDOM, too_many=st.booleans())
    def burst(self, count: int, kib: int, *, bad_luck: bool, too_many: bool) -> None:
        """Submit many places that the owner reads in one go, and so puts some of them off: of large ones more.

        While `too_many` answers wait it puts off all of them.
        """
        if not bad_luck:
            return
        begin = len(self.topic)
        for _ in range(count):
            self.append(place(f"p{next(self.ids)}"), padding=1024 * kib)
        for record in self.topic[begin:]:
            behind = len(self.topic) - record.offset
            self.one.account.offer(record, self.one.now, behind=behind, too_many_answers=too_many)
        self.one.next_offset = len(self.topic)
        self.collect()

    @precondition(lambda self: self.one.account.deferred_span)
    @rule()
    def answer_put_off(self) -> None:
        """Answer what was put off."""
        span = self.one.account.deferred_span
        if span is None or not self.one.account.has_lease(self.one.now):
            return
        for record in self.topic[span[0] : span[1]]:
            self.one.account.answer_deferred(record, self.one.now)
        self.one.account.deferred_answered(span[1])
        self.collect()

    # Commits and results

    @rule(fate=st.sampled_from(["stored"] * 6 + ["dropped", "lost", "late"]))
    def commit_once(self, fate: str) -> None:
        """Hand over the commit that is due and let it be stored, given up, or stored without an answer."""
        one = self.one
        commit = one.account.next_commit(one.now, one.now.wall_ms, recording=True)
        if commit is None:
            self.write()
            return
        assert set(range(commit.offset)) <= self.answered(), "the watermark passed an unanswered command"
        if fate == "dropped":
            one.account.commit_dropped()
            return
        stored = decode(commit.metadata, commit.offset)
        assert stored is not None
        self.stored, self.committed_at = stored, commit.offset
        if fate == "lost":
            self.take_over(self.owner_off_ms)
            return
        if fate == "late":
            self.pass_time(3)
        one.account.commit_acked(one.now)
        before = len(one.written)
        self.write()
        for written in one.written[before:]:
            is_claimed = written.offset in stored.claimed or written.offset < stored.claims_lost_below
            assert is_claimed or written.action == CANCEL

    @rule(count=st.integers(1, 30))
    def results_become_durable(self, count: int) -> None:
        """Let the brokers acknowledge the oldest records."""
        durable, self.unpublished = self.unpublished[:count], self.unpublished[count:]
        for record in durable:
            for result in results_of([record]):
                self.log.append((result, self.stamp_ms))
            if record.stream is Stream.DEAD_LETTERS:
                self.dead[int(dict(record.headers)["__connect.errors.offset"])] = record.value
            self.one.account.on_durable([record])

    # What reaches whom

    @precondition(lambda self: self.on_the_way)
    @rule(which=st.sampled_from([0, 0, 0, 1, 5]), arrives=_MOST, answered=_MOST, anew=st.booleans(), rate=_SELDOM)
    def request_arrives(self, which: int, *, arrives: bool, answered: bool, anew: bool, rate: bool) -> None:
        """Let a request reach the venue, or get lost; its answer may get lost too."""
        _, written, command_id = self.on_the_way.pop(which % len(self.on_the_way))
        if arrives:
            answer = self.carry_out(written, command_id, anew=anew, rate=rate)
            if answered:
                self.answers.append(answer)

    @precondition(lambda self: self.answers)
    @rule(which=st.integers(0, 9))
    def answer_arrives(self, which: int) -> None:
        """Let an answer reach the owner, in any order."""
        self.one.account.on_frame(self.answers.pop(which % len(self.answers)), self.one.now)
        self.collect()

    @precondition(lambda self: self.venue.pushes)
    @rule(arrives=_MOST)
    def push_arrives(self, *, arrives: bool) -> None:
        """Let the oldest push reach the owner, or get lost."""
        push = self.venue.pushes.pop(0)
        if arrives:
            self.shown[str(push.order_id)] = push
            self.one.account.on_order(push, self.one.now)
            self.collect()

    @precondition(lambda self: self.venue.opening)
    @rule()
    def replace_opens(self) -> None:
        """Open the order that goes on with one that a replace has ended."""
        self.venue.open_oldest(self.venue_ms)

    @precondition(lambda self: self.venue.live())
    @rule(which=st.integers(0, 9))
    def fill(self, which: int) -> None:
        """Fill an order."""
        live = self.venue.live()
        self.venue.change(live[which % len(live)], self.venue_ms, state="FILLED", executed="0.5", action="")

    @rule()
    def ask(self) -> None:
        """Ask the venue about what is in doubt."""
        self.one.ask(*(order.push() for order in self.venue.orders.values()))
        self.collect()

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.true = Now(self.true.boot_s + seconds, self.true.wall_ms + int(seconds * 1000))
        self.set_clock()
        self.on_the_way = [one for one in self.on_the_way if one[0] > self.true.boot_s - _ON_THE_WAY_S]
        while self.venue.opening and self.venue.opening[0][0] < self.true.boot_s - _OPENS_WITHIN_S:
            self.venue.open_oldest(self.venue_ms)
        self.one.account.tick(self.one.now)
        for name in self.one.account.lookups():
            self.one.account.order_looked_up(name, self.one.now)
        self.collect()

    @rule(seconds=st.sampled_from([0.2, 1, 1, 6, 30]))
    def wait(self, seconds: float) -> None:
        """Let time pass, and the lease be kept for the most part."""
        for _ in range(max(1, int(seconds))):
            self.pass_time(min(seconds, 1))
            self.commit_once("stored")

    @rule(bad_luck=_SELDOM)
    def lose_session(self, *, bad_luck: bool) -> None:
        """Cut the link: no answer comes over another."""
        if bad_luck:
            self.answers = []
            self.one.lose_session()
            self.one.open_session()
            self.collect()

    @rule(bad_luck=_SELDOM, flushed=_MOST, unread=st.integers(0, 3), off_ms=st.sampled_from([0, -2000, 2000]))
    def stop(self, unread: int, off_ms: int, *, bad_luck: bool, flushed: bool) -> None:
        """Stop the owner in good order; some commands come before there is another."""
        if not bad_luck:
            return
        self.answers = []
        self.one.lose_session()
        self.collect()
        if flushed:
            self.results_become_durable(1000)
        commit = self.one.account.last_commit(self.one.now, self.one.now.wall_ms, released=True)
        self.stored, self.committed_at = decode(commit.metadata, commit.offset), commit.offset
        assert self.stored is not None
        for _ in range(unread):
            self.append(self.valid(cancel(f"c{next(self.ids)}", clientOrderId=_NAMES[unread % len(_NAMES)]), 4))
        self.take_over(off_ms)

    @rule(bad_luck=_SELDOM, off_ms=st.sampled_from([0, -2000, 2000]))
    def crash(self, off_ms: int, *, bad_luck: bool) -> None:
        """Lose the owner; what it had not made durable is lost."""
        if bad_luck:
            self.take_over(off_ms)

    @rule(bad_luck=_SELDOM)
    def lose_the_commit(self, *, bad_luck: bool) -> None:
        """Lose the group's offset with the owner."""
        if bad_luck:
            self.results_become_durable(1000)
            self.stored = None
            self.take_over(self.owner_off_ms)

    def teardown(self) -> None:
        """Let everything end: each command gets a last word, and it is the only one."""
        if not hasattr(self, "one"):
            return
        while self.venue.opening:
            self.venue.open_oldest(self.venue_ms)
        while self.venue.pushes:
            self.push_arrives(arrives=True)
        for _ in range(700):
            if self.answered() == set(range(len(self.topic))) and not self.one.account.alarms.active():
                break
            self.pass_time(1)
            self.commit_once("stored")
            while self.on_the_way:
                self.request_arrives(0, arrives=True, answered=True, anew=False, rate=False)
            while self.answers:
                self.answer_arrives(0)
            while self.venue.pushes:
                self.push_arrives(arrives=True)
            self.answer_put_off()
            self.ask()
            self.results_become_durable(1000)
        assert self.answered() == set(range(len(self.topic))), "a command without a last word"
        assert not self.one.account.alarms.active(), "an alarm that never clears"
        first: dict[str, str] = {}
        doubted: dict[str, set[int]] = {}
        for result, _ in self.log:
            if result.outcome.terminal:
                assert first.setdefault(result.command_id, result.outcome) == result.outcome, "two last words"
                assert not result.outcome.unsent or result.command_id not in doubted, "unknown, and then not sent"
            else:
                offsets = doubted.setdefault(result.command_id, set())
                assert result.command_offset not in offsets, "unknown is said twice of one record"
                offsets.add(result.command_offset)


Everything.TestCase.settings = settings(max_examples=12, stateful_step_count=40, deadline=None)
TestEverything = Everything.TestCase

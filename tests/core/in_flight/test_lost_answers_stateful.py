"""Requests, acks and pushes are lost or late, and replaces give orders other ids: every terminal result is true.

The venue here knows the truth: which request it took, and what became of each order. hypothesis decides what reaches
whom, in which order, and when the owner changes.
"""

import json
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from bridge.contract.commands import CANCEL, PLACE, REPLACE
from bridge.contract.results import Outcome, Result
from bridge.contract.topics import Stream
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import Answer, CommandRecord
from tests.support.one_account import OneAccount, Written, cancel, place, replace, results_of
from tests.support.true_venue import TrueVenue

if TYPE_CHECKING:
    from bridge.contract.pushes import OrderPush

_NAMES = ("x", "y")
_MOST = st.integers(0, 4).map(lambda n: n > 0)
_ON_THE_WAY_S = 50.0
"""A request reaches the venue within this time or never; the bridge allows 120 s."""
_OPENS_WITHIN_S = 20.0
"""A replace opens the other order within this time after it ended the first; the bridge allows 35 s."""


class LostAnswers(RuleBasedStateMachine):
    """The topic, the results and the venue outlive the owner."""

    def __init__(self) -> None:
        super().__init__()
        self.venue = TrueVenue()
        self.topic: list[tuple[CommandRecord, dict[str, Any]]] = []
        self.log: list[tuple[Result, int]] = []
        self.shown: dict[str, OrderPush] = {}
        self.written: set[int] = set()
        self.on_the_way: list[tuple[float, Written]] = []
        self.answers: list[Answer] = []
        self.epoch = 0
        self.one = OneAccount(live=False)
        self.take_over()

    def take_over(self) -> None:
        """Begin the term of a new owner; every result of the one before is durable."""
        self.epoch += 1
        now = self.one.now
        self.one = OneAccount(epoch=self.epoch, live=False)
        self.one.now = now
        self.answers = []
        self.one.account.restore(self.log, now)
        for push in self.shown.values():
            self.one.account.stream.restore_record(Stream.ORDERS, msgspec.json.encode(push), now.wall_ms)
        answered = {result.command_offset for result, _ in self.log if result.outcome.terminal}
        for record, body in self.topic:
            past = (
                TakeoverStatus.CLAIMED
                if record.offset in self.written and body["action"] != CANCEL
                else TakeoverStatus.READ
            )
            self.one.account.intake.offer(record, now, TakeoverStatus.ANSWERED if record.offset in answered else past)
        self.one.next_offset = len(self.topic)
        self.one.open_session()
        self.go_on()

    def go_on(self) -> None:
        """Write what may be written, and compare every terminal result with the truth."""
        before = len(self.one.written)
        self.one.send()
        for written in self.one.written[before:]:
            self.written.add(written.offset)
            self.on_the_way.append((self.one.now.boot_s, written))
        for result in results_of(self.one.drain()):
            self.log.append((result, self.one.now.wall_ms))
            if result.outcome.terminal:
                self.judge(result)

    def judge(self, result: Result) -> None:
        """Compare a terminal result with what the venue did and may yet do."""
        offset, body = result.command_offset, self.topic[result.command_offset][1]
        taken = offset in self.venue.taken
        of_order = self.venue.named(result.client_order_id or self.venue.orders[body["args"]["orderId"]].name)
        lives, ends = [order for order in of_order if order.live], {order.state for order in of_order}
        if result.outcome is Outcome.ACCEPTED:
            if body["action"] != CANCEL or result.code is not None:
                assert taken, "accepted and not taken"
            else:
                assert not lives, "a cancel accepted while its order lives"
                assert ends >= {"CANCELLED"}, "a cancel accepted that cancelled nothing"
        elif result.outcome in {Outcome.REJECTED, Outcome.NOT_FOUND}:
            assert not taken or (body["action"] != PLACE and "FILLED" in ends) or body["action"] == REPLACE, "done"
            if body["action"] == REPLACE and taken:
                assert not lives, "a replace that was taken is given up while its order lives"
            on_the_way = [written for _, written in self.on_the_way if written.offset == offset]
            if result.outcome is Outcome.NOT_FOUND and lives:
                assert not on_the_way, "given up while a request of it is on its way"

    def offer(self, body: dict[str, Any]) -> None:
        """Append a command with a long or a short validity, and let it be read."""
        offset = len(self.topic)
        record = CommandRecord(offset, self.one.now.wall_ms, b"key", json.dumps(body).encode(), ())
        self.topic.append((record, body))
        self.one.offer(body)
        self.go_on()

    @rule(name=st.sampled_from(_NAMES))
    def place(self, name: str) -> None:
        """Place under a name that may be in use."""
        self.offer(place(f"p{len(self.topic)}", clientOrderId=name))

    @rule(name=st.sampled_from(_NAMES))
    def replace(self, name: str) -> None:
        """Replace by name, with a price that no other has."""
        self.offer(replace(f"r{len(self.topic)}", str(1000 + len(self.topic)), clientOrderId=name))

    @rule(name=st.sampled_from(_NAMES), valid_s=st.sampled_from([4, 60]))
    def cancel(self, name: str, valid_s: int) -> None:
        """Cancel by name."""
        until_ms = self.one.now.wall_ms + valid_s * 1000
        self.offer({**cancel(f"c{len(self.topic)}", clientOrderId=name), "validUntil": until_ms})

    @precondition(lambda self: self.venue.orders)
    @rule(which=st.integers(0, 9), replaces=st.booleans())
    def by_order_id(self, which: int, *, replaces: bool) -> None:
        """Cancel or replace by an orderId that the order may no longer have."""
        order_id = list(self.venue.orders)[which % len(self.venue.orders)]
        number = len(self.topic)
        body = replace(f"r{number}", str(1000 + number), orderId=order_id)
        self.offer(body if replaces else cancel(f"c{number}", orderId=order_id))

    @precondition(lambda self: self.on_the_way)
    @rule(which=st.integers(0, 9), arrives=_MOST, answered=_MOST, anew=st.booleans())
    def request_arrives(self, which: int, *, arrives: bool, answered: bool, anew: bool) -> None:
        """Let a request reach the venue, or lose it; its ack may be lost too."""
        _, written = self.on_the_way.pop(which % len(self.on_the_way))
        if arrives:
            answer = self.venue.carry_out(written, written.offset, self.one.now, anew=anew)
            if answered:
                self.answers.append(answer)

    @precondition(lambda self: self.answers)
    @rule(which=st.integers(0, 9))
    def answer_arrives(self, which: int) -> None:
        """Let an ack reach the owner, in any order."""
        self.one.account.on_frame(self.answers.pop(which % len(self.answers)), self.one.now)
        self.go_on()

    @precondition(lambda self: self.venue.pushes)
    @rule(arrives=_MOST)
    def push_arrives(self, *, arrives: bool) -> None:
        """Let the oldest push reach the owner, or lose it."""
        push = self.venue.pushes.pop(0)
        if arrives:
            self.shown[str(push.order_id)] = push
            self.one.account.on_order(push, self.one.now)
            self.go_on()

    @precondition(lambda self: self.venue.opening)
    @rule()
    def replace_opens(self) -> None:
        """Open the order that replaces one which a replace has ended."""
        self.venue.open_oldest(self.one.now.wall_ms)

    @precondition(lambda self: self.venue.live())
    @rule(which=st.integers(0, 9))
    def fill(self, which: int) -> None:
        """Fill an order."""
        live = self.venue.live()
        self.venue.change(live[which % len(live)], self.one.now.wall_ms, state="FILLED", executed="0.5", action="")

    @rule()
    def ask(self) -> None:
        """Query the venue about unknown commands."""
        self.one.ask(*(order.push() for order in self.venue.orders.values()))
        self.go_on()

    @rule(seconds=st.sampled_from([0.2, 1, 6, 6, 30]))
    def wait(self, seconds: float) -> None:
        """Let time pass, in which what is on its way arrives or is lost, and replaces open their orders."""
        for _ in range(max(1, int(seconds))):
            self.one.wait(min(seconds, 1))
            mono = self.one.now.boot_s
            self.on_the_way = [one for one in self.on_the_way if one[0] > mono - _ON_THE_WAY_S]
            while self.venue.opening and self.venue.opening[0][0] < mono - _OPENS_WITHIN_S:
                self.venue.open_oldest(self.one.now.wall_ms)
            self.go_on()
            for name in self.one.account.intake.list_lookups():
                self.one.account.intake.finish_lookup(name, self.one.now)

    @rule(bad_luck=st.integers(0, 3).map(lambda n: n == 0))
    def lose_session(self, *, bad_luck: bool) -> None:
        """Cut the link: no ack comes over another."""
        if bad_luck:
            self.answers = []
            self.one.lose_session()
            self.one.open_session()
            self.go_on()

    @rule(bad_luck=st.integers(0, 5).map(lambda n: n == 0))
    def crash(self, *, bad_luck: bool) -> None:
        """Lose the owner."""
        if bad_luck:
            self.take_over()

    def teardown(self) -> None:
        """Let everything end: each command that was written gets a terminal result."""
        while self.venue.opening:
            self.venue.open_oldest(self.one.now.wall_ms)
        for _ in range(400):
            self.wait(1)
            self.ask()
        answered = {result.command_offset for result, _ in self.log if result.outcome.terminal}
        assert self.written <= answered


LostAnswers.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestLostAnswers = LostAnswers.TestCase

"""One account through every interleaving that hypothesis finds, takeovers by a successor included."""

import itertools
import json
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.topics import Stream
from bridge.core.commands.claims import CommitMetadata, decode
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import CommandRecord
from tests.support.one_account import (
    BTC,
    ETH_ON_OKX,
    OneAccount,
    cancel,
    cancel_all,
    order_push,
    place,
    replace,
    results_of,
)

if TYPE_CHECKING:
    from bridge.contract.results import Result
    from bridge.core.commands.command import TrackedCommand
    from bridge.core.commands.dispatch import Commit
    from bridge.core.records import OutgoingRecord

_TERMS: dict[str, Any] = {
    "inflight_commands_max": 4,
    "lane_commands_max": 5,
    "limits": dict.fromkeys((PLACE, REPLACE, CANCEL, CANCEL_ALL), 6),
}
_NAMES = ("x", "y", "z")
_SELDOM = st.integers(0, 3).map(lambda n: n == 0)


class Interleavings(RuleBasedStateMachine):
    """The commands topic, the coordinator, the results log and the venue outlive the owner; all else is its own."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = itertools.count()
        self.topic: list[CommandRecord] = []
        self.bodies: list[dict[str, object]] = []
        self.log: list[tuple[Result, int]] = []
        self.dead: set[int] = set()
        self.stored, self.committed_at = CommitMetadata(0, 0, ()), 0
        self.sent: list[tuple[int, str]] = []
        self.one = OneAccount(live=False)
        self.take_over()

    def take_over(self) -> None:
        """Let a new owner begin from what is stored and durable; the rest is lost."""
        now, epoch = self.one.now, self.stored.epoch + 1
        self.stored = CommitMetadata(epoch, self.stored.durable_until_ms, self.stored.claimed)
        self.one = OneAccount(epoch=epoch, start=self.committed_at, live=False, **_TERMS)
        self.one.now = now
        self.commit: Commit | None = None
        self.lease_until = 0.0
        self.claimed: list[TrackedCommand] = []
        self.unpublished: list[OutgoingRecord] = []
        self.one.account.restore(self.log, now)
        answered = self.answered()
        for record in self.topic[self.committed_at :]:
            past = TakeoverStatus.CLAIMED if record.offset in self.stored.claimed else TakeoverStatus.READ
            self.one.account.intake.offer(record, now, TakeoverStatus.ANSWERED if record.offset in answered else past)
        self.one.next_offset = len(self.topic)
        self.one.open_session()
        self.collect()

    def answered(self) -> set[int]:
        """Return the offsets that have a durable terminal result."""
        return {result.command_offset for result, _ in self.log if result.outcome.terminal} | self.dead

    def collect(self) -> None:
        """Queue the published records for the brokers; check that commands which the bridge ended were not sent."""
        said = self.one.take_outgoing()
        self.unpublished += said
        unsent = {result.command_offset for result in results_of(said) if result.outcome.unsent}
        assert not unsent & {offset for offset, action in self.sent if action != CANCEL}

    def offer(self, body: dict[str, object]) -> None:
        """Append to the topic and let the owner read it."""
        offset = self.one.offer(body)
        self.bodies.append(body)
        self.topic.append(CommandRecord(offset, self.one.now.wall_ms, b"key", json.dumps(body).encode(), ()))
        self.collect()

    @rule(name=st.sampled_from(_NAMES), sym=st.sampled_from([BTC, ETH_ON_OKX]))
    def place(self, name: str, sym: str) -> None:
        """Place under a name that may be in use."""
        self.offer(place(f"p{next(self.ids)}", clientOrderId=name, sym=sym))

    @rule(name=st.sampled_from(_NAMES))
    def replace(self, name: str) -> None:
        """Replace by name."""
        self.offer(replace(f"r{next(self.ids)}", clientOrderId=name))

    @rule(name=st.sampled_from(_NAMES))
    def cancel(self, name: str) -> None:
        """Cancel by name."""
        self.offer(cancel(f"c{next(self.ids)}", clientOrderId=name))

    @rule(scope=st.sampled_from(["ALL", "BINANCE"]))
    def cancel_all(self, scope: str) -> None:
        """Cancel a scope."""
        self.offer(cancel_all(f"a{next(self.ids)}", scope))

    @precondition(lambda self: self.bodies)
    @rule(which=st.integers(0, 99))
    def repeat(self, which: int) -> None:
        """Submit a command again."""
        self.offer(self.bodies[which % len(self.bodies)])

    @precondition(lambda self: self.commit is None)
    @rule()
    def hand_over(self) -> None:
        """Hand over the commit that is due; whether it arrives is decided later."""
        self.commit = self.one.hand_over()
        if self.commit is not None:
            assert set(range(self.commit.offset)) <= self.answered(), "the watermark passed an unanswered command"

    @precondition(lambda self: self.commit is None)
    @rule()
    def claim(self) -> None:
        """Hand over a commit and let it be acknowledged at once, as is usual."""
        self.hand_over()
        if self.commit is not None:
            self.commit_arrives(answered=True)

    @precondition(lambda self: self.commit is not None)
    @rule(answered=st.sampled_from([True, True, True, False]))
    def commit_arrives(self, *, answered: bool) -> None:
        """Let the coordinator store the commit; the acknowledgement may be lost, which ends the term."""
        assert self.commit is not None
        stored = decode(self.commit.metadata, self.commit.offset)
        assert stored is not None
        self.stored, self.committed_at = stored, self.commit.offset
        if not answered:
            self.take_over()
            return
        self.lease_until = self.commit.handed_over_boot_s + 2
        self.commit, self.claimed = None, self.claimed + self.one.account.dispatcher.commit_acked(self.one.now)

    @precondition(lambda self: self.commit is not None)
    @rule()
    def commit_is_dropped(self) -> None:
        """Let a rebalance end the commit before it arrives."""
        self.commit = None
        self.one.account.dispatcher.commit_dropped()

    @precondition(lambda self: self.claimed)
    @rule(ready=st.sampled_from([True, True, True, False]), frozen_s=st.sampled_from([0, 0, 0, 3, 11]))
    def write_claimed(self, *, ready: bool, frozen_s: float) -> None:
        """Try the gate with the next claimed command, perhaps after a freeze."""
        self.one.wait(frozen_s, tick=False)
        command, now = self.claimed.pop(0), self.one.now
        if not self.one.account.dispatcher.pass_gate(command, now, ready=ready and self.one.account.first_sweep_done):
            return
        assert self.one.account.first_sweep_done
        assert command.offset in self.stored.claimed, "written without a stored claim"
        assert now.boot_s < self.lease_until, "written without a lease"
        assert now.boot_s < command.deadline_boot_s, "written too late"
        assert command.offset not in {offset for offset, _ in self.sent}, "written twice"
        swept = {offset for offset, _ in self.sent if self.bodies[offset]["args"] == {"exchangeType": "ALL"}}
        assert command.action == CANCEL_ALL or max(swept, default=-1) < command.offset, "overtaken by a cancel_orders"
        self.one.write(command)
        self.sent.append((command.offset, command.action))

    @rule()
    def write_cancels(self) -> None:
        """Write the cancels that may be written."""
        for offset in self.one.send_cancels():
            self.sent.append((offset, CANCEL))
        self.collect()

    @precondition(lambda self: self.one.written)
    @rule(which=st.integers(0, 99), code=st.sampled_from([200000, 200000, 401009, 401018, 400010, 100429]))
    def answer(self, which: int, code: int) -> None:
        """Let the venue answer a request, perhaps a second time or too late."""
        written = self.one.written[which % len(self.one.written)]
        self.one.answer(
            written.offset, code, order_id=f"{written.offset:016}", client_order_id=written.args.get("clientOrderId")
        )
        self.collect()

    @rule(name=st.sampled_from(_NAMES), sym=st.sampled_from([BTC, ETH_ON_OKX]))
    def order_shows(self, name: str, sym: str) -> None:
        """Show an order of a name."""
        at = str(self.one.now.wall_ms)
        self.one.account.on_order(order_push(name, sym=sym, createAt=at, updateAt=at), self.one.now)
        self.collect()

    @rule(shown=st.sampled_from([None, *_NAMES]))
    def ask(self, shown: str | None) -> None:
        """Query the venue about unknown commands; it shows one order or none."""
        at = str(self.one.now.wall_ms)
        self.one.ask(*([] if shown is None else [order_push(shown, createAt=at, updateAt=at)]))
        for order_id in self.one.send_own_cancels(ready=self.one.account.first_sweep_done):
            assert order_id
        self.collect()

    @rule()
    def open_session(self) -> None:
        """Log in and sweep."""
        if not self.one.account.first_sweep_done:
            self.one.open_session()
            self.collect()

    @rule(bad_luck=_SELDOM)
    def lose_session(self, *, bad_luck: bool) -> None:
        """Cut the link."""
        if bad_luck:
            self.one.lose_session()
            self.collect()

    @rule(seconds=st.sampled_from([0.1, 0.1, 0.5, 0.5, 1.0, 3.0, 61.0, 121.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass, and the venue's lookups be answered."""
        self.one.wait(seconds)
        for name in self.one.account.intake.list_lookups():
            self.one.account.intake.finish_lookup(name, self.one.now)
        self.collect()

    @rule(count=st.integers(1, 9))
    def results_become_durable(self, count: int) -> None:
        """Let the brokers acknowledge the oldest records."""
        durable, self.unpublished = self.unpublished[:count], self.unpublished[count:]
        for record in durable:
            for result in results_of([record]):
                self.log.append((result, self.one.now.wall_ms))
            if record.stream is Stream.DEAD_LETTERS:
                self.dead.add(int(dict(record.headers)["__connect.errors.offset"]))
            self.one.account.on_durable([record])

    @rule(bad_luck=_SELDOM)
    def crash(self, *, bad_luck: bool) -> None:
        """Lose the process; its commit under way does not arrive."""
        if bad_luck:
            self.take_over()

    @invariant()
    def one_terminal_result_each(self) -> None:
        """In the log no offset has two terminal results, and no command two different ones."""
        terminal = [result for result, _ in self.log if result.outcome.terminal]
        offsets = [result.command_offset for result in terminal]
        assert len(offsets) == len(set(offsets))
        first: dict[str, str] = {}
        for result in terminal:
            assert first.setdefault(result.command_id, result.outcome) == result.outcome

    @invariant()
    def what_the_bridge_decided_was_not_sent(self) -> None:
        """Find nothing at the venue that was denied, expired or superseded; only cancels may have been repeated."""
        unsent = {result.command_offset for result, _ in self.log if result.outcome.unsent}
        assert not unsent & {offset for offset, action in self.sent if action != CANCEL}


Interleavings.TestCase.settings = settings(max_examples=40, stateful_step_count=80, deadline=None)
TestInterleavings = Interleavings.TestCase

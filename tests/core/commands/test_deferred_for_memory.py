"""Commands deferred because too many answers wait for Kafka: a successor has none, and may send them."""

import msgspec
import pytest

from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import CommandRecord
from tests.support.one_account import ORDER_ID, OneAccount, cancel, cancel_all, place, replace

LANE = 5
FAR = LANE + 1


class Owner(OneAccount):
    """An owner of an account, and the topic as far as it has read it."""

    def __init__(self, epoch: int = 1) -> None:
        super().__init__(epoch=epoch, lane_commands_max=LANE)
        self.log: list[CommandRecord] = []

    def read(self, body: object, *, behind: int = 1, too_many: bool = False) -> int:
        """Read the next command, perhaps while too many answers wait for Kafka."""
        record = CommandRecord(len(self.log), self.now.wall_ms, b"key", msgspec.json.encode(body), ())
        self.log.append(record)
        self.account.offer(record, self.now, behind=behind, too_many_answers=too_many)
        return record.offset

    def answer_deferred(self, *offsets: int) -> None:
        """Read deferred commands again, and answer them; the answers are not durable before `drain`."""
        for offset in offsets:
            self.account.answer_deferred(self.log[offset], self.now)

    def succeed(self) -> "Owner":
        """Return the next owner after a crash in which every answer was lost."""
        _, stored = self.committed()
        successor = Owner(epoch=2)
        for record in self.log:
            past = TakeoverStatus.CLAIMED if record.offset in stored.claimed else TakeoverStatus.READ
            successor.account.offer(record, successor.now, past, behind=len(self.log) - record.offset)
        return successor


@pytest.mark.parametrize("is_answered", [False, True])
def test_replaces_of_an_order_are_sent_in_turn_by_two_owners(is_answered: bool) -> None:  # noqa: FBT001 - pytest's
    """The first owner defers one and crashes; the second sends it, so the first must not have sent the later one."""
    one = Owner()
    early = one.read(replace("early", orderId=ORDER_ID), too_many=True)
    if is_answered:
        one.answer_deferred(early)
    late = one.read(replace("late", orderId=ORDER_ID))
    sent = one.send()
    successor = one.succeed()
    sent += successor.send()
    successor.answer(early)
    sent += successor.send()
    assert sent == [early, late]


def test_a_clientorderid_is_not_sent_before_the_denied_place_that_had_it_first() -> None:
    """Else a successor would find two places of one clientOrderId, and could not tell their orders apart."""
    one = Owner()
    early = one.read(place("early", clientOrderId="x"), too_many=True)
    late = one.read(place("late", clientOrderId="x"))
    assert one.send() == []
    one.answer_deferred(early)
    assert one.send() == []
    assert one.outcomes() == [(early, "denied")]
    assert one.send() == [late]


def test_claims_wait_until_the_last_answer_is_durable() -> None:
    """What was read before the first of them goes on; so do cancels, and a cancel_orders, which end what waits."""
    one = Owner()
    one.read(place("far behind"), behind=FAR)
    before = one.read(place("before"))
    first = one.read(place("first"), too_many=True)
    panic = one.read(cancel_all("panic", "OKX"))
    single = one.read(cancel("single", orderId=ORDER_ID))
    second = one.read(replace("second", orderId=ORDER_ID), too_many=True)
    after = one.read(place("after"))
    assert sorted(one.send()) == [before, panic, single]
    one.answer_deferred(0, first)
    one.drain()
    assert one.send() == []
    one.answer_deferred(second)
    assert one.send() == []
    assert one.account.wake_at_boot_s(one.now) < one.now.boot_s + 0.1
    one.drain()
    assert one.send() == [after]


def test_a_deferred_command_that_retention_has_removed_holds_up_no_claim() -> None:
    """There is nothing left of it that a successor could send."""
    one = Owner()
    one.read(place("gone"), too_many=True)
    after = one.read(place("after"))
    one.account.deferred_answered(1)
    assert one.send() == [after]


def test_a_command_submitted_again_does_not_wait_for_its_first_record() -> None:
    """That one gets the answer of the second, so the second may not wait for it."""
    one = Owner()
    first = one.read(place("p"), too_many=True)
    again = one.read(place("p"))
    assert one.send() == []
    one.answer_deferred(first)
    assert one.send() == [again]
    one.answer(again)
    assert sorted(one.outcomes()) == [(first, "accepted"), (again, "accepted")]


def test_what_a_successor_defers_too_holds_up_no_claim() -> None:
    """With too many records behind it as well, it is deferred by every owner."""
    one = Owner()
    one.read(replace("r", orderId=ORDER_ID), behind=FAR, too_many=True)
    last = one.read(replace("last", orderId=ORDER_ID))
    assert one.send() == [last]

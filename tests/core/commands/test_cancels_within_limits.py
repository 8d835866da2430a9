"""The rate limit of cancels over takeovers, and the slot for a new cancel: random runs in virtual time.

Callers cancel, bridge cancels are sent, the venue is silent or refuses for the rate, links are lost, owners crash or
end in good order. The venue counts each request at the worst moment.
"""

import json
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.core.commands.claims import decode
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.now import Now
from bridge.core.records import Answer, CommandRecord
from tests.support.one_account import START, OneAccount, cancel

if TYPE_CHECKING:
    from bridge.contract.results import Result

SLOTS = 100
LATE_S = 120.0


class Request(Struct):
    """A request to cancel: when it was written, when answered, and whether it was a caller's first."""

    written_at: float
    first: bool
    answered_at: float | None = None

    def counted_at(self, rng: random.Random) -> float:
        """Return when the venue counts it: between write and answer, or late."""
        end = self.written_at + LATE_S if self.answered_at is None else self.answered_at
        return rng.choice([self.written_at, end, rng.uniform(self.written_at, end)])


class Run:
    """Owners one after the other, and what they wrote."""

    def __init__(self, seed: int, codes: tuple[int, ...] = (200000, 200000, 401018, 429, 777)) -> None:
        self.codes = codes
        self.rng = random.Random(seed)  # noqa: S311 - no secrets
        self.records: list[CommandRecord] = []
        self.requests: list[Request] = []
        self.metadata: tuple[int, str] = (0, "")
        self.results: list[tuple[Result, int]] = []
        self.one = self._owner(1)
        self.one.open_session()
        self.one.send()
        self._seen = 0
        self._heard = 0

    @staticmethod
    def _owner(epoch: int) -> OneAccount:
        limits = {PLACE: 100, REPLACE: 100, CANCEL: SLOTS, CANCEL_ALL: SLOTS}
        return OneAccount(epoch=epoch, live=False, limits=limits)

    def offer(self, past: TakeoverStatus = TakeoverStatus.NEW) -> None:
        """Let a caller cancel some order."""
        offset = len(self.records)
        body = cancel(f"c{offset}", orderId=f"{self.rng.randrange(50):016d}")
        body["validUntil"] = self.one.now.wall_ms + self.rng.choice([1_000, 60_000, 600_000])
        self.records.append(CommandRecord(offset, self.one.now.wall_ms, b"k", json.dumps(body).encode(), ()))
        self.one.account.intake.offer(self.records[-1], self.one.now, past)

    def write(self) -> None:
        """Write whatever may go, and commit."""
        one = self.one
        one.send_cancels()
        one.send_own_cancels()
        if one.hand_over() is not None:
            one.stored()
            one.send_cancels()
            one.send_own_cancels()
        if one.last_commit is not None:  # own cancels may have waited for another one
            self.metadata = (one.last_commit.offset, one.last_commit.metadata)
        for written in one.written[self._seen :]:
            first = written.offset >= 0 and written.request_id.endswith("x1")
            self.requests.append(Request(one.now.boot_s, first))
        self._seen = len(one.written)

    def answer(self) -> None:
        """Let the venue acknowledge one of the last requests, with one code or another."""
        index = self.rng.randrange(max(0, len(self.requests) - 60), len(self.requests))
        written = self.one.written[index - len(self.requests)] if index >= len(self.requests) - self._seen else None
        if written is None or self.requests[index].answered_at is not None:
            return
        code = self.rng.choice(self.codes)
        if self.one.account.on_frame(Answer(written.request_id, CANCEL, code, "", None, None), self.one.now):
            self.requests[index].answered_at = self.one.now.boot_s

    def take_over(self) -> None:
        """End the owner, and let another one take over."""
        before, now = self.one, self.one.now
        released = self.rng.random() < 0.4
        if released:
            commit = before.account.last_commit(now, now.wall_ms, released=True)
            self.metadata = (commit.offset, commit.metadata)
        stored = decode(self.metadata[1], self.metadata[0])
        assert stored is not None
        pause = self.rng.choice([0.0, 0.0, 1.0, 50.0])
        self.one = self._owner(stored.epoch + 1)
        self.one.now = Now(now.boot_s + pause, now.wall_ms + int(pause * 1000))
        account = self.one.account
        extra = account.restore_extra_cancels(stored.extra_cancels, self.one.now, in_good_order=stored.released)
        account.restore(list(self.results), self.one.now)
        assert sum(count for _, count in extra) <= SLOTS
        answered = {result.command_offset for result, _ in self.results if result.outcome.terminal}
        for record in self.records:
            past = TakeoverStatus.ANSWERED if record.offset in answered else TakeoverStatus.READ
            account.intake.offer(record, self.one.now, past)
        self.one.open_session()
        self.one.send()
        self._seen = self._heard = 0

    def hear(self) -> None:
        """Let the published results become durable."""
        results = self.one.results()
        self.results += [(result, self.one.now.wall_ms) for result in results[self._heard :]]
        self._heard = len(results)

    def go_on(self, steps: int) -> Iterator[int]:
        """Do one random step."""
        for step in range(steps):
            for _ in range(self.rng.choice([0, 0, 0, 1])):
                self.offer()
            for _ in range(self.rng.choice([0, 0, 0, 20, 60])):
                own, order_id = self.one.account.bridge_cancels, f"{self.rng.randrange(300):016d}"
                self.rng.choice([own.request, own.request_again_now])(order_id)
            self.write()
            for _ in range(self.rng.choice([0, 5, 20])):
                if self.requests:
                    self.answer()
            if self.rng.random() < 0.02:
                self.one.lose_session()
                self.one.open_session()
            self.hear()
            self.one.wait(self.rng.choice([0.1, 1.0, 1.0]))
            yield step


@pytest.mark.parametrize("seed", range(12))
def test_no_venue_counts_more_cancels_than_the_slots_over_takeovers(seed: int) -> None:
    """Commits count bridge cancels and repeats, so a successor's window begins where the predecessor's ended."""
    run = Run(seed)
    for step in run.go_on(400):
        if step % 50 == 49:
            run.take_over()
    for _ in range(5):
        times = sorted(request.counted_at(run.rng) for request in run.requests)
        assert max(sum(1 for other in times if 0 <= other - time < 60) for time in times) <= SLOTS
    assert sum(not request.first for request in run.requests) > SLOTS // 4


def _successor(before: OneAccount, metadata: str, offset: int) -> OneAccount:
    """Let another owner begin with a commit and the results of the one before it."""
    stored = decode(metadata, offset)
    assert stored is not None
    one = OneAccount(epoch=2, live=False, limits=dict.fromkeys((PLACE, REPLACE, CANCEL, CANCEL_ALL), SLOTS))
    one.now = before.now
    one.account.restore_extra_cancels(stored.extra_cancels, one.now, in_good_order=stored.released)
    one.account.restore([(result, before.now.wall_ms) for result in before.results()], one.now)
    one.open_session()
    one.send()
    return one


def test_bridge_cancels_take_slots_of_the_successor() -> None:
    """An owner uses up its slots and crashes; the next one sends no bridge cancel for a while."""
    one = OneAccount(limits=dict.fromkeys((PLACE, REPLACE, CANCEL, CANCEL_ALL), SLOTS))
    for number in range(2 * SLOTS):
        one.account.bridge_cancels.request(f"{number:016d}")
    assert len(one.send_own_cancels()) == SLOTS * 19 // 20
    one.wait(1)
    commit = one.hand_over()
    assert commit is not None
    two = _successor(one, commit.metadata, commit.offset)
    two.account.bridge_cancels.request("7" * 16)
    assert two.send_own_cancels() == []
    callers = [two.offer(cancel(f"c{number}", orderId="8" * 16)) for number in range(5)]
    assert two.send_cancels() == callers
    two.renew(185)
    assert two.send_own_cancels() == ["7" * 16]


def test_new_cancels_go_before_repeats_of_an_earlier_owners() -> None:
    """The earlier owner repeated forty to a silent venue and crashed; a new cancel is not sent behind those forty."""
    one = OneAccount(limits=dict.fromkeys((PLACE, REPLACE, CANCEL, CANCEL_ALL), SLOTS))
    bodies = [cancel(f"old{number}", orderId=f"{number:016d}") for number in range(40)]
    offsets = [one.offer(body | {"validUntil": one.now.wall_ms + 1_700_000}) for body in bodies]
    one.renew(60)
    one.wait(1)
    commit = one.hand_over()
    assert commit is not None
    two = one
    for _ in range(3):  # each finds them, and the next is not told of more than there were
        two = _successor(two, commit.metadata, commit.offset)
        for body in bodies:
            two.offer(body | {"validUntil": START.wall_ms + 1_700_000}, past=TakeoverStatus.READ)
        two.send()
        commit = two.account.last_commit(two.now, 0, released=True)
    fresh = [two.offer(cancel(f"new{number}", orderId="8" * 16)) for number in range(SLOTS // 10)]
    assert set(fresh) <= set(two.send_cancels())
    two.renew(400)
    assert set(offsets) <= {written.offset for written in two.written}


def test_an_owner_that_ended_in_good_order_leaves_no_slot_taken_in_vain() -> None:
    """Its last commit counts every extra request; only after a crash a few more are assumed."""
    one = OneAccount(limits=dict.fromkeys((PLACE, REPLACE, CANCEL, CANCEL_ALL), SLOTS))
    commit = one.account.last_commit(one.now, one.now.wall_ms, released=True)
    two = _successor(one, commit.metadata, commit.offset)
    callers = [two.offer(cancel(f"c{number}", orderId="8" * 16)) for number in range(SLOTS)]
    assert two.send_cancels() == callers


def test_a_commit_that_counts_too_many_requests_fills_the_slots_and_no_more() -> None:
    """Of a million million requests only so many as fit are counted, and a caller has a slot left."""
    one = OneAccount(limits=dict.fromkeys((PLACE, REPLACE, CANCEL, CANCEL_ALL), SLOTS), live=False)
    told = one.account.restore_extra_cancels(((10, 10**12), (181, 10**12)), one.now, in_good_order=True)
    assert [count for _, count in told] == [SLOTS * 19 // 20]
    one.open_session()
    one.send()
    one.offer(cancel("c", orderId="8" * 16))
    assert len(one.send_cancels()) == 1


def test_assumed_requests_expire_while_owners_crash_one_after_the_other() -> None:
    """A hundred owners run for five seconds each and write nothing; bridge cancels are not held back for that."""
    slots = 1140
    limits = dict.fromkeys((PLACE, REPLACE, CANCEL, CANCEL_ALL), slots)
    one = OneAccount(limits=limits)
    for epoch in range(2, 102):
        one.renew(5)
        assert one.last_commit is not None
        stored = decode(one.last_commit.metadata, one.last_commit.offset)
        assert stored is not None
        one, now = OneAccount(epoch=epoch, live=False, limits=limits), one.now
        one.now = now
        one.account.restore_extra_cancels(stored.extra_cancels, now, in_good_order=False)
        one.open_session()
        one.send()
    for number in range(150):
        one.account.bridge_cancels.request(f"{number:016d}")
    assert len(one.send_own_cancels()) == 150


def test_an_answer_to_an_earlier_request_leaves_the_last_one_to_the_commit() -> None:
    """A successor counts the acknowledged request by the result; the commit counts the repeat, which may still land."""
    one = OneAccount(limits=dict.fromkeys((PLACE, REPLACE, CANCEL, CANCEL_ALL), SLOTS))
    offset = one.offer(cancel("c", orderId="8" * 16))
    one.send()
    one.renew(6)
    first, last = one.written
    assert [count for _, count in one.committed()[1].extra_cancels] == [1]
    one.account.on_frame(Answer(first.request_id, CANCEL, 200000, "", None, None), one.now)
    assert one.outcomes() == [(offset, "unknown"), (offset, "accepted")]
    assert [count for _, count in one.committed()[1].extra_cancels] == [1, 1]
    one.account.on_frame(Answer(last.request_id, CANCEL, 200000, "", None, None), one.now)
    one.renew(60)
    assert one.committed()[1].extra_cancels == ()


@pytest.mark.parametrize("seed", range(8))
def test_a_new_cancel_finds_a_slot_unless_so_many_were_really_written(seed: int) -> None:
    """Requests that were not written hold no new cancel back, and bridge cancels and repeats leave it a slot."""
    run = Run(seed, codes=(200000, 777))
    for _ in run.go_on(250):
        one = run.one
        offset = len(run.records)
        run.offer()
        run.write()
        held = [
            request
            for request in run.requests
            if one.now.boot_s
            < (request.written_at + LATE_S if request.answered_at is None else request.answered_at) + 61
        ]
        went = any(written.offset == offset for written in one.written)
        assert went or len(held) >= SLOTS
        assert sum(not request.first for request in held) <= SLOTS * 19 // 20

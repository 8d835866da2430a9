"""Remembered results: all that a resubmission needs, in a few dozen bytes, for one horizon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.results import Outcome, Reason, Result
from bridge.core.commands import answered_commands
from bridge.core.commands.answered_commands import AnsweredCommands, short_digest
from tests.support.one_account import START, OneAccount, cancel_all, place

HORIZON = 3600
MIB = 1024 * 1024
ACCEPTED = Result(
    command_id="a",
    command_offset=7,
    outcome=Outcome.ACCEPTED,
    answered_at=START.wall_ms,
    action="place_order",
    code=200000,
    message="Success",
    order_id="1703213979730000",
    client_order_id="mine",
    sent_at=START.wall_ms - 5,
)


def denied(command_id: str, **more: object) -> Result:
    """Return the result of a command that was not sent."""
    fields = {"command_offset": 1, "outcome": Outcome.DENIED, "answered_at": 2, "reason": Reason.OVER_BUDGET} | more
    return Result(command_id=command_id, **fields)  # type: ignore[arg-type] # fields as a test wants them


def remembered(*results: Result) -> AnsweredCommands:
    """Remember results."""
    commands = AnsweredCommands(HORIZON, 64 * MIB)
    for result in results:
        commands.add(result, short_digest("d"), 0)
    return commands


@pytest.mark.parametrize(
    "result",
    [ACCEPTED, Result("n", 1, Outcome.NOT_FOUND, 2), denied("b", reason=Reason("of_a_later_version"), message="why")],
)
def test_an_answer_is_remembered_as_it_was(result: Result) -> None:
    """Every field comes back, of a command that was sent and of a refusal with a reason of a later version."""
    found = remembered(result).find(result.command_id)
    assert found is not None
    assert (found.offset, found.digest, found.result) == (result.command_offset, short_digest("d"), result)


def test_a_refusal_is_remembered_without_its_message() -> None:
    """Outcome, reason and retryAfterMs are the same; the message says that the result was given before."""
    found = remembered(denied("b", retry_after_ms=500, message="long words")).find("b")
    assert found is not None
    assert found.result == denied("b", retry_after_ms=500, message="as it was answered before")


def test_a_refusal_takes_a_few_dozen_bytes() -> None:
    """A hundred thousand of them take less than 80 bytes each, and each is found."""
    commands = AnsweredCommands(HORIZON, 64 * MIB)
    for number in range(100_000):
        commands.add(denied(f"runaway-{number}", command_offset=number), b"8 bytes.", number / 1000)
    assert commands.size_bytes / 100_000 < 80
    assert len(commands) == 100_000
    for number in (0, 32_767, 32_768, 99_999):
        found = commands.find(f"runaway-{number}")
        assert found is not None
        assert found.offset == number
    assert commands.find("runaway-100000") is None


def test_answers_are_forgotten_after_the_horizon_and_not_before() -> None:
    """Results are forgotten by periods, each when its youngest result is older than the horizon."""
    commands = AnsweredCommands(HORIZON, 64 * MIB)
    stretch = HORIZON // 16
    commands.add(denied("a"), b"", 0)
    commands.add(denied("b"), b"", stretch)
    commands.add(denied("c"), b"", 2 * stretch + 1)
    commands.add_client_order_id("mine", 5, 2 * stretch + 1)
    commands.drop_expired(HORIZON + stretch)
    assert commands.find("a") is not None
    commands.drop_expired(HORIZON + stretch + 1)
    assert (commands.find("a"), commands.find("b")) == (None, None)
    assert commands.find("c") is not None
    assert commands.find_order_offset("mine") == 5
    commands.drop_expired(3 * HORIZON)
    assert (commands.find("c"), commands.find_order_offset("mine"), len(commands)) == (None, None, 0)


@given(st.lists(st.text(max_size=3), unique=True, max_size=300))
def test_keys_of_every_kind_are_kept_apart(names: list[str]) -> None:
    """Each commandId has its own result, also one that is not UTF-8."""
    commands = AnsweredCommands(HORIZON, 64 * MIB)
    for number, name in enumerate(names):
        commands.add(denied(name, command_offset=number), b"", 0)
        commands.add_client_order_id(name, -number, 0)
    for number, name in enumerate(names):
        found = commands.find(name)
        assert found is not None
        assert (found.offset, commands.find_order_offset(name)) == (number, -number)


def test_a_runaway_strategy_is_refused_when_the_memory_is_full() -> None:
    """Above the bound places are denied with MEMORY_FULL; sent commands are remembered, and cancels are still sent."""
    one = OneAccount(memory_bytes_max=MIB)
    one.offer(place("sent"))
    one.send()
    one.answer(0)
    number = 0
    while not one.account.intake._index.is_full:
        number += 1
        one.offer(place(f"p{number}") | {"validUntil": 1})
        one.drain()
    late = one.offer(place("late"))
    one.offer(place("late"))
    again = one.offer(place("sent"))
    panic = one.offer(cancel_all("panic"))
    size = one.account.intake._index._answered.size_bytes
    answers = {result.command_offset: result for result in one.results()}
    assert number > 10_000
    assert (answers[late].outcome, answers[late].reason) == (Outcome.DENIED, Reason.MEMORY_FULL)
    assert answers[late + 1].reason is Reason.MEMORY_FULL
    assert answers[again].outcome is Outcome.ACCEPTED
    assert one.send() == [panic]
    one.answer(panic)
    one.offer(cancel_all("panic"))
    assert [r.outcome for r in one.results() if r.command_id == "panic"] == [Outcome.ACCEPTED] * 2
    assert size < MIB + 100_000
    for _ in range(2):
        one.wait(3700)
        one.send()
    one.offer(place("late"))
    assert one.send() == [one.next_offset - 1]


def test_repeats_that_wait_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten thousand resubmissions of unanswered commands, each further one is a dead letter."""
    monkeypatch.setattr("bridge.core.commands.dedupe_index._RESUBMISSIONS_MAX", 3)
    one = OneAccount()
    for _ in range(5):
        one.offer(place("p"))
    (letter,) = one.dead_letters()
    assert dict(letter.headers)["error_code"] == b"memory_full"
    one.send()
    one.answer(0)
    assert one.outcomes() == [(offset, "accepted") for offset in (0, 1, 2, 3)]
    assert not one.account.intake._index.has_too_many_resubmissions


def test_a_successor_remembers_no_more_than_may_be() -> None:
    """The refusals that it reads have the same bound; each commandId has its first result."""
    one = OneAccount(epoch=2, memory_bytes_max=MIB)
    at_ms = one.now.wall_ms
    one.account.restore([(denied("b"), at_ms), (denied("b", command_offset=9), at_ms), (ACCEPTED, at_ms)], one.now)
    for number in range(30_000):
        one.account.restore([(denied(f"r{number}"), at_ms)], one.now)
    memory = one.account.intake._index
    assert memory.is_full
    found = memory.find_answered("b")
    assert found is not None
    assert found.offset == 1
    assert memory.find_order_offset("mine") == 7
    assert memory.find_answered("r29999") is None
    assert memory._answered.size_bytes < 1.2 * MIB
    assert answered_commands.SEGMENT_ENTRIES_MAX > 30_000

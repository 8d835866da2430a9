"""The model and the code decide alike, wherever the model does not simply call the code."""

from itertools import product
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from bridge.contract import headers as names
from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE
from bridge.contract.results import Outcome, Result
from bridge.contract.topics import Stream
from bridge.core.account import Account
from bridge.core.commands.claims import Origin, TermStart, decode, encode
from bridge.core.outbox import Outbox
from bridge.core.records import CommandRecord, OutgoingRecord
from bridge.core.replay import ReplayedResults
from tests.support.clock_readings import read_clocks
from tests.support.one_account import (
    COMMANDS,
    LIMITS,
    ORDER_ID,
    START,
    cancel,
    cancel_all,
    place,
    replace,
    results_of,
    settings_with,
)
from tests.support.outside import Tail

from .lives import saved_by
from .protocol import published
from .search import Reading, report_of
from .takeover import past_of, taken_over
from .trials import OFFSETS_RESET, SOUND, Saved, Trial
from .world import TAKEOVER, Said, first


def body_of(trial: Trial, offset: int) -> dict[str, object]:
    """Return a command of a trial as a caller would write it."""
    action, of = trial.commands[offset]
    if action == PLACE:
        return place(f"c{offset}", clientOrderId=f"o{offset}")
    if action == CANCEL:
        return cancel(f"c{offset}", clientOrderId=f"o{of}")
    return cancel_all(f"c{offset}") if action == CANCEL_ALL else replace(f"c{offset}", orderId=ORDER_ID)


def command_record(trial: Trial, offset: int) -> CommandRecord:
    """Return a command of a trial as its record."""
    return CommandRecord(offset, START.wall_ms, b"key", msgspec.json.encode(body_of(trial, offset)), ())


def result_of(trial: Trial, offset: int, outcome: Outcome) -> Result:
    """Return a command's terminal result."""
    action, name = trial.commands[offset].action, f"o{offset}"
    return Result(f"c{offset}", offset, outcome, 1, action, client_order_id=name if action == PLACE else None)


def record_of(trial: Trial, epoch: int, said: Said) -> Tail:
    """Return what somebody says on `results` as its record."""
    kind, value = names.TAKEOVER_TYPE, b"{}"
    if said.outcome is not None:
        kind, value = (
            names.EVENT_TYPES[Stream.RESULTS],
            msgspec.json.encode(result_of(trial, said.offset, said.outcome)),
        )
    return Tail(7, value, [(names.TYPE, kind), (names.EPOCH, str(epoch).encode())])


def test_readers_take_the_same_records() -> None:
    """For every short log of three epochs the model's reader and the takeover's know the same."""
    trial = OFFSETS_RESET
    spoken = [TAKEOVER, Said(0, Outcome.ACCEPTED), Said(0, Outcome.DENIED), Said(1, Outcome.DENIED)]
    for log in product(product((1, 2, 3), spoken), repeat=4):
        world = first(trial)
        for epoch, said in log:
            world = published(trial, world, epoch, said)
        answered = ReplayedResults()
        results = answered.read_results([record_of(trial, epoch, said) for epoch, said in log])
        last = {result.command_offset: result.outcome for result, _ in results}
        known = {offset for offset in (0, 1) if answered.has_answer(command_record(trial, offset))}
        assert (answered.epoch, known) == (world.top, set(last))
        assert world.answers == (last.get(0), last.get(1))


def account_after(trial: Trial, reading: Reading) -> tuple[Account, list[OutgoingRecord]]:
    """Return the code's account after the same takeover, and what it has published."""
    term, topic, outcomes = reading
    begin = len(term.lives)
    limits, timing = settings_with(lane_commands_max=trial.behind_max or LIMITS.lane_commands_max)
    start = TermStart(term.epoch, begin, 0, term.claims_lost_below, Origin(topic_id=term.topic_id))
    published: list[OutgoingRecord] = []
    account = Account(Outbox("main", published.append), COMMANDS, limits, timing, start, now=START)
    read_clocks(account, START)
    answers = [(offset, outcome) for offset, outcome in enumerate(outcomes) if outcome is not None]
    account.restore([(result_of(trial, *answer), START.wall_ms) for answer in answers], START)
    for offset in range(begin, topic):
        record, past = command_record(trial, offset), past_of(term, offset, outcomes)
        account.intake.offer(record, START, past, behind=topic - offset)
    return account, published


@pytest.mark.parametrize("trial", SOUND.values(), ids=SOUND.keys())
def test_takeovers_make_the_same_of_what_they_find(trial: Trial, shared_searches: Path) -> None:
    """In every takeover that is met, account and model say the same at once, and would commit the same."""
    readings = report_of(trial, shared_searches).readings
    for reading in readings:
        term, (account, published) = taken_over(trial, *reading), account_after(trial, reading)
        assert term is not None
        said = [Said(one.command_offset, one.outcome) for one in results_of(published) if one.outcome.terminal]
        commit = account.dispatcher.next_commit(START, 0, may_claim=False)
        assert commit is not None
        assert list(term.outbox) == said
        committed = saved_by(term, term.lives)
        saved = decode(commit.metadata, commit.offset)
        assert saved is not None
        # Cancels that the account may repeat are told of; the model knows no rate limits.
        assert committed == Saved(commit.offset, encode(structs.replace(saved, extra_cancels=()), commit.offset))
    assert len(readings) > 10

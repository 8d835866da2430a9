"""Replay of what earlier owners left on the topics, with any bytes on them."""

import json
from typing import Any

import msgspec
import pytest

from bridge.contract import headers as names
from bridge.contract.results import Outcome, Result, Takeover
from bridge.core.commands.claims import Origin
from bridge.core.records import CommandRecord
from bridge.core.replay import ReplayedResults, ReplayedSession, ReplayedStates, TopicEnd, find_portfolios
from tests.support.outside import Tail

ACCEPTED = Result("a", 3, Outcome.ACCEPTED, 1, "place_order")


def result_record(result: Result | bytes | None, *, epoch: bytes = b"1", offset: int = 0, at_ms: int = 7) -> Tail:
    """Return a record of `results`."""
    value = msgspec.json.encode(result) if isinstance(result, Result) else result
    return Tail(at_ms, value, [(names.TYPE, b"ltp.result.v1"), (names.EPOCH, epoch)], offset)


def takeover_record(epoch: int, offset: int, **owner: str) -> Tail:
    """Return the record with which a term begins."""
    value = msgspec.json.encode(Takeover(epoch, "here", 0, **owner))
    return Tail(7, value, [(names.TYPE, names.TAKEOVER_TYPE), (names.EPOCH, str(epoch).encode())], offset)


def command(offset: int, command_id: str) -> CommandRecord:
    """Return a record of `commands`."""
    return CommandRecord(offset, 7, b"", json.dumps({"commandId": command_id}).encode(), ())


def test_a_command_is_answered_under_its_id_and_offset() -> None:
    """Where the topic was made again, another command at an offset that had an answer has none."""
    answers = ReplayedResults(from_offset=3)
    answers.read_results([result_record(msgspec.structs.replace(ACCEPTED, command_offset=2))])
    assert answers.count == 0
    answers.read_results([result_record(ACCEPTED)])
    assert answers.has_answer(command(3, "a"))
    assert not answers.has_answer(command(3, "b"))
    assert not answers.has_answer(command(4, "a"))
    answers.read_results([result_record(msgspec.structs.replace(ACCEPTED, command_id="b"))])
    assert answers.has_answer(command(3, "b"))
    assert not answers.has_answer(command(3, "a"))


def test_answers_from_another_topic_are_kept_apart() -> None:
    """An answer whose offset has another command, or none, is to a command on another topic."""
    answers = ReplayedResults()
    for offset, command_id in ((3, "before"), (3, "now"), (9, "beyond"), (4, "now too")):
        answers.read_results(
            [result_record(msgspec.structs.replace(ACCEPTED, command_offset=offset, command_id=command_id))]
        )
    for offset, command_id in ((3, "now"), (4, "now too"), (5, "new")):
        answers.has_answer(command(offset, command_id))
    assert ["before", "beyond"] == answers.unmatched_command_ids()


def test_a_dead_letter_answers_the_record_that_it_quotes() -> None:
    """Another record at its offset has no answer; one whose value was too large for a letter is known by its offset."""
    answers = ReplayedResults(from_offset=1)
    values = {0: b"old", 1: b"buy", 2: b"", 3: None}
    letters = [Tail(7, value, [(names.ERROR_OFFSET, str(offset).encode())]) for offset, value in values.items()]
    answers.read_dead_letters([*letters, Tail(7, b"buy", [])])
    asked = ((1, b"buy"), (2, b"9" * 99), (3, None), (1, b"sell"), (0, b"old"))
    records = [CommandRecord(offset, 7, b"", value, ()) for offset, value in asked]
    assert [True, True, True, False, False] == [answers.has_answer(record) for record in records]


def test_how_far_back_results_are_complete() -> None:
    """To the first, if the first owner wrote it; else what is older than the oldest, or than a horizon, may be gone."""
    own = takeover_record(9, 40)
    nothing, first, trimmed, again = (ReplayedResults() for _ in range(4))
    nothing.read_results([own], own_epoch=9)
    assert nothing.complete_since_ms(1000) == 1000
    first.read_results([takeover_record(1, 0), own], own_epoch=9)
    assert first.complete_since_ms(1000) == 0
    trimmed.read_results([result_record(ACCEPTED, offset=5, at_ms=600)])
    assert trimmed.complete_since_ms(1000) == 600
    assert trimmed.complete_since_ms(500) == 500
    again.read_results([takeover_record(4, 0)])
    assert again.complete_since_ms(5) == 5


def test_the_last_takeover_names_the_origin() -> None:
    """The takeover record names environment and key; one of an older version does not, and changes nothing."""
    answers = ReplayedResults()
    assert ReplayedResults().owner is None
    answers.read_results([takeover_record(1, 0)])
    answers.read_results([takeover_record(2, 1, environment="production", key_fingerprint="aa"), takeover_record(3, 2)])
    assert answers.owner == Origin("production", "aa")
    answers.read_results([takeover_record(4, 3, environment="staging")])
    assert answers.owner == Origin("staging", "")


def test_the_end_of_a_topic_has_the_highest_epoch() -> None:
    """Also where the last record was flushed late by a predecessor; what no bridge can have written does not count."""
    end = TopicEnd()
    epochs = [b"7", b"9", b"8", b"9" * 18, b"9" * 5000, b"x", "\u0663".encode()]
    end.add_records([Tail(at_ms, b"", [(names.EPOCH, epoch)]) for at_ms, epoch in enumerate(epochs)])
    assert (end.epoch, end.newest_ms) == (9, 6)


def test_of_a_state_it_is_known_whether_it_was_pushed() -> None:
    """By its last record: a row of REST may be followed by a push, or by its end."""
    states = ReplayedStates()
    pushed = [(names.EPOCH, b"1")]
    recovered = [*pushed, (names.RECOVERED, b"true")]
    for key, headers in ((b"a", recovered), (b"b", recovered), (b"b", pushed), (b"c", pushed), (b"c", recovered)):
        states.read_records([Tail(5, b"1", headers, key=key)])
    assert states.recovered == {b"a", b"c"}
    states.read_records([Tail(6, None, recovered, key=b"a")])
    assert states.recovered == {b"c"}


def test_states_are_taken_out_while_a_topic_is_read() -> None:
    """The oldest first, so that no more than so many bytes are held; each once."""
    states = ReplayedStates()
    written = [(b"a", 5), (b"b", 4), (b"a", 3)]
    records = [Tail(n, bytes(size), [(names.EPOCH, b"2")], key=key) for n, (key, size) in enumerate(written)]
    states.read_records(records)
    assert list(states.pop_oldest(7)) == []
    assert list(states.pop_oldest(6)) == [(bytes(4), 1, False)]
    states.read_records(records[1:2])
    assert list(states.pop_all()) == [(bytes(3), 2, False), (bytes(4), 1, False)]
    assert list(states.pop_all()) == []


def test_states_and_gaps_that_cannot_be_read_are_passed_over() -> None:
    """A tombstone ends its key; times that no clock shows open no gap and make no login."""
    states, session = ReplayedStates(), ReplayedSession()
    of_epoch = [(names.EPOCH, b"2")]
    states.read_records([Tail(5, b"1", of_epoch, key=b"k"), Tail(6, b"2", of_epoch), Tail(7, None, of_epoch, key=b"k")])
    assert (states.last, states.ended) == ({b"": (b"2", 6)}, [b"k"])
    opened = {"type": "gap.opened", "at": 1, "gapId": "1-1", "fromMs": 5, "cause": "stopped", "detail": ""}
    login = {"type": "session.opened", "at": 9, "endpoint": "here"}
    events = [opened, {**opened, "gapId": "1-2", "fromMs": 10**30}, {**opened, "gapId": "1-3"}]
    events += [
        {
            "type": "gap.closed",
            "at": 1,
            "gapId": "1-3",
            "fromMs": 5,
            "toMs": 6,
            "cause": "stopped",
            "recovered": {},
            "lost": [],
        }
    ]
    events += [login, {**login, "at": 10**30}]
    session.read_records([Tail(7, json.dumps(event).encode(), of_epoch) for event in events])
    session.read_records([Tail(7, value, of_epoch) for value in (b"\xff", b"[" * 5000, b"", None)])
    session.read_records([Tail(7, json.dumps({**login, "at": 99}).encode(), [(names.EPOCH, b"1")])])
    assert [("1-1", 5, 9)] == [(gap.gap_id, gap.from_ms, gap.to_ms) for gap in session.open_gaps]
    assert session.last_login_ms == 9


def test_portfolios_are_read_where_they_are_named() -> None:
    """As text or number; a record without one, or that is no JSON, is skipped."""
    values = [
        b'{"portfolioId": "12"}',
        b'{"portfolioId": 13}',
        b'{"portfolioId": ""}',
        b"{}",
        b"\xff",
        b'{"portfolioId": []}',
    ]
    assert find_portfolios(values) == {"12", "13"}


@pytest.mark.parametrize(
    "odd",
    [
        {"command_offset": -1},
        {"command_offset": 2**63},
        {"retry_after_ms": 10**40},
        {"code": -(10**40)},
        {"answered_at": 10**14},
        {"sent_at": -1},
        {"message": "x" * 33_000},
    ],
)
def test_a_result_that_no_bridge_can_have_written_is_none(odd: dict[str, Any]) -> None:
    """What is remembered of it could not be kept, and would end the takeover."""
    assert ReplayedResults().read_results([result_record(msgspec.structs.replace(ACCEPTED, **odd))]) == []

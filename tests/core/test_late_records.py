"""Late records: they are found by epoch and sequence, and the newest of a key is published once more."""

import json
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract import headers as names
from bridge.contract.results import Outcome, Result
from bridge.contract.topics import Stream
from bridge.core.late_records import LateRecordFilter, NewestRecords, SequencePoint, copy_to_republish
from bridge.core.records import OutgoingRecord, TopicRecord
from bridge.core.replay import ReplayedResults, ReplayedSession, ReplayedStates
from tests.support.outside import Tail


def at(epoch: int, sequence: int, value: bytes | None = None, key: bytes = b"k") -> Tail:
    """Return a record at a sequence point, with that or another value."""
    value = f"{epoch}-{sequence}".encode() if value is None else value
    headers = [(names.EPOCH, str(epoch).encode()), (names.SEQUENCE, str(sequence).zfill(20).encode())]
    return Tail(7, value, [*headers, (names.TYPE, b"ltp.result.v1")], key=key)


def overtaken(records: Sequence[Tail], *keys: bytes) -> list[TopicRecord]:
    """Return the newest record of each key that an older one comes after."""
    newest = NewestRecords(keys)
    for record in records:
        newest.read_records([record])
    return list(newest.find_overtaken())


@pytest.mark.parametrize(
    ("one", "other", "before"),
    [
        *[((1, 9), (2, 1), True), ((2, 1), (1, 9), False), ((2, 1), (2, 2), True), ((2, 2), (2, 2), False)],
        *[((2, 3), (2, 2), False), ((2, -1), (2, 2), False), ((1, -1), (2, -1), True), ((-1, -1), (0, -1), True)],
    ],
)
def test_which_was_published_before(one: tuple[int, int], other: tuple[int, int], *, before: bool) -> None:
    """By its epoch, then by its sequence; where that is missing, nothing is sure."""
    assert SequencePoint(*one).is_before(SequencePoint(*other)) == before


def test_only_what_is_not_last_has_been_overtaken() -> None:
    """Not a repeat in its order, a key that is not asked about, or a key with nothing newer."""
    late = [at(1, 1), at(1, 2), at(1, 1)]
    assert overtaken(late, b"k") == [late[1]]
    assert overtaken(late, b"other") == []
    assert overtaken([*late, at(1, 2)], b"k") == []
    assert overtaken([*late, at(2, 1)], b"k") == []
    assert overtaken([*late, at(1, 7, key=b"other")], b"k", b"other") == [late[1]]
    zombie = [at(2, 1), at(1, 9)]
    assert overtaken(zombie, b"k") == [zombie[0]]
    assert overtaken([Tail(7, b"", [], key=None), at(1, 1, key=b"")], b"") == []


@pytest.mark.parametrize(
    ("newest", "last", "needed"),
    [
        (b"[1]", b"[1]", False),
        (b'{"outcome":"accepted","answeredAt":2}', b'{"outcome":"accepted","answeredAt":1}', False),
        (b'{"outcome":"accepted","answeredAt":2}', b'{"outcome":"unknown","answeredAt":1}', True),
        (b'{"orderState":"FILLED"}', b'{"orderState":"OPEN"}', True),
        (b"\xff", b"[", True),
    ],
)
def test_a_late_record_of_the_same_content_is_left_last(newest: bytes, last: bytes, *, needed: bool) -> None:
    """Two owners may publish one outcome of a command at two times; each command gets one terminal result."""
    assert (overtaken([at(2, 1, newest), at(1, 1, last)], b"k") != []) == needed


@given(st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=8), st.data())
def test_the_newest_record_of_each_key_is_found_among_late_repeats(keys: list[bytes], data: st.DataObject) -> None:
    """Records in their order, some of them repeated at the end in any order: the replay is the same."""
    log = [at(1, number, str(number).encode(), key) for number, key in enumerate(keys, 1)]
    again = data.draw(st.lists(st.sampled_from(log)))
    truth = {record.key: record for record in log}
    states = ReplayedStates()
    states.read_records([*log, *again])
    assert {key: value for key, (value, _) in states.last.items()} == {key: one.value for key, one in truth.items()}
    in_order = LateRecordFilter()
    in_order.read_records([*log, *again])
    assert in_order.late_keys == states.late_keys
    repaired = [*log, *again, *overtaken([*log, *again], *states.late_keys)]
    assert {record.key: record.value for record in repaired} == {key: one.value for key, one in truth.items()}


def test_a_late_doubt_after_an_answer_is_none() -> None:
    """An `unknown` that comes after the terminal result is not remembered, and its key is known."""
    answers = ReplayedResults()
    doubt = Result("a", 3, Outcome.UNKNOWN, 1, "place_order")
    last = msgspec.structs.replace(doubt, outcome=Outcome.ACCEPTED)
    log = [at(1, number, msgspec.json.encode(one), b"a") for number, one in ((1, doubt), (2, last), (1, doubt))]
    assert [result.outcome for result, _ in answers.read_results(log)] == [Outcome.UNKNOWN, Outcome.ACCEPTED]
    assert answers.late_keys == {b"a"}


def test_a_gap_that_is_opened_after_its_end_is_not_open() -> None:
    """Of any owners. The record that closed it is returned, unless it came again after the late one."""
    opened = {"type": "gap.opened", "at": 1, "gapId": "1-1", "fromMs": 5, "cause": "stopped", "detail": ""}
    closed = {**opened, "type": "gap.closed", "toMs": 6, "recovered": {}, "lost": []}
    log = [at(1, 1, json.dumps(opened).encode()), at(2, 4, json.dumps(closed).encode())]
    session = ReplayedSession()
    session.read_records(log)
    assert (list(session.open_gaps), list(session.overtaken_closings)) == ([], [])
    session.read_records(log[:1])
    assert (list(session.open_gaps), list(session.overtaken_closings)) == ([], [log[1]])
    session.read_records(log[1:])
    assert list(session.overtaken_closings) == []


def test_a_late_login_is_not_the_last() -> None:
    """It is neither the time of the last login nor the end of a gap."""
    logins = [json.dumps({"type": "session.opened", "at": at_ms, "endpoint": "here"}).encode() for at_ms in (8, 9)]
    session = ReplayedSession()
    session.read_records([at(1, 1, logins[0]), at(1, 2, logins[1]), at(1, 1, logins[0])])
    assert session.last_login_ms == 9


def test_a_record_is_published_again_as_it_was() -> None:
    """The same fact under the same `ce_id`, of the same time, with the caller's headers."""
    was = OutgoingRecord(
        Stream.ORDERS, b"k", b"{}", 1_700_000_000_001, "the-id", b"ltp.order.v1", [("h", b"1")], recovered=True
    )
    headers = names.build_event_headers(
        event_id=was.event_id,
        event_source=b"/ltp/test/main",
        event_type=b"ltp.order.v1",
        time_ms=was.time_ms,
        subject=was.key,
        epoch=3,
        sequence=4,
        recovered=True,
    )
    assert copy_to_republish(Stream.ORDERS, Tail(9, b"{}", [*headers, *was.headers], key=b"k")) == was


@pytest.mark.parametrize("time", [None, b"", b"\xff", b"x", b"2023-11-14T22:13:20", b"1959-01-01T00:00:00Z"])
def test_what_is_no_record_of_ours_is_published_again_without_a_mistake(time: bytes | None) -> None:
    """Headers without content, times that are none, no key."""
    odd = Tail(9, None, [("ce_time", time), (names.ID, None), ("empty", None)])  # type: ignore[list-item] # as Kafka has it
    assert copy_to_republish(Stream.POSITIONS, odd) == OutgoingRecord(Stream.POSITIONS, b"", None, 0, headers=[])

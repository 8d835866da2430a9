"""The demo's check: it finds lost pushes, pushes in gaps, repeated records and breaks of a sequence."""

import pytest

from bridge.contract.topics import Stream
from bridge.sandbox.demo.check import (
    Latency,
    PushLatencies,
    count_sequence_breaks,
    find_missing,
    find_repeats,
    summarize_latency,
)
from bridge.sandbox.demo.readers import TopicRecords
from bridge.sandbox.venue.clock import ManualClock
from bridge.sandbox.venue.ledger import EntryKind, Ledger
from tests.support.demo_records import PORTFOLIO, make_push, read_record

NOW_MS = 1_795_000_000_000


@pytest.fixture
def ledger() -> Ledger:
    """Return a ledger whose clock stands at NOW_MS: one order in two states, and one trade."""
    book = Ledger(ManualClock(NOW_MS))
    for channel, payload in (("Orders", b"new"), ("Orders", b"filled"), ("Trades", b"trade")):
        book.write_event(make_push(channel, "7", payload))
    return book


def test_trades_and_last_states_are_enough(ledger: Ledger) -> None:
    """Nothing is missing when the topics have every trade and the last state of every key, byte for byte."""
    topic_records = TopicRecords()
    topic_records.add([read_record(Stream.ORDERS, "7", b"filled"), read_record(Stream.TRADES, "7", b"trade")])
    assert find_missing(ledger, PORTFOLIO, topic_records) == []


def test_a_state_that_has_ended_is_not_missing() -> None:
    """A tombstone behind the last state of a position is no loss; a tombstone instead of it is one."""
    book = Ledger(ManualClock(NOW_MS))
    for key in ("one", "other"):
        book.write_event(make_push("Positions", key, b"flat"))
    topic_records = TopicRecords()
    topic_records.add(
        read_record(Stream.POSITIONS, key, value)
        for key, value in (("one", b"flat"), ("one", b""), ("other", b"long"), ("other", b""))
    )
    assert [one.push.key for one in find_missing(book, PORTFOLIO, topic_records)] == ["other"]


def test_other_bytes_and_an_older_last_state_are_losses(ledger: Ledger) -> None:
    """A trade with other bytes is missing, and so is a key whose last record is an older state."""
    topic_records = TopicRecords()
    topic_records.add([read_record(Stream.ORDERS, "7", b"filled"), read_record(Stream.ORDERS, "7", b"new", 2)])
    topic_records.add([read_record(Stream.TRADES, "7", b"Trade")])
    found = [(one.push.payload, one.in_gap, one.found) for one in find_missing(ledger, PORTFOLIO, topic_records)]
    assert found == [(b"filled", False, "new"), (b"trade", False, "Trade")]


def test_what_followed_the_end_of_the_run_is_not_asked_for(ledger: Ledger) -> None:
    """After the given entry other callers may trade: their pushes may be on the topics, and need not be."""
    topic_records, until = TopicRecords(), len(ledger)
    topic_records.add([read_record(Stream.ORDERS, "7", b"cancelled"), read_record(Stream.TRADES, "7", b"trade")])
    for channel, payload in (("Orders", b"cancelled"), ("Trades", b"second trade"), ("Assets", b"less")):
        ledger.write_event(make_push(channel, "7", payload))
    assert find_missing(ledger, PORTFOLIO, topic_records, until) == []
    assert len(find_missing(ledger, PORTFOLIO, topic_records)) == 2


@pytest.mark.parametrize(("from_ms", "opened_ms", "in_gap"), [(-5, 5, True), (-9, -5, False), (5, 9, False)])
def test_a_push_within_a_published_gap_is_in_the_gap(
    ledger: Ledger, from_ms: int, opened_ms: int, *, in_gap: bool
) -> None:
    """A missing push counts as in a gap only when it was made between `fromMs` and the next session."""
    topic_records = TopicRecords()
    gap = b'{"type":"gap.opened","gapId":"1-1","at":0,"fromMs":%d,"cause":"link_failed"}' % (NOW_MS + from_ms)
    opened = b'{"type":"session.opened","at":%d}' % (NOW_MS + opened_ms)
    topic_records.add(read_record(Stream.SESSION, "main", value, n + 1) for n, value in enumerate((gap, opened)))
    assert [one.in_gap for one in find_missing(ledger, PORTFOLIO, topic_records)] == [in_gap, in_gap]


def test_repeats_and_breaks_are_counted() -> None:
    """Each repetition of a `ce_id` counts once; so does each step of a sequence that is not one."""
    topic_records = TopicRecords()
    topic_records.add(read_record(Stream.TRADES, "7", b"", number, "one") for number in (1, 2, 4))
    assert (len(find_repeats(topic_records)), count_sequence_breaks(topic_records)) == (2, 1)


def test_a_repeat_that_the_contract_has_a_reason_for_is_none() -> None:
    """A row of REST may repeat a push, and a state stands once more behind an older one; a trade does not."""
    topic_records = TopicRecords()
    recovered = read_record(Stream.TRADES, "7", b"", 2, "trade")
    recovered.headers["ce_recovered"] = b"true"
    topic_records.add([read_record(Stream.TRADES, "7", b"", 1, "trade"), recovered])
    states = ("newer", "older", "newer", "newer")
    topic_records.add(read_record(Stream.ORDERS, "7", b"", number, ce_id) for number, ce_id in enumerate(states, 1))
    trades = ("one", "other", "one")
    topic_records.add(read_record(Stream.TRADES, "8", b"", number, ce_id) for number, ce_id in enumerate(trades, 3))
    assert [(one.stream, one.headers["ce_sequence"][-1:]) for one in find_repeats(topic_records)] == [
        (Stream.ORDERS, b"4"),
        (Stream.TRADES, b"5"),
    ]


def test_the_answer_to_a_command_that_was_sent_again_is_no_repeat() -> None:
    """A result that repeats a `ce_id` must be marked `repeated`."""
    topic_records = TopicRecords()
    answers = (b'{"outcome":"accepted"}', b'{"outcome":"accepted","repeated":true}', b'{"outcome":"accepted"}')
    topic_records.add(read_record(Stream.RESULTS, "c", value, n, "result") for n, value in enumerate(answers, 1))
    assert [one.offset for one in find_repeats(topic_records)] == [3]


def test_latency_is_from_the_socket_to_the_reader() -> None:
    """A record's latency begins when the venue wrote the push; a push that was never written has none."""
    clock = ManualClock()
    book = Ledger(clock)
    latencies = PushLatencies(book, PORTFOLIO)
    for delay_s in (0.5, 0.25):
        entry = book.write_event(make_push("Trades", "7", b"trade"))
        book.write(EntryKind.DELIVER, portfolio_id=PORTFOLIO, event_number=entry.number, channel="Trades")
        clock.advance(delay_s)
        assert (
            latencies.measure(read_record(Stream.TRADES, "7", b"trade", read_monotonic_s=clock.monotonic_s()))
            == delay_s * 1000
        )
    assert latencies.measure(read_record(Stream.TRADES, "7", b"trade")) is None


def test_percentiles_are_by_nearest_rank() -> None:
    """Median and 99th percentile are measured values; without values both are None."""
    assert summarize_latency(range(200, 0, -1)) == Latency(100, 198)
    assert summarize_latency([]) == Latency(None, None)

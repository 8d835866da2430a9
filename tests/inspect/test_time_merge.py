"""Topics in the order of their times."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.topics import Stream
from bridge.inspect.seen_record import SeenRecord
from bridge.inspect.time_merge import TimeMerge
from tests.inspect.records import seen

STREAMS = (Stream.ORDERS, Stream.TRADES, Stream.RESULTS)


def times(records: list[SeenRecord]) -> list[tuple[Stream, int]]:
    """Return where the records are."""
    return [(record.stream, record.offset) for record in records]


def log(stream: Stream, *at_ms: int) -> list[SeenRecord]:
    """Return the records of a topic with these times."""
    return [seen(stream, b"", offset=offset, at_ms=one) for offset, one in enumerate(at_ms)]


def test_nothing_is_returned_before_its_turn_is_certain() -> None:
    """A topic whose next record is not there yet may have an earlier one."""
    merge = TimeMerge((Stream.ORDERS, Stream.TRADES))
    merge.add(log(Stream.ORDERS, 1, 5, 9))
    assert merge.lacking == [Stream.TRADES]
    assert merge.pop_ready() == []
    merge.add(log(Stream.TRADES, 6))
    assert times(merge.pop_ready()) == [(Stream.ORDERS, 0), (Stream.ORDERS, 1), (Stream.TRADES, 0)]
    assert not merge.is_finished
    merge.finish(Stream.TRADES)
    assert times(merge.pop_ready()) == [(Stream.ORDERS, 2)]
    merge.finish(Stream.ORDERS)
    assert merge.is_finished


def test_records_of_one_time_are_in_the_order_of_their_topics() -> None:
    """The topic that was named first comes first."""
    merge = TimeMerge((Stream.TRADES, Stream.ORDERS))
    merge.add([*log(Stream.ORDERS, 1, 1), *log(Stream.TRADES, 1, 2)])
    for stream in STREAMS:
        merge.finish(stream)
    assert [stream for stream, _ in times(merge.pop_ready())] == [
        *(Stream.TRADES, Stream.ORDERS, Stream.ORDERS, Stream.TRADES),
    ]


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=3, max_size=3), st.data())
def test_every_record_comes_once_and_topics_keep_their_order(all_ms: list[list[int]], data: st.DataObject) -> None:
    """However they arrive; and where each topic's times only grow, so do those of all."""
    logs = {stream: log(stream, *at_ms) for stream, at_ms in zip(STREAMS, all_ms, strict=True)}
    merge, found = TimeMerge(STREAMS), []
    while not merge.is_finished:
        for stream in list(merge.lacking):
            if not logs[stream]:
                merge.finish(stream)
            else:
                count = data.draw(st.integers(1, len(logs[stream])))
                merge.add(logs[stream][:count])
                del logs[stream][:count]
        found += merge.pop_ready()
    assert sorted(times(found)) == sorted(
        (stream, offset) for stream, at_ms in zip(STREAMS, all_ms, strict=True) for offset in range(len(at_ms))
    )
    for stream in STREAMS:
        assert [offset for one, offset in times(found) if one is stream] == sorted(
            offset for one, offset in times(found) if one is stream
        )
    if all(at_ms == sorted(at_ms) for at_ms in all_ms):
        assert [record.timestamp_ms for record in found] == sorted(record.timestamp_ms for record in found)
    assert len(found) == len(list(chain(*all_ms)))

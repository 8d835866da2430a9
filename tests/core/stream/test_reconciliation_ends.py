"""Keys that the venue's full lists lack after a login: their last record becomes a tombstone, and stays it."""

from bridge.contract.topics import Stream
from bridge.core.stream.sweep import SweepOutcome
from tests.support.one_recovery import LOGIN_MS, OneRecovery, Row, asset, position

BEFORE_MS = LOGIN_MS - 100_000
"""Before the gap, and within the overlap."""


def test_a_position_that_a_full_list_lacks_gets_a_tombstone() -> None:
    """What is listed, and what was just pushed, stays as it is."""
    one = OneRecovery()
    one.remember(Stream.POSITIONS, position(BEFORE_MS, sym="gone"), position(BEFORE_MS, sym="there"))
    one.begin().push(Stream.POSITIONS, position(LOGIN_MS, sym="new"))
    for _ in range(2):  # one list may be empty for a moment
        assert None not in one.last(Stream.POSITIONS).values()
        one.sweep(positions=[position(BEFORE_MS, sym="there")])
    (tombstone,) = [record for record in one.records(Stream.POSITIONS) if record.value is None]
    assert (tombstone.key, tombstone.recovered, tombstone.event_id) == (b"gone:NONE", True, None)
    one.close()
    assert one.events("gap.closed")[0]["recovered"]["positions"] == 1


def test_a_part_of_a_list_ends_nothing() -> None:
    """Only a whole list counts; an unreadable row may be of the key that seems to be missing."""
    one = OneRecovery()
    one.remember(Stream.POSITIONS, position(BEFORE_MS))
    one.begin()
    recovery, sweep = one.recovery, one.recovery.begin_sweep(one.now)
    listed = recovery.compare_rows(sweep, Stream.POSITIONS, [b"{}"], one.now)
    assert (listed, sweep.unreadable) == (set(), 1)
    assert one.outgoing == []


def test_a_position_that_an_even_later_list_still_has_ends_before_the_gap_closes() -> None:
    """REST is not equally late each time: what comes back from before the end goes again."""
    one = OneRecovery()
    one.remember(Stream.POSITIONS, position(BEFORE_MS))
    one.begin().sweep(positions=[])
    one.sweep(positions=[])
    assert one.last(Stream.POSITIONS) == {"OKX_PERP_ETH_USDT:NONE": None}
    one.wait(3.75)
    one.sweep(positions=[position(BEFORE_MS)])
    one.wait(26.25)
    for _ in range(2):
        assert one.sweep(positions=[]) is SweepOutcome.NOTHING
        one.wait(5)
    assert one.sweep(positions=[]) is SweepOutcome.MAY_CLOSE
    assert one.last(Stream.POSITIONS) == {"OKX_PERP_ETH_USDT:NONE": None}


def test_a_position_that_was_refreshed_meanwhile_ends_before_the_gap_closes() -> None:
    """When it was published again does not matter, only when it was pushed."""
    one = OneRecovery()
    one.remember(Stream.POSITIONS, position(BEFORE_MS - 2_880_000), published_ms=LOGIN_MS - 2_880_000 + 20_000)
    one.begin().sweep(positions=[position(BEFORE_MS - 2_880_000)])
    one.wait(25)
    assert len(one.tick()) == 1
    one.wait(5)
    for _ in range(2):
        assert one.sweep(positions=[]) is SweepOutcome.NOTHING
    assert one.last(Stream.POSITIONS) == {"OKX_PERP_ETH_USDT:NONE": None}


def test_a_list_that_is_empty_for_a_moment_ends_nothing() -> None:
    """A venue that is still loading answers with success and nothing; no gap closes before it was asked again."""
    for stream, row in ((Stream.POSITIONS, position(BEFORE_MS)), (Stream.ASSETS, asset(BEFORE_MS))):
        one = OneRecovery()
        one.remember(stream, row)
        one.begin()
        lists: list[list[Row]] = [[], [row], [], [row]]
        for listed in lists:
            one.wait(30)
            assert one.sweep(**{stream.value: listed}) is (SweepOutcome.MAY_CLOSE if listed else SweepOutcome.NOTHING)
            if listed:
                one.lose()
                one.log_in()
        assert one.records(stream) == []

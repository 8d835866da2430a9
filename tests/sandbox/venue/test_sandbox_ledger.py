"""The venue's ledger."""

import io
import json

import pytest

from bridge.sandbox.venue.clock import ManualClock
from bridge.sandbox.venue.ledger import EntryKind, Ledger, VenuePush


def event(key: str, identity: str, channel: str = "Orders") -> VenuePush:
    """Return a push of portfolio 1."""
    return VenuePush(portfolio_id="1", channel=channel, key=key, identity=identity, payload=b"{}", frame=b"{}")


def test_entries_are_stamped_and_numbered() -> None:
    """Each entry has its number and the time of both clocks."""
    clock = ManualClock(wall_ms=1000)
    ledger = Ledger(clock)
    ledger.write(EntryKind.CONN, connection=1)
    clock.advance(0.5)
    second = ledger.write(EntryKind.DROP, connection=1, reason="cut")
    assert (second.number, second.wall_ms, second.monotonic_s, second.facts) == (2, 1500, 0.5, {"reason": "cut"})


def test_last_states_and_trades() -> None:
    """The ledger returns the last push of each key, and each execution once."""
    ledger = Ledger(ManualClock())
    for key, identity in (("a", "1"), ("b", "2"), ("a", "3")):
        ledger.write_event(event(key, identity))
        ledger.write_event(event(key, "same", "Trades"))
    assert {k: e.identity for k, e in ledger.last_states("Orders", "1").items()} == {"a": "3", "b": "2"}
    assert [trade.identity for trade in ledger.trades("1")] == ["same"]
    assert ledger.last_states("Orders", "2") == {}


def test_busiest_window_counts_refused_ones_too() -> None:
    """The busiest window counts requests within the limit and over it; a request leaves it after 60 s."""
    clock = ManualClock()
    ledger = Ledger(clock)
    for kind, pause in ((EntryKind.COUNT, 30), (EntryKind.COUNT, 30), (EntryKind.LIMITED, 29), (EntryKind.COUNT, 0)):
        ledger.write(kind, portfolio_id="1", action="place_order")
        clock.advance(pause)
    assert ledger.busiest_window("place_order", "1") == 3
    assert ledger.busiest_window("replace_order", "1") == 0


async def test_waiting_ends_with_the_deadline() -> None:
    """A condition that does not hold by the deadline raises TimeoutError."""
    with pytest.raises(TimeoutError):
        await Ledger(ManualClock()).wait_until(lambda: False, deadline_s=0.01)


def test_export_is_json_lines() -> None:
    """The export has one JSON object a line, with the bytes of a push as text."""
    ledger = Ledger(ManualClock())
    ledger.write(EntryKind.CONN, connection=1, tier="az4")
    ledger.write_event(event("a", "1"))
    out = io.StringIO()
    ledger.export(out)
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["facts"] == {"tier": "az4"}
    assert second["event"] == {"channel": "Orders", "key": "a", "identity": "1", "payload": "{}"}


def test_a_follower_gets_every_entry_at_once() -> None:
    """A follower gets the earlier entries, and each later entry when it is written."""
    ledger, out = Ledger(ManualClock()), io.StringIO()
    ledger.write(EntryKind.CONN, tier="az4")
    ledger.follow(out)
    ledger.write(EntryKind.DROP, reason="cut")
    assert [json.loads(line)["kind"] for line in out.getvalue().splitlines()] == ["CONN", "DROP"]

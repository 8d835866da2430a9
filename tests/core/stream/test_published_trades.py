"""The published trades: a trade is known by its identity and its content."""

from bridge.contract.topics import Stream
from bridge.core.stream.published_trades import PublishedTrades, TradeMatch
from bridge.core.stream.venue_record import PARSERS, VenueRecord
from tests.support.one_recovery import LOGIN_MS, raw, trade


def _trade(**fields: str) -> VenueRecord:
    return PARSERS[Stream.TRADES](raw(trade(LOGIN_MS, **fields)))


def test_a_trade_is_new_once_and_a_conflict_once() -> None:
    """A second trade of one identity is a conflict; both are known afterwards, in any spelling."""
    trades, one, other = PublishedTrades(), _trade(), _trade(price="7")
    assert not trades.has(one)
    assert [trades.add(one, LOGIN_MS), trades.add(_trade(price="100.0"), LOGIN_MS)] == [
        TradeMatch.NEW,
        TradeMatch.KNOWN,
    ]
    assert not trades.has(other)
    assert [trades.add(other, LOGIN_MS) for _ in range(2)] == [TradeMatch.CONFLICT, TradeMatch.KNOWN_CONFLICT]
    assert trades.has(one)
    assert trades.has(other)
    assert trades.add(one, LOGIN_MS) is TradeMatch.KNOWN

"""Whether the topics tell what the venue knows: every trade, and of every key the truth as its last record."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bridge.contract.topics import Stream
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.pushes import order_row
from tests.support.rig import Rig, Topic
from tests.support.states import last_states
from tests.witness.ledger import trade_identity

_OF_AN_ORDER = ("orderState", "executedQty", "limitPrice", "orderQty")
STREAMS = (Stream.TRADES, Stream.ORDERS, Stream.ASSETS, Stream.POSITIONS)

Topics = Mapping[Stream, Topic]


async def read_all(rig: Rig) -> dict[Stream, Topic]:
    """Read every topic that is held against the venue."""
    return {stream: await rig.topic(stream) for stream in STREAMS}


def untrue(rig: Rig, topics: Topics) -> list[str]:
    """Return what the topics do not tell, or tell otherwise than the venue: nothing, if all is well."""
    return missing_trades(rig, topics[Stream.TRADES]) + _orders(rig, topics) + _assets(rig, topics)


def missing_trades(rig: Rig, trades: Topic) -> list[str]:
    """Return the trades of the ledger that are not published."""
    told = {trade_identity(row) for row in trades.values}
    made = rig.venue.ledger.trades(rig.venue.keys["main"].portfolio_id)
    return [f"trade {event.identity} is missing" for event in made if event.identity not in told]


def published_twice(trades: Topic) -> int:
    """Return how many records of trades repeat an earlier one; readers know them by their `ce_id`."""
    return len(trades.values) - len({trade_identity(row) for row in trades.values})


def over_limit(rig: Rig) -> list[str]:
    """Return the requests that the venue counted over a limit."""
    return [
        f"{entry.facts['action']} was over its limit of {entry.facts['limit']}"
        for entry in rig.venue.ledger.entries(EntryKind.LIMITED)
    ]


def _names(row: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(row.get(name)) for name in names)


def _orders(rig: Rig, topics: Topics) -> list[str]:
    last, dialect = last_states(topics[Stream.ORDERS]), rig.venue.settings.dialect
    rows = (order_row(order, dialect) for order in rig.venue.portfolio().orders.values())
    pairs = ((_names(row, _OF_AN_ORDER), last.get(str(row["orderId"])), row) for row in rows)
    return [
        f"order {row['orderId']} is {true}, told is {told and _names(told, _OF_AN_ORDER)}"
        for true, told, row in pairs
        if told is None or _names(told, _OF_AN_ORDER) != true
    ]


def _assets(rig: Rig, topics: Topics) -> list[str]:
    """Hold coins and positions against the venue; one of which there is nothing may be untold, or a tombstone."""
    portfolio = rig.venue.portfolio()
    true: dict[str, tuple[Decimal, ...]]
    true = {f"{one.exchange}:{one.coin}": (one.balance, one.frozen) for one in portfolio.wallets.values()}
    true |= {f"{one.instrument.sym}:{one.side}": (one.qty,) for one in portfolio.positions.values()}
    told = {
        key: tuple(Decimal(row[name]) for name in names)
        for stream, names in ((Stream.ASSETS, ("balance", "frozen")), (Stream.POSITIONS, ("positionQty",)))
        for key, row in last_states(topics[stream]).items()
    }
    keys = true.keys() | told.keys()
    pairs = ((key, true.get(key, (Decimal(),)), told.get(key, (Decimal(),))) for key in keys)
    return [f"{key} is {have}, told is {say}" for key, have, say in pairs if have != say and (any(have) or any(say))]

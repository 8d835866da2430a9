"""From pushes to records: topic, key, identity, and the venue's own bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.topics import Stream
from bridge.core.now import Now
from bridge.core.records import InvalidFrame, OutgoingRecord, Push
from bridge.core.stream import published_trades
from bridge.core.stream.venue_record import PARSERS
from tests.support.one_router import OneRouter

NOW = Now(10.0, 1_795_000_000_123)
ORDER = {"orderId": "1703213979730000", "orderState": "OPEN", "executedQty": "0.50", "updateAt": "1795000000000"}
TRADE = {
    "transactionId": "t-1",
    "orderId": "17",
    "sym": "OKX_PERP_ETH_USDT",
    "quantity": "0.50",
    "price": "100",
    "side": "BUY",
}


class Routed(OneRouter):
    """A router to push to, and the details of its conflicts."""

    def __init__(self) -> None:
        super().__init__(NOW)

    @property
    def conflicts(self) -> list[str]:
        """The details of the conflicts so far."""
        return self.alarms("trade_conflict")

    def push(self, channel: str, data: Any) -> list[OutgoingRecord]:  # noqa: ANN401 - any JSON, or bytes
        """Route one push."""
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        return self.router.route_push(Push(channel, raw, b'{"frame":' + raw + b"}"), NOW)


def _one(channel: str, data: Any) -> OutgoingRecord:  # noqa: ANN401 - any JSON
    (record,) = Routed().push(channel, data)
    return record


@pytest.mark.parametrize(
    ("channel", "data", "stream", "key"),
    [
        ("Orders", ORDER, Stream.ORDERS, b"1703213979730000"),
        ("orders", ORDER, Stream.ORDERS, b"1703213979730000"),
        ("ORDERS", ORDER, Stream.ORDERS, b"1703213979730000"),
        ("Order", ORDER, Stream.ORDERS, b"1703213979730000"),
        (" Orders", ORDER, Stream.ORDERS, b"1703213979730000"),
        ("trade", TRADE, Stream.TRADES, b"17"),
        ("MarginCalls", {"exchangeType": "OKX"}, Stream.MARGIN_CALLS, b"OKX"),
        ("margin_call", {"exchangeType": "OKX"}, Stream.MARGIN_CALLS, b"OKX"),
        ("LIQUIDATION-EVENTS", {"liquidationEventId": 5}, Stream.LIQUIDATIONS, b"5"),
        ("Trades", TRADE, Stream.TRADES, b"17"),
        ("Assets", {"coin": "USDT", "exchangeType": "OKX"}, Stream.ASSETS, b"OKX:USDT"),
        ("Assets", {"coin": "USDT"}, Stream.ASSETS, b"UNKNOWN:USDT"),
        ("Positions", {"sym": "S", "positionSide": "LONG"}, Stream.POSITIONS, b"S:LONG"),
        ("Positions", {"sym": "S", "positionSide": "NET"}, Stream.POSITIONS, b"S:NONE"),
        ("Positions", {"sym": "S"}, Stream.POSITIONS, b"S:NONE"),
        ("MarginCall", {"exchangeType": "OKX"}, Stream.MARGIN_CALLS, b"OKX"),
        ("MarginCall", {}, Stream.MARGIN_CALLS, b"UNKNOWN"),
        ("LiquidationEvent", {"liquidationEventId": 5}, Stream.LIQUIDATIONS, b"5"),
        ("LiquidationPosition", {"liquidationEventId": "5"}, Stream.LIQUIDATIONS, b"5"),
        ("LiquidationPositionByUser", {"liquidationEventId": "5"}, Stream.LIQUIDATIONS, b"5"),
    ],
)
def test_each_channel_has_its_topic_and_key(channel: str, data: dict[str, Any], stream: Stream, key: bytes) -> None:
    """In any case, in the singular or plural; a side of NET is none."""
    record = _one(channel, data)
    assert (record.stream, record.key) == (stream, key)
    assert record.received_boot_s == NOW.boot_s


@given(st.sampled_from([" ", "\n", ""]), st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_values_are_the_bytes_of_the_venue(space: str, odd: float, text: str) -> None:
    """Spaces, unknown fields, numbers as they were written: nothing is decoded and encoded again."""
    item = json.dumps(ORDER | {"new": odd, "text": text}, separators=("," + space, ":" + space)).encode()
    assert _one("Orders", item).value == item
    records = Routed().push("Orders", b"[" + item + b" ,\n" + item + b"]")
    assert [record.value for record in records] == [item, item]


def test_a_push_and_its_rest_row_share_an_id() -> None:
    """A trade is named by its identity at the venue, however its fields are written; another order's is another."""
    push = _one("Trades", TRADE)
    row = _one("Trades", {**TRADE, "orderId": 17, "quantity": "0.5", "exchangeType": "OKX", "fee": "1"})
    assert push.event_id == row.event_id == "trade:OKX:OKX_PERP_ETH_USDT:17:t-1"
    assert _one("Trades", TRADE | {"orderId": "18"}).event_id != push.event_id
    assert _one("Trades", TRADE | {"sym": "OKX_SPOT_ETH_USDT"}).event_id != push.event_id


def test_an_order_snapshot_is_named_by_what_it_shows() -> None:
    """The same snapshot with another spelling of its quantity is the same; a later one is not."""
    event_id = _one("Orders", ORDER).event_id
    assert event_id == "order:1703213979730000:OPEN:0.5:1795000000000"
    assert _one("Orders", ORDER | {"executedQty": "0.5", "updateAt": 1795000000000}).event_id == event_id
    for change in ({"executedQty": "0.6"}, {"orderState": "FILLED"}, {"updateAt": "1795000000001"}):
        assert _one("Orders", ORDER | change).event_id != event_id
    nothing_done = {"orderId": "1", "orderState": "NEW"}
    assert _one("Orders", nothing_done).event_id == _one("Orders", nothing_done | {"executedQty": "0.0"}).event_id


@pytest.mark.parametrize(
    ("channel", "data"),
    [
        ("Assets", {"coin": "BTC"}),
        ("Positions", {"sym": "S"}),
        ("MarginCall", {}),
        ("LiquidationEvent", {"liquidationEventId": 5}),
    ],
)
def test_a_state_has_no_identity(channel: str, data: dict[str, Any]) -> None:
    """A balance that returns to an earlier value is news, so nothing but its publication names it."""
    assert _one(channel, data).event_id is None


@pytest.mark.parametrize(
    ("channel", "data", "time_ms"),
    [
        ("Orders", ORDER, 1795000000000),
        ("Orders", ORDER | {"updateAt": None}, NOW.wall_ms),
        ("Orders", ORDER | {"updateAt": "yesterday"}, NOW.wall_ms),
        ("Orders", ORDER | {"updateAt": "1795000000000000000"}, NOW.wall_ms),
        ("Orders", ORDER | {"updateAt": "253402300800000"}, NOW.wall_ms),
        ("Orders", ORDER | {"updateAt": -5}, NOW.wall_ms),
        ("Trades", TRADE | {"createAt": "1795000000000"}, 1795000000000),
        ("MarginCall", {"createAt": 1795000000000}, 1795000000000),
        ("LiquidationEvent", {"liquidationEventId": 5, "createAt": 1795000000000}, 1795000000000),
    ],
)
def test_the_time_is_the_venues_where_it_is_one(channel: str, data: dict[str, Any], time_ms: int) -> None:
    """Text, microseconds or no time at all do no harm: then it is the time of arrival."""
    assert _one(channel, data).time_ms == time_ms


@pytest.mark.parametrize("change", [{"price": "101"}, {"quantity": "0.51"}, {"side": "SELL"}])
def test_a_trade_of_one_identity_and_another_content_is_a_conflict(change: dict[str, str]) -> None:
    """Both are published, the second under an id of its own, with an alarm; the same again is no conflict."""
    routed = Routed()
    (first,) = routed.push("Trades", TRADE)
    (again,) = routed.push("Trades", TRADE | {"quantity": "0.5", "price": "100.00"})
    assert (again.event_id, routed.conflicts) == (first.event_id, [])
    (other,) = routed.push("Trades", TRADE | change)
    assert other.event_id is None
    assert len(routed.conflicts) == 1


@pytest.mark.parametrize("change", [{"price": "101"}, {"quantity": "0.51"}, {"side": "SELL"}])
def test_a_conflict_is_known_to_the_rows_of_both(change: dict[str, str]) -> None:
    """Also after another owner published them: REST has both, and neither is new."""
    first, other = (PARSERS[Stream.TRADES](json.dumps(row).encode()) for row in (TRADE, TRADE | change))
    routed, heir = Routed(), Routed()
    routed.push("Trades", [TRADE, TRADE | change])
    for trade in (first, other):
        heir.router.trades.add(trade, NOW.wall_ms)
    for router in (routed.router, heir.router):
        assert router.trades.has(first)
        assert router.trades.has(other)
    assert not Routed().router.trades.has(first)
    assert heir.conflicts == []


def test_trades_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first, and it is known until when what happened may be forgotten."""
    monkeypatch.setattr(published_trades, "_TRADES_MAX", 3)
    routed = Routed()
    assert routed.router.trades.forgotten_ms == 0
    for n in range(5):
        routed.push("Trades", TRADE | {"transactionId": n, "createAt": str(1000 + n)})
    assert routed.router.trades.forgotten_ms == 1000
    routed.push("Trades", TRADE | {"transactionId": 0, "price": "1"})
    routed.push("Trades", TRADE | {"transactionId": 4, "price": "1"})
    assert len(routed.conflicts) == 1


def test_orders_are_reported_in_their_sequence() -> None:
    """Each snapshot of an array, once."""
    routed = Routed()
    routed.push("Orders", [ORDER, ORDER | {"orderState": "FILLED"}])
    assert [order.state for order in routed.orders] == ["OPEN", "FILLED"]


@pytest.mark.parametrize("channel", ["Accounts", "Margin", "", "s", "OrderBook", "Trades" * 50])
def test_an_unknown_channel_is_kept_whole(channel: str) -> None:
    """Its frame goes to `unrecognized`, under the channel's name."""
    record = _one(channel, {"a": 1})
    assert (record.stream, record.key, record.value) == (Stream.UNRECOGNIZED, channel.encode(), b'{"frame":{"a": 1}}')
    assert not record.is_json


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"{}",
        b"5",
        b'{"orderId":null,"orderState":"OPEN"}',
        b'{"orderId":"1","orderState":null}',
        b'["text"]',
        b"[1,",
        b"[" * 50_000,
        b'{"orderId":"1","orderState":"\xff"}',
        b'{"orderId":"1","orderState":"N","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
)
def test_what_cannot_be_read_is_kept_whole(data: bytes) -> None:
    """One record with the whole frame, and nothing raises."""
    record = _one("Orders", data)
    assert (record.stream, record.key, record.value) == (Stream.UNRECOGNIZED, b"Orders", b'{"frame":' + data + b"}")


def test_one_bad_item_does_not_lose_the_others() -> None:
    """What can be read goes to its topic, the frame once to `unrecognized`."""
    records = Routed().push("Orders", [ORDER, {"x": 1}, {"y": 1}, ORDER])
    assert [record.stream for record in records] == [Stream.ORDERS, Stream.ORDERS, Stream.UNRECOGNIZED]


def test_an_older_push_is_followed_by_the_newer_state_again() -> None:
    """Both are published, and the last record of the key is the truth; the newer one keeps its name and its origin."""
    routed = Routed()
    routed.router.records_of(PARSERS[Stream.ORDERS](json.dumps(ORDER).encode()), NOW, recovered=True)
    older, newer = routed.push("Orders", ORDER | {"updateAt": "1794999999999"})
    assert (older.recovered, newer.recovered) == (False, True)
    assert older.value != newer.value == json.dumps(ORDER).encode()
    assert newer.event_id == "order:1703213979730000:OPEN:0.5:1795000000000"


def test_a_recovered_row_is_waited_for_by_nothing() -> None:
    """Until it is durable its gap is open: how far the stream is durable is not its concern."""
    routed = Routed()
    (row,) = routed.router.records_of(PARSERS[Stream.TRADES](json.dumps(TRADE).encode()), NOW, recovered=True)
    (push,) = routed.push("Trades", TRADE)
    assert (row.recovered, row.received_boot_s, push.recovered, push.received_boot_s) == (True, None, False, NOW.boot_s)
    assert row.event_id == push.event_id


def test_a_state_is_published_again_before_it_leaves_the_horizon() -> None:
    """As it was: with its name, its time and its origin."""
    routed = Routed()
    (push,) = routed.push("Orders", ORDER)
    later = Now(NOW.boot_s + 2880, NOW.wall_ms + 2_880_000)
    assert routed.router.due_refreshes(Now(NOW.boot_s, NOW.wall_ms + 2_879_999)) == []
    (again,) = routed.router.due_refreshes(later)
    assert (again.key, again.value, again.event_id) == (push.key, push.value, push.event_id)
    assert (again.time_ms, again.recovered) == (push.time_ms, False)


def test_a_tombstone_ends_a_key() -> None:
    """It has no value; afterwards there is no state to be published again."""
    routed = Routed()
    held = PARSERS[Stream.ASSETS](b'{"coin":"BTC","exchangeType":"OKX","updateAt":"1795000000000"}')
    routed.router.records_of(held, NOW)
    gone = routed.router.build_tombstone(held, NOW)
    assert (gone.stream, gone.key, gone.value, gone.event_id) == (Stream.ASSETS, b"OKX:BTC", None, None)
    assert gone.recovered
    assert routed.router.due_refreshes(Now(NOW.boot_s, NOW.wall_ms + 3_600_000)) == []


def test_a_frame_that_is_not_of_the_protocol_is_kept_whole() -> None:
    """Under no channel."""
    record = Routed().router.route_invalid_frame(InvalidFrame(b"<html>", "not JSON"), NOW)
    assert (record.stream, record.key, record.value, record.is_json) == (
        *(Stream.UNRECOGNIZED, b"UNKNOWN"),
        *(b"<html>", False),
    )


def test_so_many_conflicts_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that gives one name to everything must not fill the memory."""
    monkeypatch.setattr(published_trades, "_CONFLICTS_MAX", 2)
    routed = Routed()
    for price in "12345":
        routed.push("Trades", TRADE | {"price": price})
    assert len(routed.router.trades._conflicts) == 2

"""Venue records: their keys and identities, and the fields by which they differ."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.topics import Stream
from bridge.core.odd_fields import UNREADABLE
from bridge.core.order_states import NO_PROGRESS
from bridge.core.stream.venue_record import PARSERS, normalize_decimal
from tests.support.one_recovery import LOGIN_MS, Row, asset, order, position, raw, trade

T = LOGIN_MS


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**17), max_value=10**17))
def test_a_number_is_written_in_one_way(value: Decimal) -> None:
    """Without exponent, needless zeros or a loss of digits."""
    written = normalize_decimal(format(value, "f") + "0")
    assert Decimal(written) == value
    assert written == normalize_decimal(f"{value:f}")
    assert written == "0" or not ("." in written and written.endswith("0"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "0"), ("", "0"), ("-0.00", "0"), (100, "100"), ("100", "100"), ("1E-8", "0.00000001"), ("0.50", "0.5"),
        ("abc", "abc"), ("NaN", "NaN"), ("sNaN", "sNaN"), ("Infinity", "Infinity"), ("1E+999999", "1E+999999"),
    ],
)  # fmt: skip
def test_odd_numbers(text: str | int | None, expected: str) -> None:
    """Nothing is zero; what is no number, or fills the memory when written out, stays as it is."""
    assert normalize_decimal(text) == expected


@pytest.mark.parametrize("text", ["1E+64", "1E-64"])
def test_a_number_is_written_out_up_to_a_length(text: str) -> None:
    """One power of ten further it stays as it is."""
    assert "E" not in normalize_decimal(text)
    further = text.replace("64", "65")
    assert normalize_decimal(further) == further


@pytest.mark.parametrize(
    ("stream", "row", "meaning"),
    [
        (Stream.ORDERS, order(T, "Open", "0.50"), ("OPEN", "0.5", None, None, None)),
        (
            Stream.ORDERS,
            order(T) | {"orderQty": "1.0", "limitPrice": 7, "action": "amend_failed"},
            ("OPEN", "0", "1", "7", "AMEND_FAILED"),
        ),
        (Stream.TRADES, trade(T, quantity="0.50", price="1.0"), ("0.5", "1", "BUY")),
        (Stream.ASSETS, asset(T, "1.0", frozen="0.0"), ("1", "0", *[None] * 5)),
        (Stream.ASSETS, asset(T, "1", debt="2.0", loan=None), ("1", "0", None, "2", None, None, "0")),
        (Stream.POSITIONS, position(T, "-1.0", avgPrice="7.0"), ("-1", "7", None)),
        (Stream.POSITIONS, position(T, leverage="2"), ("1", None, "2")),
        (Stream.POSITIONS, position(T, "0.0", avgPrice="7", leverage="2"), ("0", None, None)),
    ],
)
def test_compared_fields_are_those_that_a_reader_acts_upon(
    stream: Stream, row: Row, meaning: tuple[str | None, ...]
) -> None:
    """By value: neither its spelling nor the other fields of the row."""
    assert (
        PARSERS[stream](raw(row)).compared_fields
        == PARSERS[stream](raw(row | {"else": "7"})).compared_fields
        == meaning
    )


@pytest.mark.parametrize(
    ("stream", "row", "empty"),
    [
        (Stream.ASSETS, asset(T, "0.00"), True),
        (Stream.ASSETS, asset(T, "0", frozen="1"), False),
        (Stream.ASSETS, asset(T, "-1"), False),
        (Stream.ASSETS, asset(T, "0", debt="100"), False),
        (Stream.POSITIONS, position(T, "0.0", avgPrice="7"), True),
        (Stream.POSITIONS, position(T, "-1"), False),
        (Stream.ORDERS, order(T, "CANCELLED"), False),
    ],
)
def test_a_state_is_empty_without_balance_or_quantity(stream: Stream, row: Row, empty: bool) -> None:  # noqa: FBT001
    """That its end may be said without a gap depends on it."""
    assert PARSERS[stream](raw(row)).is_empty is empty


def test_only_orders_are_further_by_more_than_time() -> None:
    """A balance goes up and down, and what has no time has no progress."""
    assert PARSERS[Stream.ASSETS](raw(asset(T))).progress == NO_PROGRESS.dated(T)
    assert PARSERS[Stream.POSITIONS](raw(position(0))).progress == NO_PROGRESS
    filled = PARSERS[Stream.ORDERS](raw(order(T, "FILLED", "1"))).progress
    assert (filled.ended, filled.executed, filled.time_ms) == (True, Decimal(1), T)
    assert PARSERS[Stream.TRADES](raw(trade(T))).progress == NO_PROGRESS


def test_orders_and_trades_are_carried_along() -> None:
    """The rooms that settle commands need them; other records have none."""
    record = PARSERS[Stream.ORDERS](raw(order(T)))
    assert (record.order is not None, record.trade) == (True, None)
    record = PARSERS[Stream.TRADES](raw(trade(T)))
    assert (record.trade is not None, record.order) == (True, None)
    assert record.time_ms == T


@pytest.mark.parametrize("name", ["", "0", "00", 0, None])
def test_an_execution_without_an_id_is_named_by_its_record(name: object) -> None:
    """Two of them differ by their other fields; a row of REST in another spelling is the same one."""
    one, later, spelled = (
        PARSERS[Stream.TRADES](raw(row | {"transactionId": name}))
        for row in (trade(T), trade(T + 700), trade(T, quantity="0.50", side="buy"))
    )
    assert one.event_id is later.event_id is None
    assert one.identity == spelled.identity != later.identity


@pytest.mark.parametrize("stream", list(PARSERS))
@pytest.mark.parametrize("value", [b"", b"5", b"[]", b"[" * 50_000, b'{"coin', b"[1,"])
def test_what_cannot_be_read_raises_one_of_three(stream: Stream, value: bytes) -> None:
    """Callers handle these."""
    with pytest.raises(UNREADABLE):
        PARSERS[stream](value)


@given(st.sampled_from([Stream.ASSETS, Stream.POSITIONS]), st.floats(-(2.0**53), 2.0**53))
def test_a_bare_number_is_read_as_its_text(stream: Stream, value: float) -> None:
    """Some of the venue's own examples have no quotes."""
    make = asset if stream is Stream.ASSETS else position
    row = make(T) | {"balance": value, "positionQty": value}
    text = make(T) | {"balance": json.dumps(value), "positionQty": json.dumps(value)}
    assert PARSERS[stream](raw(row)).compared_fields == PARSERS[stream](raw(text)).compared_fields


def test_the_case_of_an_exchange_and_a_side_makes_no_other_trade_and_no_other_key() -> None:
    """Stream and REST need not agree on it."""
    names = {PARSERS[Stream.TRADES](raw(trade(1, exchangeType=name))).event_id for name in ("OKX", "okx", " Okx", "")}
    assert names == {"trade:OKX:OKX_PERP_ETH_USDT:17:t-1"}
    assert {PARSERS[Stream.ASSETS](raw(asset(1, exchangeType=name))).key for name in ("OKX", "Okx")} == {"OKX:USDT"}
    keys = {PARSERS[Stream.POSITIONS](raw(position(1, positionSide=side))).key for side in ("NET", "none", "", "None")}
    assert keys == {"OKX_PERP_ETH_USDT:NONE"}

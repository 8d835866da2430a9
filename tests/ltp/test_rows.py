"""REST rows in the shape of pushes, field by field."""

import json
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ltp.rows import (
    AssetRow,
    OrderRow,
    TradeRow,
    order_as_pushed,
    position_as_pushed,
    read_position,
    read_risk,
    risk_as_pushed,
    trade_as_pushed,
)

FEES = ("fee", "feeCoin", "rebate", "rebateCoin")
AMOUNT = st.decimals(0, 10**12, places=18, allow_nan=False, allow_infinity=False)


def _order(fields: str) -> str:
    return order_as_pushed(f"{{{fields}}}".encode()).decode()


def _trade(**fields: object) -> dict[str, object]:
    shaped: dict[str, object] = json.loads(trade_as_pushed(json.dumps(fields).encode()))
    return shaped


@pytest.mark.parametrize(
    ("rest", "push"),
    [
        ('"leverage":5', '"leverage":"5"'),
        ('"leverage":"5"', '"leverage":"5"'),
        ('"leverage":null', '"leverage":null'),
        ('"limitPrice":null,"reason":null', '"limitPrice":"","reason":""'),
        ('"quoteOrderQty":""', '"quoteOrderQty":"0"'),
        ('"executedAvgPrice":null', '"executedAvgPrice":"0"'),
        ('"limitPrice":"1.10","orderQty":0.300', '"limitPrice":"1.10","orderQty":0.300'),
        ('"portfolioName":"x","algoOrderId":null,"sym":"s"', '"sym":"s"'),
        ('"later":{"a": [1.0, null]}, "also":null', '"later":{"a": [1.0, null]},"also":null'),
        ('"orderId":null,"orderState":null', '"orderId":null,"orderState":null'),
    ],
)
def test_an_orders_fields_are_written_as_the_push_writes_them(rest: str, push: str) -> None:
    """In the venue's own text, what nobody here knows included."""
    assert f'{{{push},"action":"","actionMsg":""}}' == _order(rest)


def test_an_action_that_is_told_stays() -> None:
    """Only the history lacks it."""
    told = '"action":"AMEND_PENDING","actionMsg":"x"'
    assert f"{{{told}}}" == _order(told)


@pytest.mark.parametrize(
    ("rest", "fee", "coin"),
    [
        ({"tradingFee": "-0.1", "tradingFeeCoin": "BNB", "fee": "7", "feeCoin": "X"}, "-0.1", "BNB"),
        ({"fee": "0.30", "feeCoin": "USDT", "rebate": "0", "rebateCoin": ""}, "0.30", "USDT"),
        ({"tradingFee": None, "fee": "0", "feeCoin": "", "rebate": "0.0000001", "rebateCoin": "USDT"}, None, "USDT"),
        ({"tradingFee": "", "fee": "0.5", "feeCoin": "USDT", "rebate": "0.2", "rebateCoin": "USDT"}, "0.3", "USDT"),
        ({"fee": 0.5, "feeCoin": "USDT"}, "0.5", "USDT"),
        ({"tradingFee": "0.5", "tradingFeeCoin": None, "feeCoin": "USDT"}, "0.5", "USDT"),
        ({"tradingFee": "0", "tradingFeeCoin": ""}, "0", ""),
    ],
)
def test_the_fee_is_one_signed_number(rest: dict[str, object], fee: str | None, coin: str) -> None:
    """As it is told, or fee less rebate where it is told no more; the split goes."""
    assert {"tradingFee": fee or "-0.0000001", "tradingFeeCoin": coin} == _trade(**rest)


@pytest.mark.parametrize(
    "rest",
    [
        {"fee": "1", "feeCoin": "BNB", "rebate": "1", "rebateCoin": "USDT"},
        {"fee": "1e9", "feeCoin": "BNB"},
        {"fee": "NaN", "rebate": "1"},
        {"feeCoin": "BNB", "rebateCoin": "BNB"},
        {"fee": ["1"]},
        {},
    ],
)
def test_a_fee_that_cannot_be_one_number_stays_split(rest: dict[str, object]) -> None:
    """Nothing that the venue says is lost."""
    assert rest == _trade(**rest)


@given(AMOUNT, AMOUNT)
def test_the_fee_is_exact(fee: Decimal, rebate: Decimal) -> None:
    """To the last of many digits, and never in powers of ten."""
    text = _trade(fee=format(fee, "f"), rebate=format(rebate, "f"), feeCoin="A", rebateCoin="A")["tradingFee"]
    assert Fraction(str(text)) == Fraction(fee) - Fraction(rebate)
    assert "E" not in str(text)


def test_of_an_execution_the_rest_stays() -> None:
    """Only what REST alone has goes."""
    row = {"transactionId": "1", "clientOrderId": None, "algoOrderId": "0", "tradeSource": "", "new": [1]}
    assert {"transactionId": "1", "clientOrderId": "", "new": [1]} == _trade(**row)


@pytest.mark.parametrize(
    ("rest", "push"),
    [
        (
            '{"sym":"OKX_PERP_BTC_USDT","liqPrice":null}',
            '{"sym":"OKX_PERP_BTC_USDT","liqPrice":null,"exchangeType":"OKX"}',
        ),
        ('{"sym":"s","exchangeType":"EDX","tpslOrder":[{}]}', '{"sym":"s","exchangeType":"EDX"}'),
    ],
)
def test_a_position_has_its_exchange(rest: str, push: str) -> None:
    """From its symbol, where REST does not tell it."""
    assert push == position_as_pushed(rest.encode()).decode()


def test_a_risks_ids_and_times_are_text() -> None:
    """Its sums stay as they are."""
    assert risk_as_pushed(b'{"portfolioId":7,"updateAt":5,"equity":"1.00"}') == (
        b'{"portfolioId":"7","updateAt":"5","equity":"1.00"}'
    )


@pytest.mark.parametrize("row", [b"null", b"7", b"[]", b"{}", b'{"orderId":"1","sym":null,"coin":null}', b"{"])
def test_what_is_no_row_is_told(row: bytes) -> None:
    """Whoever reads it decides what becomes of it."""
    for read in (OrderRow.read, TradeRow.read, AssetRow.read):
        with pytest.raises(msgspec.MsgspecError):
            read(row)


@pytest.mark.parametrize("row", [b"null", b"[]", b"7"])
def test_what_is_no_position_and_no_risk_is_told(row: bytes) -> None:
    """The same."""
    for read in (read_position, read_risk):
        with pytest.raises(msgspec.MsgspecError):
            read(row)


def test_an_odd_field_hides_no_row() -> None:
    """A name that came as a number, a time as a fraction: the row is as the push of it would be."""
    row = OrderRow.read(b'{"orderId":"1","orderState":"OPEN","clientOrderId":12345,"updateAt":1.795E12}')
    assert (row.order.client_order_id, row.updated_ms) == ("12345", 1_795_000_000_000)
    assert b'"clientOrderId":"12345"' in row.raw


def test_orders_without_a_name_are_not_one_order() -> None:
    """A refused order may have no orderId."""
    state = '"orderState":"REJECT"'
    rows = [
        OrderRow.read(f'{{"orderId":"{one}",{state},{rest}}}'.encode())
        for one, rest in [
            ("1", '"clientOrderId":"a"'),
            ("", '"clientOrderId":"a"'),
            ("", '"reason":"x"'),
            ("", '"reason":"y"'),
        ]
    ]
    assert len({row.key for row in rows}) == 4

"""REST rows in the shape of pushes, field by field."""

import json

import msgspec
import pytest

from bridge.ltp.rows import (
    order_as_pushed,
    position_as_pushed,
    read_asset,
    read_order,
    read_position,
    read_risk,
    read_trade,
    risk_as_pushed,
    trade_as_pushed,
)


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
    """Values keep the venue's own text, and unknown fields stay."""
    assert f'{{{push},"action":"","actionMsg":""}}' == _order(rest)


def test_an_action_stays() -> None:
    """Only the history has no action."""
    told = '"action":"AMEND_PENDING","actionMsg":"x"'
    assert f"{{{told}}}" == _order(told)


@pytest.mark.parametrize(
    ("rest", "fee", "coin"),
    [
        ({"tradingFee": "-0.1", "tradingFeeCoin": "BNB", "fee": "7", "feeCoin": "X"}, "-0.1", "BNB"),
        ({"tradingFee": "0.5", "tradingFeeCoin": None, "feeCoin": "USDT"}, "0.5", "USDT"),
        ({"tradingFee": "0", "tradingFeeCoin": ""}, "0", ""),
    ],
)
def test_the_fee_is_one_signed_number(rest: dict[str, object], fee: str, coin: str) -> None:
    """`tradingFee` stays as it is, and the split is dropped."""
    assert {"tradingFee": fee, "tradingFeeCoin": coin} == _trade(**rest)


@pytest.mark.parametrize("gone", [{}, {"tradingFee": None}, {"tradingFee": "", "tradingFeeCoin": ""}])
@pytest.mark.parametrize(
    "split",
    [
        {"fee": "0.30", "feeCoin": "USDT", "rebate": "0", "rebateCoin": ""},
        {"fee": "0.30", "feeCoin": "USDT", "rebate": "0.00", "rebateCoin": "USDT"},
        {"fee": 0.3, "feeCoin": "BNB", "rebate": None},
        {"fee": "0", "feeCoin": ""},
    ],
)
def test_without_a_rebate_the_trading_fee_is_the_fee(gone: dict[str, object], split: dict[str, object]) -> None:
    """Without `tradingFee` it is the fee, and the split stays."""
    whole = {"tradingFee": str(split["fee"]), "tradingFeeCoin": split["feeCoin"]}
    assert split | whole == _trade(**gone, **split)


@pytest.mark.parametrize(
    "rest",
    [
        {"fee": "0.5", "feeCoin": "USDT", "rebate": "0.2", "rebateCoin": "USDT"},
        {"fee": "0", "feeCoin": "", "rebate": "0.0000001", "rebateCoin": "USDT"},
        {"fee": "1", "feeCoin": "BNB", "rebate": "1", "rebateCoin": "USDT"},
        {"fee": "1", "rebate": "NaN"},
        {"feeCoin": "BNB", "rebateCoin": "BNB"},
        {"rebate": "0"},
        {},
    ],
)
def test_with_a_rebate_there_is_no_trading_fee(rest: dict[str, object]) -> None:
    """It is not documented which part of a rebate belongs to an execution; the split stays."""
    assert rest == _trade(**rest)


def test_other_fields_of_an_execution_stay() -> None:
    """Only fields that REST alone has are dropped."""
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
    """It comes from the symbol if REST does not name it."""
    assert push == position_as_pushed(rest.encode()).decode()


def test_a_risks_ids_and_times_are_text() -> None:
    """Its amounts stay as they are."""
    assert risk_as_pushed(b'{"portfolioId":7,"updateAt":5,"equity":"1.00"}') == (
        b'{"portfolioId":"7","updateAt":"5","equity":"1.00"}'
    )


@pytest.mark.parametrize("row", [b"null", b"7", b"[]", b"{}", b'{"orderId":"1","sym":null,"coin":null}', b"{"])
def test_what_is_no_row_raises(row: bytes) -> None:
    """The caller decides what becomes of it."""
    for read in (read_order, read_trade, read_asset):
        with pytest.raises(msgspec.MsgspecError):
            read(row)


@pytest.mark.parametrize("row", [b"null", b"[]", b"7"])
def test_what_is_no_position_and_no_risk_raises(row: bytes) -> None:
    """The caller decides here too."""
    for read in (read_position, read_risk):
        with pytest.raises(msgspec.MsgspecError):
            read(row)


def test_an_odd_field_hides_no_row() -> None:
    """An id may be a number and a time a fraction: the row is as its push would be."""
    row = read_order(b'{"orderId":"1","orderState":"OPEN","clientOrderId":12345,"updateAt":1.795E12}')
    assert (row.order.client_order_id, row.updated_at_ms) == ("12345", 1_795_000_000_000)
    assert b'"clientOrderId":"12345"' in row.raw


def test_orders_without_a_name_are_not_one_order() -> None:
    """A refused order may have no orderId."""
    state = '"orderState":"REJECT"'
    rows = [
        read_order(f'{{"orderId":"{one}",{state},{rest}}}'.encode())
        for one, rest in [
            ("1", '"clientOrderId":"a"'),
            ("", '"clientOrderId":"a"'),
            ("", '"reason":"x"'),
            ("", '"reason":"y"'),
        ]
    ]
    assert len({row.key for row in rows}) == 4

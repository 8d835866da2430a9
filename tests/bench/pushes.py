"""The order pushes of the bench: frames of 850 bytes that are encoded once and differ in ids, times and a stamp.

Each order comes twice, OPEN and then CANCELLED, as long runs of orders do: what is open stays bounded. The stamp stands
in `reason`, which the bridge passes on unread: the number of the push and when it was written (CLOCK_MONOTONIC, which
all processes of a machine share).
"""

import json
from typing import Final, NamedTuple

FRAME_BYTES: Final = 850
NAME_CHARS: Final = 32
"""Of a clientOrderId, as the bridge derives it from a commandId."""
STATES: Final = ("OPEN", "CANCELLED")
_FIRST_ORDER: Final = 1_702_884_500_000_000
_STAMP: Final = b'"reason":"'
_NUMBER_DIGITS: Final = 12
_TIME_DIGITS: Final = 20
_TEXT_HEAD: Final = b"\x81\x7e" + FRAME_BYTES.to_bytes(2, "big")
"""The head of a text frame of a server."""

_FIELDS: Final = {
    "portfolioId": "1000000000000001",
    "orderId": "%016d",
    "clientOrderId": "%b",
    "exchangeType": "BINANCE",
    "businessType": "PERP",
    "sym": "BINANCE_PERP_BTC_USDT",
    "limitPrice": "20000",
    "orderQty": "0.003",
    "quoteOrderQty": "0",
    "side": "BUY",
    "exchangeOrderType": "LIMIT",
    "orderType": "DMA",
    "timeInForce": "GTC",
    **dict.fromkeys(("executedQty", "executedAmount", "executedAvgPrice"), "0"),
    **dict.fromkeys(("lastExecutedQty", "lastExecutedPrice", "lastExecutedAmount", "fee"), "0"),
    "feeCoin": "",
    "rebate": "0",
    "rebateCoin": "",
    "orderState": "",
    "updateAt": "%013d",
    "createAt": "%013d",
    "borrowAmount": "0",
    "borrowAsset": "",
    "reason": f"%0{_NUMBER_DIGITS}d%0{_TIME_DIGITS}d",
    "leverage": "10",
    "positionSide": "NONE",
    "reduceOnly": False,
    "action": "",
    "actionMsg": "",
}
"""An order's fields as the venue documents them; those of a take-profit are left out, to come to 850 bytes."""


class Stamp(NamedTuple):
    """The number of a push in its stream, and when the venue wrote it."""

    number: int
    written_monotonic_ns: int


def _make_template(state: str) -> bytes:
    """Return a frame of this state, its head included, with places for what differs; exactly 850 bytes once filled."""
    order: tuple[object, ...] = (0, b"0" * NAME_CHARS, 0, 0, 0, 0)
    fields = {**_FIELDS, "orderState": state}
    text = json.dumps({"channel": "Orders", "instId": fields["sym"], "data": fields}, separators=(",", ":")).encode()
    missing = FRAME_BYTES - len(text % order)
    if missing < 0:
        raise ValueError(f"the push has {-missing} bytes too many")
    fields["actionMsg"] = "-" * missing
    return (
        _TEXT_HEAD
        + json.dumps({"channel": "Orders", "instId": fields["sym"], "data": fields}, separators=(",", ":")).encode()
    )


_TEMPLATES: Final = {state: _make_template(state) for state in STATES}


def make_order_frame(order_id: int, client_order_id: bytes, state: str, now_ms: int, stamp: Stamp) -> bytes:
    """Return the whole frame of one push of an order. Raises ValueError for a name that would change its length."""
    if len(client_order_id) != NAME_CHARS:
        raise ValueError(f"the bench names its orders with {NAME_CHARS} characters")
    return _TEMPLATES[state] % (order_id, client_order_id, now_ms, now_ms, *stamp)


def name_order(number: int) -> str:
    """Return the clientOrderId of an order by its number."""
    return f"bench{number:027d}"


def make_frame(stamp: Stamp, now_ms: int) -> bytes:
    """Return the frame of one push of a stream; two numbers in a row are of one order."""
    order, state = divmod(stamp.number, 2)
    return _TEMPLATES[STATES[state]] % (_FIRST_ORDER + order, name_order(order).encode(), now_ms, now_ms, *stamp)


def read_stamp(value: bytes) -> Stamp:
    """Return the stamp of a push from the value of its record. Raises ValueError where there is none."""
    begin = value.index(_STAMP) + len(_STAMP)
    middle = begin + _NUMBER_DIGITS
    return Stamp(int(value[begin:middle]), int(value[middle : middle + _TIME_DIGITS]))


def order_id_of(number: int) -> bytes:
    """Return the orderId of the push of a number: the key of its record."""
    return b"%016d" % (_FIRST_ORDER + number // 2)

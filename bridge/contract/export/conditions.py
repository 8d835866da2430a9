"""What the fields of a command demand of each other, as JSON Schema; `core/admit.py` refuses what it excludes."""

from typing import Any, Final


def _has(*names: str) -> dict[str, Any]:
    return {"required": list(names)}


_ONE_NAME: Final = {"anyOf": [_has("orderId"), _has("clientOrderId")]}
_LIMIT: Final = {"properties": {"orderType": {"const": "LIMIT"}}}
_SPOT_MARKET_BUY: Final = {
    "properties": {
        "orderType": {"const": "MARKET"},
        "side": {"const": "BUY"},
        "sym": {"pattern": "^[A-Z]+_(SPOT|MARGIN)_"},
    },
    "not": _has("orderQty"),
}

CONDITIONS: Final[dict[str, dict[str, Any]]] = {
    "PlaceOrderArgs": {
        "allOf": [
            {"if": _LIMIT, "then": _has("limitPrice"), "else": {"not": _has("limitPrice")}},
            {"if": _has("timeInForce"), "then": _LIMIT},
            {"if": _has("quoteOrderQty"), "then": _SPOT_MARKET_BUY, "else": _has("orderQty")},
        ]
    },
    "ReplaceOrderArgs": {"allOf": [_ONE_NAME, {"anyOf": [_has("replaceQty"), _has("replacePrice")]}]},
    "CancelOrderArgs": _ONE_NAME,
}
"""By the name of the type that holds the fields."""

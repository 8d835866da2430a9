"""What the fields of a command demand of each other, as JSON Schema; `parse_command` refuses what it excludes."""

from typing import Any, Final


def _has(*names: str) -> dict[str, Any]:
    return {"required": list(names)}


def _none_of(*names: str) -> dict[str, Any]:
    return {"not": {"anyOf": [_has(name) for name in names]}}


# Constants stand under `if` alone: generators of code take those under `then` for the types of the fields.
_LIMIT: Final = {"properties": {"orderType": {"const": "LIMIT"}}}
_BUSINESS: Final = {"type": "string", "pattern": "^[A-Z]+_(SPOT|MARGIN)_"}
_SPOT_MARKET_BUY: Final = {"properties": {"orderType": {"const": "MARKET"}, "side": {"const": "BUY"}, "sym": _BUSINESS}}
_ONE_NAME: Final = {"anyOf": [_has("orderId"), _has("clientOrderId")]}

CONDITIONS: Final[dict[str, dict[str, Any]]] = {
    "PlaceOrderArgs": {
        "allOf": [
            {"if": _LIMIT, "then": _has("limitPrice"), "else": _none_of("limitPrice", "timeInForce")},
            {"if": _SPOT_MARKET_BUY, "else": _none_of("quoteOrderQty")},
            {"if": _has("quoteOrderQty"), "then": _none_of("orderQty"), "else": _has("orderQty")},
        ]
    },
    "ReplaceOrderArgs": {"allOf": [_ONE_NAME, {"anyOf": [_has("replaceQty"), _has("replacePrice")]}]},
    "CancelOrderArgs": _ONE_NAME,
}
"""By the name of the type that holds the fields."""

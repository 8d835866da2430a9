"""Conditions between the fields of a command, as JSON Schema. `parse_command` refuses the same commands."""

from typing import Any, Final


def _requires(*names: str) -> dict[str, Any]:
    return {"required": list(names)}


def _forbids(*names: str) -> dict[str, Any]:
    return {"not": {"anyOf": [_requires(name) for name in names]}}


# Constants stand only under `if`: code generators would take those under `then` for the types of the fields.
_LIMIT: Final = {"properties": {"orderType": {"const": "LIMIT"}}}
_BUSINESS: Final = {"type": "string", "pattern": "^[A-Z]+_(SPOT|MARGIN)_"}
_SPOT_MARKET_BUY: Final = {"properties": {"orderType": {"const": "MARKET"}, "side": {"const": "BUY"}, "sym": _BUSINESS}}
_ONE_NAME: Final = {"anyOf": [_requires("orderId"), _requires("clientOrderId")]}

CONDITIONS: Final[dict[str, dict[str, Any]]] = {
    "PlaceOrderArgs": {
        "allOf": [
            {"if": _LIMIT, "then": _requires("limitPrice"), "else": _forbids("limitPrice", "timeInForce")},
            {"if": _SPOT_MARKET_BUY, "else": _forbids("quoteOrderQty")},
            {"if": _requires("quoteOrderQty"), "then": _forbids("orderQty"), "else": _requires("orderQty")},
        ]
    },
    "ReplaceOrderArgs": {"allOf": [_ONE_NAME, {"anyOf": [_requires("replaceQty"), _requires("replacePrice")]}]},
    "CancelOrderArgs": _ONE_NAME,
}
"""The conditions by the name of the type that has the fields."""

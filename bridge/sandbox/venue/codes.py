"""Refusals: the venue's codes with their texts (LTP docs, Error Codes)."""

SUCCESS = 200000
LOGIN_SUCCESS = 0
TOO_MANY_REQUESTS = 100429
LOGIN_FAILED = 60009
LOGGED_OUT = 4000
SIGNATURE_WRONG = 2000
NONCE_WRONG = 7000

TEXTS: dict[int, str] = {
    SUCCESS: "Success",
    1000: "Parameter format error",
    1001: "Missing parameter",
    SIGNATURE_WRONG: "API verification failed",
    2002: "API authorization is invalid",
    LOGGED_OUT: "Invalid login session, please log in again",
    NONCE_WRONG: "Invalid nonce",
    LOGIN_FAILED: "Login failed.",
    100018: "API key does not exist or is disabled",
    TOO_MANY_REQUESTS: "Too many requests",
    400000: "Invalid parameter",
    400002: "Page size is too big",
    400003: "Page number is too big",
    400004: "Start time must be before end time",
    400007: "Invalid limit",
    400010: "Exchange error",
    401001: "clientOrderId must be shorter than 64 characters",
    401002: "Invalid side",
    401003: "Invalid orderType",
    401004: "Invalid timeInForce",
    401005: "Invalid orderQty",
    401006: "Invalid limitPrice",
    401007: "orderId must be 16 digits",
    401008: "orderId or clientOrderId is required",
    401009: "clientOrderId already exists",
    401011: "Symbol is not supported",
    401012: "Invalid price",
    401013: "Quantity precision is too fine",
    401014: "Quantity is below the minimum",
    401015: "Price precision is too fine",
    401016: "Price is below the minimum",
    401017: "Order value is below the minimum notional",
    401018: "The order was not found",
    401021: "Invalid quoteOrderQty",
    401023: "Invalid exchange type",
    401025: "Quantity is above the maximum for limit orders",
    401026: "Quantity is above the maximum for market orders",
    401039: "Invalid begin",
    401040: "Invalid end",
    401042: "MARKET does not support GTX",
    401044: "Open order count limit reached",
    401045: "Account is under risk control, placement is suspended",
    401047: "Side is wrong for a reduce-only order",
    401048: "Reduce-only order without a position",
    401049: "Invalid reduceOnly",
    401051: "clientOrderId must be letters and digits only",
    401052: "GTX order would not be a maker",
    401055: "Insufficient available balance",
    401071: "Quantity is not a multiple of the lot size",
    401069: "Invalid business type",
    401072: "Order state or type cannot be replaced",
    401073: "Replacement quantity or price is unchanged",
    401074: "Invalid replacement",
    401075: "Price is not a multiple of the tick size",
    401076: "Insufficient balance for the replacement",
    401077: "Replacement quantity is below the executed quantity",
    401078: "Insufficient margin for the replacement",
    401091: "positionSide is invalid for position mode BOTH",
    401093: "Nothing to close",
    401096: "Invalid positionSide",
    401116: "Order is cancelling",
    401117: "Order is terminal",
    401118: "Account is liquidating",
    401122: "Quote precision is too fine",
    401128: "Price is outside the limit band",
    401214: "Invalid take-profit or stop-loss parameter",
    405001: "API key not found",
    601001: "Invalid request parameters",
    601007: "API key not found",
    601008: "A required field is missing",
    601009: "Login failed",
    601010: "Connection frequency is too high",
    601011: "Unsupported operation",
    601016: "Invalid nonce",
    601017: "Nonce is empty",
    601018: "Signature is empty",
}


class Refusal(Exception):
    """The venue says no, with a documented code."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.text = TEXTS[code]
        super().__init__(f"{code} {self.text}")

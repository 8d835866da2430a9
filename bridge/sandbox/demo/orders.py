"""The commands of the demo's desk: a seeded mix of places, replaces and cancels, with a few deliberate mistakes."""

import json
import random
import time
import uuid
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

import msgspec

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.sandbox.venue.decimals import format_decimal
from bridge.sandbox.venue.instruments import EXCHANGES
from bridge.sandbox.venue.market import Quotation, Side

_BOOK_ORDERS_MAX = 30
_VALIDITY_MS = 10_000
# The relative frequency of each kind of command.
_WEIGHTS: Final[dict[str, float]] = {
    "resting": 30,
    "maker": 8,
    "marketable": 12,
    "ioc": 10,
    "market": 8,
    "replace": 12,
    "cancel": 16,
    "cancel_exchange": 1,
    "mistake": 5,
}
_OF_AN_ORDER: Final = frozenset({"replace", "cancel", "cancel_exchange"})


class CommandDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A command to write; `command_id` is empty when the value has none."""

    command_id: str
    action: str
    text: str
    value: bytes


class RestingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An open order of the desk, from the `orders` topic."""

    order_id: str
    client_order_id: str
    sym: str
    side: Side
    price: Decimal
    can_be_replaced: bool


def shorten_symbol(sym: str) -> str:
    """Return a symbol for display: BINANCE:BTC for BINANCE_PERP_BTC_USDT, with `s` for spot and `m` for margin."""
    exchange, business, base, _ = sym.split("_")
    return f"{exchange}:{base}" + {"SPOT": "s", "MARGIN": "m"}.get(business, "")


def write_command(action: str, args: Mapping[str, object], text: str, *, valid_ms: int | None = None) -> CommandDraft:
    """Return a command with a new id."""
    command_id = str(uuid.uuid4())
    body: dict[str, object] = {"commandId": command_id, "action": action, "args": args}
    if valid_ms is not None:
        body["validUntil"] = time.time_ns() // 1_000_000 + valid_ms
    return CommandDraft(command_id=command_id, action=action, text=text, value=json.dumps(body).encode())


def write_cancel_all(scope: str = "ALL") -> CommandDraft:
    """Return a command that cancels all orders of a scope."""
    return write_command(CANCEL_ALL, {"exchangeType": scope}, scope)


class CommandMix:
    """Draws commands at random, with prices from the market and open orders from the caller."""

    def __init__(self, quotations: Mapping[str, Quotation], seed: int) -> None:
        self._quotations = quotations
        # Replayable, not cryptography.
        self._random = random.Random(f"demo:{seed}")  # noqa: S311
        self._mistake_count = 0
        self._writers: dict[str, Callable[[list[RestingOrder]], CommandDraft]] = {
            "resting": lambda _: self._limit_order(share=-self._random.uniform(0.004, 0.03), time_in_force="GTC"),
            "maker": lambda _: self._limit_order(share=-self._random.uniform(0.0001, 0.0004), time_in_force="GTX"),
            "marketable": lambda _: self._limit_order(share=0.0005, time_in_force="GTC"),
            "ioc": lambda _: self._limit_order(share=self._random.choice((0.0005, -0.001)), time_in_force="IOC"),
            "market": lambda _: self._market_order(),
            "replace": self._replace_order,
            "cancel": self._cancel_order,
            "cancel_exchange": lambda _: write_cancel_all(self._random.choice(EXCHANGES)),
            "mistake": lambda _: self._next_mistake(),
        }

    def next(self, book: list[RestingOrder]) -> CommandDraft:
        """Return a random command that fits the open orders."""
        if len(book) >= _BOOK_ORDERS_MAX:
            return self._cancel_order(book)
        names = [name for name in _WEIGHTS if book or name not in _OF_AN_ORDER]
        (name,) = self._random.choices(names, [_WEIGHTS[name] for name in names])
        return self._writers[name](book)

    def _choose_market_side(self) -> tuple[Quotation, Side]:
        quotation = self._random.choice(list(self._quotations.values()))
        return quotation, self._random.choice(("BUY", "SELL"))

    def _choose_qty(self, quotation: Quotation) -> str:
        """Return a small quantity above the smallest notional."""
        item = quotation.instrument
        lots = item.min_notional * 2 / item.notional(item.lot_size, quotation.price)
        least = max(lots * item.lot_size, item.min_size) / item.lot_size
        return format_decimal(int(least.to_integral_value(ROUND_CEILING)) * self._random.randint(1, 6) * item.lot_size)

    def _offset_price(self, quotation: Quotation, side: Side, share: float) -> str:
        """Return a price that is better for the market by `share`, or worse if negative, for an order of this side."""
        distance = quotation.price * Decimal(str(round(share, 6)))
        ticks = (quotation.price + (distance if side == "BUY" else -distance)) / quotation.instrument.tick_size
        return format_decimal(int(ticks) * quotation.instrument.tick_size)

    def _limit_order(self, *, share: float, time_in_force: str) -> CommandDraft:
        quotation, side = self._choose_market_side()
        args = {
            "sym": quotation.instrument.sym,
            "side": side,
            "orderType": "LIMIT",
            "timeInForce": time_in_force,
            "orderQty": self._choose_qty(quotation),
            "limitPrice": self._offset_price(quotation, side, share),
        }
        text = f"{side} {args['orderQty']} {shorten_symbol(args['sym'])} @ {args['limitPrice']} {time_in_force}"
        return write_command(PLACE, args, text, valid_ms=self._random.choice((None, _VALIDITY_MS)))

    def _market_order(self) -> CommandDraft:
        quotation, side = self._choose_market_side()
        qty = self._choose_qty(quotation)
        order = {"sym": quotation.instrument.sym, "side": side, "orderType": "MARKET"}
        if side == "BUY" and quotation.instrument.business == "SPOT":
            spent = format_decimal(
                (quotation.price * Decimal(qty)).quantize(quotation.instrument.tick_size, ROUND_CEILING)
            )
            return write_command(
                PLACE, {**order, "quoteOrderQty": spent}, f"BUY {shorten_symbol(order['sym'])} for {spent} MARKET"
            )
        return write_command(PLACE, {**order, "orderQty": qty}, f"{side} {qty} {shorten_symbol(order['sym'])} MARKET")

    def _replace_order(self, book: list[RestingOrder]) -> CommandDraft:
        candidates = [order for order in book if order.can_be_replaced] or book
        order = self._random.choice(candidates)
        quotation = self._quotations[order.sym]
        price = self._offset_price(quotation, order.side, -self._random.uniform(0.001, 0.03))
        text = f"{order.side} {shorten_symbol(order.sym)} {format_decimal(order.price)} → {price}"
        return write_command(REPLACE, {**self._name_order(order), "replacePrice": price}, text)

    def _cancel_order(self, book: list[RestingOrder]) -> CommandDraft:
        order = self._random.choice(book)
        return write_command(
            CANCEL, self._name_order(order), f"{order.side} {shorten_symbol(order.sym)} @ {format_decimal(order.price)}"
        )

    def _name_order(self, order: RestingOrder) -> dict[str, str]:
        """Return the orderId or the clientOrderId of an order, at random."""
        if self._random.random() < 0.5:  # noqa: PLR2004 - a fair coin
            return {"orderId": order.order_id}
        return {"clientOrderId": order.client_order_id}

    def _next_mistake(self) -> CommandDraft:
        """Return the next mistake, each in its turn."""
        mistakes = self._all_mistakes()
        chosen = mistakes[self._mistake_count % len(mistakes)]
        self._mistake_count += 1
        return chosen

    def _all_mistakes(self) -> list[CommandDraft]:
        order: dict[str, Any] = {
            "sym": "BINANCE_PERP_BTC_USDT",
            "side": "BUY",
            "orderType": "LIMIT",
            "timeInForce": "GTC",
            "orderQty": "0.003",
            "limitPrice": "60000",
        }
        return [
            write_command(PLACE, {**order, "limitPrice": "60000.05"}, "a price between two ticks"),
            write_command(PLACE, {**order, "orderQty": 0.003}, "a quantity that is no string"),
            CommandDraft(command_id="", action="", text="a value that is not JSON", value=b"buy some bitcoin"),
            write_command(PLACE, order, "a validity that has passed", valid_ms=-1000),
            write_command(
                PLACE, {k: v for k, v in order.items() if k != "limitPrice"}, "a limit order without a price"
            ),
            write_command(PLACE, {**order, "sym": "BINANCE_PERP_DOGE_USDT"}, "a symbol that is not traded"),
            write_command(CANCEL, {"orderId": "1000000000000000"}, "an order that never was"),
            write_command(REPLACE, {"clientOrderId": "never", "replacePrice": "60000"}, "an order that never was"),
        ]

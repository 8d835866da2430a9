"""From a push to records: which topic, which key, which name. Values stay the venue's bytes."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec
from msgspec import Struct

from bridge.contract.pushes import (
    AssetPush,
    LiquidationPush,
    MarginCallPush,
    OrderPush,
    PositionPush,
    Text,
    TradePush,
)
from bridge.contract.topics import Stream
from bridge.core.now import Now
from bridge.core.orders import milliseconds
from bridge.core.traffic import Outgoing, Push, Unreadable

_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_TRADES_REMEMBERED_MAX: Final = 200_000
_MAGNITUDE_MAX: Final = 64
"""Powers of ten; a number beyond them is no price or quantity, and writing it out could fill the memory."""
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_NOWHERE: Final = "UNKNOWN"
"""Part of a key for what a push does not say."""


def number(text: Text | None) -> str:
    """Write a decimal in one way, so that `0.50` and `0.5` name the same fact; other text stays as it is."""
    if text is None or text == "":
        return "0"
    try:
        value = Decimal(text)
    except InvalidOperation:
        return str(text)
    if not value.is_finite() or abs(value.adjusted()) > _MAGNITUDE_MAX:
        return str(text)
    plain = format(value, "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return plain if value else "0"


def order_event_id(push: OrderPush) -> str:
    """Name an order snapshot: orderId, state, executed quantity and time of change."""
    return f"order:{push.order_id}:{push.order_state}:{number(push.executed_qty)}:{push.update_at or 0}"


def trade_event_id(push: TradePush) -> str:
    """Name a trade by its identity at the venue."""
    return f"trade:{push.exchange_type or push.sym.split('_', 1)[0]}:{push.sym}:{push.order_id}:{push.transaction_id}"


class Routed(Struct, frozen=True):
    """What routing one element yields: key, id and time; the snapshot if it is an order's."""

    key: str
    event_id: str | None
    time_ms: int
    order: OrderPush | None = None


class Router:
    """Turns pushes into records. Remembers trades, to tell a repeat from two that share a name."""

    def __init__(self, on_order: Callable[[OrderPush, Now], None], on_conflict: Callable[[str, Now], None]) -> None:
        self._on_order = on_order
        self._on_conflict = on_conflict
        self._trades: dict[str, tuple[str, str, str]] = {}
        self._routes: dict[str, tuple[Stream, Callable[[bytes, Now], Routed]]] = {
            "orders": (Stream.ORDERS, _order),
            "trades": (Stream.TRADES, self._trade),
            "assets": (Stream.ASSETS, _asset),
            "positions": (Stream.POSITIONS, _position),
            "margincall": (Stream.MARGIN_CALLS, _margin_call),
            "liquidationevent": (Stream.LIQUIDATIONS, _liquidation),
            "liquidationposition": (Stream.LIQUIDATIONS, _liquidation),
            "liquidationpositionbyuser": (Stream.LIQUIDATIONS, _liquidation),
        }

    def route(self, push: Push, now: Now) -> list[Outgoing]:
        """Return the records of a push; a `data` array becomes one for each element.

        What cannot be read goes to `unrecognized` as the whole frame, once, and the rest of it to its topic.
        """
        route = self._routes.get(push.channel) or self._routes.get(push.channel.lower())
        if route is None:
            return [self._unrecognized(push.frame, push.channel, now)]
        stream, read = route
        records: list[Outgoing] = []
        readable = True
        for value in _elements(push.data):
            try:
                routed = read(value, now)
            except _UNREADABLE:
                readable = False
                continue
            records.append(
                Outgoing(
                    stream=stream,
                    key=routed.key.encode(),
                    value=value,
                    time_ms=routed.time_ms or now.wall_ms,
                    event_id=routed.event_id,
                    received_ms=now.wall_ms,
                )
            )
            if routed.order is not None:
                self._on_order(routed.order, now)
        if not readable or not records:
            records.append(self._unrecognized(push.frame, push.channel, now))
        return records

    def unreadable(self, frame: Unreadable, now: Now) -> Outgoing:
        """Return the record of a frame that is not of the venue's protocol."""
        return self._unrecognized(frame.frame, _NOWHERE, now)

    @staticmethod
    def _unrecognized(frame: bytes, channel: str, now: Now) -> Outgoing:
        return Outgoing(
            stream=Stream.UNRECOGNIZED,
            key=channel.encode("utf-8", "replace"),
            value=frame,
            time_ms=now.wall_ms,
            is_json=False,
            received_ms=now.wall_ms,
        )

    def _trade(self, value: bytes, now: Now) -> Routed:
        push = _decode_trade(value)
        event_id: str | None = trade_event_id(push)
        content = (number(push.quantity), number(push.price), push.side)
        known = self._trades.setdefault(event_id or "", content)
        if known != content:
            self._on_conflict(f"{event_id} came with {content} after {known}", now)
            event_id = None
        elif len(self._trades) > _TRADES_REMEMBERED_MAX:
            del self._trades[next(iter(self._trades))]
        return Routed(str(push.order_id), event_id, milliseconds(push.create_at))


_decode_order = msgspec.json.Decoder(OrderPush).decode
_decode_trade = msgspec.json.Decoder(TradePush).decode
_decode_asset = msgspec.json.Decoder(AssetPush).decode
_decode_position = msgspec.json.Decoder(PositionPush).decode
_decode_margin_call = msgspec.json.Decoder(MarginCallPush).decode
_decode_liquidation = msgspec.json.Decoder(LiquidationPush).decode


def _elements(data: bytes) -> list[bytes]:
    """Split a `data` array into the bytes of its elements; an object is its own only element."""
    if not data.startswith(b"["):
        return [data]
    try:
        return [bytes(element) for element in _ELEMENTS.decode(data)]
    except _UNREADABLE:
        return [data]


def _order(value: bytes, now: Now) -> Routed:
    del now
    push = _decode_order(value)
    return Routed(str(push.order_id), order_event_id(push), milliseconds(push.update_at), push)


def _asset(value: bytes, now: Now) -> Routed:
    del now
    push = _decode_asset(value)
    return Routed(f"{push.exchange_type or _NOWHERE}:{push.coin}", None, milliseconds(push.update_at))


def _position(value: bytes, now: Now) -> Routed:
    del now
    push = _decode_position(value)
    side = push.position_side or "NONE"
    return Routed(f"{push.sym}:{'NONE' if side == 'NET' else side}", None, milliseconds(push.update_at))


def _margin_call(value: bytes, now: Now) -> Routed:
    del now
    push = _decode_margin_call(value)
    return Routed(push.exchange_type or _NOWHERE, None, milliseconds(push.update_at) or milliseconds(push.create_at))


def _liquidation(value: bytes, now: Now) -> Routed:
    del now
    push = _decode_liquidation(value)
    return Routed(str(push.liquidation_event_id), None, milliseconds(push.update_at) or milliseconds(push.create_at))

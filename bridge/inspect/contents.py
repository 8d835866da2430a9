"""What is in a record: its value by the contract's structs, and the order, command and symbol that it is about."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from bridge.contract import headers as header_names
from bridge.contract.commands import PLACE, derive_client_order_id
from bridge.contract.pushes import (
    Amount,
    AssetPush,
    LiquidationPush,
    MarginCallPush,
    OrderPush,
    PositionPush,
    Text,
    TradePush,
)
from bridge.contract.results import Result, Takeover
from bridge.contract.session import SessionEvent
from bridge.contract.topics import Stream
from bridge.core.commands.parse import command_id_of
from bridge.core.odd_fields import UNREADABLE
from bridge.inspect.seen_record import SeenRecord


class ShownOrder(OrderPush, frozen=True, rename="camel"):
    """An order, with the venue's words for a refusal."""

    reason: str | None = None


class ShownTrade(TradePush, frozen=True, rename="camel"):
    """An execution, with its side of the book."""

    exec_type: str | None = None


class ShownAsset(AssetPush, frozen=True, rename="camel"):
    """A balance, with the part that is free."""

    available: Amount | None = None


class ShownMarginCall(MarginCallPush, frozen=True, rename="camel"):
    """A margin call, with its figures."""

    equity: Amount | None = None
    maintain_margin: Amount | None = None


class ShownLiquidation(LiquidationPush, frozen=True, rename="camel"):
    """A liquidation, with what it took."""

    sym: str | None = None
    position_side: str | None = None
    reduce_qty: Amount | None = None
    order_id: Text | None = None


class ShownCommand(Struct, frozen=True, rename="camel"):
    """What a caller wrote, whether the bridge takes it or not; `args` as they are."""

    command_id: str = ""
    action: str = ""
    args: Mapping[str, Any] = {}

    @property
    def client_order_id(self) -> str:
        """The clientOrderId that it names, or that the bridge makes for a place; "" without one."""
        named = self.args.get("clientOrderId")
        if isinstance(named, str) and named:
            return named
        return derive_client_order_id(self.command_id) if self.action == PLACE and self.command_id else ""


Content = (
    ShownOrder
    | ShownTrade
    | ShownAsset
    | PositionPush
    | ShownMarginCall
    | ShownLiquidation
    | ShownCommand
    | Result
    | Takeover
    | SessionEvent
)

_decode_takeover: Final = msgspec.json.Decoder(Takeover).decode
_DECODERS: Final[dict[Stream, Callable[[bytes], Content]]] = {
    Stream.ORDERS: msgspec.json.Decoder(ShownOrder).decode,
    Stream.TRADES: msgspec.json.Decoder(ShownTrade).decode,
    Stream.ASSETS: msgspec.json.Decoder(ShownAsset).decode,
    Stream.POSITIONS: msgspec.json.Decoder(PositionPush).decode,
    Stream.MARGIN_CALLS: msgspec.json.Decoder(ShownMarginCall).decode,
    Stream.LIQUIDATIONS: msgspec.json.Decoder(ShownLiquidation).decode,
    Stream.COMMANDS: msgspec.json.Decoder(ShownCommand).decode,
    Stream.RESULTS: msgspec.json.Decoder(Result).decode,
    Stream.SESSION: msgspec.json.Decoder(SessionEvent).decode,
    Stream.DEAD_LETTERS: msgspec.json.Decoder(ShownCommand).decode,
}


def decode_content(record: SeenRecord) -> Content | None:
    """Return what is in a record; None where it has no value, or one that is not of the contract."""
    decode = _DECODERS.get(record.stream)
    if record.value is None or decode is None:
        return None
    if record.stream is Stream.RESULTS and record.header(header_names.TYPE) == header_names.TAKEOVER_TYPE:
        decode = _decode_takeover
    try:
        return decode(record.value)
    except (*UNREADABLE, ValueError):
        return None


class Names(Struct, frozen=True):
    """What a record is about; "" where it does not say."""

    symbol: str = ""
    order_id: str = ""
    client_order_id: str = ""
    command_id: str = ""


_NO_NAMES: Final = Names()


def find_names(record: SeenRecord, content: Content | None) -> Names:
    """Return what a record is about. A dead letter may have its commandId in its key only."""
    if isinstance(content, ShownOrder | ShownTrade):
        return Names(content.sym or "", str(content.order_id), content.client_order_id or "")
    if isinstance(content, Result):
        return Names("", content.order_id or "", content.client_order_id or "", content.command_id)
    if isinstance(content, ShownCommand):
        sym, order_id = content.args.get("sym"), content.args.get("orderId")
        command_id = content.command_id or _key_of_dead_letter(record)
        return Names(_text(sym), _text(order_id), content.client_order_id, command_id)
    if isinstance(content, PositionPush | ShownLiquidation):
        order_id = content.order_id if isinstance(content, ShownLiquidation) else ""
        return Names(content.sym or "", str(order_id or ""))
    if record.stream in {Stream.COMMANDS, Stream.DEAD_LETTERS}:
        return Names(command_id=command_id_of(record.value) or _key_of_dead_letter(record))
    return _NO_NAMES


def _key_of_dead_letter(record: SeenRecord) -> str:
    return (record.key or b"").decode("utf-8", "replace") if record.stream is Stream.DEAD_LETTERS else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

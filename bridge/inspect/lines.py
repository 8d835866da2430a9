"""A record as a line for people: what it says, in the words of the contract. Its parts are not escaped yet."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import Struct

from bridge.contract import headers as names
from bridge.contract.pushes import Amount, PositionPush
from bridge.contract.results import Outcome, Result, Takeover
from bridge.contract.session import (
    AlarmCleared,
    AlarmRaised,
    GapClosed,
    GapOpened,
    OwnerAcquired,
    OwnerReleased,
    Recovered,
    RecoveryComplete,
    SessionLost,
    SessionOpened,
)
from bridge.contract.topics import Stream
from bridge.inspect.contents import (
    Content,
    ShownAsset,
    ShownCommand,
    ShownLiquidation,
    ShownMarginCall,
    ShownOrder,
    ShownTrade,
)
from bridge.inspect.points import format_point
from bridge.inspect.seen_record import SeenRecord

_RAW_CHARS_MAX: Final = 400
"""More of a value that is shown as it is would fill the screen; --json shows all of it."""
_TEXT_CHARS_MAX: Final = 300
"""More of one field is left out: a caller may write a megabyte."""
_STYLES: Final[dict[type, str]] = {
    **dict.fromkeys((SessionOpened, RecoveryComplete, GapClosed, AlarmCleared), "green"),
    **dict.fromkeys((SessionLost, GapOpened, AlarmRaised), "red"),
}
_ORDER_ARGS: Final = ("orderId", "clientOrderId")


def describe_record(record: SeenRecord, content: Content | None) -> str:
    """Return what a record says, on one line or, where a caller or the venue wrote line ends, on several."""
    if record.unreadable is not None:
        return f"cannot be decoded: {record.unreadable}"
    if record.stream is Stream.DEAD_LETTERS:
        return _describe_dead_letter(record, content)
    if content is None:
        return f"{_cut(record.key)}: ended" if record.value is None else _describe_raw(record)
    return _DESCRIBERS[type(content)](content)


def style_of(record: SeenRecord, content: Content | None) -> str:
    """Return rich's style for a record's line; "" for the usual one."""
    if record.is_void or record.is_repeated:
        return "dim"
    if record.unreadable is not None or record.stream in {Stream.DEAD_LETTERS, Stream.UNRECOGNIZED}:
        return "yellow"
    if isinstance(content, Result):
        if content.outcome is Outcome.UNKNOWN:
            return "red"
        return "green" if content.outcome is Outcome.ACCEPTED else "yellow"
    return _STYLES.get(type(content), "")


def describe_duration(duration_ms: float) -> str:
    """Return a duration in ms or s, as people read it."""
    if abs(duration_ms) < 1000:  # noqa: PLR2004 - a second
        return f"{duration_ms:.0f} ms"
    return f"{duration_ms / 1000:.1f} s"


def _describe_order(order: ShownOrder) -> str:
    price = f" @ {order.limit_price}" if order.limit_price else ""
    done = f"{order.executed_qty} done" if _is_some(order.executed_qty) else ""
    what = f"{order.order_state} {order.side or '?'} {_shown(order.order_qty)} {order.sym or '?'}{price}"
    return _join(what, done, order.action, order.reason, _order_names(order.order_id, order.client_order_id))


def _describe_trade(trade: ShownTrade) -> str:
    maker = f" {trade.exec_type.lower()}" if trade.exec_type else ""
    what = f"{trade.side} {trade.quantity} {trade.sym} @ {trade.price}{maker}"
    return _join(what, f"trade {trade.transaction_id}", _order_names(trade.order_id, trade.client_order_id))


def _describe_asset(asset: ShownAsset) -> str:
    what = f"{asset.exchange_type or '?'} {asset.coin} balance {_shown(asset.balance)}"
    return _join(what, _labelled("available", asset.available), _labelled("frozen", asset.frozen))


def _describe_position(position: PositionPush) -> str:
    side = "" if position.position_side in {None, "", "NONE", "NET"} else f" {position.position_side}"
    average = _labelled("average", position.avg_price)
    return _join(f"{_shown(position.position_qty)} {position.sym}{side}", average)


def _describe_margin_call(call: ShownMarginCall) -> str:
    what = f"{call.exchange_type or '?'} {call.account_status or '?'}"
    return _join(what, _labelled("equity", call.equity), _labelled("maintain margin", call.maintain_margin))


def _describe_liquidation(one: ShownLiquidation) -> str:
    quantity = _labelled("reduced by", one.reduce_qty)
    order = f"order {one.order_id}" if one.order_id else ""
    return _join(f"liquidation {one.liquidation_event_id} {one.sym or ''}".rstrip(), quantity, order)


def _describe_command(command: ShownCommand) -> str:
    args = {name: value if isinstance(value, str) else repr(value) for name, value in command.args.items()}
    words = [args.pop(name, "") for name in ("side", "orderQty", "quoteOrderQty", "sym", "exchangeType")]
    if price := args.pop("limitPrice", ""):
        words.append(f"@ {price}")
    words += [args.pop(name, "") for name in ("orderType", "timeInForce")]
    names_ = [f"{_ARGUMENT_WORDS.get(name, name)} {value}" for name, value in args.items()]
    what = " ".join(word for word in (command.action, *words) if word)
    return _join(what, *names_, _labelled("command", command.command_id))


_ARGUMENT_WORDS: Final = {
    "orderId": "order",
    "clientOrderId": "client",
    "replaceQty": "quantity",
    "replacePrice": "price",
}


def _describe_result(result: Result) -> str:
    words = [result.outcome.value, result.action or ""]
    code = "" if result.code is None else f"code {result.code}"
    reason = "" if result.reason is None else result.reason.value
    retry = "" if result.retry_after_ms is None else f"try again after {describe_duration(result.retry_after_ms)}"
    took_ms = None if result.sent_at is None else result.answered_at - result.sent_at
    return _join(
        " ".join(word for word in words if word),
        reason,
        code,
        result.message,
        retry,
        _labelled("quantity", result.order_qty),
        _order_names(result.order_id, result.client_order_id),
        f"command {result.command_id} at {result.command_offset}",
        "" if took_ms is None else f"answered {describe_duration(took_ms)} after it was sent",
    )


def _describe_takeover(takeover: Takeover) -> str:
    return f"takeover: epoch {takeover.epoch} begins, owner {takeover.instance}"


def _describe_dead_letter(record: SeenRecord, content: Content | None) -> str:
    reason, message = (_cut(record.header(name)) for name in (names.ERROR_CODE, names.ERROR_MESSAGE))
    offset = f"commands@{_cut(record.header(names.ERROR_OFFSET))}"
    value = _describe_command(content) if isinstance(content, ShownCommand) else _describe_raw(record)
    return _join(f"{reason or '?'} {offset}", message, value)


def _describe_owner(event: OwnerAcquired | OwnerReleased) -> str:
    return f"{_type_of(event)}, epoch {event.epoch}, {event.instance}"


def _describe_opened(event: SessionOpened) -> str:
    return f"session.opened at {event.endpoint}"


def _describe_lost(event: SessionLost) -> str:
    return _join(f"session.lost at {event.endpoint}", event.cause.value, event.detail)


def _describe_recovery(event: RecoveryComplete) -> str:
    what = f"recovery.complete at {event.endpoint}, {event.open_orders} open orders"
    return _join(what, _describe_recovered(event.recovered), f"took {describe_duration(event.took_ms)}")


def _describe_gap_opened(event: GapOpened) -> str:
    since = f"gap.opened {event.gap_id} from {format_point(event.from_ms)}"
    return _join(since, event.cause.value, event.detail)


def _describe_gap_closed(event: GapClosed) -> str:
    span = f"gap.closed {event.gap_id} from {format_point(event.from_ms)} to {format_point(event.to_ms)}"
    lost = " ".join(one.value for one in event.lost)
    return _join(span, event.cause.value, _describe_recovered(event.recovered), _labelled("lost", lost))


def _describe_alarm(event: AlarmRaised | AlarmCleared) -> str:
    return _join(f"{_type_of(event)} {event.alarm.value}", event.subject, event.detail)


def _type_of(event: Struct) -> str:
    return str(event.__struct_config__.tag)


_DESCRIBERS: Final[dict[type, Callable[[Any], str]]] = {
    ShownOrder: _describe_order,
    ShownTrade: _describe_trade,
    ShownAsset: _describe_asset,
    PositionPush: _describe_position,
    ShownMarginCall: _describe_margin_call,
    ShownLiquidation: _describe_liquidation,
    ShownCommand: _describe_command,
    Result: _describe_result,
    Takeover: _describe_takeover,
    OwnerAcquired: _describe_owner,
    OwnerReleased: _describe_owner,
    SessionOpened: _describe_opened,
    SessionLost: _describe_lost,
    RecoveryComplete: _describe_recovery,
    GapOpened: _describe_gap_opened,
    GapClosed: _describe_gap_closed,
    AlarmRaised: _describe_alarm,
    AlarmCleared: _describe_alarm,
}


def _describe_recovered(recovered: Recovered) -> str:
    """Return how many records of each stream came from REST."""
    counts = {
        "orders": recovered.orders,
        "trades": recovered.trades,
        "assets": recovered.assets,
        "positions": recovered.positions,
        "margin calls": recovered.margin_calls,
    }
    return _labelled("recovered", ", ".join(f"{count} {stream}" for stream, count in counts.items() if count))


def _describe_raw(record: SeenRecord) -> str:
    """Return a value that is not of the contract as it is, and how long it is if a part is left out."""
    value = record.value or b""
    rest = f"… ({len(value)} bytes)" if len(value) > _RAW_CHARS_MAX else ""
    key = f"{_cut(record.key)}: " if record.key else ""
    return f"{key}{value[:_RAW_CHARS_MAX].decode('utf-8', 'backslashreplace')}{rest}"


def _cut(content: bytes | None) -> str:
    """Return the text of a key or header."""
    return (content or b"")[:_TEXT_CHARS_MAX].decode("utf-8", "backslashreplace")


def _order_names(order_id: object, client_order_id: str | None) -> str:
    client = f"client {client_order_id}" if client_order_id else ""
    return " ".join(word for word in (f"order {order_id}" if order_id else "", client) if word)


def _labelled(label: str, value: Amount | None) -> str:
    return "" if value is None or value == "" else f"{label} {value}"


def _shown(amount: Amount | None) -> str:
    return "?" if amount is None else str(amount)


def _is_some(amount: Amount | None) -> bool:
    return amount is not None and str(amount).strip("0.") != ""


def _join(*parts: str | None) -> str:
    return ", ".join(_shorten(part) for part in _filled(parts))


def _filled(parts: Iterable[str | None]) -> Iterable[str]:
    return (part for part in parts if part)


def _shorten(text: str) -> str:
    return text if len(text) <= _TEXT_CHARS_MAX else f"{text[:_TEXT_CHARS_MAX]}…"

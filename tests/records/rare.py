"""What the demo does not show and the contract has: rare pushes, a page of bad commands, doubts, headers."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.venue import Venue
from tests.support.rig import PLACE

_TRACE: Final = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ECHO: Final = [
    ("kafka_correlationId", uuid.UUID(int=0x9F8E7D6C5B4A39281706F5E4D3C2B1A0).bytes),
    ("correlation_id", b"desk-1"),
    ("ce_correlationid", b"desk-1"),
    ("traceparent", _TRACE),
    ("tracestate", b"desk=1"),
    ("ce_traceparent", _TRACE),
    ("ce_tracestate", b"desk=1"),
    ("private", b"not to be carried back"),
]
_GONE: Final = {"sym": "OKX_PERP_XRP_USDT", "positionSide": "NONE", "positionQty": "5", "avgPrice": "2"}


def pushes(venue: Venue, account: str) -> None:
    """Let the venue push what the demo's market does not make."""
    inject = venue.inject
    inject.liquidation_event(account)
    inject.liquidation_position(account, "BINANCE_PERP_ETH_USDT")
    inject.margin_call(account, "OKX", updateAt=None)
    trade = {"transactionId": 900719925474099, "orderId": "1000000000000001", "sym": "OKX_PERP_BTC_USDT", "side": "BUY"}
    frames: list[tuple[str, object]] = [
        ("Announcements", {"text": "maintenance on Sunday"}),
        ("Orders", {"orderState": "OPEN"}),
        ("Assets", [{"coin": "DOGE", "exchangeType": "OKX", "balance": "3"}, {"coin": "XRP"}, {"balance": "1"}]),
        ("Positions", {**_GONE, "updateAt": str(time.time_ns() // 1_000_000)}),
        ("Trades", {**trade, "quantity": "1", "price": "60000"}),
        ("Trades", {**trade, "quantity": 2, "price": 60000.5}),
    ]
    for channel, rows in frames:
        inject.frame(account, json.dumps({"channel": channel, "data": rows}).encode())
    inject.frame(account, b"maintenance on Sunday")
    inject.frame(account, b'{"channel":"Orders"}')


def trouble(venue: Venue, *, lasting: bool) -> None:
    """Let answers be lost; `lasting` brings a command that nobody finds, which takes `late_landing_s` to say."""
    script = [
        Fault(kind=FaultKind.DROP_ANSWER, action="place_order", after=3),
        Fault(kind=FaultKind.DROP_ANSWER, action="cancel_order", after=1),
        Fault(kind=FaultKind.DUPLICATE_PUSH, channel="Trades"),
    ]
    if lasting:
        script.append(Fault(kind=FaultKind.CLOSE_BEFORE, action="place_order", after=20))
    for fault in script:
        venue.faults.add(fault)


def commands() -> Iterator[tuple[bytes | None, bytes | None]]:
    """Return keys and values of commands that a careful desk does not write, in an order that matters."""
    twice = _command("place_order", PLACE)
    yield b"again", _encoded(twice)
    yield b"again", _encoded(twice)
    name = {"clientOrderId": uuid.uuid4().hex}
    yield None, _encoded(_command("place_order", {**PLACE, **name}))
    yield None, _encoded(_command("place_order", {**PLACE, **name}))
    yield None, _encoded(_command("replace_order", {"clientOrderId": uuid.uuid4().hex, "replaceQty": "1"}))
    yield b"conflict", _encoded({**twice, "args": {**PLACE, "orderQty": "0.004"}})
    yield b"", None
    yield None, b"[1,2,3]"
    yield b"\xff\xfe", b'{"commandId":"\xff"}'
    yield b"", _encoded({"action": "place_order", "args": PLACE})
    yield b"two", _encoded(_command("cancel_orders", {"exchangeType": "EDX"})).replace(b"{", b'{"action":"x",', 1)
    for action, args, more in _refused():
        yield b"bad", _encoded({**_command(action, args), **more})
    for action, args in _allowed():
        yield None, _encoded(_command(action, args))
    large = _command("place_order", {**PLACE, "clientOrderId": "a" * 70_000})
    yield b"large", _encoded(large)
    yield from _pointless()


def _refused() -> Iterator[tuple[str, Mapping[str, object], dict[str, object]]]:
    yield "buy", {}, {}
    yield "place_order", {**PLACE, "leverage": "100"}, {}
    yield "place_order", {**PLACE, "orderQty": "1e-3"}, {}
    yield "place_order", {**PLACE, "side": "buy"}, {}
    yield "place_order", {**PLACE, "reduceOnly": True}, {}
    yield "place_order", {**PLACE, "quoteOrderQty": "100"}, {}
    yield "place_order", {**PLACE, "orderType": "MARKET"}, {}
    yield "place_order", PLACE, {"validUntil": str(time.time_ns() // 1_000_000)}
    yield "place_order", PLACE, {"validUntil": 4_000_000_000_000}
    yield "place_order", PLACE, {"note": "hello"}
    yield "replace_order", {"orderId": "1000000000000001"}, {}
    yield "replace_order", {"replaceQty": "1"}, {}
    yield "cancel_order", {}, {}
    yield "cancel_order", {"orderId": "12"}, {}
    yield "cancel_orders", {}, {}
    yield "cancel_orders", {"exchangeType": "kraken"}, {}


def _allowed() -> Iterator[tuple[str, Mapping[str, object]]]:
    trigger = {"tpTriggerPrice": "90000", "tpTriggerType": "LAST_PRICE", "tpPrice": "0"}
    stop = {"slTriggerPrice": "15000", "slTriggerType": "MARK_PRICE", "slPrice": "0"}
    yield "place_order", {**PLACE, **trigger, **stop, "clientOrderId": uuid.uuid4().hex}
    yield "place_order", {**PLACE, "reduceOnly": "false", "positionSide": "NONE"}
    spot = {"sym": "BINANCE_SPOT_BTC_USDT", "side": "BUY", "orderType": "MARKET", "quoteOrderQty": "200"}
    yield "place_order", spot
    yield "cancel_orders", {"exchangeType": "EDX"}


def _pointless() -> Iterator[tuple[bytes, bytes]]:
    """Yield places, and right behind them the cancel that makes those pointless which were not sent yet."""
    orders = [_command("place_order", {**PLACE, "clientOrderId": uuid.uuid4().hex}) for _ in range(20)]
    for one in [*orders, *(_command("cancel_order", {"clientOrderId": o["args"]["clientOrderId"]}) for o in orders)]:
        yield b"pointless", _encoded(one)


def _command(action: str, args: Mapping[str, object]) -> dict[str, Any]:
    return {"commandId": str(uuid.uuid4()), "action": action, "args": args}


def _encoded(body: Mapping[str, object]) -> bytes:
    return json.dumps(body).encode()

"""Faults of what the venue tells, and of what a caller writes: each is a block, as in `faults.py`."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from tests.alerts.faults import restart, script
from tests.alerts.scene import ACCOUNT, Scene
from tests.support.rig import PLACE, command
from tests.witness.waiting import until

_LARGE_CHARS: Final = 1_020_000
"""Less than a frame may have, and more than a record."""
_PART_QTY: Final = "0.0001"
_MARKET: Final = {"sym": PLACE["sym"], "side": "BUY", "orderType": "MARKET", "orderQty": "0.003"}


@contextlib.asynccontextmanager
async def pushes_muted(scene: Scene) -> AsyncIterator[None]:
    """Push no orders and no trades. The alarm would last for an hour after it: a new owner begins without."""
    muted = script(
        Fault(kind=FaultKind.MUTE_PUSH, channel="Orders", times=None),
        Fault(kind=FaultKind.MUTE_PUSH, channel="Trades", times=None),
    )
    async with muted(scene):
        yield
    await restart(scene)


@contextlib.asynccontextmanager
async def place_held(scene: Scene) -> AsyncIterator[None]:
    """Let the venue hold a place until the bridge has answered that there is none."""
    place = command("place_order", PLACE)
    held = scene.venue.faults.add(
        Fault(kind=FaultKind.HOLD_REQUEST, action="place_order", mentions=place["commandId"].replace("-", ""))
    )
    await scene.rig.send(place)
    assert (await scene.results.result(place))["outcome"] == "not_found"
    held.remove()
    yield


@contextlib.asynccontextmanager
async def id_reused(scene: Scene) -> AsyncIterator[None]:
    """Give another command the id of one before."""
    first = command("place_order", PLACE)
    await scene.rig.send(first, {**first, "args": {**PLACE, "limitPrice": "20001"}})
    yield


@contextlib.asynccontextmanager
async def trade_differs(scene: Scene) -> AsyncIterator[None]:
    """Push a trade again, at another price."""
    pushes = [entry.event for entry in scene.venue.ledger.entries(EntryKind.EVENT) if entry.event is not None]
    row = json.loads(next(one for one in reversed(pushes) if one.channel == "Trades").payload)
    scene.venue.inject.push(ACCOUNT, "Trades", {**row, "lastExecutedPrice": "1", "executedPrice": "1", "price": "1"})
    yield


@contextlib.asynccontextmanager
async def shape_unknown(scene: Scene) -> AsyncIterator[None]:
    """Push an order without any field of one."""
    scene.venue.inject.push(ACCOUNT, "Orders", {"strange": 1})
    yield


@contextlib.asynccontextmanager
async def record_too_large(scene: Scene) -> AsyncIterator[None]:
    """Push a frame that no record can hold."""
    frame = {"event": "x", "arg": {"channel": "Strange"}, "data": ["x" * _LARGE_CHARS]}
    scene.venue.inject.frame(ACCOUNT, json.dumps(frame).encode())
    yield


@contextlib.asynccontextmanager
async def end_untold(scene: Scene) -> AsyncIterator[None]:
    """End an order without a push, and let REST know nothing of it."""
    order_id = await _make_foreign_order(scene, PLACE)
    hidden = _hide(lambda row: row.get("orderId") == order_id)
    async with script(hidden)(scene):
        async with script(Fault(kind=FaultKind.MUTE_PUSH, times=None))(scene):
            scene.venue.inject.foreign_action(ACCOUNT, "cancel_order", {"orderId": order_id})
        yield


@contextlib.asynccontextmanager
async def executions_missing(scene: Scene) -> AsyncIterator[None]:
    """Fill an order, and let pushes have none of its executions, and REST only a part of each."""
    order_ids = set[str]()

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**row, "quantity": _PART_QTY} if "transactionId" in row and row.get("orderId") in order_ids else row
            for row in rows
        ]

    async with script(Fault(kind=FaultKind.CHANGE_ROWS, action="GET", times=None, change=change))(scene):
        async with script(Fault(kind=FaultKind.MUTE_PUSH, channel="Trades", times=None))(scene):
            order_ids.add(await _make_foreign_order(scene, _MARKET))
        yield


async def _make_foreign_order(scene: Scene, args: dict[str, str]) -> str:
    """Have somebody else place an order, and return its id once it is on the topic."""
    outcome = scene.venue.inject.foreign_action(ACCOUNT, "place_order", args)
    assert outcome.data is not None
    order_id = str(outcome.data["orderId"])
    orders = await scene.rig.topic(Stream.ORDERS)
    await until(lambda: any(one.get("orderId") == order_id for one in orders.values if isinstance(one, dict)))
    return order_id


def _hide(is_hidden: Callable[[dict[str, Any]], bool]) -> Fault:
    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if not is_hidden(row)]

    return Fault(kind=FaultKind.CHANGE_ROWS, action="GET", times=None, change=change)

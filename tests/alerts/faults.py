"""The faults: each is a block, in which something is wrong and after which it is right again."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from bridge.contract.topics import Stream, topic_name
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from tests.alerts.scene import ACCOUNT, Scene
from tests.support.proxy import OFFSET_COMMIT
from tests.support.rig import PLACE, command
from tests.witness.waiting import until

Block = Callable[[Scene], contextlib.AbstractAsyncContextManager[None]]

_READS: Final = "GET"
_CUTS: Final = 5
_FLOOD: Final = 900
_FROZEN_S: Final = 3.0
_COMMIT_S: Final = 3.0
"""More than `lease_s`, and less than `session_timeout_s`."""
_AHEAD_MS: Final = 8000
_MARKET: Final = {"sym": PLACE["sym"], "side": "BUY", "orderType": "MARKET", "orderQty": "0.003"}


def script(*faults: Fault) -> Block:
    """Return the block in which the venue does these things wrong."""

    @contextlib.asynccontextmanager
    async def block(scene: Scene) -> AsyncIterator[None]:
        scripted = [scene.venue.faults.add(fault) for fault in faults]
        try:
            yield
        finally:
            for one in scripted:
                one.remove()

    return block


@contextlib.asynccontextmanager
async def sockets_refused(scene: Scene) -> AsyncIterator[None]:
    """Cut the socket, and let no other come about."""
    scene.wire.refuse()
    scene.wire.cut()
    yield
    scene.wire.resume()


@contextlib.asynccontextmanager
async def sockets_cut(scene: Scene) -> AsyncIterator[None]:
    """Cut the socket again and again, each time after the login."""
    before = _count_sessions(scene)
    for number in range(1, _CUTS + 1):
        scene.wire.cut()
        await _wait_for_sessions(scene, before + number)
    yield


@contextlib.asynccontextmanager
async def brokers_stopped(scene: Scene) -> AsyncIterator[None]:
    """Freeze the broker: its sockets stay open, and nothing answers."""
    await scene.broker.pause()
    try:
        yield
    finally:
        await scene.broker.resume()


@contextlib.asynccontextmanager
async def commits_slow(scene: Scene) -> AsyncIterator[None]:
    """Let each offset commit wait for longer than the lease, and for less than the daemon waits for an answer."""
    slowing = asyncio.create_task(_slow_commits(scene))
    yield
    slowing.cancel()
    await asyncio.gather(slowing, return_exceptions=True)
    scene.broker_wire.release()


async def _slow_commits(scene: Scene) -> None:
    while True:
        scene.broker_wire.hold(lambda kind, _: kind == OFFSET_COMMIT)
        await until(lambda: scene.broker_wire.held, what="an offset commit")
        await asyncio.sleep(_COMMIT_S)
        scene.broker_wire.release()
        await until(lambda: not scene.broker_wire.held, what="the commit's way on")


@contextlib.asynccontextmanager
async def answers_lost(scene: Scene) -> AsyncIterator[None]:
    """Lose the answers to places and the pushes of their orders, then the socket; REST cannot be reached."""
    lost = script(
        Fault(kind=FaultKind.DROP_ANSWER, action="place_order", times=None),
        Fault(kind=FaultKind.MUTE_PUSH, channel="Orders", times=None),
        Fault(kind=FaultKind.MUTE_PUSH, channel="Trades", times=None),
    )
    async with lost(scene):
        scene.rest_wire.refuse()
        scene.rest_wire.cut()
        await scene.results.until(lambda values: any(one.get("outcome") == "unknown" for one in values[-50:]))
        scene.wire.cut()
        yield
        scene.rest_wire.resume()


@contextlib.asynccontextmanager
async def clock_ahead(scene: Scene) -> AsyncIterator[None]:
    """Set the daemon's clock ahead of the venue's and the broker's."""
    scene.clock.set_ahead(_AHEAD_MS)
    yield
    scene.clock.set_ahead(0)


@contextlib.asynccontextmanager
async def login_refused(scene: Scene) -> AsyncIterator[None]:
    """Refuse logins by a code that says nothing about the key; REST takes it."""
    async with script(Fault(kind=FaultKind.REJECT_LOGIN, code=60009, times=None))(scene):
        scene.wire.cut()
        yield


@contextlib.asynccontextmanager
async def key_refused(scene: Scene) -> AsyncIterator[None]:
    """Refuse the key for logins and in REST until the account has stopped; then the daemon is started again."""
    refused = script(
        Fault(kind=FaultKind.REJECT_LOGIN, code=100018, times=None),
        Fault(kind=FaultKind.REPLACE_ANSWER, action=_READS, code=100018, status=401, times=None),
    )
    async with refused(scene):
        scene.wire.cut()
        yield
    await _restart(scene)


@contextlib.asynccontextmanager
async def key_file_emptied(scene: Scene) -> AsyncIterator[None]:
    """Empty a file of the key."""
    key = scene.key_file.read_text()
    scene.key_file.write_text("")
    yield
    scene.key_file.write_text(key)


@contextlib.asynccontextmanager
async def places_flooded(scene: Scene) -> AsyncIterator[None]:
    """Ask for more places than the limit lets through; a cancel of all ends those that wait."""
    await scene.rig.send(*(command("place_order", PLACE, valid_s=120) for _ in range(_FLOOD)))
    yield
    await scene.rig.send(command("cancel_orders", {"exchangeType": "BINANCE"}))


@contextlib.asynccontextmanager
async def cancels_flooded(scene: Scene) -> AsyncIterator[None]:
    """Cancel so many orders that reading is paused; the limit lets them through in the end."""
    names = (f"gone{number}" for number in range(_FLOOD // 2))
    await scene.rig.send(*(command("cancel_order", {"clientOrderId": name}, valid_s=20) for name in names))
    yield


@contextlib.asynccontextmanager
async def process_frozen_once(scene: Scene) -> AsyncIterator[None]:
    """Give the process no time for some seconds."""
    scene.daemon.freeze()
    await asyncio.sleep(_FROZEN_S)
    scene.daemon.thaw()
    yield


@contextlib.asynccontextmanager
async def process_frozen(scene: Scene) -> AsyncIterator[None]:
    """Give the process no time until somebody notices."""
    scene.daemon.freeze()
    yield
    scene.daemon.thaw()


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
    """Fill an order, and let neither pushes nor REST have its executions."""
    hidden_ids = set[str]()
    async with script(_hide(lambda row: "transactionId" in row and row.get("orderId") in hidden_ids))(scene):
        async with script(Fault(kind=FaultKind.MUTE_PUSH, channel="Trades", times=None))(scene):
            hidden_ids.add(await _make_foreign_order(scene, _MARKET))
        yield


@contextlib.asynccontextmanager
async def topic_deleted(scene: Scene) -> AsyncIterator[None]:
    """Delete a topic; the daemon makes it again."""
    admin = AIOKafkaAdminClient(bootstrap_servers=scene.broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([topic_name(scene.rig.prefix, ACCOUNT, Stream.UNRECOGNIZED)])
    finally:
        await admin.close()
    yield


@contextlib.asynccontextmanager
async def commands_removed(scene: Scene) -> AsyncIterator[None]:
    """Remove commands that were not read, while the daemon is stopped; then its offset is set by hand."""
    await scene.stop_daemon()
    await scene.rig.send(command("place_order", PLACE), command("place_order", PLACE))
    (end,) = await scene.rig.send(command("place_order", PLACE))
    admin = AIOKafkaAdminClient(bootstrap_servers=scene.broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({scene.commands: RecordsToDelete(before_offset=end)})
    finally:
        await admin.close()
    await scene.start_daemon()
    yield
    await offset_set(scene)


@contextlib.asynccontextmanager
async def claims_lost(scene: Scene) -> AsyncIterator[None]:
    """Set the group's offset by hand, so that the claims are gone."""
    await offset_set(scene)
    yield


async def offset_set(scene: Scene) -> None:
    """Set the group's offset while no daemon runs."""
    await scene.stop_daemon()
    await scene.set_group_offset()
    await scene.start_daemon()


@contextlib.asynccontextmanager
async def owner_foreign(scene: Scene) -> AsyncIterator[None]:
    """Start a daemon of another environment in the place of the true one, and then the true one again."""
    await scene.stop_daemon()
    await scene.start_daemon(environment="other")
    yield
    await _restart(scene)


async def _restart(scene: Scene) -> None:
    await scene.stop_daemon()
    await scene.start_daemon()


async def _make_foreign_order(scene: Scene, args: dict[str, str]) -> str:
    """Have somebody else place an order, and return its id once it is on the topic."""
    outcome = scene.venue.inject.foreign_action(ACCOUNT, "place_order", args)
    assert outcome.data is not None
    order_id = str(outcome.data["orderId"])
    orders = await scene.rig.topic(Stream.ORDERS)
    await until(lambda: any(one.get("orderId") == order_id for one in orders.values if isinstance(one, dict)))
    return order_id


async def _wait_for_sessions(scene: Scene, count: int) -> None:
    await until(lambda: _count_sessions(scene) >= count, what="the next session")


def _count_sessions(scene: Scene) -> int:
    return sum(value["type"] == "session.opened" for value in scene.session.values)


def _hide(is_hidden: Callable[[dict[str, Any]], bool]) -> Fault:
    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if not is_hidden(row)]

    return Fault(kind=FaultKind.CHANGE_ROWS, action=_READS, times=None, change=change)

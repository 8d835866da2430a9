"""The faults: each is a block, in which something is wrong and after which it is right again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.alerts.scene import Scene
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
    try:
        yield
        if slowing.done():
            slowing.result()
    finally:
        slowing.cancel()
        await asyncio.gather(slowing, return_exceptions=True)
        scene.broker_wire.release()


async def _slow_commits(scene: Scene) -> None:
    while True:
        scene.broker_wire.hold(lambda kind, _: kind == OFFSET_COMMIT)
        await until(lambda: scene.broker_wire.held, what="an offset commit")
        await asyncio.sleep(_COMMIT_S)
        # The next one is held in the same step: it comes at once, and a prompt one between two slow ones ends them.
        scene.broker_wire.release()


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
    await restart(scene)


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
async def owner_foreign(scene: Scene) -> AsyncIterator[None]:
    """Start a daemon of another environment in the place of the true one, and then the true one again."""
    await scene.stop_daemon()
    await scene.start_daemon(environment="other")
    yield
    await restart(scene)


async def restart(scene: Scene) -> None:
    """Stop the daemon in good order, and start it again; it has recovered then."""
    await scene.stop_daemon()
    await (await scene.start_daemon()).until("recovery.complete")


async def _wait_for_sessions(scene: Scene, count: int) -> None:
    await until(lambda: _count_sessions(scene) >= count, what="the next session")


def _count_sessions(scene: Scene) -> int:
    return sum(value["type"] == "session.opened" for value in scene.session.values)

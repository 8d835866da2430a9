"""What goes wrong at the brokers and on the way to them, and what of it a daemon's death makes worse."""

import asyncio
import random
from typing import Final

from tests.chaos.scene import Scene, now_ms
from tests.support.proxy import PRODUCE
from tests.witness.waiting import comes_true

_AGAIN_S: Final = 30.0
"""How long something is waited for that has to come."""
_GIVEN_UP_S: Final = 31.0
"""After so long without an acknowledgement the daemon has given a producer up."""
_DELETED: Final = ("orders", "trades", "assets", "positions", "margin-calls", "liquidations")
"""What else there is would take away what the checker goes by."""


class BrokerFaults:
    """Each returns how often it did something."""

    def __init__(self, scene: Scene, dice: random.Random) -> None:
        self._scene = scene
        self._dice = dice

    async def brokers_away(self, lasts_s: float) -> int:
        """Cut every connection to the brokers."""
        broker, began_ms = self._scene.broker, now_ms()
        before = broker.cut
        broker.cut_at(_every)
        await asyncio.sleep(lasts_s)
        broker.cut_at(None)
        self._scene.did("kafka", began_ms)
        return int(broker.cut > before)

    async def brokers_silent(self, lasts_s: float) -> int:
        """Let the brokers answer nothing."""
        broker, began_ms = self._scene.broker, now_ms()
        broker.hold(_every)
        await asyncio.sleep(lasts_s)
        held = broker.held
        broker.release()
        self._scene.did("kafka", began_ms)
        return int(held > 0)

    async def killed_unwritten(self, lasts_s: float) -> int:
        """Kill the daemon while what it received waits for the brokers."""
        broker, began_ms = self._scene.broker, now_ms()
        before = broker.cut
        broker.cut_at(_every)
        await self._scene.kill_daemon(lasts_s, 0)
        broker.cut_at(None)
        self._scene.did("kafka", began_ms)
        return int(broker.cut > before)

    async def late_produce(self, lasts_s: float) -> int:
        """Keep one request back until its producer has been given up or killed, and deliver it then."""
        broker, began_ms = self._scene.broker, now_ms()
        before = broker.late
        broker.hold_next(lambda kind, _: kind == PRODUCE)
        await comes_true(lambda: broker.held > 0, _AGAIN_S)
        if self._dice.random() < 0.5:
            await self._scene.kill_daemon(0, 0)
            await asyncio.sleep(lasts_s)
        else:
            await asyncio.sleep(_GIVEN_UP_S + lasts_s)
        broker.release()
        await comes_true(lambda: broker.late > before, _AGAIN_S)
        self._scene.did("kafka", began_ms)
        return broker.late - before

    async def topic_deleted(self, lasts_s: float) -> int:
        """Delete one of the topics of events."""
        topic, began_ms = self._dice.choice(_DELETED), now_ms()
        await self._scene.delete_topic(topic)
        await asyncio.sleep(lasts_s)
        self._scene.did("kafka", began_ms)
        self._scene.did("deleted", began_ms, topic=topic)
        return 1


def _every(kind: int, request: bytes) -> bool:
    """Mean every request to the brokers."""
    return True

"""How long an account stands still when its owner is killed, stopped or frozen."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any

from msgspec import Struct

from bridge.contract.commands import CANCEL
from bridge.sandbox.venue.ledger import EntryKind
from tests.failover.desk import Answered, Desk
from tests.support.proxy import PRODUCE, KafkaProxy
from tests.support.replica import replica
from tests.support.rig import Rig
from tests.witness.replica import Replica
from tests.witness.waiting import until

End = Callable[[Replica], None]
"""How an owner is brought to its end."""
Tell = Callable[[str], None]
_STANDBY_S = 60.0
_HELD_S = 0.4
_LAST_LINES = 12
_AFTER_WAKING_S = 5.0


class Takeover(Struct):
    """One takeover, in seconds from the end of the owner."""

    answered_s: float
    owned_s: float
    logged_in_s: float
    opened_s: float


class Pair:
    """An owner and a standby; when the owner has ended, the standby is the owner and another one joins."""

    def __init__(self, rig: Rig, stack: AsyncExitStack) -> None:
        self._rig = rig
        self._stack = stack
        self.owner: Replica
        self.standby: Replica

    async def started(self) -> "Pair":
        """Start both."""
        self.owner = await self._stack.enter_async_context(replica(self._rig))
        await self.owner.until("recovery.complete", deadline_s=_STANDBY_S)
        await self.renew()
        return self

    async def renew(self) -> None:
        """Start a standby."""
        self.standby = await self._stack.enter_async_context(replica(self._rig))
        await self.standby.until("account.standby", deadline_s=_STANDBY_S)

    async def takeover(self, desk: Desk, end: End) -> Takeover:
        """End the owner, send a place, and wait for its answer."""
        await desk.place()
        begun_wall, begun = time.time(), time.monotonic()
        end(self.owner)
        try:
            place = await desk.place()
        except AssertionError as error:
            for name, one in (("owner", self.owner), ("standby", self.standby)):
                error.add_note(f"the last the {name} logged: {one.lines[-_LAST_LINES:]}")
            raise
        gone, self.owner = self.owner, self.standby
        if place.outcome != "accepted":
            raise AssertionError(f"the place after the takeover was {place.outcome}")
        await gone.ended()
        steps = [_logged_at(self.owner, event) - begun_wall for event in _STEPS]
        return Takeover(place.answered_at - begun, *steps)


_STEPS = ("account.owned", "session.logged_in", "recovery.complete")


def _logged_at(one: Replica, event: str) -> float:
    return datetime.fromisoformat(one.logged(event)[0]["timestamp"]).timestamp()


@asynccontextmanager
async def pair(rig: Rig) -> AsyncIterator[Pair]:
    """Run an owner and a standby for the length of the block."""
    async with AsyncExitStack() as stack:
        yield await Pair(rig, stack).started()


async def takeovers(rig: Rig, times: int, end: End, tell: Tell) -> list[Takeover]:
    """End the owner again and again, and measure each takeover."""
    found = []
    async with pair(rig) as both, Desk(rig) as desk:
        for number in range(times):
            if number:
                await both.renew()
            found.append(await both.takeover(desk, end))
            tell(f"  {number + 1:2} of {times}: {found[-1].answered_s:.2f} s")
    return found


async def frozen(rig: Rig, freeze_s: float) -> dict[str, Any]:
    """Freeze the owner under load, with results on their way, for longer than its ownership lasts; let it wake up."""
    async with KafkaProxy(rig.bootstrap) as proxy, AsyncExitStack() as stack:
        owner = await stack.enter_async_context(replica(rig, kafka=rig.kafka(proxy.bootstrap)))
        await owner.until("recovery.complete", deadline_s=_STANDBY_S)
        standby = await stack.enter_async_context(replica(rig))
        await standby.until("account.standby", deadline_s=_STANDBY_S)
        async with Desk(rig) as desk, desk.load():
            await asyncio.sleep(2)
            proxy.hold(lambda kind, request: kind == PRODUCE and b".results" in request)
            await until(lambda: proxy.held > 0)
            await asyncio.sleep(_HELD_S)
            owner.freeze()
            frozen_at = time.monotonic()
            await asyncio.sleep(freeze_s)
            woken_at = time.monotonic()
            owner.thaw()
            proxy.release()
            await owner.until("account.standby", times=2, deadline_s=_STANDBY_S)
            await asyncio.sleep(_AFTER_WAKING_S)
        return {
            "freeze_s": freeze_s,
            **_after_waking(rig, owner.logged("account.owned")[0]["epoch"], woken_at),
            "void_results": desk.void,
            "standstill_place_s": _worst(desk.sent, "place_order", frozen_at),
            "standstill_cancel_s": _worst(desk.sent, "cancel_order", frozen_at),
            "commands": len(desk.sent),
            "outcomes": {
                outcome: sum(one.outcome == outcome for one in desk.sent)
                for outcome in sorted({one.outcome for one in desk.sent})
            },
            "places_sent_twice": _sent_twice(rig),
        }


def _after_waking(rig: Rig, epoch: int, woken_at: float) -> dict[str, int]:
    """Count what the old owner wrote to the venue after it woke up: ids begin with the epoch."""
    late = [
        entry.facts["action"]
        for entry in rig.venue.ledger.entries(EntryKind.VERDICT)
        if entry.monotonic_s >= woken_at and str(entry.facts.get("request_id")).startswith(f"{epoch:x}x")
    ]
    cancels = late.count(CANCEL)
    return {"sent_with_lease_after_waking": len(late) - cancels, "cancels_sent_after_waking": cancels}


def _sent_twice(rig: Rig) -> int:
    names = [frame["args"]["clientOrderId"] for frame in rig.written("place_order")]
    return len(names) - len(set(names))


def _worst(sent: list[Answered], action: str, since: float) -> float:
    return max((one.took_s for one in sent if one.action == action and one.sent_at >= since), default=0.0)

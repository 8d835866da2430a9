"""What a standby that comes, goes, dies or freezes costs the owner's callers: the longest wait for an answer."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from msgspec import Struct

from tests.failover.desk import Answered, Desk
from tests.support.proxy import JOIN_GROUP, KafkaProxy
from tests.support.replica import replica
from tests.support.rig import Rig
from tests.witness.replica import Replica
from tests.witness.waiting import until

Tell = Callable[[str], None]
_READY_S = 60.0
_AFTER_S = 1.0
_EVICTED_S = 8.0
"""A standby that is dead or frozen is put out by the group, and what that costs is over."""
_TWO_STEPS = 2
"""A member that joins for the first time asks twice: the first answer gives it its id."""


class Phase(Struct):
    """The longest waits of one phase, in seconds; `lag_s` is by how much the measuring process itself was late."""

    name: str
    places: int
    cancels: int
    place_s: float
    cancel_s: float
    place_p50_s: float
    cancel_p50_s: float
    lag_s: float


class Pauses:
    """One owner under a steady load, and standbys around it."""

    def __init__(self, rig: Rig, desk: Desk, stack: AsyncExitStack, tell: Tell) -> None:
        self._rig = rig
        self._desk = desk
        self._stack = stack
        self._tell = tell
        self._standbys: list[Replica] = []

    async def phases(self, quiet_s: float, times: int) -> list[Phase]:
        """Go through all phases."""
        return [
            await self._phase("quiet", lambda: asyncio.sleep(quiet_s)),
            await self._join_under_watch(times),
            await self._phase(f"{times} standbys leave", self._leave),
            await self._kill(times),
            await self._phase("a standby is frozen in its own join", self._freeze_a_joiner),
            await self._freeze_while_another_joins(),
        ]

    async def _phase(self, name: str, disturb: Callable[[], Awaitable[None]]) -> Phase:
        begun = len(self._desk.sent)
        self._desk.lag_s()
        await disturb()
        await asyncio.sleep(_AFTER_S)
        sent = self._desk.sent[begun:]
        await self._desk.settled(sent)
        phase = _summed_up(name, sent, self._desk.lag_s())
        self._tell(f"  {name}: place {phase.place_s * 1000:.0f} ms, cancel {phase.cancel_s * 1000:.0f} ms")
        return phase

    async def _start(self, **changes: Any) -> Replica:  # noqa: ANN401 - sections of the settings
        return await self._stack.enter_async_context(replica(self._rig, **changes))

    async def _join(self, times: int) -> None:
        for _ in range(times):
            standby = await self._start()
            await standby.until("account.standby", deadline_s=_READY_S)
            self._standbys.append(standby)
            await asyncio.sleep(_AFTER_S)

    async def _join_under_watch(self, times: int) -> Phase:
        """Let standbys join that have been started before: what a start costs this machine is not what is asked."""
        joiners = [await self._held_before_its_join() for _ in range(times)]

        async def let_go() -> None:
            for joiner, gate in joiners:
                gate.release()
                await joiner.until("account.standby", deadline_s=_READY_S)
                self._standbys.append(joiner)
                await asyncio.sleep(_AFTER_S)

        return await self._phase(f"{times} standbys join", let_go)

    async def _held_before_its_join(self) -> tuple[Replica, KafkaProxy]:
        """Start a replica whose request to join waits in a proxy of its own."""
        proxy = await self._stack.enter_async_context(KafkaProxy(self._rig.bootstrap))
        proxy.hold(lambda kind, _: kind == JOIN_GROUP)
        joiner = await self._start(kafka=self._rig.kafka(proxy.bootstrap))
        await until(lambda: proxy.held > 0, _READY_S, "the joiner's request")
        return joiner, proxy

    async def _leave(self) -> None:
        while self._standbys:
            standby = self._standbys.pop()
            standby.stop()
            await standby.ended()
            await asyncio.sleep(_AFTER_S)

    async def _kill(self, times: int) -> Phase:
        await self._join(times)

        async def kill() -> None:
            while self._standbys:
                self._standbys.pop().kill()
                await asyncio.sleep(_EVICTED_S)

        return await self._phase(f"{times} standbys are killed", kill)

    async def _freeze_a_joiner(self) -> None:
        """Stop a process that has asked to join and has not been answered yet, until the group has put it out."""
        proxy = await self._stack.enter_async_context(KafkaProxy(self._rig.bootstrap))
        joiner = await self._start(kafka=self._rig.kafka(proxy.bootstrap))
        await until(lambda: proxy.passed[JOIN_GROUP] >= _TWO_STEPS, _READY_S, "the joiner's request")
        joiner.freeze()
        await asyncio.sleep(_EVICTED_S)
        joiner.kill()

    async def _freeze_while_another_joins(self) -> Phase:
        """Freeze a member right before a rebalance that then has to wait for it."""
        await self._join(1)
        joiner, proxy = await self._held_before_its_join()

        async def freeze() -> None:
            frozen = self._standbys.pop()
            frozen.freeze()
            proxy.release()
            await joiner.until("account.standby", deadline_s=_READY_S)
            frozen.kill()
            await asyncio.sleep(_AFTER_S)

        return await self._phase("a standby is frozen while another joins", freeze)


def _summed_up(name: str, sent: list[Answered], lag_s: float) -> Phase:
    def waits(action: str) -> list[float]:
        return sorted(one.took_s for one in sent if one.action == action) or [0.0]

    places, cancels = waits("place_order"), waits("cancel_order")
    return Phase(
        name=name,
        places=len(places),
        cancels=len(cancels),
        place_s=places[-1],
        cancel_s=cancels[-1],
        place_p50_s=places[len(places) // 2],
        cancel_p50_s=cancels[len(cancels) // 2],
        lag_s=lag_s,
    )


async def pauses(rig: Rig, quiet_s: float, times: int, tell: Tell) -> tuple[list[Phase], dict[str, int]]:
    """Measure every phase under one load; also return how the commands ended."""
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(replica(rig))
        await owner.until("recovery.complete", deadline_s=_READY_S)
        desk = await stack.enter_async_context(Desk(rig))
        async with desk.load():
            phases = await Pauses(rig, desk, stack, tell).phases(quiet_s, times)
        if owner.logged("session.lost") or len(owner.logged("account.owned")) != 1:
            raise AssertionError("the owner did not keep its session and its epoch")
        outcomes = {one.outcome for one in desk.sent}
        return phases, {outcome: sum(one.outcome == outcome for one in desk.sent) for outcome in sorted(outcomes)}

"""What goes wrong: each fault is done to a scene, lasts, ends, and tells how often it bit."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal

import msgspec

from bridge.sandbox.venue.faults import Fault, FaultKind, ScriptedFault
from tests.chaos import odd_rows
from tests.chaos.broker_faults import BrokerFaults
from tests.chaos.plan import MUTES, Step
from tests.chaos.scene import TIERS, Scene, now_ms
from tests.witness.waiting import comes_true

Direction = Literal["up", "down"]

_AGAIN_S: Final = 30.0
"""How long a session is waited for, before and after a fault."""
_READS: Final = "GET"
_WAYS_TO_FAIL: Final = (
    Fault(kind=FaultKind.REPLACE_ANSWER, action=_READS, status=502, text="<html>Bad Gateway</html>", times=None),
    Fault(kind=FaultKind.REPLACE_ANSWER, action=_READS, status=500, code=40000, times=None),
    Fault(kind=FaultKind.SHRINK_LIMIT, action=_READS, limit=0, times=None),
    Fault(kind=FaultKind.DELAY_ANSWER, action=_READS, delay_s=1.5, times=None),
    Fault(kind=FaultKind.CLOSE_BEFORE, action=_READS, times=None),
)
_BACK_S: Final = (0.002, 0.05)
_STEPS_MS: Final = (-2000, -300, 300, 2000)
"""Less than what the bridge takes two clocks to be apart (`skew_bound_s`), and what the venue lets pass."""


class Faults:
    """Does what a plan wants to a scene. `bitten` counts each kind of fault that did something."""

    def __init__(self, scene: Scene, dice: random.Random) -> None:
        self._scene = scene
        self._dice = dice
        self.bitten: Counter[str] = Counter()
        brokers = BrokerFaults(scene, dice)
        self._kinds: dict[str, Callable[[float], Awaitable[int]]] = {
            "cut": self._cut,
            "cut_again": self._cut_again,
            "half_open": lambda s: self._black_hole(s, "up", "down"),
            "deaf": lambda s: self._black_hole(s, "down"),
            "dumb": lambda s: self._black_hole(s, "up"),
            "refused": self._refused,
            "tier_down": self._tier_down,
            "tiers_in_turn": self._tiers_in_turn,
            "muted": self._muted,
            "muddled": self._muddled,
            "brokers_away": brokers.brokers_away,
            "brokers_silent": brokers.brokers_silent,
            "rest_fails": self._rest_fails,
            "rest_silent": self._rest_silent,
            "sliced": self._sliced,
            "killed": self._killed,
            "killed_unwritten": brokers.killed_unwritten,
            "stopped": self._stopped,
            "frozen": self._frozen,
            "spelled": lambda s: self._odd_rest(s, odd_rows.spell_otherwise),
            "odd_rows": lambda s: self._odd_rest(s, odd_rows.OddRows(dice)),
            "empty_once": self._empty_once,
            "redated": self._redated,
            "clock_steps": self._clock_steps,
            "topic_deleted": brokers.topic_deleted,
            "late_produce": brokers.late_produce,
        }

    async def do(self, step: Step) -> None:
        """Do one fault and wait for its end; what never had a session to bite does not count."""
        await self._scene.until_live(_AGAIN_S)
        self.bitten[step.kind] += await self._kinds[step.kind](step.lasts_s)

    def run_throughout(self) -> list[ScriptedFault]:
        """Let REST lag, and its pages be short and shift, for the whole run."""
        plan, add = self._scene.plan, self._scene.venue.faults.add
        lag = Fault(kind=FaultKind.LAG_READ, action=_READS, delay_s=plan.rest_lag_s, share=0.8, times=None)
        scripted = [add(lag)]
        if plan.shifting:
            scripted.append(add(Fault(kind=FaultKind.SHORT_PAGES, action=_READS, limit=30, share=0.5, times=None)))
            scripted.append(add(Fault(kind=FaultKind.SHIFT_PAGES, action=_READS, share=0.5, times=None)))
        return scripted

    async def _cut(self, lasts_s: float) -> int:
        wire = self._scene.wire
        before = wire.cuts_in_flow
        wire.cut_after(self._dice.randint(1, 4000))
        await asyncio.sleep(lasts_s)
        wire.resume()
        return wire.cuts_in_flow - before

    async def _cut_again(self, lasts_s: float) -> int:
        """Cut, and cut the next session soon after its login, two or three times."""
        cuts = 0
        for _ in range(self._dice.randint(2, 3)):
            if await self._scene.until_live(_AGAIN_S):
                await asyncio.sleep(self._dice.uniform(0, lasts_s / 4))
                cuts += self._scene.wire.cut()
                await self._scene.until_lost(_AGAIN_S)
        return int(cuts > 1)

    async def _black_hole(self, lasts_s: float, *directions: Direction) -> int:
        scene, wire, began_ms = self._scene, self._scene.wire, now_ms()
        before = sum(wire.kept_back[direction] for direction in directions)
        wire.black_hole(*directions)
        await asyncio.sleep(lasts_s)
        if self._dice.random() < 0.5:
            wire.cut()
        wire.resume()
        scene.did("wire", began_ms)
        return int(sum(wire.kept_back[direction] for direction in directions) > before)

    async def _refused(self, lasts_s: float) -> int:
        wires = self._scene.wires.values()
        before = sum(wire.refused for wire in wires)
        for wire in wires:
            wire.refuse()
            wire.cut()
        await asyncio.sleep(lasts_s)
        for wire in wires:
            wire.resume()
        return int(sum(wire.refused for wire in wires) > before)

    async def _tier_down(self, lasts_s: float) -> int:
        venue, tier = self._scene.venue, self._scene.tier
        lost = self._scene.is_live
        began_ms = now_ms()
        await venue.close_tier(tier)
        await asyncio.sleep(lasts_s)
        await venue.open_tier(tier)
        self._scene.did("rest", began_ms)
        return int(lost)

    async def _tiers_in_turn(self, lasts_s: float) -> int:
        """Take one tier and then the other; the second only where the session has moved there."""
        bitten = await self._tier_down(lasts_s)
        await self._scene.until_live(_AGAIN_S)
        moved = self._scene.tier != TIERS[0]
        return int(bitten + await self._tier_down(lasts_s) == 2 or moved)

    async def _muted(self, lasts_s: float) -> int:
        channels = self._dice.choice(MUTES)
        return await self._scripted(
            lasts_s, "mute", [Fault(kind=FaultKind.MUTE_PUSH, channel=channel, times=None) for channel in channels]
        )

    async def _muddled(self, lasts_s: float) -> int:
        delay_s = self._dice.uniform(0.1, 1)
        return await self._scripted(
            lasts_s,
            "muddle",
            [
                Fault(kind=FaultKind.DUPLICATE_PUSH, share=0.2, times=None),
                Fault(kind=FaultKind.SWAP_PUSH, share=0.2, times=None),
                Fault(kind=FaultKind.DELAY_PUSH, share=0.2, times=None, delay_s=delay_s),
            ],
        )

    async def _rest_fails(self, lasts_s: float) -> int:
        """Let REST fail while the session is cut, so that somebody asks."""
        share = self._dice.choice((0.5, 1.0))
        ways = self._dice.sample(_WAYS_TO_FAIL, 2)
        faults = [msgspec.structs.replace(way, share=share) for way in ways]
        self._scene.wire.cut()
        return await self._scripted(lasts_s, "rest", faults)

    async def _rest_silent(self, lasts_s: float) -> int:
        """Let nothing pass to REST or from it, while the session is cut."""
        wires, began_ms = self._scene.rest_wires.values(), now_ms()
        before = sum(wire.kept_back.total() for wire in wires)
        for wire in wires:
            wire.black_hole()
        self._scene.wire.cut()
        await asyncio.sleep(lasts_s)
        for wire in wires:
            wire.resume()
        self._scene.did("rest", began_ms)
        return int(sum(wire.kept_back.total() for wire in wires) > before)

    async def _sliced(self, lasts_s: float) -> int:
        wire = self._scene.wire
        before = wire.sliced["down"]
        wire.slice()
        await asyncio.sleep(lasts_s)
        wire.resume()
        return int(wire.sliced["down"] > before)

    async def _odd_rest(self, lasts_s: float, change: odd_rows.Change) -> int:
        """Let REST tell odd rows while the session is cut, so that somebody asks."""
        self._scene.wire.cut()
        return await self._scripted(lasts_s, "odd", [Fault(kind=FaultKind.CHANGE_ROWS, times=None, change=change)])

    async def _empty_once(self, lasts_s: float) -> int:
        self._scene.wire.cut()
        paths = ("orders", "position", "portfolio/assets")
        return await self._scripted(
            lasts_s,
            "odd",
            [
                Fault(kind=FaultKind.CHANGE_ROWS, action=f"GET /api/v1/trading/{path}", change=odd_rows.tell_none)
                for path in paths
            ],
        )

    async def _redated(self, lasts_s: float) -> int:
        """Date pushes of assets and positions back, and a few of them and REST's rows an hour ahead."""
        back_s = self._dice.choice(_BACK_S)
        back = [
            Fault(kind=FaultKind.REDATE_PUSH, channel=channel, share=0.3, times=None, delay_s=back_s)
            for channel in ("Assets", "Positions")
        ]
        ahead = Fault(kind=FaultKind.REDATE_PUSH, channel="Assets", delay_s=-3600)
        rest = Fault(kind=FaultKind.CHANGE_ROWS, share=0.3, times=None, change=odd_rows.Redated(self._dice))
        return await self._scripted(lasts_s, "redated", [ahead, *back, rest])

    async def _clock_steps(self, lasts_s: float) -> int:
        """Set the daemon's clock ahead and back, a few times."""
        clock, began_ms = self._scene.clock, now_ms()
        before = clock.wrong_readings
        steps_ms = self._dice.sample(_STEPS_MS, 3)
        for ahead_ms in steps_ms:
            clock.set_ahead(ahead_ms)
            await asyncio.sleep(lasts_s / len(steps_ms))
        clock.set_ahead(0)
        self._scene.did("clock", began_ms, step_ms=max(map(abs, steps_ms)))
        return clock.wrong_readings - before

    async def _scripted(self, lasts_s: float, kind: str, faults: Sequence[Fault]) -> int:
        began_ms = now_ms()
        scripted = [self._scene.venue.faults.add(fault) for fault in faults]
        await asyncio.sleep(lasts_s)
        if kind == "odd":  # until a session is back and has asked
            await comes_true(lambda: any(one.trigger_count for one in scripted), _AGAIN_S)
        for one in scripted:
            one.remove()
        self._scene.did(kind, began_ms)
        return sum(one.trigger_count for one in scripted)

    async def _killed(self, lasts_s: float) -> int:
        return await self._scene.kill_daemon(0, self._dice.choice((0, lasts_s / 2)))

    async def _stopped(self, lasts_s: float) -> int:
        await self._scene.daemons.stop()
        await asyncio.sleep(self._dice.choice((0, lasts_s / 2)))
        await self._scene.daemons.start()
        return 1

    async def _frozen(self, lasts_s: float) -> int:
        """Freeze the owner for longer than its group waits: with a standby it comes back as a zombie."""
        owner, began_ms = self._scene.daemons.owner, now_ms()
        owner.freeze()
        await asyncio.sleep(self._scene.plan.timing["session_timeout_s"] + lasts_s)
        owner.thaw()
        self._scene.did("wire", began_ms)
        return 1

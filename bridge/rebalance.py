"""`ltp-bridge rebalance`: hand accounts over, one at a time, until each is where hashing says.

It reads from the groups who owns what, and asks an owner through the account's group (`kafka/handover.py`). It asks for
the next account only while groups and `session` show that no account changes hands, also by another process. It stops
at the first account that does not go well. An owner that was asked goes on without it, so it may be interrupted.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Final

from bridge.config import Kafka, Timing
from bridge.contract.session import SessionEvent
from bridge.core.hand_over import ON_ITS_WAY_MS, HandOver, OwnerChanges
from bridge.core.placement import Candidate, Placement, choose_candidate, find_move
from bridge.errors import KafkaTrouble
from bridge.inspect.session_watch import watch_sessions
from bridge.kafka.handover import ask_to_hand_over
from bridge.kafka.owners import GroupView, read_groups

_CALM_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.3
_DONE_S: Final = 60.0
_ASK_AGAIN_S: Final = 10.0
"""An owner that has heard may settle for some seconds what is on its way, before anything is to be seen."""

Tell = Callable[[str], None]


class Rebalance:
    """One run over the accounts of the settings."""

    def __init__(self, kafka: Kafka, timing: Timing, accounts: Collection[str], tell: Tell) -> None:
        self._kafka = kafka
        self._timing = timing
        self._accounts = accounts
        self._tell = tell
        self._changes = OwnerChanges()
        self._hand_overs: dict[str, HandOver] = {}
        self._event_arrived = asyncio.Event()
        self._following: asyncio.Task[None]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen to `session` of all accounts for the length of the block."""
        since_ms = time.time_ns() // 1_000_000 - ON_ITS_WAY_MS
        async with watch_sessions(self._kafka, self._accounts, self._note_event, since_ms=since_ms) as following:
            self._following = following
            yield

    def _note_event(self, account: str, event: SessionEvent, time_ms: int) -> None:
        self._changes.note_event(account, event, time_ms)
        if account in self._hand_overs:
            self._hand_overs[account].note_event(event, asyncio.get_running_loop().time())
        self._event_arrived.set()

    async def run(self, *, is_dry_run: bool) -> None:
        """Move accounts until the spread is what hashing says. Raises ClusterUnreachable, KafkaTrouble."""
        placements = await self._read_placements()
        if absent := sorted(set(self._accounts) - placements.keys()):
            self._tell(f"no replica runs {', '.join(absent)}: nothing to hand over there")
        self._tell_spread(placements)
        moves = _find_moves(placements)
        self._tell(f"{len(moves)} of {len(placements)} accounts are to move" + (", one at a time" if moves else ""))
        if is_dry_run:
            for account, chosen in sorted(moves.items()):
                self._tell(f"  {account}  {placements[account].owner.instance} -> {chosen.instance}")
            return
        moved: set[str] = set()
        while left := sorted(moves.keys() - moved):
            moved.add(left[0])
            self._tell(f"  {left[0]}  {await self._move_account(left[0], placements[left[0]].owner)}")
            placements = await self._read_placements()
            moves = _find_moves(placements)
        if moved:
            self._tell_spread(placements)

    def _tell_spread(self, placements: Mapping[str, Placement]) -> None:
        """Tell how many accounts each replica owns, and how many it should."""
        owned = Counter(one.owner.instance for one in placements.values())
        wanted = Counter(choose_candidate(account, one.candidates).instance for account, one in placements.items())
        members = Counter((account, one.instance) for account, group in placements.items() for one in group.candidates)
        for name in sorted({name for _, name in members}):
            self._tell(f"{name} owns {owned[name]} accounts; by hashing {wanted[name]}")
        for name in sorted({name for (_, name), count in members.items() if count > 1}):
            self._tell(f"several replicas are called {name}: give each its own `instance`; no account moves among them")

    async def _read_placements(self) -> dict[str, Placement]:
        """Return who owns each account that somebody runs, as soon as none changes hands. Raises KafkaTrouble."""
        deadline_s = asyncio.get_running_loop().time() + _CALM_S
        while True:
            groups = await read_groups(self._kafka, self._accounts)
            _require_named(groups)
            placements = {account: one.placement for account, one in groups.items() if one.placement is not None}
            changing = {account for account, group in groups.items() if group.is_changing or group.is_asked}
            changing.update(placements.keys() & self._changes.find_changing(time.time_ns() // 1_000_000))
            if not changing:
                return placements
            if asyncio.get_running_loop().time() > deadline_s:
                raise KafkaTrouble(
                    f"{', '.join(sorted(changing))} changed hands or had replicas come and go for {_CALM_S:g} s: a "
                    "takeover has not ended, or another rebalance is at work; see /readyz, and try again"
                )
            await self._wait_for_event(_LOOK_AGAIN_S)

    async def _move_account(self, account: str, owner: Candidate) -> str:
        """Have an account handed over; return what a person should know. Raises KafkaTrouble if it does not go well."""
        hand_over = self._hand_overs[account] = HandOver(asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(_DONE_S):
                asked_s = hand_over.told_s = await self._ask_owner(account, owner)
                while hand_over.complete_s is None:
                    await self._wait_for_event(_LOOK_AGAIN_S)
                    if not hand_over.has_begun and asyncio.get_running_loop().time() > asked_s + _ASK_AGAIN_S:
                        asked_s = await self._ask_owner(account, owner)
        except TimeoutError:
            raise KafkaTrouble(f"{account}: {hand_over.describe_lack()}. Nothing else is moved") from None
        finally:
            del self._hand_overs[account]
        return f"{owner.instance} -> {hand_over.instance}  {hand_over.describe()}"

    async def _ask_owner(self, account: str, owner: Candidate) -> float:
        return await ask_to_hand_over(self._kafka, self._timing, account, owner.member_id)

    async def _wait_for_event(self, timeout_s: float) -> None:
        """Wait for an event on any `session`, for some time. Raises KafkaTrouble where they cannot be read."""
        self._event_arrived.clear()
        arriving = asyncio.ensure_future(self._event_arrived.wait())
        try:
            await asyncio.wait({arriving, self._following}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            arriving.cancel()
        if self._following.done():
            self._following.result()


async def run(kafka: Kafka, timing: Timing, accounts: Collection[str], tell: Tell, *, is_dry_run: bool) -> None:
    """Move accounts until the spread is what hashing says. Raises ClusterUnreachable, KafkaTrouble."""
    rebalance = Rebalance(kafka, timing, accounts, tell)
    async with rebalance.listening():
        await rebalance.run(is_dry_run=is_dry_run)


def _find_moves(placements: Mapping[str, Placement]) -> dict[str, Candidate]:
    found = {account: find_move(account, one) for account, one in placements.items()}
    return {account: move for account, move in found.items() if move is not None}


def _require_named(groups: Mapping[str, GroupView]) -> None:
    unnamed = {account: group.unnamed for account, group in groups.items() if group.unnamed}
    if unnamed:
        hosts = ", ".join(sorted({host for found in unnamed.values() for host in found}))
        raise KafkaTrouble(
            f"in the groups of {', '.join(sorted(unnamed))} are replicas of an earlier version (on {hosts}), which "
            "hand nothing over; update them first"
        )

"""`ltp-bridge rebalance`: hand accounts over, one at a time, until each is where hashing says.

It reads from the groups who owns what, and asks an owner through the account's group (`kafka/handover.py`). The next
account waits until the new owner carries out every command, as `session` tells. At the first that does not go well it
stops. What it has asked for happens without it, so it may be interrupted at any time.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from msgspec import Struct

from bridge.config import Kafka, Timing
from bridge.contract.session import (
    OwnerAcquired,
    OwnerReleased,
    RecoveryComplete,
    SessionEvent,
    SessionLost,
    SessionOpened,
)
from bridge.contract.topics import Stream
from bridge.core.placement import Candidate, Placement, choose_candidate, find_move
from bridge.errors import KafkaTrouble
from bridge.inspect.streams_reader import StreamsReader, open_reader
from bridge.kafka.handover import ask_to_hand_over
from bridge.kafka.owners import GroupView, read_groups

_CALM_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.3
_DONE_S: Final = 60.0
_ASK_AGAIN_S: Final = 10.0
"""An owner that has heard may settle for some seconds what is on its way, before anything is to be seen."""
_BEYOND_NOW_MS: Final = 2**53

Tell = Callable[[str], None]
_Arrived = tuple[SessionEvent, float] | KafkaTrouble


class HandOver(Struct):
    """What `session` has told of one hand-over; times in seconds of the event loop's clock, None before the event.

    `told_s` is when the owner was told: from then on it writes nothing new to the venue.
    """

    told_s: float
    has_begun: bool = False
    lost_s: float | None = None
    instance: str | None = None
    """Of the new owner."""
    opened_s: float | None = None
    complete_s: float | None = None

    def note_event(self, event: SessionEvent, arrived_s: float) -> None:
        """Note an event, which may be of the owner before or of the new one."""
        self.has_begun |= isinstance(event, SessionLost | OwnerReleased | OwnerAcquired)
        if isinstance(event, OwnerAcquired):
            self.instance, self.opened_s, self.complete_s = event.instance, None, None
        elif isinstance(event, SessionLost) and self.instance is None:
            self.lost_s = arrived_s
        elif isinstance(event, SessionOpened) and self.instance is not None:
            self.opened_s = arrived_s
        elif isinstance(event, RecoveryComplete) and self.instance is not None:
            self.complete_s = arrived_s

    def describe(self) -> str:
        """Return for how long the account had no session, and for how long commands may have waited."""
        session = (
            "" if self.lost_s is None or self.opened_s is None else f"no session {self.opened_s - self.lost_s:.2f} s, "
        )
        return f"{session}commands waited {(self.complete_s or self.told_s) - self.told_s:.2f} s at most"

    def describe_lack(self) -> str:
        """Return what has not happened, and what to do."""
        if self.instance is None:
            return (
                "its owner has not handed it over; see its log (a takeover that runs is not handed over), and try again"
            )
        lack = "has no session" if self.opened_s is None else "has not compared everything with the venue"
        return f"its new owner {self.instance} {lack} yet; see its /readyz. Stop that replica, and another takes over"


async def run(kafka: Kafka, timing: Timing, accounts: Collection[str], tell: Tell, *, is_dry_run: bool) -> None:
    """Move accounts until the spread is what hashing says. Raises ClusterUnreachable, KafkaTrouble."""
    placements = await _read_placements(kafka, accounts)
    absent = sorted(set(accounts) - placements.keys())
    if absent:
        tell(f"no replica runs {', '.join(absent)}: nothing to hand over there")
    _tell_spread(placements, tell)
    moves = _find_moves(placements)
    tell(f"{len(moves)} of {len(placements)} accounts are to move" + (", one at a time" if len(moves) > 1 else ""))
    moved: set[str] = set()
    while moves := {account: move for account, move in moves.items() if account not in moved}:
        account = min(moves)
        if is_dry_run:
            tell(f"  {account}  {placements[account].owner.instance} -> {moves[account].instance}")
        else:
            tell(f"  {account}  {await _move_account(kafka, timing, account, placements[account].owner)}")
            placements = await _read_placements(kafka, accounts)
            moves = _find_moves(placements)
        moved.add(account)
    if moved and not is_dry_run:
        _tell_spread(placements, tell)


def _find_moves(placements: Mapping[str, Placement]) -> dict[str, Candidate]:
    found = {account: find_move(account, one) for account, one in placements.items()}
    return {account: move for account, move in found.items() if move is not None}


def _tell_spread(placements: Mapping[str, Placement], tell: Tell) -> None:
    """Tell how many accounts each replica owns, and how many it should."""
    owned = Counter(one.owner.instance for one in placements.values())
    wanted = Counter(choose_candidate(account, one.candidates).instance for account, one in placements.items())
    names = {candidate.instance for one in placements.values() for candidate in one.candidates}
    for name in sorted(names):
        tell(f"{name} owns {owned[name]} accounts; by hashing {wanted[name]}")
    members = [(account, candidate.instance) for account, one in placements.items() for candidate in one.candidates]
    for name in sorted({name for (_, name), count in Counter(members).items() if count > 1}):
        tell(f"several replicas are called {name}: give each its own `instance`; no account moves from one to another")


async def _read_placements(kafka: Kafka, accounts: Collection[str]) -> dict[str, Placement]:
    """Return who owns each account that somebody runs, as soon as every group has formed. Raises KafkaTrouble."""
    deadline_s = asyncio.get_running_loop().time() + _CALM_S
    while True:
        groups = await read_groups(kafka, accounts)
        _require_named(groups)
        changing = sorted(account for account, group in groups.items() if group.is_changing or group.is_asked)
        if not changing:
            return {account: one.placement for account, one in groups.items() if one.placement is not None}
        if asyncio.get_running_loop().time() > deadline_s:
            raise KafkaTrouble(
                f"the groups of {', '.join(changing)} have not come to rest in {_CALM_S:g} s: replicas come and go, or "
                "another rebalance is at work; try again when they have"
            )
        await asyncio.sleep(_LOOK_AGAIN_S)


def _require_named(groups: Mapping[str, GroupView]) -> None:
    unnamed = {account: group.unnamed for account, group in groups.items() if group.unnamed}
    if unnamed:
        hosts = ", ".join(sorted({host for found in unnamed.values() for host in found}))
        raise KafkaTrouble(
            f"in the groups of {', '.join(sorted(unnamed))} are replicas of an earlier version (on {hosts}), which "
            "hand nothing over; update them first"
        )


async def _move_account(kafka: Kafka, timing: Timing, account: str, owner: Candidate) -> str:
    """Have an account handed over; return what a person should know. Raises KafkaTrouble where it did not go well."""

    async def ask() -> float:
        return await ask_to_hand_over(kafka, timing, account, owner.member_id)

    async with _listening(kafka, account) as events:
        hand_over = HandOver(await ask())
        try:
            async with asyncio.timeout(_DONE_S):
                await _follow_hand_over(hand_over, events, ask)
        except TimeoutError:
            raise KafkaTrouble(f"{account}: {hand_over.describe_lack()}. Nothing else is moved") from None
    return f"{owner.instance} -> {hand_over.instance}  {hand_over.describe()}"


async def _follow_hand_over(
    hand_over: HandOver, events: asyncio.Queue[_Arrived], ask: Callable[[], Awaitable[float]]
) -> None:
    """Wait until the new owner carries out every command; ask again while nothing shows that the owner has heard."""
    while hand_over.complete_s is None:
        try:
            async with asyncio.timeout(None if hand_over.has_begun else _ASK_AGAIN_S):
                arrived = await events.get()
        except TimeoutError:
            await ask()
            continue
        if isinstance(arrived, KafkaTrouble):
            raise arrived
        hand_over.note_event(*arrived)


@asynccontextmanager
async def _listening(kafka: Kafka, account: str) -> AsyncIterator[asyncio.Queue[_Arrived]]:
    """Yield the events on `session` from now on, each with its arrival, or why it cannot be read any more."""
    events: asyncio.Queue[_Arrived] = asyncio.Queue()
    async with open_reader(kafka, account, [Stream.SESSION], lambda _: None) as reader:
        await reader.find_span(_BEYOND_NOW_MS)
        async for _ in reader.read_history():
            pass  # only the marks of what comes later need it
        listening = asyncio.create_task(_queue_events(reader, events), name=f"session of {account}")
        try:
            yield events
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _queue_events(reader: StreamsReader, events: asyncio.Queue[_Arrived]) -> None:
    loop = asyncio.get_running_loop()
    try:
        async for records in reader.follow():
            for record in records:
                if not record.is_void:
                    with contextlib.suppress(msgspec.MsgspecError):  # an event of a later version
                        events.put_nowait((msgspec.json.decode(record.value or b"", type=SessionEvent), loop.time()))
    except KafkaTrouble as error:
        events.put_nowait(error)

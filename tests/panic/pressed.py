"""A venue whose order gateway hangs, and how soon a cancel_orders is on the wire nevertheless."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

from msgspec import Struct

from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind, LedgerEntry
from tests.support.rig import PLACE, Rig, Topic, command
from tests.witness.waiting import until

Policy = Literal["single_cancels", "venue_message"]
POLICIES: tuple[Policy, ...] = ("venue_message", "single_cancels")

NEVER_S = 86_400.0
VALID_S = 1_700.0
WAIT_S = 120.0
_PRESSED_AGAIN_S = 5.0
"""So soon an order without an answer is not cancelled again, however often the button is pressed."""
_REST_S = 2.0
"""Longer than a commit period and a commit."""
_STRANGERS = "9999"
"""How the orderIds begin whose cancels the venue does not answer."""


def changes(policy: Policy) -> dict[str, Any]:
    """Return the settings: the crowd stays in doubt for as long as a run lasts."""
    return {"timing": {"late_landing_s": 1200}, "limits": {"cancel_orders": policy}}


class Crowd(Struct, frozen=True):
    """What is in the way: places in doubt, places that wait, cancels that are repeated.

    And what is to end: orders that are opened before each press, and orders whose cancels the venue never answers.
    """

    in_doubt: int
    queued: int
    repeated: int
    opened: int = 20
    stuck: int = 5


class Press(Struct, frozen=True):
    """After how many seconds the first and the last request for a cancel_orders were read by the venue."""

    first_s: float
    last_s: float


class Hung:
    """An account whose venue answers neither places nor the cancels of a crowd."""

    def __init__(self, rig: Rig, crowd: Crowd, policy: Policy, results: Topic, orders: Topic) -> None:
        self._rig = rig
        self._crowd = crowd
        self._policy = policy
        self._results = results
        self._orders = orders
        self._stuck: list[str] = []
        self._open: list[str] = []
        self.pressed: list[dict[str, Any]] = []
        """Every cancel_orders so far."""
        self.portfolio = rig.venue.keys["main"].portfolio_id

    async def hang(self) -> None:
        """Let the gateway hang, and everything that is in flight be in doubt."""
        self._stuck = self._open_orders(self._crowd.stuck)
        held = [("place_order", ""), *(("cancel_order", mentions) for mentions in (_STRANGERS, *self._stuck))]
        for action, mentions in held:
            self._rig.venue.faults.add(Fault(kind=FaultKind.HOLD_REQUEST, action=action, mentions=mentions, times=None))
        places = [_place() for _ in range(self._crowd.in_doubt)]
        names = [f"{_STRANGERS}{n:012d}" for n in range(self._crowd.repeated)]
        cancels = [command("cancel_order", {"orderId": name}, valid_s=VALID_S) for name in names]
        await self._rig.send(*places, *cancels)
        wanted = {one["commandId"] for one in (*places, *cancels)}

        def all_are_unknown(values: list[dict[str, Any]]) -> bool:
            return wanted <= {value.get("commandId") for value in values if value.get("outcome") == "unknown"}

        await self._results.until(all_are_unknown, WAIT_S)

    async def prepare(self) -> None:
        """Open some orders, and let as many places wait as the crowd has, behind all that is in doubt."""
        self._open = self._open_orders(self._crowd.opened)
        await self._orders.until(lambda rows: {*self._open} <= {row["orderId"] for row in rows if row}, WAIT_S)
        await self._rig.send(*(_place() for _ in range(self._crowd.queued)))
        last = {"commandId": f"read-{time.monotonic_ns()}", "action": "place_order", "args": {}}
        await self._rig.send(last)
        await self._results.until(lambda _: bool(self._results.results_of(last)), WAIT_S)

    async def wait_until_places_rest(self) -> None:
        """Wait until the venue has read no place for a while, so that none is claimed and not yet written.

        One that its owner dies with stays in doubt until it can no longer land; so does each cancel_orders after it.
        """
        read, since_s = -1, 0.0

        def has_rested() -> bool:
            nonlocal read, since_s
            count, now_s = sum(1 for _ in self._requests(0, "place_order")), time.monotonic()
            if count != read:
                read, since_s = count, now_s
            return now_s - since_s > _REST_S

        await until(has_rested, WAIT_S, "the end of the places")

    async def press(self, wait_s: float = WAIT_S) -> Press:
        """Append a cancel_orders, and return after how many seconds the venue has read what is sent for it."""
        await until(self._stuck_are_due, WAIT_S)
        before = len(self._rig.venue.ledger.entries(EntryKind.RECV))
        panic = command("cancel_orders", {"exchangeType": "ALL"}, valid_s=60)
        self.pressed.append(panic)
        begun = time.monotonic()
        await self._rig.send(panic)
        appended = time.monotonic()
        await until(lambda: len(self._sent_for_it(before)) == len(self._wanted), wait_s, "what a cancel_orders sends")
        times = self._sent_for_it(before).values()
        assert min(times) > begun
        if self._policy == "venue_message":
            result = await self._results.result(panic, WAIT_S)
            assert result["outcome"] == "accepted", result
        return Press(max(0.0, min(times) - appended), max(0.0, max(times) - appended))

    async def press_for_one(self, wait_s: float = WAIT_S) -> float:
        """Append a cancel of an order of nobody, and return after how many seconds the venue has read it."""
        before = len(self._rig.venue.ledger.entries(EntryKind.RECV))
        one = command("cancel_order", {"orderId": f"8888{time.monotonic_ns() % 10**12:012d}"}, valid_s=60)
        await self._rig.send(one)
        appended = time.monotonic()

        def read_at() -> list[float]:
            cancels = self._requests(before, "cancel_order")
            return [entry.monotonic_s for entry, args in cancels if args == one["args"]]

        await until(lambda: bool(read_at()), wait_s, "the cancel at the venue")
        return max(0.0, read_at()[0] - appended)

    async def settle(self) -> float:
        """Let the gateway answer again; return after how many seconds every cancel_orders had its last word.

        What lands only now is ended by somebody else: the slots of requests to owners that died come free much later.
        """
        begun = time.monotonic()
        self._rig.venue.faults.clear()
        self._rig.venue.inject.foreign_action("main", "cancel_orders", {})
        for panic in self.pressed:
            result = await self._results.result(panic, WAIT_S)
            assert result["outcome"] == "accepted", result
        return time.monotonic() - begun

    def repeats(self) -> int:
        """Count the cancels that the venue has read beyond the first of each order."""
        of_crowd = [args for _, args in self._requests(0, "cancel_order") if args["orderId"].startswith(_STRANGERS)]
        return len(of_crowd) - self._crowd.repeated

    def limited(self) -> int:
        """Count the requests that the venue has refused for their rate."""
        return len(self._rig.venue.ledger.entries(EntryKind.LIMITED))

    def _open_orders(self, count: int) -> list[str]:
        """Open orders as somebody else of this account; return their orderIds."""
        inject = self._rig.venue.inject
        placed = [inject.foreign_action("main", "place_order", PLACE).data for _ in range(count)]
        return [str(data["orderId"]) for data in placed if data is not None]

    def _sent_for_it(self, before: int) -> dict[str, float]:
        """Return when the venue first read each request for the last cancel_orders, by what it is to end."""
        read_at: dict[str, float] = {}
        action = "cancel_orders" if self._policy == "venue_message" else "cancel_order"
        for entry, args in self._requests(before, action):
            name = args.get("orderId", "ALL")
            if name in self._wanted:
                read_at.setdefault(name, entry.monotonic_s)
        return read_at

    def _stuck_are_due(self) -> bool:
        """Tell whether the cancels without an answer were read so long ago that they go out again at once."""
        cancels = self._requests(0, "cancel_order")
        read_at = max((entry.monotonic_s for entry, args in cancels if args.get("orderId") in self._stuck), default=0.0)
        return time.monotonic() > read_at + _PRESSED_AGAIN_S

    @property
    def _wanted(self) -> set[str]:
        return {"ALL"} if self._policy == "venue_message" else {*self._open, *self._stuck}

    def _requests(self, before: int, action: str) -> Iterator[tuple[LedgerEntry, dict[str, str]]]:
        """Return the requests of an action that the venue has read after so many frames, with their arguments."""
        for entry in self._rig.venue.ledger.entries(EntryKind.RECV)[before:]:
            frame = json.loads(entry.facts["text"])
            if frame.get("action") == action:
                yield entry, frame["args"]


async def hang_account(rig: Rig, crowd: Crowd, policy: Policy, tell: Callable[[str], None]) -> Hung:
    """Let an account's gateway hang with a crowd in the way."""
    hung = Hung(rig, crowd, policy, await rig.topic(Stream.RESULTS), await rig.topic(Stream.ORDERS))
    await hung.hang()
    tell(f"  {crowd.in_doubt} places are in doubt, {crowd.repeated} cancels are repeated")
    await hung.prepare()
    tell(f"  {crowd.queued} places wait behind them")
    return hung


def _place() -> dict[str, Any]:
    return command("place_order", PLACE, valid_s=VALID_S)

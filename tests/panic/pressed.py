"""A venue whose order gateway hangs, and how soon a cancel_orders is on the wire nevertheless."""

import json
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from rig import PLACE, Rig, Topic, command, until

from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import Kind

NEVER_S = 86_400.0
VALID_S = 1_700.0
WAIT_S = 120.0
CHANGES: dict[str, Any] = {
    "timing": {"late_landing_s": 1200},
    "limits": {"cancel_orders": "venue_message"},
}
"""Settings: the crowd stays in doubt for as long as a run lasts; the venue's own message is what is looked for."""
_STRANGERS = "9999"
"""How the orderIds begin whose cancels the venue does not answer."""


class Crowd(Struct, frozen=True):
    """What is in the way: places in doubt, places that wait, cancels that are repeated."""

    in_doubt: int
    queued: int
    repeated: int


class Hung:
    """An account whose venue answers neither places nor the cancels of a crowd."""

    def __init__(self, rig: Rig, crowd: Crowd, results: Topic) -> None:
        self._rig = rig
        self._crowd = crowd
        self._results = results
        self.portfolio = rig.venue.keys["main"].portfolio_id

    async def hang(self) -> None:
        """Let the gateway hang, and everything that is in flight be in doubt."""
        for action, mentions in (("place_order", ""), ("cancel_order", _STRANGERS)):
            self._rig.venue.faults.add(
                Fault(kind=FaultKind.HOLD_REQUEST, action=action, mentions=mentions, times=None, delay_s=NEVER_S)
            )
        places = [_place() for _ in range(self._crowd.in_doubt)]
        names = [f"{_STRANGERS}{n:012d}" for n in range(self._crowd.repeated)]
        cancels = [command("cancel_order", {"orderId": name}, valid_s=VALID_S) for name in names]
        await self._rig.send(*places, *cancels)
        wanted = {one["commandId"] for one in (*places, *cancels)}

        def all_are_unknown(values: list[dict[str, Any]]) -> bool:
            return wanted <= {value.get("commandId") for value in values if value.get("outcome") == "unknown"}

        await self._results.until(all_are_unknown, WAIT_S)

    async def queue_places(self) -> None:
        """Let as many places wait as the crowd has, behind all that is in doubt."""
        await self._rig.send(*(_place() for _ in range(self._crowd.queued)))
        last = {"commandId": f"read-{time.monotonic_ns()}", "action": "place_order", "args": {}}
        await self._rig.send(last)
        await self._results.until(lambda _: bool(self._results.results_of(last)), WAIT_S)

    async def press(self, wait_s: float = WAIT_S) -> float:
        """Append a cancel_orders, and return after how many seconds the venue has read the message for it."""
        before = self._count("cancel_orders")
        panic = command("cancel_orders", {"exchangeType": "ALL"}, valid_s=60)
        begun = time.monotonic()
        await self._rig.send(panic)
        appended = time.monotonic()
        await until(lambda: self._count("cancel_orders") > before, wait_s, "cancel_orders at the venue")
        at = self._rig.venue.ledger.received("cancel_orders", self.portfolio)[-1].monotonic_s
        assert at > begun
        result = await self._results.result(panic, WAIT_S)
        assert result["outcome"] == "accepted", result
        return max(0.0, at - appended)

    async def press_for_one(self, wait_s: float = WAIT_S) -> float:
        """Append a cancel of an order of nobody, and return after how many seconds the venue has read it."""
        one = command("cancel_order", {"orderId": f"8888{time.monotonic_ns() % 10**12:012d}"}, valid_s=60)
        appended = time.monotonic()
        await self._rig.send(one)
        name = one["args"]["orderId"]
        await until(lambda: self._read_cancel_of(name) is not None, wait_s, "the cancel at the venue")
        at = self._read_cancel_of(name)
        assert at is not None
        return max(0.0, at - appended)

    def repeats(self) -> int:
        """Count the cancels that the venue has read beyond the first of each order."""
        frames = [json.loads(entry.facts["text"]) for entry in self._rig.venue.ledger.entries(Kind.RECV)]
        of_crowd = [
            f for f in frames if f.get("action") == "cancel_order" and f["args"]["orderId"].startswith(_STRANGERS)
        ]
        return len(of_crowd) - self._crowd.repeated

    def limited(self) -> int:
        """Count the requests that the venue has refused for their rate."""
        return len(self._rig.venue.ledger.entries(Kind.LIMITED))

    def _count(self, action: str) -> int:
        return len(self._rig.venue.ledger.received(action, self.portfolio))

    def _read_cancel_of(self, order_id: str) -> float | None:
        for entry in reversed(self._rig.venue.ledger.entries(Kind.RECV)):
            frame = json.loads(entry.facts["text"])
            if frame.get("action") == "cancel_order" and order_id in entry.facts["text"]:
                return entry.monotonic_s
        return None


async def hang_account(rig: Rig, crowd: Crowd, tell: Callable[[str], None]) -> Hung:
    """Let an account's gateway hang with a crowd in the way."""
    hung = Hung(rig, crowd, await rig.topic(Stream.RESULTS))
    await hung.hang()
    tell(f"  {crowd.in_doubt} places are in doubt, {crowd.repeated} cancels are repeated")
    await hung.queue_places()
    tell(f"  {crowd.queued} places wait behind them")
    return hung


def _place() -> dict[str, Any]:
    return command("place_order", PLACE, valid_s=VALID_S)

"""How often the venue may be asked over REST: one ack window for each limit, in the order in which was asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from math import inf
from typing import Final, NamedTuple

from bridge.core.ack_window import MARGIN_S, AckWindow
from bridge.core.now import Now

BUDGET_PERCENT: Final = 80
"""What we use of a limit: people and other programs ask with the same key."""


class Family(Enum):
    """What shares one limit."""

    ORDER = auto()
    OPEN_ORDERS = auto()
    HISTORY = auto()
    EXECUTIONS = auto()
    ASSETS = auto()
    POSITIONS = auto()
    ACCOUNT = auto()


class Limit(NamedTuple):
    """At most so many requests in a window."""

    requests: int
    window_s: float


LIMITS: Final = {
    Family.ORDER: Limit(1200, 60),  # LTP docs, Query Order
    Family.OPEN_ORDERS: Limit(1200, 60),  # LTP docs, Query Open Orders
    Family.HISTORY: Limit(30, 10),  # LTP docs, Query Order History; the archive's is not documented and counts with it
    Family.EXECUTIONS: Limit(5, 10),  # LTP docs, Query Executions, Query Archive Executions
    Family.ASSETS: Limit(20, 1),  # LTP docs, Query Portfolio Assets
    Family.POSITIONS: Limit(300, 60),  # LTP docs, Query Position
    Family.ACCOUNT: Limit(2, 1),  # LTP docs, Query Account
}

_CLEAN_WINDOWS: Final = 30
"""Windows without a refusal before more is asked at once. A list begins anew at each refusal: one of so many pages has
been read by then, even at one page a window."""


class _Line:
    """Those who wait for one limit."""

    def __init__(self, limit: Limit) -> None:
        self.turn = asyncio.Lock()
        self.cool_s = limit.window_s + MARGIN_S
        self.window = AckWindow(
            max(1, limit.requests * BUDGET_PERCENT // 100),
            late_landing_s=inf,  # every slot is given back when its request has ended, however it ended
            cool_s=self.cool_s,
            clean_windows=_CLEAN_WINDOWS,
        )
        self.closed_until = -inf

    def wait_s(self, token: object, now: float) -> float:
        """Take a slot and return 0, or return how long none comes free."""
        self.window.climb(now)
        if now >= self.closed_until and self.window.acquire(token, now):
            return 0.0
        # What is being asked now cools from its answer on, so nothing of it comes free sooner than that.
        return max(self.closed_until, min(self.window.next_free(now), now + self.cool_s)) - now


class Pace:
    """Keeps one account below every limit, whoever asks and at whichever endpoint.

    As many requests as the budget holds go out at once; the others wait for a slot.
    """

    def __init__(self, clock: Callable[[], Now], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lines = {family: _Line(limit) for family, limit in LIMITS.items()}

    @property
    def slowed_limits(self) -> list[str]:
        """Name the limits of which less is used than before the venue refused a request for its rate."""
        now = self._clock().boot_s
        for line in self._lines.values():
            line.window.climb(now)
        return [
            f"rest_{family.name.lower()}"
            for family, line in self._lines.items()
            if line.window.slots < line.window.full
        ]

    @asynccontextmanager
    async def slot(self, family: Family) -> AsyncIterator[None]:
        """Wait for a slot, and hold it until a full window after the request's end."""
        line, token = self._lines[family], object()
        async with line.turn:
            while (wait_s := line.wait_s(token, self._clock().boot_s)) > 0:
                await self._sleep(wait_s)
        try:
            yield
        finally:
            line.window.acknowledge(token, self._clock().boot_s)

    def refused(self, family: Family) -> None:
        """Ask nothing more for a full window, and then half as much at once: the venue counted differently.

        Else a list of several pages would run into the same refusal for ever. More is asked again after windows
        without a refusal: people and other programs use the key for a while, and then do not.
        """
        line, now = self._lines[family], self._clock().boot_s
        line.window.climb(now)
        line.window.halve(now)
        line.closed_until = now + line.cool_s

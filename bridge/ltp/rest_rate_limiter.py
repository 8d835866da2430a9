"""The rate limits of the venue's REST: each limit has one ack window, and requests wait for it in their order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from math import inf
from typing import Final, NamedTuple

from bridge.core.ack_window import MARGIN_S, AckWindow
from bridge.core.now import Now

BUDGET_PERCENT: Final = 80
"""The share of a limit that the bridge uses: people and other programs send requests with the same key."""


class LimitGroup(Enum):
    """The requests that share one limit of the venue's."""

    ORDER = auto()
    OPEN_ORDERS = auto()
    HISTORY = auto()
    EXECUTIONS = auto()
    ASSETS = auto()
    POSITIONS = auto()
    ACCOUNT = auto()
    SYMBOLS = auto()


class Limit(NamedTuple):
    """The most requests in a time window."""

    requests: int
    window_s: float


LIMITS: Final = {
    LimitGroup.ORDER: Limit(1200, 60),  # LTP docs, Query Order
    LimitGroup.OPEN_ORDERS: Limit(1200, 60),  # LTP docs, Query Open Orders
    LimitGroup.HISTORY: Limit(30, 10),  # LTP docs, Query Order History; the archive counts with it
    LimitGroup.EXECUTIONS: Limit(5, 10),  # LTP docs, Query Executions, Query Archive Executions
    LimitGroup.ASSETS: Limit(20, 1),  # LTP docs, Query Portfolio Assets
    LimitGroup.POSITIONS: Limit(300, 60),  # LTP docs, Query Position
    LimitGroup.ACCOUNT: Limit(2, 1),  # LTP docs, Query Account
    LimitGroup.SYMBOLS: Limit(3, 10),  # LTP docs, Get Symbol Information
}

_CLEAN_WINDOWS: Final = 30
"""The windows without a refusal after which more requests are sent at once. A list is read from its first page again
after a refusal; a list of this many pages has been read by then, even at one page in each window."""


class _GroupWindow:
    """The ack window of one limit group, and the queue for it."""

    def __init__(self, limit: Limit) -> None:
        self.queue = asyncio.Lock()
        self.cool_s = limit.window_s + MARGIN_S
        self.ack_window = AckWindow(
            max(1, limit.requests * BUDGET_PERCENT // 100),
            late_landing_s=inf,  # every slot is released when its request has ended, with or without an answer
            cool_s=self.cool_s,
            clean_windows=_CLEAN_WINDOWS,
        )
        self.closed_until_boot_s = -inf

    def acquire(self, token: object, now_boot_s: float) -> float:
        """Acquire a slot and return 0, or return the seconds in which no slot becomes free."""
        self.ack_window.restore_limit(now_boot_s)
        if now_boot_s >= self.closed_until_boot_s and self.ack_window.acquire(token, now_boot_s):
            return 0.0
        # A slot in use cools after its answer, so it is not free sooner than that.
        free_boot_s = min(self.ack_window.next_free_boot_s(now_boot_s), now_boot_s + self.cool_s)
        return max(self.closed_until_boot_s, free_boot_s) - now_boot_s


class RestRateLimiter:
    """The rate limiter of one account, for all endpoints.

    As many requests as the budget allows are sent at once; the others wait for a slot.
    """

    def __init__(self, clock: Callable[[], Now], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._windows = {group: _GroupWindow(limit) for group, limit in LIMITS.items()}

    @property
    def slowed_limits(self) -> list[str]:
        """The names of the limits of which the bridge uses less since the venue refused a request for its rate."""
        now_boot_s = self._clock().boot_s
        windows = {group: one.ack_window for group, one in self._windows.items()}
        for window in windows.values():
            window.restore_limit(now_boot_s)
        return [f"rest_{group.name.lower()}" for group, window in windows.items() if window.slots < window.full]

    @asynccontextmanager
    async def slot(self, group: LimitGroup) -> AsyncIterator[None]:
        """Wait for a slot, and hold it until a full window after the request's end."""
        group_window, token = self._windows[group], object()
        async with group_window.queue:
            while (wait_s := group_window.acquire(token, self._clock().boot_s)) > 0:
                await self._sleep(wait_s)
        try:
            yield
        finally:
            group_window.ack_window.acknowledge(token, self._clock().boot_s)

    def note_refusal(self, group: LimitGroup) -> None:
        """Send no request for a full window, and then half as many at once: the venue counted more than the bridge.

        Otherwise a list of several pages would run into the same refusal again and again. After some windows without a
        refusal more is sent again: people and other programs may have stopped using the key.
        """
        group_window, now_boot_s = self._windows[group], self._clock().boot_s
        group_window.ack_window.restore_limit(now_boot_s)
        group_window.ack_window.halve_limit(now_boot_s)
        group_window.closed_until_boot_s = now_boot_s + group_window.cool_s

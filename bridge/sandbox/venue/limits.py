"""The venue's rate limits: how many requests of an action a key made in the last seconds, counted as they slide by."""

from collections import deque

import msgspec

from bridge.sandbox.venue.settings import RequestLimit


class RequestCount(msgspec.Struct, frozen=True):
    """What the limiter saw: requests in the window with this one, the limit, and whether it passed."""

    in_window: int
    limit: int
    is_within: bool


class RequestLimits:
    """A sliding count per (action, key); a refused request takes no slot."""

    def __init__(self, limits: dict[str, RequestLimit]) -> None:
        self._limits = dict(limits)
        self._passed: dict[tuple[str, str], deque[float]] = {}

    def set_limit(self, action: str, limit: RequestLimit) -> None:
        """Change a limit while the venue runs."""
        self._limits[action] = limit

    def count_request(self, action: str, api_key: str, now_s: float, shrunk_to: int | None = None) -> RequestCount:
        """Count one request at a monotonic time."""
        limit = self._limits[action]
        most = limit.count if shrunk_to is None else min(limit.count, shrunk_to)
        passed = self._passed.setdefault((action, api_key), deque())
        while passed and now_s - passed[0] >= limit.window_s:
            passed.popleft()
        is_within = len(passed) < most
        if is_within:
            passed.append(now_s)
        return RequestCount(len(passed) + (not is_within), most, is_within)

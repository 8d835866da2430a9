"""The venue's rate limits: a sliding count of the requests of an action and key."""

from collections import deque

import msgspec

from bridge.sandbox.venue.settings import RequestLimit


class RequestCount(msgspec.Struct, frozen=True):
    """The count of one request: requests in the window including it, the limit, and whether it is within the limit."""

    in_window: int
    limit: int
    is_within: bool


class RequestLimits:
    """A sliding count per action and key; a refused request takes no slot."""

    def __init__(self, limits: dict[str, RequestLimit]) -> None:
        self._limits = dict(limits)
        self._accepted: dict[tuple[str, str], deque[float]] = {}

    def set_limit(self, action: str, limit: RequestLimit) -> None:
        """Change the limit of an action."""
        self._limits[action] = limit

    def count_request(
        self, action: str, api_key: str, now_monotonic_s: float, shrunk_to: int | None = None
    ) -> RequestCount:
        """Count one request at a monotonic time and return the count."""
        limit = self._limits[action]
        most = limit.count if shrunk_to is None else min(limit.count, shrunk_to)
        accepted_s = self._accepted.setdefault((action, api_key), deque())
        while accepted_s and now_monotonic_s - accepted_s[0] >= limit.window_s:
            accepted_s.popleft()
        is_within = len(accepted_s) < most
        if is_within:
            accepted_s.append(now_monotonic_s)
        return RequestCount(len(accepted_s) + (not is_within), most, is_within)

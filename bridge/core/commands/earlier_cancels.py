"""Cancels that an earlier owner may have written and that have expired: only their orders tell what became of them.

Such a cancel is `expired` only when the venue can no longer carry it out and its order does not show that it has.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from bridge.core.commands.command import TrackedCommand
from bridge.core.now import Now

_AT_ONCE: Final = 500
_LOOK_AGAIN_S: Final = 5.0


class EarlierCancels:
    """Expired cancels of an earlier owner, by when their orders are looked at next.

    `was_done` tells whether a cancel's order shows that it was carried out.
    """

    def __init__(self, was_done: Callable[[TrackedCommand], bool]) -> None:
        self._was_done = was_done
        self._waiting: list[tuple[float, int, float, TrackedCommand]] = []

    def add(self, cancel: TrackedCommand, lands_until_boot_s: float, now: Now) -> None:
        """Keep a cancel that can land until a time."""
        heappush(self._waiting, (now.boot_s, cancel.offset, lands_until_boot_s, cancel))

    def pop_judged(self, now: Now, *, recovered: bool) -> list[tuple[TrackedCommand, bool]]:
        """Return the cancels whose fate is known, and whether each was carried out.

        `recovered` says that the first REST sweep of this owner is complete.
        """
        judged = []
        for _ in range(min(len(self._waiting), _AT_ONCE)):
            if self._waiting[0][0] > now.boot_s:
                break
            _, offset, lands_until, cancel = heappop(self._waiting)
            was_done = self._was_done(cancel)
            if was_done or (recovered and now.boot_s >= lands_until):
                judged.append((cancel, was_done))
            else:
                heappush(self._waiting, (now.boot_s + _LOOK_AGAIN_S, offset, lands_until, cancel))
        return judged

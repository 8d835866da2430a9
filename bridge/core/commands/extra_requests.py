"""Extra requests: bridge cancels, and all requests of a repeated cancel but one, of which a successor finds no record.

A successor counts a command's result, or the command itself, as one request. The extra ones hold slots too, so each
commit counts them, and says for how long each count holds. A few may be written before a commit counts them; after a
crash a successor assumes that they were. More than that are counted by a commit before they are written.

A successor takes slots for what the last commit says, for as long as it says, and for the few that may have followed,
as if these were written at the takeover; for the few it takes none where its predecessor has ended in good order. What
is passed on ages with each commit, so that owners that die one after the other do not fill the window with requests
that were never written.
"""

from collections import Counter, deque
from math import ceil
from typing import Final

_STEPS_MAX: Final = 180
"""A commit has little room, so its times are rounded up to one of so many steps at most."""


class ExtraRequests:
    """The extra requests of one action that the venue may still count. Times are seconds of the boot clock."""

    def __init__(self, untold_max: int, *, late_landing_s: float, cool_s: float) -> None:
        self.uncommitted_max = untold_max
        self._hold_s = late_landing_s + cool_s
        self._cool_s = cool_s
        self._unanswered: dict[object, float] = {}
        self._cooling: deque[float] = deque()
        self._noted = 0
        self._committed = 0
        self._waiting_count = 0
        self.commit_wanted = False
        """Whether a request waits for a commit that counts it."""

    def may_add(self, waiting: int = 0) -> bool:
        """Whether another may be written now; if not, the next commit counts also those that are `waiting`."""
        if self._noted - self._committed < self.uncommitted_max:
            return True
        self.commit_wanted = True
        self._waiting_count = waiting
        return False

    def add(self, slot_key: object, written_boot_s: float) -> None:
        """Note a request, of which an ack may still come."""
        self._noted += 1
        self._unanswered[slot_key] = written_boot_s

    def restore(self, slot_key: object, written_boot_s: float) -> None:
        """Note a request of an earlier owner, which a commit counts already, and when it was written at the latest."""
        self._unanswered[slot_key] = written_boot_s

    def acknowledge(self, slot_key: object, now_boot_s: float) -> None:
        """Note that a request was acknowledged: the venue may count it for one window from now on."""
        if self._unanswered.pop(slot_key, None) is not None:
            self._cooling.append(now_boot_s + self._cool_s)

    def latest_write_boot_s(self, counted_for_s: int, now_boot_s: float) -> float:
        """Return when a request was written at the latest that the venue may count for so many seconds yet."""
        return min(now_boot_s, now_boot_s + counted_for_s - self._hold_s)

    def counts_to_commit(self, now_boot_s: float, *, is_last: bool = False) -> tuple[tuple[tuple[int, int], ...], int]:
        """Return the counts for a commit, as pairs of seconds and a count, and how many of all noted it covers.

        They include the requests that wait to be written, unless it is the last commit: those are written when the
        commit is acknowledged, so a successor knows of them.
        """
        while self._cooling and self._cooling[0] <= now_boot_s:
            self._cooling.popleft()
        self._unanswered = {key: at for key, at in self._unanswered.items() if at + self._hold_s > now_boot_s}
        waiting, self._waiting_count = 0 if is_last else self._waiting_count, 0
        self.commit_wanted = False
        self._committed = min(self._committed, self._noted + waiting)
        ends = (
            *(at + self._hold_s for at in self._unanswered.values()),
            *self._cooling,
            *[now_boot_s + self._hold_s] * waiting,
        )
        step_s = ceil(self._hold_s / _STEPS_MAX)
        counts = Counter(step_s * ceil((end - now_boot_s) / step_s) for end in ends)
        return tuple(sorted(counts.items())), self._noted + waiting

    def mark_committed(self, noted: int) -> None:
        """Note that a commit that covers so many of all noted is acknowledged."""
        self._committed = noted

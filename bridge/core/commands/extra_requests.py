"""Requests that no record tells a successor of: cancels of the bridge's own, and all but one of a repeated cancel.

A successor counts a command's result, or the command itself, as one request. The others hold slots too, so each commit
tells how many there are, and for how long yet: owners that die one after the other pass them on, and none is to begin
anew with each. A few may be written before a commit tells of them; after a crash a successor assumes that they were.
For many, the commit tells of them before they are written.
"""

from collections import Counter, deque
from math import ceil
from typing import Final

_STEPS_MAX: Final = 180
"""A commit has little room, so what it tells is rounded up to one of so many steps at most."""


class ExtraRequests:
    """Those of one class of action that may still be counted at the venue."""

    def __init__(self, untold_max: int, *, late_landing_s: float, cool_s: float) -> None:
        self.uncommitted_max = untold_max
        self._hold_s = late_landing_s + cool_s
        self._cool_s = cool_s
        self._unanswered: dict[object, float] = {}
        self._cooling: deque[float] = deque()
        self._noted = 0
        self._told = 0
        self._ahead = 0
        self.commit_wanted = False
        """Whether a request waits for a commit that tells of those before it."""

    def may_add(self, waiting: int = 0) -> bool:
        """Whether another may be written now; if not, the next commit tells of those that are `waiting` as well."""
        if self._noted - self._told < self.uncommitted_max:
            return True
        self.commit_wanted = True
        self._ahead = waiting
        return False

    def add(self, token: object, written_at: float) -> None:
        """Note a request, from which an answer may still come."""
        self._noted += 1
        self._unanswered[token] = written_at

    def restore(self, token: object, written_at: float) -> None:
        """Note a request of an earlier owner, of which a commit tells already, written then at the latest."""
        self._unanswered[token] = written_at

    def acknowledge(self, token: object, now: float) -> None:
        """Note that a request was answered: it may be counted for a window from now on."""
        if self._unanswered.pop(token, None) is not None:
            self._cooling.append(now + self._cool_s)

    def latest_write_boot_s(self, counted_for_s: int, now: float) -> float:
        """Return when a request was written at the latest that may be counted for so many seconds yet."""
        return min(now, now + counted_for_s - self._hold_s)

    def counts_to_commit(self, now: float, *, is_last: bool = False) -> tuple[tuple[tuple[int, int], ...], int]:
        """Return what a commit is to tell, and up to which request it does: for how many seconds yet how many count.

        It tells of those that wait to be written, unless it is the last one. Were more written that only the one before
        it tells of, its successor would not know of them; so they wait for this one.
        """
        while self._cooling and self._cooling[0] <= now:
            self._cooling.popleft()
        self._unanswered = {token: at for token, at in self._unanswered.items() if at + self._hold_s > now}
        ahead, self._ahead = 0 if is_last else self._ahead, 0
        self.commit_wanted = False
        self._told = min(self._told, self._noted + ahead)
        ends = (*(at + self._hold_s for at in self._unanswered.values()), *self._cooling, *[now + self._hold_s] * ahead)
        step_s = ceil(self._hold_s / _STEPS_MAX)
        counts = Counter(step_s * ceil((end - now) / step_s) for end in ends)
        return tuple(sorted(counts.items())), self._noted + ahead

    def mark_committed(self, noted: int) -> None:
        """Note that a commit which tells of so many is acknowledged."""
        self._told = noted

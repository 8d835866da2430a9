"""The rate limiter: a slot is held from before the write until a full window after the ack.

The venue counts a request somewhere between its write and its ack. Because a slot comes free only `cool_s` after
the ack, no 60 s of the venue's can hold more requests than there are slots, whatever the delays: for any two of
them, the later was written after the earlier had cooled. The proof is in ARCHITECTURE.md, The ack window.
"""

from collections import deque
from math import inf
from typing import Final

MARGIN_S: Final = 0.5
"""Room for clocks that differ: in 60 s by up to 0.8 %."""
WINDOW_S: Final = 60 + MARGIN_S
"""The venue's 60 s and `MARGIN_S`."""
_STEPS: Final = 8
"""Clean windows from nothing to everything: a limit that was halved is whole again after four."""


class AckWindow:
    """Slots of one class of action. Tokens are the caller's names for requests."""

    def __init__(self, slots: int, *, late_landing_s: float, cool_s: float = WINDOW_S, clean_windows: int = 1) -> None:
        self.full = slots
        self.slots = slots
        """How many may be held now; `full`, except for a while after the venue refused one for its rate."""
        self._late_landing_s = late_landing_s
        self._cool_s = cool_s
        self._climb_s = clean_windows * cool_s
        self._halved_at = -inf
        self._refused_at = -inf
        self._live: dict[object, float] = {}
        self._cooling: deque[float] = deque()

    def restore_acked(self, at: float, now: float) -> bool:
        """Take the slot of a request of an earlier owner, acked at `at`; False when it has cooled."""
        if at + self._cool_s <= now:
            return False
        self._start_cooling(at)
        return True

    def restore_unanswered(self, token: object, at: float, now: float) -> None:
        """Take the slot of a request of an earlier owner, written at `at` at the latest, whose answer is not known.

        One that can no longer be counted takes none. Slots come free in the order in which they were taken, so that an
        old one that is restored after a young one is held too long, and none too short.
        """
        if at + self._late_landing_s + self._cool_s > now:
            self._live[token] = at

    def acquire(self, token: object, now: float, *, leave: int = 0) -> bool:
        """Take a slot if one is free, and if `leave` others stay free then."""
        if self.free(now) <= leave:
            return False
        self._live[token] = now
        return True

    def free(self, now: float) -> int:
        """Count the free slots; fewer than none when the venue refused while more were held than may be now."""
        self._drop_cooled(now)
        return self.slots - len(self._live) - len(self._cooling)

    def mark_written(self, token: object, now: float) -> None:
        """Note that the request of a slot goes out now."""
        if self._live.pop(token, None) is not None:
            self._live[token] = now

    def release(self, token: object) -> None:
        """Give back the slot of a request that was certainly not written."""
        self._live.pop(token, None)

    def acknowledge(self, token: object, now: float) -> None:
        """Let a slot cool from now on: its request has been answered. Twice is once."""
        if self._live.pop(token, None) is not None:
            self._start_cooling(now)

    def halve_limit(self, now: float) -> bool:
        """Use half of the slots for now: the venue counted differently from us. False when that was done of late.

        What was in flight when the venue refused may be refused too, within one window; that tells nothing new.
        """
        self._refused_at = now
        if now < self._halved_at + self._cool_s:
            return False
        self._halved_at = now
        self.slots = max(1, self.slots // 2)
        return True

    def restore_limit(self, now: float) -> bool:
        """Use an eighth of the slots more after `clean_windows` without a refusal; True when all are used again."""
        clean = int((now - self._refused_at) / self._climb_s) if self.slots < self.full else 0
        if clean < 1:
            return False
        self._refused_at += clean * self._climb_s
        self.slots = min(self.full, self.slots + clean * max(1, self.full // _STEPS))
        return self.slots == self.full

    def free_at(self, ahead: int, now: float) -> float:
        """Estimate when a request with `ahead` others waiting before it gets a slot; `now` when at once."""
        short = ahead + 1 - self.free(now)
        if short <= 0:
            return now
        rounds, place = divmod(short - 1, self.slots)
        first = self._cooling[place] if place < len(self._cooling) else now + self._cool_s
        return first + rounds * self._cool_s

    def next_free(self, now: float) -> float:
        """Return when the next slot comes free by itself; `now` when one is free."""
        if self.free(now) > 0:
            return now
        dead = next(iter(self._live.values()), now) + self._late_landing_s + self._cool_s
        return min(self._cooling[0], dead) if self._cooling else dead

    def _start_cooling(self, at: float) -> None:
        # Restored acks may lie a little ahead of our clock; the order of release times must hold.
        self._cooling.append(max(at + self._cool_s, self._cooling[-1] if self._cooling else 0.0))

    def _drop_cooled(self, now: float) -> None:
        while self._cooling and self._cooling[0] <= now:
            self._cooling.popleft()
        while self._live:
            token, at = next(iter(self._live.items()))
            if at + self._late_landing_s + self._cool_s > now:
                return
            del self._live[token]

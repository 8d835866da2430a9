"""The rate limiter: a slot is held from before the write until a full window after the ack.

The venue counts a request somewhere between its write and its ack. Because a slot comes free only `cool_s` after
the ack, the venue counts no more requests in any 60 s than there are slots, whatever the delays: of any two that
share a slot, the later was written after the earlier had cooled.

The proof, for n slots. Four times belong to each request: its slot is taken at q, the request is written at s, the
venue counts it at v, and its ack arrives at a. The order is q <= s <= v <= a.

1. Suppose that the venue counts n + 1 requests within 60 s. The steps show that this is impossible.
2. Let j be the one of them that takes its slot last, at q_j. All n others have taken their slots before q_j.
3. The venue counts each of the others less than 60 s before j, or after j: v > v_j - 60.
4. Request j is counted after its slot was taken (v_j >= q_j), so v > q_j - 60 for each of the others.
5. If another one has no ack at q_j, it still holds its slot.
6. If it has an ack at q_j, then a >= v > q_j - 60. The ack is less than 60 s old, so its slot still cools.
7. So the n others hold all n slots at q_j, and j gets none. This contradicts step 2.

The proof holds for fixed windows, sliding windows and token buckets, whatever the delays. It needs the ack: if a slot
came free 60 s after the write, the venue might count a delayed request after that. If no ack arrives, a slot comes free
`late_landing_s` + `cool_s` after the write: the bridge assumes that the venue counts no request later than
`late_landing_s` after its write. The proof also holds if the bridge uses fewer slots than the venue allows, so a limit
may be halved at any time.

A request of an earlier owner holds its slot from the moment by which it had been written at the latest: a command with
a result from that result on, any other one from the end of its validity or from now. So what expired long ago takes
none. An owner that ends in good order commits how far it has read: a command from there on was never written and takes
none.
"""

from collections import deque
from math import inf
from typing import Final

MARGIN_S: Final = 0.5
"""Room for clocks that differ: in 60 s by up to 0.8 %."""
WINDOW_S: Final = 60 + MARGIN_S
"""The venue's 60 s and `MARGIN_S`."""
_STEPS: Final = 8
"""The windows without a refusal from no slots to all; a limit that was halved is whole again after four."""


class AckWindow:
    """The slots of one class of action. A token is the caller's name of a request; times are on the boot clock."""

    def __init__(self, slots: int, *, late_landing_s: float, cool_s: float = WINDOW_S, clean_windows: int = 1) -> None:
        self.full = slots
        self.slots = slots
        """The slots in use now: `full`, except for a while after the venue refused a request for its rate."""
        self._late_landing_s = late_landing_s
        self._cool_s = cool_s
        self._climb_s = clean_windows * cool_s
        self._halved_boot_s = -inf
        self._refused_boot_s = -inf
        self._live: dict[object, float] = {}
        self._cooling: deque[float] = deque()

    def restore_acked(self, at_boot_s: float, now_boot_s: float) -> bool:
        """Take the slot of a request that an earlier owner had acked; return False when it has cooled."""
        if at_boot_s + self._cool_s <= now_boot_s:
            return False
        self._start_cooling(at_boot_s)
        return True

    def restore_unanswered(self, token: object, at_boot_s: float, now_boot_s: float) -> None:
        """Take the slot of a request that an earlier owner wrote at `at_boot_s` at the latest, without a known answer.

        A request that can no longer be counted takes none. Slots come free in the order in which they were taken: an
        old one that is restored after a young one is held too long, and none too short.
        """
        if at_boot_s + self._late_landing_s + self._cool_s > now_boot_s:
            self._live[token] = at_boot_s

    def acquire(self, token: object, now_boot_s: float, *, leave: int = 0) -> bool:
        """Take a slot if one is free, and if `leave` others stay free then; return whether it was taken."""
        if self.free(now_boot_s) <= leave:
            return False
        self._live[token] = now_boot_s
        return True

    def free(self, now_boot_s: float) -> int:
        """Return the number of free slots; below 0 while more are held than may be since the venue refused."""
        self._drop_cooled(now_boot_s)
        return self.slots - len(self._live) - len(self._cooling)

    def mark_written(self, token: object, now_boot_s: float) -> None:
        """Note that the request of a slot is written now."""
        if self._live.pop(token, None) is not None:
            self._live[token] = now_boot_s

    def release(self, token: object) -> None:
        """Give back the slot of a request that was certainly not written."""
        self._live.pop(token, None)

    def acknowledge(self, token: object, now_boot_s: float) -> None:
        """Let a slot cool from now on, because its request was answered; a second answer changes nothing."""
        if self._live.pop(token, None) is not None:
            self._start_cooling(now_boot_s)

    def halve_limit(self, now_boot_s: float) -> bool:
        """Use half of the slots for a while, because the venue refused; return False within a window of the last time.

        Requests that were in flight when the venue refused one may be refused too; that is no news.
        """
        self._refused_boot_s = now_boot_s
        if now_boot_s < self._halved_boot_s + self._cool_s:
            return False
        self._halved_boot_s = now_boot_s
        self.slots = max(1, self.slots // 2)
        return True

    def restore_limit(self, now_boot_s: float) -> bool:
        """Use an eighth more of the slots after `clean_windows` without a refusal; return whether all are in use."""
        clean = int((now_boot_s - self._refused_boot_s) / self._climb_s) if self.slots < self.full else 0
        if clean < 1:
            return False
        self._refused_boot_s += clean * self._climb_s
        self.slots = min(self.full, self.slots + clean * max(1, self.full // _STEPS))
        return self.slots == self.full

    def estimate_free_boot_s(self, ahead: int, now_boot_s: float) -> float:
        """Return when a request behind `ahead` others gets a slot, as an estimate; `now_boot_s` when at once."""
        short = ahead + 1 - self.free(now_boot_s)
        if short <= 0:
            return now_boot_s
        rounds, place = divmod(short - 1, self.slots)
        first = self._cooling[place] if place < len(self._cooling) else now_boot_s + self._cool_s
        return first + rounds * self._cool_s

    def next_free_boot_s(self, now_boot_s: float) -> float:
        """Return when the next slot comes free by itself; `now_boot_s` when one is free."""
        if self.free(now_boot_s) > 0:
            return now_boot_s
        unanswered = next(iter(self._live.values()), now_boot_s) + self._late_landing_s + self._cool_s
        return min(self._cooling[0], unanswered) if self._cooling else unanswered

    def _start_cooling(self, at_boot_s: float) -> None:
        # Restored acks may lie a little ahead of our clock; the order of release times must hold.
        self._cooling.append(max(at_boot_s + self._cool_s, self._cooling[-1] if self._cooling else 0.0))

    def _drop_cooled(self, now_boot_s: float) -> None:
        while self._cooling and self._cooling[0] <= now_boot_s:
            self._cooling.popleft()
        while self._live:
            token, at_boot_s = next(iter(self._live.items()))
            if at_boot_s + self._late_landing_s + self._cool_s > now_boot_s:
                return
            del self._live[token]

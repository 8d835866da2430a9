"""The slots of cancels, shared so that a caller's new cancel finds one.

A tenth is kept for what callers ask for. Cancels of the bridge's own, which carry out a cancel_orders, have half of it
when the others are used up. Repeats have the others only: they leave a quarter of them free and wait longer the fuller
the window is. The tenth stays whole when the venue refuses requests for their rate and the others are halved: what was
refused goes out again from that half. Both parts are ack windows, and a request holds a slot in one of them, so
together they let no more pass than one window of all slots would.
"""

from collections.abc import Iterable
from typing import Final

from bridge.core.ack_window import AckWindow
from bridge.core.commands.extra_requests import ExtraRequests

_KEPT: Final = 10
"""One slot in so many is kept for callers."""
_UNTOLD_MAX: Final = 20
"""So many extra requests may be written before a commit tells of them. After a crash so many are taken as written, and
owners that die one after the other must not fill the window with what they never wrote."""
_LEFT_BY_REPEATS: Final = 4
"""One of the common slots in so many is left free by repeats."""
_SLOWEST: Final = 50.0
"""A repeat waits at most so many times as long as usual; then it waits for a slot."""


class CancelWindow:
    """Slots of one class of cancels. Tokens are the caller's names for requests."""

    def __init__(self, slots: int, *, late_landing_s: float, cool_s: float) -> None:
        kept = slots // _KEPT
        self._common = AckWindow(slots - kept, late_landing_s=late_landing_s, cool_s=cool_s)
        self._reserved = AckWindow(kept, late_landing_s=late_landing_s, cool_s=cool_s)
        self._both = (self._common, self._reserved)
        self.extra = ExtraRequests(min(max(1, kept), _UNTOLD_MAX), late_landing_s=late_landing_s, cool_s=cool_s)

    def restore_acked(self, at: float, now: float) -> bool:
        """Take the slot of a request of an earlier owner, acked at `at`; False when it has cooled."""
        return self._roomier(now).restore_acked(at, now)

    def restore_unanswered(self, token: object, at: float, now: float) -> None:
        """Take the slot of a request of an earlier owner, written at `at` at the latest, whose answer is not known."""
        self._roomier(now).restore_unanswered(token, at, now)

    def restore_extra(self, told: Iterable[tuple[int, int]], now: float, *, in_good_order: bool) -> None:
        """Take the slots of requests of earlier owners of which at most commits tell. There were no more than fit."""
        most = self._common.full + self._reserved.full // 2
        written_at: list[float] = []
        for for_s, count in told:
            written_at += [self.extra.latest_write_boot_s(for_s, now)] * min(count, most)
        written_at += [now] * (0 if in_good_order else self.extra.uncommitted_max)
        for number, at in enumerate(written_at[-most:]):
            token = ("extra of an earlier owner", number)
            self._roomier(now).restore_unanswered(token, at, now)
            self.extra.restore(token, at)

    def acquire(self, token: object, now: float) -> bool:
        """Take a slot for what a caller asks for."""
        return self._common.acquire(token, now) or self._reserved.acquire(token, now, leave=self._count_overflow(now))

    def acquire_for_bridge(self, token: object, now: float, *, waiting: int) -> bool:
        """Take a slot for the first cancel that the bridge sends of its own accord for an order; others are waiting."""
        ahead = min(waiting, max(0, self._common.free(now)))
        if not self.extra.may_add(ahead) or not (
            self._common.acquire(token, now) or self._take_of_kept_half(token, now)
        ):
            return False
        self.extra.add(token, now)
        return True

    def acquire_for_bridge_repeat(self, token: object, now: float, *, waiting: int) -> bool:
        """Take a slot for another cancel of the bridge's own for the same order."""
        return self._common.free(now) > self._left_by_repeats and self.acquire_for_bridge(token, now, waiting=waiting)

    def acquire_for_repeat(self, token: object, now: float) -> bool:
        """Take a slot for a request that repeats a caller's; what it repeats is told of by no record any more."""
        return self.extra.may_add() and self._common.acquire(token, now, leave=self._left_by_repeats)

    def acquire_after_rate_refusal(self, token: object, now: float) -> bool:
        """Take a slot for a caller's cancel that the venue refused for its rate."""
        return self.acquire_for_repeat(token, now) or (self.extra.may_add() and self._take_of_kept_half(token, now))

    def repeat_delay_factor(self, now: float) -> float:
        """Return how many times as long as usual a repeat is to wait; more than once from a window half full on."""
        left = self._left_by_repeats
        free, half = self._common.free(now) - left, (self._common.slots - left) / 2
        return min(_SLOWEST, max(1.0, half / free)) if free > 0 else _SLOWEST

    def mark_written(self, token: object, now: float) -> None:
        """Note that the request of a slot goes out now."""
        for window in self._both:
            window.mark_written(token, now)

    def release(self, token: object) -> None:
        """Give back the slot of a request that was certainly not written."""
        for window in self._both:
            window.release(token)

    def acknowledge(self, token: object, now: float) -> None:
        """Let a slot cool from now on: its request has been answered. Twice is once."""
        self.extra.acknowledge(token, now)
        for window in self._both:
            window.acknowledge(token, now)

    def halve_limit(self, now: float) -> bool:
        """Use half of the common slots for now: the venue counted differently from us. False when done of late."""
        return self._common.halve_limit(now)

    def restore_limit(self, now: float) -> bool:
        """Use more of the slots after a window without a refusal; True when all are used again."""
        return self._common.restore_limit(now)

    def free_at(self, ahead: int, now: float) -> float:
        """Estimate when a caller's request with `ahead` others waiting before it gets a slot; `now` when at once."""
        kept = max(0, self._reserved.free(now) - self._count_overflow(now))
        return now if ahead < kept else self._common.free_at(ahead - kept, now)

    def next_free(self, now: float) -> float:
        """Return when the next slot comes free by itself; `now` when one is free."""
        return min(window.next_free(now) for window in self._both if window.full)

    def _take_of_kept_half(self, token: object, now: float) -> bool:
        return self._reserved.acquire(token, now, leave=self._reserved.full // 2 + self._count_overflow(now))

    @property
    def _left_by_repeats(self) -> int:
        return self._common.slots // _LEFT_BY_REPEATS

    def _count_overflow(self, now: float) -> int:
        """Count what the common slots hold beyond all of them, of earlier owners: it takes slots that are kept."""
        return max(0, self._common.slots - self._common.free(now) - self._common.full)

    def _roomier(self, now: float) -> AckWindow:
        """Return the part that an earlier owner's request fits into."""
        return self._reserved if self._common.free(now) <= 0 < self._reserved.free(now) else self._common

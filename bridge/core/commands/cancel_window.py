"""The rate limit of cancels, with slots reserved so that a new cancel of a caller finds one.

A tenth of the slots is reserved for commands. Bridge cancels, which carry out a cancel_orders, may use half of it when
the common slots are used up. Repeats use the common slots only: they leave a quarter of those free, and wait longer the
fuller the window is. When the venue refuses requests for their rate, the common slots are halved and the reserved ones
are not, and what was refused may use half of those. Both parts are ack windows, and a request holds a slot in one of
them, so together they let no more pass than one window of all slots would.

Repeats wait in a lane of their own, behind new cancels and behind the first single cancel of each order. A refusal for
the rate halves the common slots, not the tenth, and an eighth comes back after each window without a refusal. A cancel
or cancel_orders that was refused for the rate had no effect, so it goes out again while it is valid.
"""

from collections.abc import Iterable
from typing import Final

from bridge.core.ack_window import AckWindow
from bridge.core.commands.extra_requests import ExtraRequests

_RESERVED_RATIO: Final = 10
"""One slot in so many is reserved for commands."""
_UNCOMMITTED_MAX: Final = 20
"""So many extra requests may be written before a commit counts them. After a crash so many count as written, and owners
that crash one after the other must not fill the window with requests that were never written."""
_LEFT_BY_REPEATS_RATIO: Final = 4
"""Repeats leave one common slot in so many free."""
_DELAY_FACTOR_MAX: Final = 50.0
"""A repeat waits at most so many times as long as usual, and then for a slot."""


class CancelWindow:
    """The slots of one action that cancels. A slot key names a request; times are seconds of the boot clock."""

    def __init__(self, slots: int, *, late_landing_s: float, cool_s: float) -> None:
        reserved = slots // _RESERVED_RATIO
        self._common = AckWindow(slots - reserved, late_landing_s=late_landing_s, cool_s=cool_s)
        self._reserved = AckWindow(reserved, late_landing_s=late_landing_s, cool_s=cool_s)
        self._both = (self._common, self._reserved)
        self.extra = ExtraRequests(
            min(max(1, reserved), _UNCOMMITTED_MAX), late_landing_s=late_landing_s, cool_s=cool_s
        )

    def restore_acked(self, at_boot_s: float, now_boot_s: float) -> bool:
        """Take the slot of a request of an earlier owner, acked at `at_boot_s`; False when it has cooled."""
        return self._choose_window(now_boot_s).restore_acked(at_boot_s, now_boot_s)

    def restore_unanswered(self, slot_key: object, at_boot_s: float, now_boot_s: float) -> None:
        """Take the slot of a request of an earlier owner, written then at the latest, whose ack is not known."""
        self._choose_window(now_boot_s).restore_unanswered(slot_key, at_boot_s, now_boot_s)

    def restore_extra(self, counts: Iterable[tuple[int, int]], now_boot_s: float, *, in_good_order: bool) -> None:
        """Take the slots of extra requests of earlier owners, as the last commit counts them, but no more than fit.

        An owner that did not end in good order may have written some that no commit counts.
        """
        most = self._common.full + self._reserved.full // 2
        written_boot_s: list[float] = []
        for for_s, count in counts:
            written_boot_s += [self.extra.latest_write_boot_s(for_s, now_boot_s)] * min(count, most)
        written_boot_s += [now_boot_s] * (0 if in_good_order else self.extra.uncommitted_max)
        for number, at_boot_s in enumerate(written_boot_s[-most:]):
            slot_key = ("extra of an earlier owner", number)
            self._choose_window(now_boot_s).restore_unanswered(slot_key, at_boot_s, now_boot_s)
            self.extra.restore(slot_key, at_boot_s)

    def acquire(self, slot_key: object, now_boot_s: float) -> bool:
        """Take a slot for a new cancel of a caller; return whether one was free."""
        return self._common.acquire(slot_key, now_boot_s) or self._reserved.acquire(
            slot_key, now_boot_s, leave=self._count_overflow(now_boot_s)
        )

    def acquire_for_bridge(self, slot_key: object, now_boot_s: float, *, waiting: int) -> bool:
        """Take a slot for the first bridge cancel of an order; so many first ones are `waiting`."""
        ahead = min(waiting, max(0, self._common.free(now_boot_s)))
        if not self.extra.may_add(ahead) or not (
            self._common.acquire(slot_key, now_boot_s) or self._acquire_of_reserved_half(slot_key, now_boot_s)
        ):
            return False
        self.extra.add(slot_key, now_boot_s)
        return True

    def acquire_for_bridge_repeat(self, slot_key: object, now_boot_s: float, *, waiting: int) -> bool:
        """Take a slot for another bridge cancel of the same order."""
        return self._common.free(now_boot_s) > self._left_by_repeats and self.acquire_for_bridge(
            slot_key, now_boot_s, waiting=waiting
        )

    def acquire_for_repeat(self, slot_key: object, now_boot_s: float) -> bool:
        """Take a slot for a repeat of a caller's cancel; the request before it becomes an extra one."""
        return self.extra.may_add() and self._common.acquire(slot_key, now_boot_s, leave=self._left_by_repeats)

    def acquire_after_rate_refusal(self, slot_key: object, now_boot_s: float) -> bool:
        """Take a slot for a repeat of a caller's cancel that the venue refused for its rate."""
        return self.acquire_for_repeat(slot_key, now_boot_s) or (
            self.extra.may_add() and self._acquire_of_reserved_half(slot_key, now_boot_s)
        )

    def repeat_delay_factor(self, now_boot_s: float) -> float:
        """Return how many times as long as usual a repeat is to wait; more than 1 when fewer than half are free."""
        left = self._left_by_repeats
        free, half = self._common.free(now_boot_s) - left, (self._common.slots - left) / 2
        return min(_DELAY_FACTOR_MAX, max(1.0, half / free)) if free > 0 else _DELAY_FACTOR_MAX

    @property
    def full(self) -> int:
        """All slots of both parts."""
        return self._common.full + self._reserved.full

    @property
    def slots(self) -> int:
        """The slots in use now."""
        return self._common.slots + self._reserved.slots

    def free(self, now_boot_s: float) -> int:
        """Return the number of free slots of both parts."""
        return self._common.free(now_boot_s) + self._reserved.free(now_boot_s)

    def mark_written(self, slot_key: object, now_boot_s: float) -> None:
        """Note that the request of a slot goes out now."""
        for window in self._both:
            window.mark_written(slot_key, now_boot_s)

    def release(self, slot_key: object) -> None:
        """Give back the slot of a request that was certainly not written."""
        for window in self._both:
            window.release(slot_key)

    def acknowledge(self, slot_key: object, now_boot_s: float) -> None:
        """Let a slot cool from now on: its request is acknowledged. A second call does nothing."""
        self.extra.acknowledge(slot_key, now_boot_s)
        for window in self._both:
            window.acknowledge(slot_key, now_boot_s)

    def halve_limit(self, now_boot_s: float) -> bool:
        """Use half of the common slots for now, because the venue refused; False when that was done recently."""
        return self._common.halve_limit(now_boot_s)

    def restore_limit(self, now_boot_s: float) -> bool:
        """Use more of the common slots after a window without a refusal; True when all are used again."""
        return self._common.restore_limit(now_boot_s)

    def estimate_free_boot_s(self, ahead: int, now_boot_s: float) -> float:
        """Estimate when a caller's request with `ahead` others waiting before it gets a slot; now when at once."""
        reserved = max(0, self._reserved.free(now_boot_s) - self._count_overflow(now_boot_s))
        return now_boot_s if ahead < reserved else self._common.estimate_free_boot_s(ahead - reserved, now_boot_s)

    def next_free_boot_s(self, now_boot_s: float) -> float:
        """Return when the next slot comes free by itself; `now_boot_s` when one is free."""
        return min(window.next_free_boot_s(now_boot_s) for window in self._both if window.full)

    def _acquire_of_reserved_half(self, slot_key: object, now_boot_s: float) -> bool:
        """Take a reserved slot if more than half of them are free."""
        return self._reserved.acquire(
            slot_key, now_boot_s, leave=self._reserved.full // 2 + self._count_overflow(now_boot_s)
        )

    @property
    def _left_by_repeats(self) -> int:
        return self._common.slots // _LEFT_BY_REPEATS_RATIO

    def _count_overflow(self, now_boot_s: float) -> int:
        """Count the requests of earlier owners that exceed the common slots: they use up reserved ones."""
        return max(0, self._common.slots - self._common.free(now_boot_s) - self._common.full)

    def _choose_window(self, now_boot_s: float) -> AckWindow:
        """Return the part that has room for an earlier owner's request."""
        return self._reserved if self._common.free(now_boot_s) <= 0 < self._reserved.free(now_boot_s) else self._common

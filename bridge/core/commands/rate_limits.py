"""The venue's rate limits, one ack window for each action (LTP docs, User Data Overview)."""

from collections.abc import Iterable

from bridge.config import Limits
from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Result
from bridge.core.ack_window import MARGIN_S, AckWindow
from bridge.core.clocks import Clocks
from bridge.core.commands.cancel_window import CancelWindow
from bridge.core.now import Now


class RateLimits:
    """The ack windows of one account."""

    def __init__(self, limits: Limits, *, late_landing_s: float) -> None:
        per_window = {
            PLACE: limits.place_per_window,
            REPLACE: limits.replace_per_window,
            CANCEL: limits.cancel_per_window,
            CANCEL_ALL: limits.cancel_all_per_window,
        }
        slots = {action: max(1, limit * limits.budget_percent // 100) for action, limit in per_window.items()}
        cool_s = limits.window_s + MARGIN_S
        self.cancels = CancelWindow(slots[CANCEL], late_landing_s=late_landing_s, cool_s=cool_s)
        self._windows: dict[str, AckWindow | CancelWindow] = {
            action: AckWindow(count, late_landing_s=late_landing_s, cool_s=cool_s) for action, count in slots.items()
        }
        self._windows[CANCEL] = self.cancels
        self._windows[CANCEL_ALL] = CancelWindow(slots[CANCEL_ALL], late_landing_s=late_landing_s, cool_s=cool_s)
        self._restored: set[str] = set()

    def __getitem__(self, action: str) -> AckWindow | CancelWindow:
        return self._windows[action]

    def climb(self, now: Now) -> list[str]:
        """Raise halved limits after a window without a refusal; return the actions whose limit is whole again."""
        return [action for action, window in self._windows.items() if window.restore_limit(now.boot_s)]

    def restore(self, results: Iterable[tuple[Result, int]], clocks: Clocks, now: Now) -> None:
        """Take the slots of requests that earlier owners wrote, by results with their record timestamps in ms.

        A result without `sentAt` counts too: the owner that published it may not be the one that wrote the command.
        Only one result of a commandId counts.
        """
        for result, timestamp_ms in results:
            written = result.outcome.terminal and not result.outcome.unsent
            if written and result.action in self._windows and result.command_id not in self._restored:
                acked_boot_s = clocks.ack_counted_boot_s(timestamp_ms, now)
                if self._windows[result.action].restore_acked(acked_boot_s, now.boot_s):
                    self._restored.add(result.command_id)

"""What an operator may ask of an account at any moment: budgets, gaps, alarms, clocks, commands under way."""

from collections.abc import Sequence

from msgspec import Struct

from bridge.contract.session import Cause
from bridge.core.account_wings import AccountWings
from bridge.core.alarms import ActiveAlarm
from bridge.core.clocks import MeasuredClock
from bridge.core.commands.command import ACTIONS
from bridge.core.now import Now
from bridge.core.skew import Skew


class BudgetStatus(Struct, frozen=True):
    """The rate limit of one action: `limit` requests a window, `usable` of them now, `free` at this moment.

    `usable` is below `limit` for a while after the venue refused a request for its rate. `waiting` commands have not
    been written.
    """

    action: str
    limit: int
    usable: int
    free: int
    waiting: int


class GapStatus(Struct, frozen=True):
    """An open gap. Its end is 0 before the login that ends it. Times are Unix ms."""

    gap_id: str
    cause: Cause
    from_ms: int
    to_ms: int
    recovered: int


class AccountStatus(Struct, frozen=True):
    """One account at one moment, as its owner knows it. A skew is None before the first reading of a clock."""

    epoch: int
    is_recovered: bool
    """Whether the first sweep since the login is done: then every command goes out."""
    has_lease: bool
    budgets: Sequence[BudgetStatus]
    oldest_waiting_s: float
    """How long ago the oldest command that has not been written was read; 0 without one."""
    awaiting_ack: int
    oldest_awaiting_s: float
    """How long ago the command of the oldest request without an ack was written; 0 without one."""
    unknown: int
    oldest_unknown_s: float
    """For how long the oldest command whose outcome is unknown has been in doubt; 0 without one."""
    open_orders: int
    remembered_commands: int
    gaps: Sequence[GapStatus]
    alarms: Sequence[ActiveAlarm]
    venue_skew: Skew | None
    broker_skew: Skew | None


class AccountStatusReader(AccountWings):
    """Tells how one account is; it changes nothing."""

    def read_status(self, now: Now) -> AccountStatus:
        """Return how the account is now."""
        since_ms = self.table.list_unknown_since_ms()
        waiting, awaiting = self.table.find_oldest_waiting(), self.table.find_oldest_awaiting()
        return AccountStatus(
            epoch=self.epoch,
            is_recovered=self.first_sweep_done,
            has_lease=self.dispatcher.has_lease(now),
            budgets=[self._read_budget(action, now) for action in ACTIONS],
            oldest_waiting_s=now.boot_s - waiting.read_boot_s if waiting is not None else 0.0,
            awaiting_ack=self.table.request_count,
            oldest_awaiting_s=now.boot_s - awaiting.written_boot_s if awaiting is not None else 0.0,
            unknown=len(since_ms),
            oldest_unknown_s=max(now.wall_ms - min(since_ms, default=now.wall_ms), 0) / 1000,
            open_orders=self._orders.live_count,
            remembered_commands=len(self._index),
            gaps=[
                GapStatus(gap.gap_id, gap.cause, gap.start_ms(now), gap.end_ms(now), gap.recovered.total())
                for gap in self.stream.open_gaps
            ],
            alarms=self.alarms.active(),
            venue_skew=_read_skew(self.clocks.venue, now),
            broker_skew=_read_skew(self.clocks.broker, now),
        )

    def _read_budget(self, action: str, now: Now) -> BudgetStatus:
        window = self._rate_limits[action]
        waiting = self.table.lanes.count_waiting(action)
        return BudgetStatus(action, window.full, window.slots, max(window.free(now.boot_s), 0), waiting)


def _read_skew(clock: MeasuredClock, now: Now) -> Skew | None:
    return clock.skew(now) if clock.is_known else None

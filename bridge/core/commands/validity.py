"""Whether a command may still be sent, by the clock of the broker that stamped its record."""

from msgspec import Struct

from bridge.contract.commands import CANCEL, CANCEL_ALL
from bridge.contract.results import Outcome, Reason
from bridge.core.clocks import Clocks
from bridge.core.commands.command import TrackedCommand
from bridge.core.now import Now


class InvalidTiming(Struct, frozen=True):
    """Why a command may not be sent."""

    outcome: Outcome
    reason: Reason | None = None
    message: str | None = None


def judge_validity(command: TrackedCommand, clocks: Clocks, now: Now) -> InvalidTiming | None:
    """Return why a command may not be sent, or None; its deadline is the earliest that the broker's clock allows.

    While the broker's clock is unsure, a place or replace is denied: it neither expires nor is sent by such a clock. A
    cancel is sent until it has certainly expired.
    """
    expired = InvalidTiming(Outcome.EXPIRED)
    if now.boot_s >= command.deadline_boot_s + clocks.broker_error_s(now):
        return expired
    is_early = now.boot_s < command.deadline_boot_s
    if clocks.trusts_broker(now):
        return None if is_early else expired
    if is_early and command.action in {CANCEL, CANCEL_ALL}:
        return None
    return InvalidTiming(Outcome.DENIED, Reason.CLOCK_UNSURE, clocks.describe_broker(now))

"""Whether a command may still be sent, told by the clock of the broker that stamped its record."""

from msgspec import Struct

from bridge.contract.commands import CANCEL, CANCEL_ALL
from bridge.contract.results import Outcome, Reason
from bridge.core.clocks import Clocks
from bridge.core.command import Pending
from bridge.core.now import Now


class NotValid(Struct, frozen=True):
    """Why a command may not be sent."""

    outcome: Outcome
    reason: Reason | None = None
    message: str | None = None


def judge_validity(pending: Pending, clocks: Clocks, now: Now) -> NotValid | None:
    """Return why a command may not be sent, or None; its deadline is the earliest that the broker's clock allows.

    A place or replace is never expired, nor sent, by a clock that may be wrong. A cancel is not held to the bound: it
    goes while no reading of the broker's clock says that it has expired.
    """
    expired = NotValid(Outcome.EXPIRED)
    if now.mono >= pending.deadline + clocks.broker_error_s(now):
        return expired
    is_early = now.mono < pending.deadline
    if clocks.trusts_broker(now):
        return None if is_early else expired
    if is_early and pending.action in {CANCEL, CANCEL_ALL}:
        return None
    return NotValid(Outcome.DENIED, Reason.CLOCK_UNSURE, clocks.describe_broker(now))

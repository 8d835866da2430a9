"""How one account is in this process at one moment: what the metrics and the status page show."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from bridge.admin.health import AccountHealth
from bridge.contract.session import AlarmRaised
from bridge.core.account_status import AccountStatus
from bridge.core.records import PublishedResult
from bridge.metrics import LatencyTotals


class AccountReport(Struct, frozen=True):
    """One account in this process. `status` is None while the process does not own it.

    `logged_in_ms` is the time of the login of the session that is open, Unix ms; 0 without one.
    """

    name: str
    health: AccountHealth
    status: AccountStatus | None
    endpoint: str
    logged_in_ms: int
    pending_bytes: int
    """What the records that are not durable take in memory."""
    buffer_bytes_max: int
    oldest_wait_s: float
    renewals: int
    """How often a producer was given up."""
    late_landing_s: float
    """For how long after its write the venue may carry a command out."""
    last_results: Sequence[PublishedResult]
    """The oldest first."""
    last_alarms: Sequence[AlarmRaised]
    """Raised by this process and not cleared, the oldest first."""
    latencies: LatencyTotals


ReadReports = Callable[[], Sequence[AccountReport]]

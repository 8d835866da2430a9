"""The settings that the decisions need."""

from msgspec import Struct

from bridge.core.commands.parse import Rules


class Terms(Struct, frozen=True):
    """Seconds, bytes and counts; `limits` are by action, per `window_s`."""

    rules: Rules
    limits: dict[str, int]
    window_s: float
    budget_percent: int
    inflight_commands_max: int
    lane_commands_max: int
    lease_s: float
    commit_period_s: float
    ack_timeout_s: float
    late_landing_s: float
    rest_lag_s: float
    skew_bound_s: float
    audit_period_s: float
    horizon_s: float
    cancel_late_landings: bool
    memory_bytes_max: int
    cancel_all_by_single_cancels: bool

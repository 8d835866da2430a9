"""Settings of all durations."""

from typing import Annotated, Self

from pydantic import model_validator

from bridge.config.section import Section
from bridge.config.values import seconds


class Timing(Section):
    """Every duration, in seconds. Names and inequalities are those of ARCHITECTURE.md, The numbers."""

    session_timeout_s: Annotated[float, seconds(3600)] = 6
    heartbeat_s: Annotated[float, seconds(60)] = 0.5
    rebalance_timeout_s: Annotated[float, seconds(3600)] = 6
    commit_period_s: Annotated[float, seconds(60)] = 1
    lease_s: Annotated[float, seconds(600)] = 2
    ack_timeout_s: Annotated[float, seconds(600)] = 5
    ping_interval_s: Annotated[float, seconds(15)] = 10
    pong_deadline_s: Annotated[float, seconds(60)] = 5
    connect_timeout_s: Annotated[float, seconds(300)] = 10
    login_spacing_s: Annotated[float, seconds(60, least=1.1)] = 1.1
    reconnect_cap_s: Annotated[float, seconds(300)] = 5
    login_give_up_s: Annotated[float, seconds(86_400)] = 120
    late_landing_s: Annotated[float, seconds(3600)] = 120
    rest_lag_s: Annotated[float, seconds(3600)] = 30
    skew_bound_s: Annotated[float, seconds(60)] = 5
    audit_period_s: Annotated[float, seconds(3600)] = 60
    failover_after_s: Annotated[float, seconds(3600)] = 10
    failback_stable_s: Annotated[float, seconds(86_400)] = 600
    failback_period_s: Annotated[float, seconds(86_400)] = 900
    validity_default_place_s: Annotated[float, seconds(86_400)] = 10
    validity_default_cancel_s: Annotated[float, seconds(86_400)] = 60
    validity_max_s: Annotated[float, seconds(86_400)] = 1800
    horizon_s: Annotated[float, seconds(604_800)] = 3600
    stop_deadline_s: Annotated[float, seconds(3600)] = 20

    @model_validator(mode="after")
    def _check_inequalities(self) -> Self:
        broken = [
            text
            for holds, text in (
                (self.commit_period_s <= self.lease_s / 2, "commit_period_s must be at most half of lease_s"),
                (self.lease_s < self.session_timeout_s, "lease_s must be less than session_timeout_s"),
                (
                    self.heartbeat_s + self.lease_s < self.rebalance_timeout_s,
                    "heartbeat_s + lease_s must be less than rebalance_timeout_s",
                ),
                (self.ack_timeout_s < self.late_landing_s, "ack_timeout_s must be less than late_landing_s"),
                (self.validity_max_s < self.horizon_s, "validity_max_s must be less than horizon_s"),
                (
                    max(self.validity_default_place_s, self.validity_default_cancel_s) <= self.validity_max_s,
                    "the default validities must be at most validity_max_s",
                ),
                (self.late_landing_s < self.horizon_s, "late_landing_s must be less than horizon_s"),
                (self.rest_lag_s < self.horizon_s, "rest_lag_s must be less than horizon_s"),
            )
            if not holds
        ]
        if broken:
            raise ValueError("; ".join(broken))
        return self

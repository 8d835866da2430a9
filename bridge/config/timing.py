"""Settings of every duration."""

from typing import Annotated, Self

from pydantic import Field, PositiveFloat, model_validator

from bridge.config.section import Section


class Timing(Section):
    """Every duration, in seconds. Names and inequalities are those of ARCHITECTURE.md, The numbers."""

    session_timeout_s: PositiveFloat = 6
    heartbeat_s: PositiveFloat = 0.5
    rebalance_timeout_s: PositiveFloat = 6
    commit_period_s: PositiveFloat = 1
    lease_s: PositiveFloat = 2
    ack_timeout_s: PositiveFloat = 5
    ping_interval_s: Annotated[float, Field(gt=0, le=15)] = 10
    pong_deadline_s: PositiveFloat = 5
    connect_timeout_s: PositiveFloat = 10
    login_spacing_s: Annotated[float, Field(ge=1.1)] = 1.1
    reconnect_cap_s: PositiveFloat = 5
    late_landing_s: PositiveFloat = 120
    rest_lag_s: PositiveFloat = 30
    skew_bound_s: PositiveFloat = 5
    audit_period_s: PositiveFloat = 60
    failover_after_s: PositiveFloat = 10
    failback_stable_s: PositiveFloat = 600
    failback_period_s: PositiveFloat = 900
    validity_default_place_s: PositiveFloat = 10
    validity_default_cancel_s: PositiveFloat = 60
    validity_max_s: PositiveFloat = 1800
    horizon_s: PositiveFloat = 3600
    stop_deadline_s: PositiveFloat = 20

    @model_validator(mode="after")
    def _hold(self) -> Self:
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
            )
            if not holds
        ]
        if broken:
            raise ValueError("; ".join(broken))
        return self

"""Settings of all durations."""

from typing import Annotated, Self

from pydantic import model_validator

from bridge.config.section import Section
from bridge.config.values import seconds


class Timing(Section):
    """Every duration, in seconds. Names and inequalities are those of ARCHITECTURE.md, The numbers."""

    session_timeout_s: Annotated[float, seconds(3600)] = 6
    """If Kafka gets no heartbeat of the owner for so long, another process may become the owner."""
    heartbeat_s: Annotated[float, seconds(60)] = 0.5
    """The time between two heartbeats to the consumer group."""
    rebalance_timeout_s: Annotated[float, seconds(3600)] = 6
    """The longest time for which a rebalance of the consumer group waits for its members."""
    commit_period_s: Annotated[float, seconds(60)] = 1
    """The time after which the next offset commit is made, even if no command needs it."""
    lease_s: Annotated[float, seconds(600)] = 2
    """So long after the hand-over of an acknowledged commit the owner may send the commands that need a claim."""
    ack_timeout_s: Annotated[float, seconds(600)] = 5
    """A command that was written and has no answer after this time becomes `unknown`."""
    ping_interval_s: Annotated[float, seconds(15)] = 10
    """The time between two pings to the venue."""
    pong_deadline_s: Annotated[float, seconds(60)] = 5
    """If a ping has no pong after this time, the session ends."""
    connect_timeout_s: Annotated[float, seconds(300)] = 10
    """The longest time that opening a connection to the venue may take."""
    login_spacing_s: Annotated[float, seconds(60, least=1.1)] = 1.1
    """The shortest time between two logins with one key."""
    reconnect_cap_s: Annotated[float, seconds(300)] = 5
    """The longest wait before the next attempt to open a session, if the login was not refused."""
    login_give_up_s: Annotated[float, seconds(86_400)] = 120
    """The account stops at the earliest when the venue's REST, too, has refused its key for this time."""
    late_landing_s: Annotated[float, seconds(3600)] = 120
    """The venue may carry out a request so long after the write, and not later."""
    rest_lag_s: Annotated[float, seconds(3600)] = 30
    """The longest time by which the venue's REST may be behind its pushes."""
    skew_bound_s: Annotated[float, seconds(60)] = 5
    """The largest difference between this machine's clock and the venue's or the brokers' that is accepted."""
    audit_period_s: Annotated[float, seconds(3600)] = 60
    """The time from the end of an audit to the next one."""
    failover_after_s: Annotated[float, seconds(3600)] = 10
    """The time in which every endpoint gets its turn. A session that lives less counts as a failed attempt."""
    failback_stable_s: Annotated[float, seconds(86_400)] = 600
    """The preferred endpoint must be healthy for so long before the session returns to it."""
    failback_period_s: Annotated[float, seconds(86_400)] = 900
    """The shortest time between two returns to the preferred endpoint; it doubles with each refused return."""
    validity_default_place_s: Annotated[float, seconds(86_400)] = 10
    """How long a place or replace without `validUntil` is valid after its append."""
    validity_default_cancel_s: Annotated[float, seconds(86_400)] = 60
    """How long a cancel or cancel_orders without `validUntil` is valid after its append."""
    validity_max_s: Annotated[float, seconds(86_400)] = 1800
    """The latest `validUntil` of a command, counted from its append."""
    horizon_s: Annotated[float, seconds(604_800)] = 3600
    """How long commands are remembered. Within this time every live state is published again."""
    stop_deadline_s: Annotated[float, seconds(3600)] = 20
    """The longest time that an end in good order may take."""

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

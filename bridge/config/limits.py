"""Settings of the limits: the venue's, and the bridge's own."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from bridge.config.section import Section


class Limits(Section):
    """The venue's limits (LTP docs, User Data Overview), the share of them the bridge may use, and its own."""

    window_s: PositiveFloat = 60
    place_per_window: PositiveInt = 1200
    replace_per_window: PositiveInt = 300
    cancel_per_window: PositiveInt = 1200
    cancel_all_per_window: PositiveInt = 1200
    budget_percent: Annotated[int, Field(ge=1, le=100)] = 95
    inflight_commands_max: Annotated[int, Field(ge=1, le=1000)] = 1000
    lane_commands_max: PositiveInt = 10_000
    command_bytes_max: PositiveInt = 65_536
    event_buffer_bytes_max: PositiveInt = 64 * 1024 * 1024
    login_attempts_max: PositiveInt = 3
    late_landings: Literal["cancel", "report"] = "cancel"
    """What is done about an order that shows itself after `not_found`."""

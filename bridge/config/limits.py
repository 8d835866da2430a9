"""Settings of the limits: the venue's, and the bridge's own."""

from typing import Annotated, Final, Literal

from pydantic import Field

from bridge.config.section import Section
from bridge.config.values import seconds

_MEBIBYTE: Final = 1024 * 1024
_PER_WINDOW: Final = Field(ge=1, le=1_000_000)


class Limits(Section):
    """The venue's limits (LTP docs, User Data Overview), the share of them the bridge may use, and its own."""

    window_s: Annotated[float, seconds(3600, least=1)] = 60
    place_per_window: Annotated[int, _PER_WINDOW] = 1200
    replace_per_window: Annotated[int, _PER_WINDOW] = 300
    cancel_per_window: Annotated[int, _PER_WINDOW] = 1200
    cancel_all_per_window: Annotated[int, _PER_WINDOW] = 1200
    budget_percent: Annotated[int, Field(ge=1, le=100)] = 95
    inflight_commands_max: Annotated[int, Field(ge=1, le=1200)] = 1200
    """Places and replaces without a durable answer; a cancel or cancel_orders needs no room among them."""
    lane_commands_max: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    command_bytes_max: Annotated[int, Field(ge=1024, le=_MEBIBYTE)] = 65_536
    event_buffer_bytes_max: Annotated[int, Field(ge=65_536, le=16 * 1024 * _MEBIBYTE)] = 64 * _MEBIBYTE
    memory_bytes_max: Annotated[int, Field(ge=_MEBIBYTE, le=16 * 1024 * _MEBIBYTE)] = 64 * _MEBIBYTE
    """What the answers of one horizon may take; beyond it places and replaces are denied (`memory_full`)."""
    login_attempts_max: Annotated[int, Field(ge=1, le=100)] = 3
    late_landings: Literal["cancel", "report"] = "cancel"
    """What is done about an order that shows itself after `not_found`."""
    cancel_orders: Literal["single_cancels", "venue_message"] = "single_cancels"
    """How a cancel_orders is carried out: by cancels of this account's open orders, one after the other, or by the
    venue's own message, which is quicker and may reach every portfolio of the user."""

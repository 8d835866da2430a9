"""Settings of limits: those of the venue, and those of the bridge."""

from typing import Annotated, Final, Literal

from pydantic import Field

from bridge.config.section import Section
from bridge.config.values import seconds

_MEBIBYTE: Final = 1024 * 1024
_PER_WINDOW: Final = Field(ge=1, le=1_000_000)


class Limits(Section):
    """Limits of the venue (LTP docs, User Data Overview), the share that the bridge may use, and its own limits."""

    window_s: Annotated[float, seconds(3600, least=1)] = 60
    place_per_window: Annotated[int, _PER_WINDOW] = 1200
    replace_per_window: Annotated[int, _PER_WINDOW] = 300
    cancel_per_window: Annotated[int, _PER_WINDOW] = 1200
    cancel_all_per_window: Annotated[int, _PER_WINDOW] = 1200
    budget_percent: Annotated[int, Field(ge=1, le=100)] = 95
    inflight_commands_max: Annotated[int, Field(ge=1, le=1200)] = 1200
    """How many claimed commands may be without a durable result before no further place or replace is claimed.

    A cancel_orders needs no room itself, but counts once it is claimed. A cancel is never claimed and does not count.
    """
    lane_commands_max: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """How many commands of an action may wait. A place or replace with more records behind it is denied unsent.

    Raise it only while no command waits: an owner with a higher limit may send what the one before had put off, and
    that one may have sent a later command of the same order.
    """
    command_bytes_max: Annotated[int, Field(ge=1024, le=_MEBIBYTE)] = 65_536
    event_buffer_bytes_max: Annotated[int, Field(ge=65_536, le=16 * 1024 * _MEBIBYTE)] = 64 * _MEBIBYTE
    """When pushes that wait for Kafka take more, and brokers take none of them, the session ends with a gap."""
    event_buffer_pause_bytes: Annotated[int, Field(ge=65_536, le=16 * 1024 * _MEBIBYTE)] = 8 * _MEBIBYTE
    """While brokers take pushes and more than this waits, the bridge reads no frame, and TCP slows the venue down.

    Answers and pongs wait behind the pushes then, and with them the next commands. It is never more than
    `event_buffer_bytes_max`.
    """
    memory_bytes_max: Annotated[int, Field(ge=_MEBIBYTE, le=16 * 1024 * _MEBIBYTE)] = 64 * _MEBIBYTE
    """Memory for the results of one horizon. When it is full, places and replaces are denied (`memory_full`)."""
    login_attempts_max: Annotated[int, Field(ge=1, le=100)] = 3
    late_landings: Literal["cancel", "report"] = "cancel"
    """What the bridge does with an order that appears after `not_found`."""
    cancel_orders: Literal["single_cancels", "venue_message"] = "single_cancels"
    """How a cancel_orders is carried out: by single cancels of this account's open orders, or by the venue's own
    message, which is faster and may cancel orders of every portfolio of the user."""

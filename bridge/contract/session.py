"""Session events: what the bridge tells about itself on `session`. Readers pass over types they do not know."""

from enum import StrEnum

from msgspec import Struct


class Cause(StrEnum):
    """Why a session ended or could not begin."""

    CLOSED_BY_VENUE = "closed_by_venue"
    LINK_FAILED = "link_failed"
    PONG_OVERDUE = "pong_overdue"
    LOGIN_REFUSED = "login_refused"
    BUFFER_FULL = "buffer_full"
    PROTOCOL_ERROR = "protocol_error"
    OWNER_CHANGED = "owner_changed"
    STOPPED = "stopped"


class Alarm(StrEnum):
    """Conditions that a person should look at."""

    LOGIN_STOPPED = "login_stopped"
    RATE_REJECTED = "rate_rejected"
    ID_CONFLICT = "id_conflict"
    TRADE_CONFLICT = "trade_conflict"
    CLAIMS_UNREADABLE = "claims_unreadable"
    OFFSET_LOST = "offset_lost"
    RECORD_TOO_LARGE = "record_too_large"
    LATE_LANDED = "late_landed"
    """An order shows itself that was answered `not_found`."""


class OwnerAcquired(Struct, frozen=True, rename="camel", tag_field="type", tag="owner.acquired"):
    """A process took the account over. `at` is Unix ms."""

    at: int
    epoch: int
    instance: str


class OwnerReleased(Struct, frozen=True, rename="camel", tag_field="type", tag="owner.released"):
    """The owner ended its term in good order."""

    at: int
    epoch: int
    instance: str


class SessionOpened(Struct, frozen=True, rename="camel", tag_field="type", tag="session.opened"):
    """Logged in and swept: pushes arrive and commands go out."""

    at: int
    endpoint: str
    open_orders: int


class SessionLost(Struct, frozen=True, rename="camel", tag_field="type", tag="session.lost"):
    """The session ended. `detail` is text for people."""

    at: int
    endpoint: str
    cause: Cause
    detail: str


class GapOpened(Struct, frozen=True, rename="camel", tag_field="type", tag="gap.opened", omit_defaults=True):
    """From `fromMs` (the last event durably published) until further notice, pushes may be missing."""

    at: int
    gap_id: str
    from_ms: int
    cause: Cause
    detail: str


class AlarmRaised(Struct, frozen=True, rename="camel", tag_field="type", tag="alarm.raised"):
    """Something a person should look at. `detail` is text for people."""

    at: int
    alarm: Alarm
    detail: str


SessionEvent = OwnerAcquired | OwnerReleased | SessionOpened | SessionLost | GapOpened | AlarmRaised

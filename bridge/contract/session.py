"""Session events: what the bridge tells about itself on `session`. Readers pass over types they do not know."""

from enum import StrEnum

from msgspec import Struct


class Cause(StrEnum):
    """Why a session ended or could not begin, or why a gap was opened."""

    FIRST_START = "first_start"
    """Nobody of this group has listened before."""

    CLOSED_BY_VENUE = "closed_by_venue"
    LINK_FAILED = "link_failed"
    PONG_OVERDUE = "pong_overdue"
    LOGIN_REFUSED = "login_refused"
    BUFFER_FULL = "buffer_full"
    PROTOCOL_ERROR = "protocol_error"
    NAME_NOT_RESOLVED = "name_not_resolved"
    TLS_FAILED = "tls_failed"
    PUSHES_MISSED = "pushes_missed"
    """The link was alive, but the venue's REST knows, twice in a row, what was not pushed."""
    FAILED_BACK = "failed_back"
    """Ended by the bridge, to return to an endpoint that it prefers."""
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
    CLOCK_SKEW = "clock_skew"
    """This machine's clock and the venue's differ by more than `skew_bound_s`."""
    AUDIT_DISAGREES = "audit_disagrees"
    """Whichever session listens, REST tells what is not pushed: it is published, and the session kept."""
    RECOVERY_STALLED = "recovery_stalled"
    """The venue refuses a question, or has not answered for two minutes, without which no gap closes, nor an audit."""


class Lost(StrEnum):
    """What of a gap no question to the venue gives back."""

    SNAPSHOTS_BETWEEN = "snapshots_between"
    """States of orders, assets and positions that were followed by another within the gap."""
    MARGIN_CALLS = "margin_calls"
    """In their place, and if the key may know it, each exchange account's risk afterwards is on `margin-calls`."""
    LIQUIDATIONS = "liquidations"
    UNRECOGNIZED = "unrecognized"
    """Pushes on channels that the bridge does not know."""
    OLD_TRADES = "old_trades"
    """Trades from before the venue's archive begins, 90 days back."""
    UNREADABLE_ROWS = "unreadable_rows"
    """Rows of the venue's answers that were not understood."""


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
    """Logged in: pushes arrive and cancels go out."""

    at: int
    endpoint: str


class Recovered(Struct, frozen=True, rename="camel"):
    """How many records were published from what REST tells, by stream."""

    orders: int = 0
    trades: int = 0
    assets: int = 0
    positions: int = 0
    margin_calls: int = 0


class RecoveryComplete(Struct, frozen=True, rename="camel", tag_field="type", tag="recovery.complete"):
    """What REST knows has been published once since the login: every command goes out. `tookMs` is from the login."""

    at: int
    endpoint: str
    open_orders: int
    recovered: Recovered
    took_ms: int


class SessionLost(Struct, frozen=True, rename="camel", tag_field="type", tag="session.lost"):
    """The session ended. `detail` is text for people."""

    at: int
    endpoint: str
    cause: Cause
    detail: str


class GapOpened(Struct, frozen=True, rename="camel", tag_field="type", tag="gap.opened"):
    """From `fromMs` (up to which everything is durably published) until further notice, pushes may be missing."""

    at: int
    gap_id: str
    from_ms: int
    cause: Cause
    detail: str


class GapClosed(Struct, frozen=True, rename="camel", tag_field="type", tag="gap.closed"):
    """What the venue can give back of a gap has been published; `lost` is what it cannot.

    Pushes were missed between `fromMs` and `toMs`, the login; a recovered row outside of them makes the gap longer.
    """

    at: int
    gap_id: str
    from_ms: int
    to_ms: int
    cause: Cause
    recovered: Recovered
    lost: tuple[Lost, ...]


class AlarmRaised(Struct, frozen=True, rename="camel", tag_field="type", tag="alarm.raised"):
    """Something a person should look at. `detail` is text for people."""

    at: int
    alarm: Alarm
    detail: str


SessionEvent = (
    OwnerAcquired | OwnerReleased | SessionOpened | SessionLost | GapOpened | RecoveryComplete | GapClosed | AlarmRaised
)

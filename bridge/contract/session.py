"""Session events: what the bridge tells about itself on `session`. Readers pass over types they do not know."""

from typing import Annotated

from msgspec import Meta, Struct

from bridge.contract.enums import ExtensibleEnum
from bridge.contract.units import Epoch, UnixMs


class Cause(ExtensibleEnum):
    """Why a session ended or could not begin, or why a gap was opened."""

    FIRST_START = "first_start", "Nobody of this group has listened before."
    CLOSED_BY_VENUE = "closed_by_venue", "The venue closed the connection, or ended the login."
    LINK_FAILED = "link_failed", "The connection broke, did not come about, or was not read."
    PONG_OVERDUE = "pong_overdue", "A ping was not answered in time: the link was half open."
    LOGIN_REFUSED = "login_refused", "The venue refused the login."
    BUFFER_FULL = "buffer_full", "Ended by the bridge: more events waited for Kafka than memory may hold."
    PROTOCOL_ERROR = "protocol_error", "The other end did not speak the venue's protocol."
    NAME_NOT_RESOLVED = "name_not_resolved", "The endpoint's name has no address."
    TLS_FAILED = "tls_failed", "The endpoint could not prove who it is."
    PUSHES_MISSED = (
        "pushes_missed",
        "The link was alive, but the venue's REST knows, twice in a row, what was not pushed.",
    )
    FAILED_BACK = "failed_back", "Ended by the bridge, to return to an endpoint that it prefers."
    OWNER_CHANGED = "owner_changed", "Another process had the account before; what it had not made durable is missing."
    STOPPED = "stopped", "The bridge was stopped, or gave the account up."
    OWNERSHIP_LOST = (
        "ownership_lost",
        "Ended by the bridge: it no longer owns the account, or can no longer be sure that it does.",
    )
    BRIDGE_FAILED = "bridge_failed", "A mistake in the bridge ended the session; it begins anew by itself."


class Alarm(ExtensibleEnum):
    """What a person should look at; of what lasts, `alarm.cleared` tells the end."""

    LOGIN_REFUSED = (
        "login_refused",
        "The venue refuses the login, or the connection for it (HTTP 418, 429, 503), which is tried again and again.",
    )
    LOGIN_STOPPED = (
        "login_stopped",
        "The venue's REST refuses this key as well: no login is tried until its file changes, or until a restart.",
    )
    KEY_UNUSABLE = (
        "key_unusable",
        "A file of the key cannot be used: the one that was last usable is used until the file is mended.",
    )
    RATE_REJECTED = (
        "rate_rejected",
        "The venue refused a request for its rate; that limit is halved, and climbs back while none is refused.",
    )
    COMMITS_SLOW = (
        "commits_slow",
        "Kafka acknowledges offset commits after `lease_s`: cancels go out, all else waits and is not answered.",
    )
    ID_CONFLICT = "id_conflict", "A commandId was used again with another body, which is a dead letter."
    TRADE_CONFLICT = "trade_conflict", "Two trades of one venue identity differ; both are published."
    CLAIMS_UNREADABLE = (
        "claims_unreadable",
        "The group's commit says nothing of this log: what has no result is in doubt, or too old to tell.",
    )
    FOREIGN_OWNER = (
        "foreign_owner",
        "A process of another environment, or with another API key, wanted the account; it has stopped.",
    )
    OFFSET_LOST = "offset_lost", "The topic does not hold the command that comes next: retention removed it."
    RECORD_TOO_LARGE = "record_too_large", "An event is larger than its topic takes and was not published."
    LATE_LANDED = "late_landed", "An order shows itself that was answered `not_found`."
    ORDER_END_UNTOLD = (
        "order_end_untold",
        "Orders are in no list of the venue's and no answer tells how they ended: their last record says EXPIRED.",
    )
    PERHAPS_REPEATED = (
        "perhaps_repeated",
        "REST was asked about a time of more trades or ended orders than are remembered: some are published again.",
    )
    CLOCK_SKEW = "clock_skew", "This machine's clock and the venue's differ by more than `skew_bound_s`."
    BROKER_CLOCK_SKEW = (
        "broker_clock_skew",
        (
            "The clock of the brokers that stamp `commands` and this machine's differ by more than `skew_bound_s`, or "
            "contradict each other: places and replaces are denied with `clock_unsure`."
        ),
    )
    COMMANDS_BEHIND = (
        "commands_behind",
        "Commands are read more than a second after their append, or not at all meanwhile: cancels wait as well.",
    )
    AUDIT_DISAGREES = (
        "audit_disagrees",
        "Whichever session listens, REST tells what is not pushed: it is published, and the session kept.",
    )
    EXECUTIONS_SHORT = (
        "executions_short",
        "An order's executions, pushed and in REST, are less than was executed of it: some are missing at the venue.",
    )
    UNDOCUMENTED = (
        "undocumented",
        (
            "The venue sends what its documents do not name: frames of a new shape, which are on `unrecognized`, or "
            "margin calls with a new field or status. Each is told once; a new version of the bridge may be needed."
        ),
    )
    RECOVERY_STALLED = (
        "recovery_stalled",
        "The venue refuses a question, or has not answered for two minutes, without which no gap closes, nor an audit.",
    )
    TOPIC_LOST = (
        "topic_lost",
        "A topic of the account was deleted, or is not as it must be: `subject` names it, `detail` says what is gone.",
    )
    GRANT_MISSING = (
        "grant_missing",
        "The bridge's principal may not do with a topic, `subject`, what it must; `detail` has the command.",
    )


class Lost(ExtensibleEnum):
    """What of a gap no question to the venue gives back."""

    SNAPSHOTS_BETWEEN = (
        "snapshots_between",
        "States of orders, assets and positions that were followed by another within the gap.",
    )
    MARGIN_CALLS = (
        "margin_calls",
        "In their place, and if the key may know it, each exchange account's risk afterwards is on `margin-calls`.",
    )
    LIQUIDATIONS = "liquidations", "Pushes of the liquidation channels."
    UNRECOGNIZED = "unrecognized", "Pushes on channels that the bridge does not know."
    OLD_TRADES = "old_trades", "Trades from before the venue's archive begins, 90 days back."
    UNREADABLE_ROWS = "unreadable_rows", "Rows of the venue's answers that were not understood."


At = Annotated[UnixMs, Meta(description="When the bridge said it, Unix milliseconds.")]
Instance = Annotated[str, Meta(description="The process that owns the account: host name and process id.")]
EndpointName = Annotated[str, Meta(description="The name of the venue's endpoint in the bridge's settings.")]
GapId = Annotated[str, Meta(description="Names the gap: the owner's epoch and a number of its own.")]
FromMs = Annotated[
    UnixMs, Meta(description="Up to here everything is durably published; from here on pushes may be missing.")
]
Detail = Annotated[str, Meta(description="Text for people; may change.")]
Subject = Annotated[
    str, Meta(description="What the alarm is about, where there may be several at once, as an action; else left out.")
]
Count = Annotated[int, Meta(ge=0, description="Records that were published from what REST tells.")]


class OwnerAcquired(Struct, frozen=True, rename="camel", tag_field="type", tag="owner.acquired"):
    """A process took the account over."""

    at: At
    epoch: Epoch
    instance: Instance


class OwnerReleased(Struct, frozen=True, rename="camel", tag_field="type", tag="owner.released"):
    """The owner ended its term in good order."""

    at: At
    epoch: Epoch
    instance: Instance


class SessionOpened(Struct, frozen=True, rename="camel", tag_field="type", tag="session.opened"):
    """Logged in: pushes arrive and cancels go out."""

    at: At
    endpoint: EndpointName


class Recovered(Struct, frozen=True, rename="camel"):
    """How many records were published from what REST tells, by stream."""

    orders: Count = 0
    trades: Count = 0
    assets: Count = 0
    positions: Count = 0
    margin_calls: Count = 0


class RecoveryComplete(Struct, frozen=True, rename="camel", tag_field="type", tag="recovery.complete"):
    """What REST knows has been published once since the login: every command goes out."""

    at: At
    endpoint: EndpointName
    open_orders: Annotated[int, Meta(ge=0, description="How many orders the venue lists as open.")]
    recovered: Recovered
    took_ms: Annotated[int, Meta(ge=0, description="Milliseconds since the login.")]


class SessionLost(Struct, frozen=True, rename="camel", tag_field="type", tag="session.lost"):
    """The session ended."""

    at: At
    endpoint: EndpointName
    cause: Cause
    detail: Detail


class GapOpened(Struct, frozen=True, rename="camel", tag_field="type", tag="gap.opened"):
    """From `fromMs` until further notice, pushes may be missing."""

    at: At
    gap_id: GapId
    from_ms: FromMs
    cause: Cause
    detail: Detail


class GapClosed(Struct, frozen=True, rename="camel", tag_field="type", tag="gap.closed"):
    """What the venue can give back of a gap has been published; `lost` is what it cannot.

    Pushes were missed between `fromMs` and `toMs`, the login; a recovered row outside of them makes the gap longer.
    """

    at: At
    gap_id: GapId
    from_ms: FromMs
    to_ms: Annotated[UnixMs, Meta(description="The login after the gap.")]
    cause: Cause
    recovered: Recovered
    lost: Annotated[tuple[Lost, ...], Meta(description="What of it cannot be given back.")]


class AlarmRaised(Struct, frozen=True, rename="camel", omit_defaults=True, tag_field="type", tag="alarm.raised"):
    """Something a person should look at."""

    at: At
    alarm: Alarm
    detail: Detail
    subject: Subject = ""


class AlarmCleared(Struct, frozen=True, rename="camel", omit_defaults=True, tag_field="type", tag="alarm.cleared"):
    """The condition that an alarm told of has ended.

    Alarms that tell of an occurrence have no end; those of an earlier epoch end with `owner.acquired`, because the new
    owner raises what it finds.
    """

    at: At
    alarm: Alarm
    detail: Detail
    since: Annotated[UnixMs, Meta(description="The `at` of the alarm that has ended.")]
    subject: Subject = ""


SessionEvent = (
    OwnerAcquired
    | OwnerReleased
    | SessionOpened
    | SessionLost
    | GapOpened
    | RecoveryComplete
    | GapClosed
    | AlarmRaised
    | AlarmCleared
)

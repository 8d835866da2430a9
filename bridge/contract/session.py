"""Events that the bridge publishes about itself on `session`. Readers ignore types that they do not know."""

from typing import Annotated

from msgspec import Meta, Struct

from bridge.contract.enums import ExtensibleEnum
from bridge.contract.units import Epoch, UnixMs


class Cause(ExtensibleEnum):
    """Why a session ended or could not begin, or why a gap was opened."""

    FIRST_START = "first_start", "This is the first owner of the account in this consumer group."
    CLOSED_BY_VENUE = "closed_by_venue", "The venue closed the connection, or ended the login."
    LINK_FAILED = "link_failed", "The connection broke, could not be opened, or was not read."
    PONG_OVERDUE = "pong_overdue", "The venue did not answer a ping in time: the connection was half open."
    LOGIN_REFUSED = "login_refused", "The venue refused the login."
    BUFFER_FULL = (
        "buffer_full",
        "The bridge ended the session: more events waited for Kafka than the memory limit allows.",
    )
    PROTOCOL_ERROR = "protocol_error", "The other end broke the venue's protocol."
    NAME_NOT_RESOLVED = "name_not_resolved", "The endpoint's name has no address."
    TLS_FAILED = "tls_failed", "TLS could not verify the endpoint."
    PUSHES_MISSED = (
        "pushes_missed",
        "The connection was alive, but two queries in a row to the venue's REST found something that was not pushed.",
    )
    FAILED_BACK = "failed_back", "The bridge ended the session to return to an endpoint that it prefers."
    OWNER_CHANGED = (
        "owner_changed",
        "Another process owned the account before; what it had not made durable is missing.",
    )
    STOPPED = "stopped", "The bridge was stopped, or it stopped this account."
    OWNERSHIP_LOST = (
        "ownership_lost",
        "The bridge ended the session: it no longer owns the account, or cannot be sure that it does.",
    )
    BRIDGE_FAILED = "bridge_failed", "A bug in the bridge ended the session; the bridge opens a new one by itself."


class Alarm(ExtensibleEnum):
    """A problem for a person to look at. If it lasts, `alarm.cleared` follows when it ends."""

    LOGIN_REFUSED = (
        "login_refused",
        "The venue refuses the login, or the connection for it (HTTP 418, 429, 503). The bridge tries again.",
    )
    LOGIN_STOPPED = (
        "login_stopped",
        "The venue's REST refuses this key too. The bridge tries no login until the key's file changes or it restarts.",
    )
    KEY_UNUSABLE = (
        "key_unusable",
        "A file of the API key cannot be used. The bridge uses the last usable key until the file is repaired.",
    )
    RATE_REJECTED = (
        "rate_rejected",
        (
            "The venue refused a request because of its rate. The bridge halves that limit, and raises it again while "
            "the venue refuses none."
        ),
    )
    COMMITS_SLOW = (
        "commits_slow",
        "Kafka takes longer than `lease_s` to acknowledge offset commits. Single cancels go out; all else waits.",
    )
    ID_CONFLICT = (
        "id_conflict",
        "A command has the commandId of another command with another body; it became a dead letter.",
    )
    TRADE_CONFLICT = "trade_conflict", "Two trades with the same id at the venue differ; both are published."
    CLAIMS_UNREADABLE = (
        "claims_unreadable",
        (
            "The group's commit does not cover the records of this topic. Commands without a result are in doubt, or "
            "too old to tell."
        ),
    )
    FOREIGN_OWNER = (
        "foreign_owner",
        "A process of another environment, or with an API key of another portfolio, wanted the account; it stopped.",
    )
    OFFSET_LOST = "offset_lost", "The topic no longer holds the next command: retention removed it."
    RECORD_TOO_LARGE = "record_too_large", "A record is larger than its topic allows and was not published."
    LATE_LANDED = "late_landed", "An order appeared after its command had the result `not_found`."
    ORDER_END_UNTOLD = (
        "order_end_untold",
        "Orders are in no list of the venue, and no answer says how they ended: their last record says EXPIRED.",
    )
    PERHAPS_REPEATED = (
        "perhaps_repeated",
        (
            "The bridge queried REST about a time with more trades or ended orders than it remembers: it publishes "
            "some again."
        ),
    )
    CLOCK_SKEW = "clock_skew", "This machine's clock and the venue's differ by more than `skew_bound_s`."
    BROKER_CLOCK_SKEW = (
        "broker_clock_skew",
        (
            "This machine's clock and the clock of the brokers that stamp `commands` differ by more than "
            "`skew_bound_s`, or the brokers contradict each other. Places and replaces are denied with `clock_unsure`."
        ),
    )
    COMMANDS_BEHIND = (
        "commands_behind",
        "The bridge reads commands more than a second after their append, or has paused reading: cancels wait too.",
    )
    AUDIT_DISAGREES = (
        "audit_disagrees",
        (
            "New sessions do not help: REST knows what the venue did not push. The bridge publishes it and keeps the "
            "session."
        ),
    )
    EXECUTIONS_SHORT = (
        "executions_short",
        "The executions of an order, pushed and from REST, are less than its executed quantity: the venue lacks some.",
    )
    UNDOCUMENTED = (
        "undocumented",
        (
            "The venue sends something undocumented: a frame of a new shape, which is on `unrecognized`, or a margin "
            "call with a new field or status. There is one alarm for each; a new version of the bridge may be needed."
        ),
    )
    RECOVERY_STALLED = (
        "recovery_stalled",
        (
            "The venue refuses a query, or the queries have failed for two minutes. Without them no gap closes and no "
            "audit ends. While the bridge waits for Kafka instead, this alarm is not raised."
        ),
    )
    TOPIC_LOST = (
        "topic_lost",
        "A topic of the account was deleted or is configured wrongly. `subject` names it; `detail` says what is lost.",
    )
    GRANT_MISSING = (
        "grant_missing",
        "The bridge's principal lacks a grant on the topic in `subject`. `detail` has the command that gives it.",
    )


class Lost(ExtensibleEnum):
    """A kind of record that was missed in a gap and that no query to the venue returns."""

    SNAPSHOTS_BETWEEN = (
        "snapshots_between",
        "States of orders, assets and positions that a later state replaced within the gap.",
    )
    MARGIN_CALLS = (
        "margin_calls",
        "Margin calls. If the key may read it, the later risk of each exchange account is on `margin-calls` instead.",
    )
    LIQUIDATIONS = "liquidations", "Pushes of the liquidation channels."
    UNRECOGNIZED = "unrecognized", "Pushes on channels that the bridge does not know."
    OLD_TRADES = "old_trades", "Trades from before the venue's archive begins, 90 days back."
    UNREADABLE_ROWS = "unreadable_rows", "Rows in answers of the venue that the bridge could not read."


At = Annotated[UnixMs, Meta(description="When the bridge wrote it, Unix milliseconds.")]
Instance = Annotated[
    str, Meta(description="The owner: the setting `instance` of its process, or host name and process id.")
]
EndpointName = Annotated[str, Meta(description="The endpoint's name in the bridge's settings.")]
GapId = Annotated[str, Meta(description="The id of the gap: the owner's epoch and a number.")]
FromMs = Annotated[
    UnixMs, Meta(description="Before this time everything is durable on the topics; from it on pushes may be missing.")
]
Detail = Annotated[str, Meta(description="Text for people; its wording may change.")]
Subject = Annotated[
    str,
    Meta(description="What the alarm is about, such as an action or a topic, if several may be raised at once."),
]
Count = Annotated[int, Meta(ge=0, description="Records that were published from REST.")]


class OwnerAcquired(Struct, frozen=True, rename="camel", tag_field="type", tag="owner.acquired"):
    """A process became the owner of the account."""

    at: At
    epoch: Epoch
    instance: Instance


class OwnerReleased(Struct, frozen=True, rename="camel", tag_field="type", tag="owner.released"):
    """The owner ended its term in an orderly way."""

    at: At
    epoch: Epoch
    instance: Instance


class SessionOpened(Struct, frozen=True, rename="camel", tag_field="type", tag="session.opened"):
    """The login succeeded: pushes arrive and cancels go out."""

    at: At
    endpoint: EndpointName


class Recovered(Struct, frozen=True, rename="camel"):
    """How many records were published from REST, by stream."""

    orders: Count = 0
    trades: Count = 0
    assets: Count = 0
    positions: Count = 0
    margin_calls: Count = 0


class RecoveryComplete(Struct, frozen=True, rename="camel", tag_field="type", tag="recovery.complete"):
    """Since the login everything that REST knows has been published once: every command goes out."""

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
    """From `fromMs` on, pushes may be missing, until `gap.closed` follows."""

    at: At
    gap_id: GapId
    from_ms: FromMs
    cause: Cause
    detail: Detail


class GapClosed(Struct, frozen=True, rename="camel", tag_field="type", tag="gap.closed"):
    """What the venue still knows of a gap has been published; `lost` says what it does not know.

    Pushes may have been missed between `fromMs` and `toMs`. A recovered row from outside of it makes the gap longer.
    """

    at: At
    gap_id: GapId
    from_ms: FromMs
    to_ms: Annotated[
        UnixMs,
        Meta(
            description=(
                "The end of the gap: the login after it. If pushes were missed and the session goes on, the time at "
                "which the gap was opened. A recovered row with a later time moves the end to that time."
            )
        ),
    ]
    cause: Cause
    recovered: Recovered
    lost: Annotated[tuple[Lost, ...], Meta(description="What the venue does not know any more.")]


class AlarmRaised(Struct, frozen=True, rename="camel", omit_defaults=True, tag_field="type", tag="alarm.raised"):
    """A problem for a person to look at."""

    at: At
    alarm: Alarm
    detail: Detail
    subject: Subject = ""


class AlarmCleared(Struct, frozen=True, rename="camel", omit_defaults=True, tag_field="type", tag="alarm.cleared"):
    """The condition of an alarm has ended.

    Alarms about a single occurrence have no end. Alarms of an earlier epoch end with `owner.acquired`: the new owner
    raises again what still holds.
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

"""Results: what the bridge answers on the `results` topic, one terminal result for every command."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from bridge.contract.enums import DocumentedEnum, ExtensibleEnum
from bridge.contract.units import INT64, Epoch, UnixMs


class Outcome(DocumentedEnum):
    """What became of a command. Every outcome but `unknown` is terminal."""

    ACCEPTED = (
        "accepted",
        (
            "The venue acked it, or its order shows it, then without a `code`; the order's life goes on in `orders`. "
            "Of a cancel_orders: done as far as could be; `message` counts what is left."
        ),
    )
    REJECTED = "rejected", "The venue refused it with a definitive code."
    DENIED = "denied", "The bridge refused it; it was not sent. `reason` says why."
    EXPIRED = "expired", "Its validity passed; it was not sent."
    SUPERSEDED = (
        "superseded",
        "A cancel made it pointless; it was not sent. Of the cancel itself: the order had not been sent, and is not.",
    )
    NOT_FOUND = (
        "not_found",
        (
            "It was in doubt and did not happen: the venue, asked for as long as it could still land, knows no such "
            "order; or, of a cancel or replace, the order ended otherwise, as `message` and `orders` say."
        ),
    )
    UNKNOWN = "unknown", "Not terminal: written to the socket, its fate not known yet, being resolved."

    @property
    def terminal(self) -> bool:
        """Whether this is the command's last word."""
        return self is not Outcome.UNKNOWN

    @property
    def unsent(self) -> bool:
        """Whether it says that the bridge decided by itself and did not send the command."""
        return self in _UNSENT


_UNSENT: Final = frozenset({Outcome.DENIED, Outcome.EXPIRED, Outcome.SUPERSEDED})


class Reason(ExtensibleEnum):
    """Why the bridge itself denied or dead-lettered a command."""

    BAD_SCHEMA = "bad_schema", "Not a command of this contract; `message` names the field."
    BAD_VALUE = "bad_value", "Fields that contradict each other, or a validity beyond the limit."
    CLIENT_ORDER_ID_IN_USE = (
        "client_order_id_in_use",
        "Another remembered command has this clientOrderId and was sent, or may still be.",
    )
    UNKNOWN_ORDER = "unknown_order", "A replace by a clientOrderId that neither the bridge nor the venue knows."
    LANE_FULL = "lane_full", "Too many commands wait already; try again after `retryAfterMs`."
    OVER_BUDGET = (
        "over_budget",
        "The rate limit would make it wait beyond its validity; try again after `retryAfterMs`.",
    )
    CLOCK_UNSURE = (
        "clock_unsure",
        (
            "The broker's clock, which decides what has expired, and the bridge's differ by more than `skew_bound_s`, "
            "so nobody can tell whether it is still valid; see the alarm `broker_clock_skew`."
        ),
    )
    MEMORY_FULL = (
        "memory_full",
        (
            "As many answers are remembered as may be: places and replaces are not taken, and this refusal is not "
            "remembered, so the same commandId may be submitted again, later."
        ),
    )
    TRANSACTIONAL = (
        "transactional",
        "Written in a Kafka transaction, which may be aborted after the bridge has read it; write it without one.",
    )
    TOO_LARGE = "too_large", "Larger than a command may be, or than the claims can hold."
    NO_COMMAND_ID = "no_command_id", "Dead letters only: nothing to answer under."
    NOT_JSON = "not_json", "Dead letters only: the value is not a JSON object in UTF-8."
    TOMBSTONE = "tombstone", "Dead letters only: the record has no value."
    UNREADABLE = (
        "unreadable",
        "Dead letters only: no client can decode the record, or its batch; `message` names the offsets.",
    )
    ID_CONFLICT = "id_conflict", "Dead letters only: the commandId was used before with another body."


class Result(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One answer to one command; fields that do not apply are absent."""

    command_id: Annotated[str, Meta(description="The command that is answered.")]
    command_offset: Annotated[
        int, Meta(description="The command record's offset on `commands`.", extra_json_schema=INT64)
    ]
    outcome: Outcome
    answered_at: Annotated[UnixMs, Meta(description="When the bridge said it, Unix milliseconds.")]
    action: (
        Annotated[
            str, Meta(description="The command's action; absent where it could not be read.", examples=["place_order"])
        ]
        | None
    ) = None
    code: (
        Annotated[int, Meta(description="The venue's code (LTP docs, Error Codes).", extra_json_schema=INT64)] | None
    ) = None
    message: (
        Annotated[str, Meta(description="The venue's words, or the bridge's where the bridge decided; for people.")]
        | None
    ) = None
    reason: Reason | None = None
    retry_after_ms: (
        Annotated[
            int, Meta(description="After how many milliseconds a new command may be taken.", extra_json_schema=INT64)
        ]
        | None
    ) = None
    order_id: (
        Annotated[
            str,
            Meta(
                description="The venue's order id. A replace may give the order another one; the clientOrderId stays."
            ),
        ]
        | None
    ) = None
    client_order_id: (
        Annotated[str, Meta(description="The order's clientOrderId, given or derived from the commandId.")] | None
    ) = None
    body_digest: (
        Annotated[
            str,
            Meta(
                description="Names action and arguments (or, where they could not be read, the bytes): the same "
                "commandId may be submitted again with the same digest, never with another."
            ),
        ]
        | None
    ) = None
    sent_at: Annotated[UnixMs, Meta(description="When it was first written to the venue, Unix ms.")] | None = None
    order_qty: (
        Annotated[
            str,
            Meta(
                description="The order's quantity, where the venue shows another one than a place asked for: rounded "
                "to its lot, or amended since."
            ),
        ]
        | None
    ) = None
    repeated: Annotated[
        bool,
        Meta(
            description="True where the commandId had been used before for the same command: this is the answer to "
            "that one, and nothing was done for this record. What is to be done anew needs a fresh commandId."
        ),
    ] = False


class Takeover(Struct, frozen=True, rename="camel", omit_defaults=True):
    """An owner begins its term; results of a lower epoch that follow are void. Key: the account."""

    epoch: Epoch
    instance: Annotated[str, Meta(description="The process that owns the account: host name and process id.")]
    at: Annotated[UnixMs, Meta(description="When the bridge said it, Unix milliseconds.")]
    environment: Annotated[str, Meta(description="The environment of its settings.")] | None = None
    key_fingerprint: (
        Annotated[
            str,
            Meta(description="A short digest of the API key, from which the key cannot be told; it names the account."),
        ]
        | None
    ) = None

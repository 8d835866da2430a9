"""Results: the answers of the bridge on the `results` topic, one terminal result for every command."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from bridge.contract.enums import DocumentedEnum, ExtensibleEnum
from bridge.contract.units import INT64, Epoch, UnixMs


class Outcome(DocumentedEnum):
    """The outcome of a command. Every outcome but `unknown` is terminal."""

    ACCEPTED = (
        "accepted",
        (
            "The venue acked the command, or the order shows its effect; then there is no `code`. Later states of the "
            "order are on `orders`. For a cancel_orders: done as far as possible; `message` counts the orders left."
        ),
    )
    REJECTED = "rejected", "The venue refused the command with a definitive code."
    DENIED = "denied", "The bridge refused the command and did not send it. `reason` says why."
    EXPIRED = "expired", "The validity of the command passed; the bridge did not send it."
    SUPERSEDED = (
        "superseded",
        (
            "A cancel made the command pointless; the bridge did not send it. For the cancel itself: the bridge had "
            "not yet sent the order, and does not send it."
        ),
    )
    NOT_FOUND = (
        "not_found",
        (
            "The command was in doubt and had no effect. The bridge queried the venue until the command could no "
            "longer take effect, and the venue knows no such order. For a cancel or replace also: the order ended in "
            "another way, as `message` and `orders` say."
        ),
    )
    UNKNOWN = (
        "unknown",
        (
            "Not terminal: the bridge wrote the command to the socket, does not know the outcome yet, and queries the "
            "venue."
        ),
    )

    @property
    def terminal(self) -> bool:
        """Whether this ends the command: no other result follows."""
        return self is not Outcome.UNKNOWN

    @property
    def unsent(self) -> bool:
        """Whether it means that the bridge did not send the command."""
        return self in _UNSENT


_UNSENT: Final = frozenset({Outcome.DENIED, Outcome.EXPIRED, Outcome.SUPERSEDED})


class Reason(ExtensibleEnum):
    """Why the bridge denied a command or made it a dead letter."""

    BAD_SCHEMA = "bad_schema", "The record is not a command of this contract; `message` names the field."
    BAD_VALUE = "bad_value", "Fields contradict each other, or the validity is beyond the limit."
    CLIENT_ORDER_ID_IN_USE = (
        "client_order_id_in_use",
        "Another command that the bridge remembers has this clientOrderId and was sent, or may still be.",
    )
    UNKNOWN_ORDER = "unknown_order", "A replace names a clientOrderId that neither the bridge nor the venue knows."
    LANE_FULL = "lane_full", "Too many commands are waiting; try again after `retryAfterMs`."
    OVER_BUDGET = (
        "over_budget",
        "The rate limit would make the command wait beyond its validity; try again after `retryAfterMs`.",
    )
    CLOCK_UNSURE = (
        "clock_unsure",
        (
            "The broker's clock decides what has expired. It differs from the bridge's clock by more than "
            "`skew_bound_s`, so the bridge cannot know whether the command is still valid; see the alarm "
            "`broker_clock_skew`."
        ),
    )
    MEMORY_FULL = (
        "memory_full",
        (
            "The memory for answers is full: the bridge takes no places and replaces. It does not remember this "
            "denial, so the same command may be submitted again later."
        ),
    )
    TRANSACTIONAL = (
        "transactional",
        (
            "The command was written in a Kafka transaction, which may be aborted after the bridge has read it; write "
            "commands without transactions."
        ),
    )
    TOO_LARGE = "too_large", "The command is larger than allowed, or larger than the committed claims can hold."
    NO_COMMAND_ID = "no_command_id", "Dead letters only: the record has no commandId, so there can be no result."
    NOT_JSON = "not_json", "Dead letters only: the value is not a JSON object in UTF-8."
    TOMBSTONE = "tombstone", "Dead letters only: the record has no value."
    UNREADABLE = (
        "unreadable",
        "Dead letters only: the record or its batch cannot be decoded; `message` names the offsets.",
    )
    ID_CONFLICT = "id_conflict", "Dead letters only: an earlier command with another body has this commandId."


class Result(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One answer to one command. Fields that do not apply are absent."""

    command_id: Annotated[str, Meta(description="The commandId of the command.")]
    command_offset: Annotated[
        int, Meta(description="The command record's offset on `commands`.", extra_json_schema=INT64)
    ]
    outcome: Outcome
    answered_at: Annotated[UnixMs, Meta(description="When the bridge wrote it, Unix milliseconds.")]
    action: (
        Annotated[
            str, Meta(description="The command's action; absent if it could not be read.", examples=["place_order"])
        ]
        | None
    ) = None
    code: (
        Annotated[int, Meta(description="The venue's code (LTP docs, Error Codes).", extra_json_schema=INT64)] | None
    ) = None
    message: (
        Annotated[
            str, Meta(description="A text for people: the venue's message, or the bridge's if the bridge decided.")
        ]
        | None
    ) = None
    reason: Reason | None = None
    retry_after_ms: (
        Annotated[
            int,
            Meta(description="After how many milliseconds the bridge may take a new command.", extra_json_schema=INT64),
        ]
        | None
    ) = None
    order_id: (
        Annotated[
            str,
            Meta(description="The venue's order id. A replace may change it; the clientOrderId stays."),
        ]
        | None
    ) = None
    client_order_id: (
        Annotated[str, Meta(description="The order's clientOrderId, from the caller or derived from the commandId.")]
        | None
    ) = None
    body_digest: (
        Annotated[
            str,
            Meta(
                description="A digest of action and arguments, or of the bytes if they could not be read. A commandId "
                "may be submitted again with the same digest, never with another."
            ),
        ]
        | None
    ) = None
    sent_at: (
        Annotated[UnixMs, Meta(description="When the bridge first wrote the command to the venue, Unix ms.")] | None
    ) = None
    order_qty: (
        Annotated[
            str,
            Meta(
                description="The order's quantity, if the venue shows another one than the place asked for: the venue "
                "rounded it to a lot, or it was amended since."
            ),
        ]
        | None
    ) = None
    repeated: Annotated[
        bool,
        Meta(
            description="True if the same command was submitted before: this is the answer to the first one, and the "
            "bridge did nothing for this record. To do it again, use a fresh commandId."
        ),
    ] = False


class Takeover(Struct, frozen=True, rename="camel", omit_defaults=True):
    """An owner begins its term; results with a lower epoch after this record are void. Key: the account."""

    epoch: Epoch
    instance: Annotated[
        str, Meta(description="The owner: the setting `instance` of its process, or host name and process id.")
    ]
    at: Annotated[UnixMs, Meta(description="When the bridge wrote it, Unix milliseconds.")]
    environment: Annotated[str, Meta(description="The environment in the owner's settings.")] | None = None
    key_fingerprint: (
        Annotated[
            str,
            Meta(
                description="A short digest of the API key, which does not reveal the key; it identifies the account."
            ),
        ]
        | None
    ) = None

"""Results: what the bridge answers on the `results` topic, one terminal result for every command."""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class Outcome(StrEnum):
    """What became of a command. Every outcome but `unknown` is terminal."""

    ACCEPTED = "accepted"
    """The venue acked it; the order's life goes on in `orders`."""
    REJECTED = "rejected"
    """The venue refused it with a definitive code."""
    DENIED = "denied"
    """The bridge refused it; it was not sent. `reason` says why."""
    EXPIRED = "expired"
    """Its validity passed; it was not sent."""
    SUPERSEDED = "superseded"
    """A cancel made it pointless; it was not sent."""
    NOT_FOUND = "not_found"
    """It was in doubt, the venue was asked for as long as it could still land, and knows nothing of it."""
    UNKNOWN = "unknown"
    """Not terminal: written to the socket, its fate not known yet, being resolved."""

    @property
    def terminal(self) -> bool:
        """Whether this is the command's last word."""
        return self is not Outcome.UNKNOWN

    @property
    def unsent(self) -> bool:
        """Whether it says that the bridge decided by itself and did not send the command."""
        return self in _UNSENT


_UNSENT: Final = frozenset({Outcome.DENIED, Outcome.EXPIRED, Outcome.SUPERSEDED})


class Reason(StrEnum):
    """Why the bridge itself denied or dead-lettered a command."""

    BAD_SCHEMA = "bad_schema"
    """Not a command of this contract; `message` names the field."""
    BAD_VALUE = "bad_value"
    """Fields that contradict each other, or a validity beyond the limit."""
    CLIENT_ORDER_ID_IN_USE = "client_order_id_in_use"
    """Another remembered command has this clientOrderId and was sent, or may still be."""
    UNKNOWN_ORDER = "unknown_order"
    """A replace by a clientOrderId that neither the bridge nor the venue knows."""
    LANE_FULL = "lane_full"
    """Too many commands wait already; try again after `retryAfterMs`."""
    OVER_BUDGET = "over_budget"
    """The rate limit would make it wait beyond its validity; try again after `retryAfterMs`."""
    TOO_LARGE = "too_large"
    """Larger than a command may be, or than the claims can hold."""
    NO_COMMAND_ID = "no_command_id"
    """Dead letters only: nothing to answer under."""
    NOT_JSON = "not_json"
    """Dead letters only: the value is not a JSON object in UTF-8."""
    TOMBSTONE = "tombstone"
    """Dead letters only: the record has no value."""
    ID_CONFLICT = "id_conflict"
    """Dead letters only: the commandId was used before with another body."""


class Result(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One answer to one command. Times are Unix milliseconds; fields that do not apply are absent.

    `commandOffset` is the record's offset on `commands`. `code` is the venue's, `message` its words, or the bridge's
    where the bridge decided. `bodyDigest` names action and arguments: the same commandId may be submitted again with
    the same digest, never with another.
    """

    command_id: str
    command_offset: int
    outcome: Outcome
    answered_at: int
    action: str | None = None
    code: int | None = None
    message: str | None = None
    reason: Reason | None = None
    retry_after_ms: int | None = None
    order_id: str | None = None
    client_order_id: str | None = None
    body_digest: str | None = None
    sent_at: int | None = None


class Takeover(Struct, frozen=True, rename="camel"):
    """An owner begins its term; results of a lower epoch that follow are void. Key: the account."""

    epoch: int
    instance: str
    at: int

"""The outcome of an action, and the failures at the exchange that may follow it."""

from dataclasses import dataclass, field
from enum import StrEnum

from bridge.sandbox.venue.codes import SUCCESS, TEXTS
from bridge.sandbox.venue.ledger import VenuePush


class ExchangeFailure(StrEnum):
    """A failure at the exchange after the venue has accepted an action."""

    REJECT_ORDER = "reject_order"  # the placed order ends in REJECT
    FAIL_CANCEL = "fail_cancel"  # the cancel ends in CANCEL_FAILED, the order lives on
    FAIL_AMEND = "fail_amend"  # the replace ends in AMEND_FAILED, the order lives on unchanged
    KILL_ON_AMEND = "kill_on_amend"  # the replace fails and the order is gone (LTP docs, Replace Order)
    REPLACE_BY_NEW_ORDER = "replace_by_new_order"  # the order ends, another opens under its clientOrderId


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """The venue's answer to an action, and the pushes that follow from it."""

    code: int = SUCCESS
    message: str = TEXTS[SUCCESS]
    data: dict[str, object] | None = None
    events: list[VenuePush] = field(default_factory=list)

    @property
    def is_success(self) -> bool:
        """Return whether the venue accepted the action."""
        return self.code == SUCCESS

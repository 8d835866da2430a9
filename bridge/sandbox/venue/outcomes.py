"""What the venue says to an action, and what may go wrong with it afterwards."""

from dataclasses import dataclass, field
from enum import StrEnum

from bridge.sandbox.venue.codes import SUCCESS, TEXTS
from bridge.sandbox.venue.ledger import VenuePush


class ExchangeFailure(StrEnum):
    """What can go wrong at the exchange after the venue has said yes."""

    REJECT_ORDER = "reject_order"  # the placed order ends in REJECT
    FAIL_CANCEL = "fail_cancel"  # the cancel ends in CANCEL_FAILED, the order lives on
    FAIL_AMEND = "fail_amend"  # the replace ends in AMEND_FAILED, the order lives on unchanged
    KILL_ON_AMEND = "kill_on_amend"  # the replace fails and the order is gone (LTP docs, Replace Order)
    REPLACE_BY_NEW_ORDER = "replace_by_new_order"  # the order ends, another opens under its clientOrderId


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """The venue's answer to an action, and what it has to tell because of it."""

    code: int = SUCCESS
    message: str = TEXTS[SUCCESS]
    data: dict[str, object] | None = None
    events: list[VenuePush] = field(default_factory=list)

    @property
    def is_success(self) -> bool:
        """Tell whether the venue said yes."""
        return self.code == SUCCESS

"""States of the venue's orders, and how far an order is in a snapshot."""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from bridge.contract.pushes import Amount, Text
from bridge.core.odd_fields import parse_time_ms, read_quantity

TERMINAL: Final = frozenset({"FILLED", "CANCELLED", "REJECT", "FAIL", "EXPIRED"})
"""States that an order never leaves (LTP docs, Enum Definitions; EXPIRED was seen)."""
LIVE: Final = frozenset({"NEW", "OPEN", "PARTIALLY_FILLED"})
"""States of an order that may still be executed."""
CONCLUDED_END: Final = "EXPIRED"
"""The state of an order whose end the venue does not report; a later push may show that the order is still open."""
_CANONICAL: Final = LIVE | TERMINAL
_SYNONYMS: Final = {"CANCELED": "CANCELLED", "REJECTED": "REJECT", "FAILED": "FAIL"}
_STAGES: Final = {"NEW": 0, "PARTIALLY_FILLED": 2}
_OTHER_STAGE: Final = 1


def canonical_state(state: str) -> str:
    """Write a state in one way: the venue's documents, REST and stream do not agree on case and spelling."""
    if state in _CANONICAL:
        return state
    upper = state.strip().upper()
    return _SYNONYMS.get(upper, upper)


class Progress(Struct, frozen=True, order=True, gc=False, array_like=True):
    """How far an order is in a snapshot; the later of two snapshots compares greater.

    An order that has ended does not become live again, and its executed quantity never falls. Among equals the time
    decides, and among equal times the state (LTP docs, Order States).
    """

    ended: bool
    executed: Decimal
    time_ms: int
    stage: int

    @property
    def without_time(self) -> tuple[bool, Decimal]:
        """What needs no time: whether the order has ended, and what was executed."""
        return self.ended, self.executed

    def dated(self, time_ms: int) -> "Progress":
        """Return the same progress at another time."""
        return Progress(self.ended, self.executed, time_ms, self.stage)


NO_PROGRESS: Final = Progress(ended=False, executed=Decimal(0), time_ms=0, stage=0)


def progress_of(state: str, executed_qty: Amount | None, update_at: Text | None) -> Progress:
    """Return how far an order is in a snapshot of a canonical state. An unknown state counts as live."""
    executed = NO_PROGRESS.executed if executed_qty == "0" else read_quantity(executed_qty)
    return Progress(
        state in TERMINAL,
        NO_PROGRESS.executed if executed is None else executed,
        parse_time_ms(update_at),
        _STAGES.get(state, _OTHER_STAGE),
    )


def contradicts_end(progress: Progress, concluded: Progress) -> bool:
    """Whether a later snapshot shows an order live after the bridge has concluded its end."""
    return not progress.ended and progress.time_ms > concluded.time_ms and progress.executed >= concluded.executed

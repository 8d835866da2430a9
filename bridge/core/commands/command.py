"""One command on its way: what was asked, and where it stands."""

from math import inf
from typing import Final

from msgspec import Struct, field

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE, derive_client_order_id
from bridge.contract.headers import Headers
from bridge.contract.results import Outcome
from bridge.core.commands.states import IN_FLIGHT, CommandEvent, CommandState, step
from bridge.core.orders import Order

ACTIONS: Final = (CANCEL_ALL, CANCEL, REPLACE, PLACE)
"""By urgency, most urgent first."""
_EVERYTHING: Final = "ALL"
SAFE_TO_REPEAT: Final = frozenset({CANCEL})
"""May be written more than once, and so needs no claim."""


class Resubmission(Struct, frozen=True):
    """A record that submits a command again, and the headers that its result carries back."""

    offset: int
    timestamp_ms: int
    correlation_headers: Headers


class SingleCancels(Struct):
    """How far a cancel_orders is that is carried out, or finished, by single cancels; orders by orderId."""

    answer_was_lost: bool = True
    order_ids: set[str] = field(default_factory=set)
    """The orders that were to be ended for it."""
    open_order_ids: set[str] = field(default_factory=set)
    """Those that are still open."""
    is_list_known: bool = False
    """Whether the venue has told its whole list since it was begun."""


class TrackedCommand(Struct, eq=False):
    """A command between its record and its durable result.

    Times are Unix ms or, with `_boot_s`, seconds of the boot clock; `args` go to the venue as they stand. The field
    groups are those of the command's stages: what was asked, its queue, its requests, what is known without an answer.
    """

    offset: int
    timestamp_ms: int
    command_id: str
    action: str
    args: dict[str, str]
    deadline_boot_s: float
    digest: str
    correlation_headers: Headers
    client_order_id: str | None = None
    order_id: str | None = None
    exchange: str | None = None
    """BINANCE, OKX or EDX; ALL for a cancel_orders of every exchange; None when the order is not known."""
    state: CommandState = CommandState.QUEUED
    outcome: Outcome | None = None
    """Its terminal outcome, once that is published."""
    resubmissions: list[Resubmission] = field(default_factory=list)
    """Records that ask for the same and wait for its result."""

    order_key: str | None = None
    """The name under which all commands of its order meet."""
    queue_position: int = 0
    """Its place among all that ever stood in a lane."""
    is_waiting: bool = False
    """Whether it counts among what waits in its lane."""
    is_repeat_queued: bool = False
    awaits_order_lookup: bool = False
    """Whether a replace waits until the venue was asked for its order."""
    is_superseded: bool = False
    """A later cancel_orders ends it: it is not written, and answered as soon as there is time."""

    maybe_written_before: bool = False
    """Whether an earlier owner may have written it."""
    attempts: int = 0
    request_id: str | None = None
    """The id of its last request."""
    awaits_ack: bool = False
    """Whether an ack of that request is still expected in time."""
    written_boot_s: float = 0.0
    sent_at_ms: int | None = None
    first_written_boot_s: float | None = None
    """When this owner first wrote it; None where an earlier one may have before."""
    order_before_write: Order | None = None
    """What was known of its order when it was written."""
    order_names: tuple[str, ...] = ()
    """Every name of its order by which it is found since it was written."""
    is_redirected: bool = False
    """Whether a replace has given its order another orderId than it names: `order_id`."""
    rate_refusal: tuple[int, str] | None = None
    """Code and words of the venue's last answer, when that was that requests come too often."""
    refused_count: int = 0
    """How many of its requests the venue has certainly refused."""
    last_refusal: tuple[int, str] | None = None
    """Code and words of the last refusal, while that does not prove what became of the command."""
    general_failure: tuple[int, str, float] | None = None
    """Code, words and time (boot s) of the venue's answer that something failed, without saying what."""

    unknown_at_ms: int | None = None
    earlier_write_boot_s: float = 0.0
    """When an earlier owner may last have written it."""
    is_query_advanced: bool = False
    """Whether a repeat was refused, so that the venue is asked at once what the first request has done."""
    next_query_boot_s: float = inf
    query_pause_s: float = 0.0
    single_cancels: SingleCancels | None = None
    executed_order_id: str | None = None
    """The orderId of an execution that was seen before the answer to a place."""
    actual_quantity: str | None = None
    """The quantity of its order, where that is another than it asked for."""

    @property
    def last_write_boot_s(self) -> float:
        """When it was last written, or may last have been by an earlier owner."""
        return self.written_boot_s or self.earlier_write_boot_s

    @property
    def is_queried(self) -> bool:
        """Whether the venue is asked what became of it."""
        return self.next_query_boot_s < inf and self.state in IN_FLIGHT

    @property
    def is_certainly_refused(self) -> bool:
        """Whether the venue has certainly refused every request of it that may have reached it."""
        return self.refused_count == self.attempts and not self.maybe_written_before

    @property
    def has_derived_client_order_id(self) -> bool:
        """Whether its clientOrderId is derived from its commandId: no other program makes an order of that name."""
        return self.client_order_id == derive_client_order_id(self.command_id)

    def step(self, event: CommandEvent) -> None:
        """Move on by the table of lives. Raises IllegalTransition for what cannot happen."""
        self.state = step(self.state, event)


def in_scope(scope: str | None, exchange: str | None) -> bool:
    """Whether a cancel_orders of this scope ends orders of an exchange."""
    return scope in {_EVERYTHING, exchange}


def wire_args(command: TrackedCommand) -> dict[str, str]:
    """Return the arguments as the venue wants them.

    A replace goes by orderId alone, the one name that every source agrees on, and so does a cancel of an order that a
    replace has given another orderId; a cancel_orders of ALL names no exchange (LTP docs, Replace Order and Cancel
    Orders).
    """
    if command.action == REPLACE:
        rest = {name: value for name, value in command.args.items() if name not in {"orderId", "clientOrderId"}}
        return {"orderId": command.order_id or "", **rest}
    if command.action == CANCEL and command.is_redirected:
        return {"orderId": command.order_id or ""}
    if command.action == CANCEL_ALL and command.exchange == _EVERYTHING:
        return {}
    return command.args

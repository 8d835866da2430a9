"""One command of the commands topic, from its record to its durable result."""

from math import inf
from typing import Final

from msgspec import Struct, field

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE, derive_client_order_id
from bridge.contract.headers import Headers
from bridge.contract.results import Outcome
from bridge.core.commands.states import IN_FLIGHT, CommandEvent, CommandState, step
from bridge.core.now import Now
from bridge.core.orders import Order

ACTIONS: Final = (CANCEL_ALL, CANCEL, REPLACE, PLACE)
"""By urgency, most urgent first."""
ADDS_RISK: Final = frozenset({PLACE, REPLACE})
"""Actions that make an order or change one: a cancel_orders supersedes those that are unsent."""
NAMES_AN_ORDER: Final = frozenset({REPLACE, CANCEL})
"""Actions on one order that a place has made."""
REDUCES_RISK: Final = frozenset({CANCEL, CANCEL_ALL})
_EVERYTHING: Final = "ALL"
SAFE_TO_REPEAT: Final = frozenset({CANCEL})
"""Actions that are written again although an earlier request may have had an effect; so they need no claim.

A cancel_orders is not one of them: it is written again only after the venue refused it for its rate, without effect.
"""


class Resubmission(Struct, frozen=True):
    """A record that submits a command again, and the headers that its result gets from it."""

    offset: int
    timestamp_ms: int
    correlation_headers: Headers


class SingleCancels(Struct):
    """How far a cancel_orders is that is carried out, or finished, by single cancels."""

    answer_was_lost: bool = True
    order_ids: set[str] = field(default_factory=set)
    """The orderIds of the orders that are to be cancelled for it."""
    open_order_ids: set[str] = field(default_factory=set)
    """The orderIds of those that are still open."""
    is_list_known: bool = False
    """Whether the venue's whole list of open orders was received since it was begun."""


class TrackedCommand(Struct, eq=False):
    """A command between its record and its durable result.

    Times are Unix ms or, with `_boot_s`, seconds of the boot clock. The fields are in groups: the record and the state;
    the queue; the requests; what is known of an unknown outcome.
    """

    offset: int
    timestamp_ms: int
    command_id: str
    action: str
    args: dict[str, str]
    """The arguments for the venue."""
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
    """Records that submit it again and wait for its result."""

    read_boot_s: float = 0.0
    """When this owner read its record."""
    claimed_boot_s: float = 0.0
    """When the commit that claims it was acknowledged; 0 before that, and for a cancel."""
    order_key: str | None = None
    """The name under which all commands of its order meet."""
    queue_position: int = 0
    """Its number among all commands that were ever put into a lane."""
    is_waiting: bool = False
    """Whether its lane counts it as waiting."""
    is_repeat_queued: bool = False
    awaits_order_lookup: bool = False
    """Whether a replace waits until its order was looked up at the venue."""
    is_superseded: bool = False
    """Whether a later cancel_orders has ended it: it is not written, and its result is still to be published."""

    maybe_written_before: bool = False
    """Whether an earlier owner may have written it."""
    attempts: int = 0
    request_id: str | None = None
    """The id of its last request."""
    awaits_ack: bool = False
    """Whether an ack of that request may still come in time."""
    written_boot_s: float = 0.0
    sent_at_ms: int | None = None
    first_written_boot_s: float | None = None
    """When this owner first wrote it; None if an earlier owner may have written it before."""
    order_before_write: Order | None = None
    """What was known of its order before it was first written."""
    order_names: tuple[str, ...] = ()
    """The names of its order by which the table finds it since it was written."""
    is_redirected: bool = False
    """Whether `order_id` is the orderId that a replace has given its order, and not the one that it names."""
    rate_refusal: tuple[int, str] | None = None
    """Code and message of the last refusal for its rate."""
    refused_count: int = 0
    """How many of its requests the venue has refused for certain."""
    last_refusal: tuple[int, str] | None = None
    """Code and message of the last refusal, while that does not prove the outcome."""
    general_failure: tuple[int, str, float] | None = None
    """Code, message and time (boot s) of an ack that says that something failed, and not what."""

    unknown_at_ms: int | None = None
    """When it was published that its outcome is unknown."""
    earlier_write_boot_s: float = 0.0
    """When an earlier owner may last have written it."""
    is_query_advanced: bool = False
    """Whether a refused repeat or a general failure has made a query due at once."""
    next_query_boot_s: float = inf
    """When the venue is asked about it next; infinity before it is unknown."""
    query_pause_s: float = 0.0
    single_cancels: SingleCancels | None = None
    executed_order_id: str | None = None
    """The orderId of an execution of a place that was seen before its ack."""
    actual_quantity: str | None = None
    """The quantity of its order, if that is another than it asked for."""

    @property
    def last_write_boot_s(self) -> float:
        """When this owner last wrote it, or else when an earlier owner may last have written it."""
        return self.written_boot_s or self.earlier_write_boot_s

    @property
    def slot_key(self) -> object:
        """The key of the slot of its next request."""
        return (self.offset, self.attempts) if self.action in SAFE_TO_REPEAT else self.offset

    @property
    def is_queried(self) -> bool:
        """Whether the venue is asked about it."""
        return self.next_query_boot_s < inf and self.state in IN_FLIGHT

    @property
    def is_certainly_refused(self) -> bool:
        """Whether the venue has refused for certain every request of it that may have reached the venue."""
        return self.refused_count == self.attempts and not self.maybe_written_before

    @property
    def has_derived_client_order_id(self) -> bool:
        """Whether its clientOrderId is derived from its commandId: no other program makes an order of that name."""
        return self.client_order_id == derive_client_order_id(self.command_id)

    def measure_stages(self, now: Now) -> dict[str, float]:
        """Return how long each stage of it took, in s, if its result is published now; `read` counts from its append.

        The append has the broker's clock, so what counts from it may be wrong by as much as the clocks differ.
        """
        stages = {"read": (now.unix_ms(self.read_boot_s) - self.timestamp_ms) / 1000}
        begun_boot_s = self.read_boot_s
        if self.claimed_boot_s:
            stages["claim"] = self.claimed_boot_s - begun_boot_s
            begun_boot_s = self.claimed_boot_s
        if self.first_written_boot_s is not None:
            stages["write"] = self.first_written_boot_s - begun_boot_s
            stages["answer"] = now.boot_s - self.first_written_boot_s
        stages["total"] = (now.wall_ms - self.timestamp_ms) / 1000
        return stages

    def step(self, event: CommandEvent) -> None:
        """Change its state by an event. Raises IllegalTransition for one that the table of states does not hold."""
        self.state = step(self.state, event)


def in_scope(scope: str | None, exchange: str | None) -> bool:
    """Whether a cancel_orders of a scope ends orders of an exchange."""
    return scope in {_EVERYTHING, exchange}


def wire_args(command: TrackedCommand) -> dict[str, str]:
    """Return the arguments as the venue wants them.

    A replace names its order by orderId alone, on which all documents agree, and so does a cancel of an order that has
    got another orderId by a replace. A cancel_orders of ALL names no exchange (LTP docs, Replace Order and Cancel
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

"""The parts of one account, wired: the only place where commands, requests in flight and the stream meet."""

from bridge.config import Limits, Timing
from bridge.contract.pushes import OrderPush, TradePush
from bridge.core.clocks import Clocks
from bridge.core.commands.claims import Claims, TermStart
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.dedupe_index import DedupeIndex
from bridge.core.commands.dispatch import Dispatcher
from bridge.core.commands.intake import CommandIntake
from bridge.core.commands.rate_limits import RateLimits
from bridge.core.commands.reading_delay import ReadingDelay
from bridge.core.commands.results import Results
from bridge.core.commands.term_state import TermState
from bridge.core.in_flight.bridge_cancels import BridgeCancels
from bridge.core.in_flight.late_orders import LateOrders
from bridge.core.in_flight.query_memory import QueryMemory
from bridge.core.in_flight.requests import InFlightRequests
from bridge.core.in_flight.unknown_commands import UnknownCommands
from bridge.core.now import Now
from bridge.core.orders import Orders
from bridge.core.outbox import Outbox
from bridge.core.skew import ClockReading
from bridge.core.stream.gaps import GapLedger
from bridge.core.stream.session_renewals import SessionRenewals
from bridge.core.stream.sweep_failures import SweepFailures
from bridge.core.stream.venue_stream import VenueStream
from bridge.core.topic_losses import TopicLosses


class AccountWings:
    """Everything that decides about one account during one term, each part with the others that it needs.

    `intake` takes commands in, `dispatcher` sends them, `in_flight` takes their acks, `unknown` finds out what became
    of those without one; `stream` publishes what the venue tells. `Account` has the methods that reach them.
    """

    _broker_reading: ClockReading | None = None
    """The last reading of the broker's clock that was compared with ours."""

    def __init__(
        self, outbox: Outbox, commands_topic: str, limits: Limits, timing: Timing, start: TermStart, *, now: Now
    ) -> None:
        self.epoch = epoch = start.epoch
        self.other_login_boot_s = start.other_login_boot_s
        self.outbox = outbox
        self._claims = Claims(start.offset, claims_lost_below=start.claims_lost_below, origin=start.origin)
        self.table = CommandTable()
        self._index = DedupeIndex(self.table, timing.horizon_s, limits.memory_bytes_max)
        self._rate_limits = RateLimits(limits, late_landing_s=timing.late_landing_s)
        self.alarms = outbox.alarms
        self.clocks = Clocks(self.alarms, now, skew_bound_s=timing.skew_bound_s, rest_lag_s=timing.rest_lag_s)
        self._orders = Orders(self.clocks.rest_lag_ms)
        term = TermState(
            epoch, outbox, self.table, self._index, self._claims, self._rate_limits, self._orders, self.clocks
        )
        self.results = Results(term, commands_topic)
        self.dispatcher = Dispatcher(term, limits, timing)
        self.bridge_cancels = BridgeCancels(self._rate_limits, epoch=epoch)
        self._late_orders = LateOrders(
            self.outbox,
            self.bridge_cancels,
            cancel=limits.late_landings == "cancel",
            rest_lag_ms=self.clocks.rest_lag_ms,
        )
        self.unknown = UnknownCommands(
            term,
            self.results,
            bridge_cancels=self.bridge_cancels,
            late_orders=self._late_orders,
            late_landing_s=timing.late_landing_s,
        )
        gaps = GapLedger(epoch, start.durable_until_ms)
        self.stream = VenueStream(outbox, self._orders, gaps, clocks=self.clocks, timing=timing, listener=self.unknown)
        self.topic_losses = TopicLosses(self.outbox, self.results, self.stream, claims=self._claims, epoch=epoch)
        self.in_flight = InFlightRequests(
            term, self.results, self.unknown, self._late_orders, alarms=self.alarms, ack_timeout_s=timing.ack_timeout_s
        )
        self.intake = CommandIntake(term, self.dispatcher, self.results, self.in_flight, limits=limits, timing=timing)
        self.reading_delay = ReadingDelay(self.alarms, self.clocks)
        self.query_memory = QueryMemory()
        self.sweep_failures = SweepFailures(self.alarms)
        self.session_renewals = SessionRenewals(self.alarms)
        self._timing = timing
        self._is_ending = False
        self._single_cancels = limits.cancel_orders == "single_cancels"
        self.first_sweep_done = False
        """Whether places, replaces and cancel_orders may be claimed and written.

        It is set when the first sweep since the login is durable. Before that REST was also asked about up to 50
        unknown commands; at the first query without an answer the rest are left to `StatusQueries.run`.
        """

    def on_order(self, push: OrderPush, now: Now) -> None:
        """Learn from a snapshot of an order that REST has."""
        self.unknown.on_order(self._orders.update(push), now)

    def on_trade(self, push: TradePush, now: Now) -> None:
        """Learn from an execution that REST has."""
        self.unknown.on_trade(push, now)

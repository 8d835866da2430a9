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
from bridge.core.in_flight.bridge_cancels import BridgeCancels
from bridge.core.in_flight.cancel_all import CancelAlls
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

    `intake` takes commands, `sending` lets them go, `settling` takes their answers, `doubts` finds out what became of
    those without one; `listening` publishes what the venue tells. They are reached through the methods of `Account`.
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
        self._windows = RateLimits(limits, late_landing_s=timing.late_landing_s)
        self.replies = Results(outbox, commands_topic, self._claims, self.table, self._index)
        self.alarms = outbox.alarms
        self.clocks = Clocks(self.alarms, now, skew_bound_s=timing.skew_bound_s, rest_lag_s=timing.rest_lag_s)
        self._orders = Orders(self.clocks.rest_lag_ms)
        gaps = GapLedger(epoch, start.durable_until_ms)
        self.listening = VenueStream(outbox, self._orders, gaps, clocks=self.clocks, timing=timing, listener=self)
        self.topic_losses = TopicLosses(self.outbox, self.replies, self.listening, claims=self._claims, epoch=epoch)
        self.sending = Dispatcher(
            self.table, self._windows, self._claims, self._orders, epoch=epoch, limits=limits, timing=timing
        )
        self.own_cancels = BridgeCancels(self._windows, epoch=epoch)
        self._late = LateOrders(
            self.outbox,
            self.own_cancels,
            cancel=limits.late_landings == "cancel",
            rest_lag_ms=self.clocks.rest_lag_ms,
        )
        self.doubts = UnknownCommands(
            self.table,
            self.replies,
            self._claims,
            self._orders,
            bridge_cancels=self.own_cancels,
            cancel_alls=CancelAlls(self.table, self._index, self._orders, self.own_cancels, self.clocks),
            late=self._late,
            clocks=self.clocks,
            late_landing_s=timing.late_landing_s,
        )
        self.settling = self._new_settling(timing)
        self.intake = CommandIntake(
            self.table,
            self._index,
            self._claims,
            self.sending,
            results=self.replies,
            outbox=self.outbox,
            rate_limits=self._windows,
            orders=self._orders,
            clocks=self.clocks,
            in_flight=self.settling,
            limits=limits,
            timing=timing,
        )
        self.reading_delay = ReadingDelay(self.alarms, self.clocks)
        self.query_memory = QueryMemory()
        self.sweep_failures = SweepFailures(self.alarms)
        self.session_renewals = SessionRenewals(self.alarms)
        self._timing = timing
        self._is_ending = False
        self._single_cancels = limits.cancel_orders == "single_cancels"
        self.recovered = False
        """Whether places may go: logged in, and what was live or in doubt has been asked for."""

    def _new_settling(self, timing: Timing) -> InFlightRequests:
        return InFlightRequests(
            self.table,
            self.replies,
            self._windows,
            self._orders,
            self.doubts,
            alarms=self.alarms,
            clocks=self.clocks,
            ack_timeout_s=timing.ack_timeout_s,
        )

    def on_order(self, push: OrderPush, now: Now) -> None:
        """Learn from a snapshot of an order, from the stream or from REST."""
        self.doubts.on_order(self._orders.update(push), now)

    def on_trade(self, push: TradePush, now: Now) -> None:
        """Learn from an execution, from the stream or from REST."""
        self.doubts.on_trade(push, now)

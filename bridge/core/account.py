"""One account's decisions, put together: the only place where the two streets meet."""

from collections.abc import Collection, Iterable

from msgspec import structs

from bridge.config import Limits, Timing
from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.pushes import OrderPush, TradePush
from bridge.contract.results import Outcome, Result
from bridge.contract.session import Cause, OwnerAcquired, OwnerReleased
from bridge.contract.topics import Stream
from bridge.core.alarms import ActiveAlarms
from bridge.core.clocks import Clocks
from bridge.core.commands.claims import Claims, Origin, TermStart
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.commit_delay import tell_commit_delay
from bridge.core.commands.dedupe_index import DedupeIndex
from bridge.core.commands.dispatch import Commit, Dispatcher
from bridge.core.commands.intake import CommandIntake
from bridge.core.commands.rate_limits import RateLimits
from bridge.core.commands.results import Results
from bridge.core.in_flight.bridge_cancels import BridgeCancels
from bridge.core.in_flight.cancel_all import CancelAlls
from bridge.core.in_flight.late_orders import LateOrders
from bridge.core.in_flight.requests import InFlightRequests
from bridge.core.in_flight.unknown_commands import UnknownCommands
from bridge.core.now import Now
from bridge.core.orders import Orders
from bridge.core.outbox import Outbox
from bridge.core.records import Answer, OutgoingRecord, Received
from bridge.core.stream.sweep import Sweep
from bridge.core.stream.venue_stream import VenueStream
from bridge.core.topic_losses import TopicLosses

_ACKS_OF_LATE_S = 60.0


class Account:
    """Everything one term of ownership decides about one account.

    `intake` takes commands, `sending` lets them go, `settling` takes their answers, `doubts` finds out what became of
    those without one; `listening` hears the venue; `publish` takes every record at once.
    """

    def __init__(
        self, outbox: Outbox, commands_topic: str, limits: Limits, timing: Timing, start: TermStart, *, now: Now
    ) -> None:
        self.epoch = epoch = start.epoch
        self.other_login_boot_s = start.other_login_boot_s
        self.outbox = outbox
        self._claims = Claims(start.offset, doubtful_below=start.doubtful_below, origin=start.origin)
        self.table = CommandTable()
        self._index = DedupeIndex(self.table, timing.horizon_s, limits.memory_bytes_max)
        self._windows = RateLimits(limits, late_landing_s=timing.late_landing_s)
        self.replies = Results(outbox, commands_topic, self._claims, self.table, self._index)
        self.alarms = ActiveAlarms(self.outbox.publish_session_event)
        self.clocks = Clocks(self.alarms, now, skew_bound_s=timing.skew_bound_s, rest_lag_s=timing.rest_lag_s)
        self._orders = Orders(self.clocks.rest_lag_ms)
        self.listening = self._new_listening(timing, start.durable_until_ms, now)
        self.topic_losses = TopicLosses(
            self.outbox, self.alarms, self.replies, self.listening, claims=self._claims, epoch=epoch
        )
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
        self.settling = InFlightRequests(
            self.table,
            self.replies,
            self._windows,
            self._orders,
            self.doubts,
            alarms=self.alarms,
            clocks=self.clocks,
            ack_timeout_s=timing.ack_timeout_s,
        )
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
        self._single_cancels = limits.cancel_orders == "single_cancels"
        self.recovered = False
        """Whether places may go: logged in, and what was live or in doubt has been asked for."""

    @property
    def origin(self) -> Origin:
        """What the commits of this term say about whose they are."""
        return self._claims.origin

    def key_accepted(self, fingerprint: str) -> None:
        """Note with which API key the venue has let us log in, for the commits to name; empty where it is not known."""
        self._claims.origin = structs.replace(
            self._claims.origin, key_fingerprint=fingerprint or self.origin.key_fingerprint
        )

    def _new_listening(self, timing: Timing, durable_until_ms: int, now: Now) -> VenueStream:
        return VenueStream(
            self.outbox,
            self._orders,
            self.on_order,
            self.on_trade,
            timing,
            clocks=self.clocks,
            epoch=self.epoch,
            durable_until_ms=durable_until_ms,
            alarms=self.alarms,
            now=now,
        )

    def restore(self, results: list[tuple[Result, int]], now: Now) -> None:
        """Remember what earlier owners answered: results with their record timestamps, oldest first."""
        clocks = self.clocks
        self._index.restore((result, clocks.appended_boot_s(stamp_ms, now)) for result, stamp_ms in results)
        self._windows.restore(results, clocks, now)
        self._late.restore(results)
        # Older orders have shown themselves on the orders topic, which is read too.
        for result, timestamp_ms in results:
            appended_boot_s = clocks.appended_boot_s(timestamp_ms, now)
            dated_ms = clocks.venue.read_at(appended_boot_s).latest
            if result.outcome is Outcome.ACCEPTED and result.action == REPLACE:
                self._orders.note_replace(result.order_id, dated_ms)
            if appended_boot_s < now.boot_s - _ACKS_OF_LATE_S:
                continue
            if result.outcome is Outcome.ACCEPTED and result.action in {PLACE, REPLACE}:
                self._orders.note_ack(result.order_id, result.client_order_id, None, dated_ms)

    def restore_extra_cancels(
        self, told: Iterable[tuple[int, int]], now: Now, *, in_good_order: bool
    ) -> tuple[tuple[int, int], ...]:
        """Take the slots of cancels that only the earlier owner's commits tell of; return what ours is to tell of.

        One that did not end in good order may have written some that no commit tells of.
        """
        self._windows.cancels.restore_extra(told, now.boot_s, in_good_order=in_good_order)
        return self._windows.cancels.extra.to_tell(now.boot_s)[0]

    def forget_offsets(self, command_ids: Iterable[str], now: Now) -> None:
        """Note which answered commands stand at no offset of `commands` as it is now."""
        self._index.forget_offsets(command_ids, now.boot_s)

    def begin(self, instance: str, now: Now, listen_from_ms: int | None = None) -> None:
        """Publish that this process owns the account; what was not durable before it is a gap.

        The very first owner has nothing before it, unless past executions are wanted from `listen_from_ms` on.
        """
        self.outbox.publish_session_event(OwnerAcquired(at=now.wall_ms, epoch=self.epoch, instance=instance))
        self.alarms.publish_again()
        self.listening.begin(now, listen_from_ms)

    def end(self, instance: str, now: Now) -> None:
        """Publish that this process gives the account up in good order."""
        self.outbox.publish_session_event(OwnerReleased(at=now.wall_ms, epoch=self.epoch, instance=instance))

    def on_durable(self, record: OutgoingRecord) -> None:
        """Note that the brokers have acknowledged a record of this term."""
        if record.answers_offset is not None:
            self.replies.result_durable(record.answers_offset)

    def on_frame(self, event: Received, now: Now) -> bool:
        """Take in what the venue sent; False for an answer that belongs to no request of ours."""
        if isinstance(event, Answer):
            if self.own_cancels.on_ack(event, now):
                self.settling.check_rate(CANCEL, event.code, now)
                return True
            if self.settling.on_ack(event, now):
                return True
            if event.push is None:
                return False
            event = event.push
        self.listening.on_frame(event, now)
        return True

    def on_order(self, push: OrderPush, now: Now) -> None:
        """Learn from a snapshot of an order, from the stream or from REST."""
        self.doubts.on_order(self._orders.update(push), now)

    def on_trade(self, push: TradePush, now: Now) -> None:
        """Learn from an execution, from the stream or from REST."""
        self.doubts.on_trade(push, now)

    def on_open_orders(self, listed: Iterable[str], asked_at: float, now: Now) -> None:
        """Learn the orderIds of the venue's whole list of open orders, which was asked for at `asked_at`.

        Its rows were learnt from before.
        """
        self.doubts.on_open_orders(listed, asked_at, now)

    def next_own_cancel(self, now: Now, *, ready: bool) -> tuple[str, dict[str, str]] | None:
        """Return id and arguments of a cancel that the bridge sends of its own accord, if one is to be written now."""
        return self.own_cancels.next_request(now) if ready and self.sending.may_write_cancels(now) else None

    def begin_single_cancels(self, command: TrackedCommand, now: Now) -> bool:
        """Begin a claimed cancel_orders without a message of its own, where that is the policy; False if it is not."""
        if command.action != CANCEL_ALL or not self._single_cancels:
            return False
        self.sending.begin_single_cancels(command, now)
        self.settling.begin_single_cancels(command, now)
        return True

    def recovery_complete(self, endpoint: str, open_orders: int, sweep: Sweep, took_ms: int, now: Now) -> None:
        """Note that what REST knows has been published once, and that every command may go."""
        self.recovered = True
        self.listening.recovery_complete(endpoint, open_orders, sweep, took_ms, now)

    def session_lost(self, endpoint: str, cause: Cause, detail: str, durable_ms: int, now: Now) -> None:
        """Note that the session is gone: what awaits an answer is in doubt, and from `durable_ms` on is a gap."""
        self.recovered = False
        self.settling.link_lost(now)
        self.own_cancels.link_lost()
        self.listening.session_lost(endpoint, cause, detail, durable_ms, now)

    def tick(self, now: Now, *, stuck: Collection[Stream] = ()) -> None:
        """Do what is due: expiry, overdue answers, and old states once more, but for topics that take nothing."""
        self.sending.tick(now)
        tell_commit_delay(self.alarms, now, is_slow=self.sending.commits_are_slow)
        self.intake.tick(now)
        if self.sending.has_lease(now):
            self.settling.answer_earlier_cancels(now, recovered=self.recovered)
        self.settling.tick(now)
        self.listening.tick(now, stuck)

    def wake_at_boot_s(self, now: Now) -> float:
        """Return when something is due next, on the clock that never steps."""
        times = (self.intake.wake_at_boot_s(now), self.settling.wake_at_boot_s(), self.sending.wake_at_boot_s(now))
        later = (at for at in (self.own_cancels.wake_at_boot_s(), self.doubts.wake_at_boot_s()) if at > now.boot_s)
        return min((*times, *later))

    def next_commit(self, now: Now, live_until_ms: int, *, recording: bool) -> Commit | None:
        """Return the commit to hand over now. `live_until_ms`: up to when what was received is durable.

        Nothing is claimed before the session is recovered, or while results and events cannot be recorded.
        """
        may_claim = self.recovered and recording
        return self.sending.next_commit(now, self.listening.durable_until_ms(live_until_ms, now), may_claim=may_claim)

    def last_commit(self, now: Now, live_until_ms: int, *, released: bool) -> Commit:
        """Return the commit with which the term ends; `released`: the next owner may log in at once."""
        return self.sending.last_commit(now, self.listening.durable_until_ms(live_until_ms, now), released=released)

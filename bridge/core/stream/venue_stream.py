"""What the bridge hears of the venue, and says about its hearing: pushes, rows in their place, sessions and gaps."""

from collections.abc import Callable, Collection, Iterable

from bridge.config import Timing
from bridge.contract.pushes import OrderPush, TradePush
from bridge.contract.session import Alarm, Cause, RecoveryComplete, SessionEvent, SessionLost, SessionOpened
from bridge.contract.topics import Stream
from bridge.core.alarms import ActiveAlarms
from bridge.core.clocks import UNMEASURED_MS, Clocks, ReadMs
from bridge.core.now import Now
from bridge.core.orders import Orders
from bridge.core.outbox import Outbox
from bridge.core.records import InvalidFrame, Push
from bridge.core.stream.fill_sums import FillSums, ShortOrder
from bridge.core.stream.gaps import Gap, GapLedger, count_by_stream
from bridge.core.stream.order_ends import identify_refused
from bridge.core.stream.published_states import PublishedStates
from bridge.core.stream.reconciliation import Reconciliation
from bridge.core.stream.route import Router
from bridge.core.stream.sweep import Sweep, name_some
from bridge.core.stream.undocumented import UndocumentedShapes
from bridge.core.stream.venue_record import PARSERS, UNREADABLE, is_concluded_end


class VenueStream:
    """One term's listening to one account."""

    def __init__(
        self,
        outbox: Outbox,
        orders: Orders,
        on_order: Callable[[OrderPush, Now], None],
        on_trade: Callable[[TradePush, Now], None],
        timing: Timing,
        *,
        clocks: Clocks,
        epoch: int,
        durable_until_ms: int,
        alarms: ActiveAlarms,
        now: Now,
    ) -> None:
        self._began = now
        self._outbox = outbox
        self._orders = orders
        self._epoch = epoch
        self._gaps = GapLedger(durable_until_ms)
        self._states = PublishedStates(timing.horizon_s, timing.skew_bound_s)
        self._clocks = clocks
        shapes = UndocumentedShapes(alarms)
        self._fills = FillSums(orders, alarms, clocks.venue, timing.rest_lag_s)
        self._session: list[SessionEvent] = []
        """The events of the open session, to publish them again if the topic is lost."""
        self._router = Router(
            self._states,
            on_order,
            on_trade,
            self._trade_conflict,
            on_unrecognized=shapes.check_frame,
            on_margin_call=shapes.check_margin_call,
            fills=self._fills,
            read_venue=self._read_venue,
            name=lambda element: identify_refused(element, orders),
        )
        self.reconciliation = Reconciliation(
            self._router,
            self._states,
            orders,
            self._gaps,
            publish=outbox.publish_all,
            clocks=clocks,
            rest_lag_s=timing.rest_lag_s,
            audit_period_s=timing.audit_period_s,
        )

    def restore_record(self, stream: Stream, value: bytes, published_ms: int, *, recovered: bool = False) -> None:
        """Learn from a record that an earlier owner published, `recovered` or pushed; it settles nothing by itself."""
        try:
            element = PARSERS[stream](value)
        except UNREADABLE:
            return
        if element.trade is not None:
            self._router.remember_trade(element, published_ms)
            return
        if element.lacks_order_id:
            return
        age_ms = max(self._began.wall_ms - published_ms, 0)  # the clock of who published it may be ahead of ours
        self._states.restore(element, self._began.boot_ms - age_ms, published_ms, recovered=recovered)
        if element.order is not None:
            if recovered and is_concluded_end(element):
                self._orders.conclude_end(element.key)
            self._orders.update(element.order)

    def restore_tombstone(self, stream: Stream, key: bytes) -> None:
        """Learn from a tombstone that an earlier owner published."""
        self._states.forget(stream, key.decode("utf-8", "replace"))

    def inherit_gaps(self, left: Iterable[Gap]) -> None:
        """Take on the gaps that earlier owners left open: they close with this one's."""
        self._gaps.inherit_gaps(left)

    def open_gap_before_term(self, now: Now, listen_from_ms: int | None) -> None:
        """Open the gap of the time before this term: what was not durable, or what nobody has listened to."""
        if self._gaps.inherited_ms:
            self._open_gap(now, self._gaps.inherited_ms, Cause.OWNER_CHANGED, "the owner changed")
        else:
            from_ms = min(listen_from_ms or now.wall_ms, now.wall_ms)
            self._open_gap(now, from_ms, Cause.FIRST_START, "nobody of this group has listened before")

    def on_frame(self, event: Push | InvalidFrame, now: Now) -> None:
        """Publish what was pushed."""
        if isinstance(event, Push):
            self._outbox.publish_all(self._router.route_push(event, now))
        else:
            self._outbox.publish(self._router.route_invalid_frame(event, now))

    def tick(self, now: Now, stuck: Collection[Stream] = ()) -> None:
        """Publish again what was published nearly one horizon ago.

        Not on topics that are `stuck`: there the same states would wait, once more in every horizon.
        """
        self._outbox.publish_all(self._router.due_refreshes(now, stuck))

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Note that pushes arrive from now on; what was missed is to be asked for."""
        self.reconciliation.logged_in(now)
        self._fills.logged_in(now)
        self._tell_of_session(SessionOpened(at=now.wall_ms, endpoint=endpoint))

    def recovery_complete(self, endpoint: str, open_orders: int, sweep: Sweep, took_ms: int, now: Now) -> None:
        """Note that what REST knows has been published once."""
        recovered = count_by_stream(sweep.recovered)
        self._tell_of_session(
            RecoveryComplete(
                at=now.wall_ms, endpoint=endpoint, open_orders=open_orders, recovered=recovered, took_ms=took_ms
            )
        )

    def sweep_ended(self, sweep: Sweep, now: Now) -> None:
        """Tell of the orders whose end the venue has not told, and of what may be published twice."""
        if sweep.concluded_ends:
            text = f"no list of the venue has these orders, and no answer their end: {name_some(sweep.concluded_ends)}"
            self._outbox.publish_alarm(Alarm.ORDER_END_UNTOLD, text, now)
        if sweep.possible_duplicates:
            text = (
                f"{sweep.possible_duplicates} trades or ends of orders were published from what REST tells, and may have "
                f"been before, under the same ce_id: since {sweep.since_ms} more have come than are remembered"
            )
            self._outbox.publish_alarm(Alarm.PERHAPS_REPEATED, text, now)

    def close_gaps(self, now: Now) -> None:
        """Note that a sweep brought nothing more, and that everything before it is durable."""
        for closed in self._gaps.close(now, self.reconciliation.lost_streams(now)):
            self._outbox.publish_session_event(closed)
        self.reconciliation.gaps_closed(now)

    def session_lost(self, endpoint: str, cause: Cause, detail: str, durable_ms: int, now: Now) -> None:
        """Note that the session is gone: from `durable_ms` on is a gap.

        Where pushes were missed on a link that seemed alive, it begins when nothing was missing for sure.
        """
        self._session.clear()
        self._outbox.publish_session_event(SessionLost(at=now.wall_ms, endpoint=endpoint, cause=cause, detail=detail))
        if cause is Cause.PUSHES_MISSED:
            durable_ms = min(durable_ms, self.reconciliation.audited_ms(now))
        self._open_gap(now, durable_ms, cause, detail)

    def pushes_missed(self, detail: str, now: Now) -> None:
        """Note that pushes were missed on a session that goes on: they are recovered as after a login."""
        self._open_gap(now, self.reconciliation.audited_ms(now), Cause.PUSHES_MISSED, detail)
        self.reconciliation.logged_in(now)

    def pop_short_orders(self, now: Now) -> list[ShortOrder]:
        """Return some orders whose executions are to be asked for; while a gap is open, the sweeps ask for all."""
        return [] if len(self._gaps) else self._fills.pop_short(now)

    def compare_executions(self, short: ShortOrder, rows: Iterable[bytes], now: Now) -> None:
        """Publish, in a gap, the executions of an order that the venue did not push; the session goes on."""
        latest_ms = self._clocks.latest_date_ms(now)
        told = [PARSERS[Stream.TRADES](row).without_later_time(latest_ms) for row in rows]
        told = [element for element in told if element.key == short.order_id]
        missed = [element for element in told if not self._router.is_known_trade(element)]
        if missed and not len(self._gaps):
            self.pushes_missed(f"REST knows executions of order {short.order_id} that were not pushed", now)
        for element in missed:
            self._outbox.publish_all(self._router.records_of(element, now, recovered=True))
            sure_ms = self.reconciliation.audited_ms(now)
            self._gaps.count_recovered(Stream.TRADES, element.time_ms, now, missed=True, sure_ms=sure_ms)
        self._fills.compare_with_rest(short, (element.trade for element in told if element.trade is not None), now)

    def durable_until_ms(self, live_until_ms: int, now: Now) -> int:
        """Return the start of the oldest open gap, else the point up to which the live stream is durable.

        Where audits have failed for long it is not sure that everything was pushed, and a successor has to look back.
        """
        return self._gaps.durable_until_ms(
            min(live_until_ms, self.reconciliation.sure_until_ms(live_until_ms, now)), now
        )

    def republish_states(self, stream: Stream, now: Now) -> None:
        """Publish, little by little, everything that stands on a state topic: the topic was lost."""
        self._states.mark_lost(stream, now.boot_ms)

    def are_states_republished(self, stream: Stream) -> bool:
        """Whether everything that stands on a topic has been published since the topic was lost."""
        return not self._states.is_lost(stream)

    def republish_session(self, now: Now) -> None:
        """Tell the open gaps and the session that lasts once more: the topic was lost."""
        for event in (*self._gaps.repeat_open_gaps(now), *self._session):
            self._outbox.publish_session_event(event)

    def _tell_of_session(self, event: SessionEvent) -> None:
        self._session.append(event)
        self._outbox.publish_session_event(event)

    def _open_gap(self, now: Now, from_ms: int, cause: Cause, detail: str) -> None:
        self._outbox.publish_session_event(self._gaps.open(now, self._epoch, from_ms, cause, detail))

    def _read_venue(self, now: Now) -> ReadMs:
        """Return what the venue's clock reads; before it was read, it is not much behind ours."""
        venue = self._clocks.venue
        return venue.read_at(now.boot_s) if venue.is_known else ReadMs(now.wall_ms, now.wall_ms + UNMEASURED_MS)

    def _trade_conflict(self, detail: str, now: Now) -> None:
        self._outbox.publish_alarm(Alarm.TRADE_CONFLICT, detail, now)

"""The stream of the venue in one term: its pushes, the rows of REST in their place, and the events on `session`."""

from collections.abc import Collection, Iterable

from bridge.config import Timing
from bridge.contract.session import Alarm, Cause, RecoveryComplete, SessionEvent, SessionLost, SessionOpened
from bridge.contract.topics import Stream
from bridge.core.clocks import Clocks
from bridge.core.now import Now
from bridge.core.odd_fields import UNREADABLE
from bridge.core.orders import Orders
from bridge.core.outbox import Outbox
from bridge.core.records import InvalidFrame, Push
from bridge.core.stream.fill_sums import IncompleteOrder
from bridge.core.stream.gaps import Gap, GapLedger, count_by_stream
from bridge.core.stream.reconciliation import Reconciliation
from bridge.core.stream.route import OrderListener, Router
from bridge.core.stream.sweep import Sweep, name_some
from bridge.core.stream.venue_record import PARSERS, is_concluded_end


class VenueStream:
    """Publishes what the venue pushes to one account in one term, its sessions, and their gaps."""

    def __init__(
        self,
        outbox: Outbox,
        orders: Orders,
        gaps: GapLedger,
        *,
        clocks: Clocks,
        timing: Timing,
        listener: OrderListener,
    ) -> None:
        self._outbox = outbox
        self._orders = orders
        self._gaps = gaps
        self._clocks = clocks
        self._session: list[SessionEvent] = []
        """The events of the open session, to publish them again if the topic is lost."""
        self._router = Router(outbox, orders, clocks=clocks, timing=timing, listener=listener)
        self.reconciliation = Reconciliation(self._router, orders, gaps, outbox, clocks=clocks, timing=timing)
        self._audits = self.reconciliation.audits

    @property
    def open_gaps(self) -> Iterable[Gap]:
        """The open gaps, the oldest first."""
        return self._gaps

    def restore_record(self, stream: Stream, value: bytes, published_ms: int, *, recovered: bool = False) -> None:
        """Take in a record that an earlier owner published, `recovered` or pushed; it settles no command."""
        try:
            record = PARSERS[stream](value)
        except UNREADABLE:
            return
        if record.trade is not None:
            self._router.trades.add(record, published_ms)
            return
        if record.lacks_order_id:
            return
        began = self._clocks.began
        age_ms = max(began.wall_ms - published_ms, 0)  # the publisher's clock may be ahead of ours
        self._router.states.restore(record, began.boot_ms - age_ms, published_ms, recovered=recovered)
        if record.order is not None:
            if recovered and is_concluded_end(record):
                self._orders.conclude_end(record.key)
            self._orders.update(record.order)

    def restore_tombstone(self, stream: Stream, key: bytes) -> None:
        """Take in a tombstone that an earlier owner published."""
        self._router.states.forget(stream, key.decode("utf-8", "replace"))

    def inherit_gaps(self, open_gaps: Iterable[Gap]) -> None:
        """Take over the gaps that earlier owners left open: they close with those of this term."""
        self._gaps.inherit_gaps(open_gaps)

    def open_gap_before_term(self, now: Now, listen_from_ms: int | None) -> None:
        """Open the gap of the time before this term: from what is durable on, or from `listen_from_ms` without it."""
        if self._gaps.inherited_ms:
            self._open_gap(now, self._gaps.inherited_ms, Cause.OWNER_CHANGED, "the owner changed")
        else:
            from_ms = min(listen_from_ms or now.wall_ms, now.wall_ms)
            self._open_gap(now, from_ms, Cause.FIRST_START, "nobody of this group has listened before")

    def on_frame(self, event: Push | InvalidFrame, now: Now) -> None:
        """Publish a push, or a frame that is not of the venue's protocol."""
        if isinstance(event, Push):
            for record in self._router.route_push(event, now):
                self._outbox.publish(record)
        else:
            self._outbox.publish(self._router.route_invalid_frame(event, now))

    def tick(self, now: Now, stuck: Collection[Stream] = ()) -> None:
        """Publish states again that were published nearly one horizon ago.

        Not on topics that are `stuck`: there the same states would wait, once more in every horizon.
        """
        self._outbox.publish_all(self._router.due_refreshes(now, stuck))

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Note that pushes arrive from now on, and that a sweep is due for what was missed."""
        self.reconciliation.restart_sweeps(now)
        self._router.fills.logged_in(now)
        self._publish_of_session(SessionOpened(at=now.wall_ms, endpoint=endpoint))

    def recovery_complete(self, endpoint: str, open_orders: int, sweep: Sweep, took_ms: int, now: Now) -> None:
        """Publish that everything that REST has was published once."""
        recovered = count_by_stream(sweep.recovered)
        self._publish_of_session(
            RecoveryComplete(
                at=now.wall_ms, endpoint=endpoint, open_orders=open_orders, recovered=recovered, took_ms=took_ms
            )
        )

    def publish_sweep_alarms(self, sweep: Sweep, now: Now) -> None:
        """Raise the alarms for orders whose end the venue does not report, and for possible duplicates."""
        if sweep.concluded_ends:
            text = f"no list of the venue has these orders, and no answer their end: {name_some(sweep.concluded_ends)}"
            self._outbox.publish_alarm(Alarm.ORDER_END_UNTOLD, text, now)
        if sweep.possible_duplicates:
            text = (
                f"{sweep.possible_duplicates} trades or ends of orders were published from what REST tells, and may "
                f"have been before, under the same ce_id: since {sweep.since_ms} more have come than are remembered"
            )
            self._outbox.publish_alarm(Alarm.PERHAPS_REPEATED, text, now)

    def close_gaps(self, now: Now) -> None:
        """Close the gaps: a sweep brought nothing more, and everything before it is durable."""
        for closed in self._gaps.close(now, self.reconciliation.lost_streams(now)):
            self._outbox.publish_session_event(closed)
        self.reconciliation.gaps_closed(now)

    def session_lost(self, endpoint: str, cause: Cause, detail: str, durable_ms: int, now: Now) -> None:
        """Publish that the session is lost, and open a gap from `durable_ms` on.

        Where pushes were missed on a link that seemed alive, the gap begins when nothing was missing for sure.
        """
        self._session.clear()
        self._outbox.publish_session_event(SessionLost(at=now.wall_ms, endpoint=endpoint, cause=cause, detail=detail))
        if cause is Cause.PUSHES_MISSED:
            durable_ms = min(durable_ms, self._audits.audited_ms(now))
        self._open_gap(now, durable_ms, cause, detail)

    def pushes_missed(self, detail: str, now: Now) -> None:
        """Open a gap for pushes that were missed on a session that goes on: they are recovered as after a login."""
        self._open_gap(now, self._audits.audited_ms(now), Cause.PUSHES_MISSED, detail)
        self.reconciliation.restart_sweeps(now)

    def pop_orders_with_missing_fills(self, now: Now) -> list[IncompleteOrder]:
        """Return some orders whose executions REST is to be asked for; none in a gap, as the sweeps ask for all."""
        return [] if len(self._gaps) else self._router.fills.pop_incomplete(now)

    def compare_executions(self, short: IncompleteOrder, rows: Iterable[bytes], now: Now) -> None:
        """Publish, in a gap, the executions of an order that the venue did not push; the session goes on."""
        latest_ms = self._clocks.latest_date_ms(now)
        trades = [PARSERS[Stream.TRADES](row).without_later_time(latest_ms) for row in rows]
        trades = [trade for trade in trades if trade.key == short.order_id]
        missed = [trade for trade in trades if not self._router.trades.has(trade)]
        if missed and not len(self._gaps):
            self.pushes_missed(f"REST knows executions of order {short.order_id} that were not pushed", now)
        for trade in missed:
            self._outbox.publish_all(self._router.records_of(trade, now, recovered=True))
            sure_ms = self._audits.audited_ms(now)
            self._gaps.count_recovered(Stream.TRADES, trade.time_ms, now, missed=True, sure_ms=sure_ms)
        self._router.fills.compare_with_rest(short, (one.trade for one in trades if one.trade is not None), now)

    def durable_until_ms(self, live_until_ms: int, now: Now) -> int:
        """Return the start of the oldest open gap, else the time up to which the live stream is durable.

        After audits have failed for long it is not sure that every push has come: then a successor has to look back.
        """
        return self._gaps.durable_until_ms(min(live_until_ms, self._audits.sure_until_ms(live_until_ms, now)), now)

    def republish_states(self, stream: Stream, now: Now) -> None:
        """Begin to publish all states of a topic again, some at each tick: the topic was lost."""
        self._router.states.mark_lost(stream, now.boot_ms)

    def are_states_republished(self, stream: Stream) -> bool:
        """Whether all states of a topic were published again since it was lost."""
        return not self._router.states.is_lost(stream)

    def republish_session(self, now: Now) -> None:
        """Publish the events of the open gaps and of the open session again: the topic was lost."""
        for event in (*self._gaps.repeat_open_gaps(now), *self._session):
            self._outbox.publish_session_event(event)

    def _publish_of_session(self, event: SessionEvent) -> None:
        self._session.append(event)
        self._outbox.publish_session_event(event)

    def _open_gap(self, now: Now, from_ms: int, cause: Cause, detail: str) -> None:
        self._outbox.publish_session_event(self._gaps.open(now, from_ms, cause, detail))

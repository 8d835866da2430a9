"""Reconciliation with the venue's REST after a login and later: missed records are published, and gaps close.

A sweep asks for everything once. While a gap is open, a sweep publishes what is from before the login. REST may lag
behind the stream, so a sweep closes the gaps only if it began `rest_lag_s` after the login (`gaps.py` lists the other
conditions). Later sweeps are audits (`audits.py`).
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from math import inf
from typing import Final

from bridge.config import Timing
from bridge.contract.pushes import OrderPush
from bridge.contract.session import Lost
from bridge.contract.topics import Stream
from bridge.core.clocks import Clocks
from bridge.core.now import Now
from bridge.core.odd_fields import UNREADABLE
from bridge.core.orders import Order, Orders
from bridge.core.outbox import Outbox
from bridge.core.stream.audits import Audits
from bridge.core.stream.gaps import GapLedger
from bridge.core.stream.order_ends import UnreportedEnds, build_concluded_end, identify_refused
from bridge.core.stream.overdue_pushes import OverduePushes
from bridge.core.stream.published_states import Comparison
from bridge.core.stream.route import Router
from bridge.core.stream.sweep import ARCHIVE_REACH_MS, Sweep, SweepOutcome
from bridge.core.stream.venue_record import PARSERS, UNKNOWN_EXCHANGE, VenueRecord

_OVERLAP_MS: Final = 60_000
_FIRST_PAUSE: Final = 1 / 8
_SECOND_SWEEP: Final = 1 / 6
"""Pauses, as parts of `rest_lag_s`: after the first sweep of a session, doubled each time; before a second sweep."""


class Reconciliation:
    """Compares the rows of one term's sweeps with what was published."""

    def __init__(
        self, router: Router, orders: Orders, gaps: GapLedger, outbox: Outbox, *, clocks: Clocks, timing: Timing
    ) -> None:
        self._router = router
        self._states = router.states
        self._orders = orders
        self._gaps = gaps
        self._outbox = outbox
        self._clocks = clocks
        self._rest_lag_s = timing.rest_lag_s
        self._rest_lag_ms = int(timing.rest_lag_s * 1000)
        self._audit_period_s = timing.audit_period_s
        # A push that the last link left out and no audit found is at most so much older than the end of the link.
        self._overlap_ms = _OVERLAP_MS + int((timing.audit_period_s + timing.rest_lag_s) * 1000)
        self._login: Now | None = None
        self._sweeps = 0
        self._swept_boot_s = -inf
        self._had_unreadable_rows = False
        self._absent: set[tuple[Stream, str]] = set()
        self._disputed: dict[tuple[Stream, str, int], float] = {}
        """The keys that the last sweep found newly absent, and the disputed states that it found (see `Sweep`)."""
        self._unreported_ends = UnreportedEnds(timing.rest_lag_s)
        self.audits = Audits(timing)
        self.overdue_pushes = OverduePushes(router, orders, clocks, outbox)
        self.sweep_due_boot_s = 0.0
        """When the next sweep is due."""

    @property
    def _login_ms(self) -> int:
        """The venue's time at the login, the latest possible; 0 before it."""
        return self._clocks.venue.read_at(self._login.boot_s).latest if self._login is not None else 0

    def _complete_until_ms(self, sweep: Sweep) -> int:
        """Return the venue's time up to which REST had everything that was pushed, when a sweep began."""
        return self._clocks.venue.read_at(sweep.began.boot_s).earliest - self._rest_lag_ms

    def rows_since_ms(self, from_ms: int) -> int:
        """Return the time from which on rows are asked for when a gap begins at `from_ms`."""
        return from_ms - self._overlap_ms

    def restart_sweeps(self, now: Now) -> None:
        """Start anew with a session: a sweep is due at once."""
        self._gaps.logged_in(now)
        self._login = now
        self._sweeps = 0
        self._absent, self._disputed = set(), {}
        self.audits.logged_in()
        self.overdue_pushes.logged_in()
        self.sweep_due_boot_s = now.boot_s

    def begin_sweep(self, now: Now) -> Sweep:
        """Begin a sweep."""
        self._unreported_ends.begin()
        since_ms = self._gaps.since_ms(self._overlap_ms, now)
        audited_ms = max(self.audits.audited_ms(now) - self._rest_lag_ms - _OVERLAP_MS, self._gaps.first_ms(now))
        if since_ms is None:
            audit = Sweep(now, audited_ms, is_audit=True)
            audit.missing |= self.overdue_pushes.find_still_unpushed(self._complete_until_ms(audit))
            return audit
        if self.audits.have_begun:
            # Audits may have failed for long before the link was lost: what was not pushed then is before the overlap.
            since_ms = min(since_ms, audited_ms)
        if since_ms > now.wall_ms:
            since_ms = now.wall_ms - self._overlap_ms  # it is of an owner whose clock was ahead
        # What a whole sweep has read need not be read again: REST lags by `rest_lag_s` at most.
        return Sweep(now, max(since_ms, now.unix_ms(self._swept_boot_s)), is_audit=False)

    def is_unpublished(self, stream: Stream, row: bytes) -> bool:
        """Whether a readable row says more than what was published."""
        return self._is_unpublished(PARSERS[stream](row))

    def compare_rows(self, sweep: Sweep, stream: Stream, rows: Iterable[bytes], now: Now) -> set[str]:
        """Compare rows in the shape of the stream's push with what was published, and return their keys."""
        keys = set()
        latest_ms = self._clocks.latest_date_ms(now)
        for row in rows:
            try:
                record = identify_refused(PARSERS[stream](row), self._orders).without_later_time(latest_ms)
            except UNREADABLE:
                record = None
            if record is None or record.lacks_order_id:  # its order may have been pushed with an orderId
                sweep.unreadable += 1
                continue
            keys.add(record.key)
            if self._is_unpublished(record) and not self._is_past(sweep, record):
                self._compare_unpublished(sweep, record, now)
        return keys

    def compare_list(self, sweep: Sweep, stream: Stream, listed: AbstractSet[str], now: Now) -> None:
        """Compare the whole list of a state stream with what was published: a key that two lists lack gets a tombstone.

        One list may be empty for a moment, while the venue is still loading.
        """
        before_boot_ms = sweep.began.boot_ms - self._rest_lag_ms
        for record in self._states.missing_from(stream, listed, before_boot_ms):
            # The key of a push that named no exchange is in no list.
            is_expected = record.is_empty or record.key.startswith(UNKNOWN_EXCHANGE)
            if sweep.is_audit and not is_expected:
                sweep.undated.add(
                    f"the end of {record.key} since {self._states.known_since_boot_ms(record)} ms after boot"
                )
            elif (stream, record.key) not in self._absent:
                sweep.absent.add((stream, record.key))
            else:
                self._outbox.publish(self._router.build_tombstone(record, now))
                if not is_expected:
                    self._count_recovered(sweep, stream, sweep.began.wall_ms, missed=False)

    def publish_risks(self, sweep: Sweep, rows: Iterable[bytes], now: Now) -> None:
        """Publish the risk of every exchange account as it is now, in place of the margin calls of the gap."""
        for row in rows:
            record = PARSERS[Stream.MARGIN_CALLS](row)
            self._outbox.publish_all(self._router.records_of(record, now, recovered=True))
            self._count_recovered(sweep, Stream.MARGIN_CALLS, now.wall_ms, missed=False)

    def find_unlisted_orders(self, sweep: Sweep, listed: AbstractSet[str], now: Now) -> list[Order]:
        """Return the orders that are live by what was published, and that the list of open orders lacks.

        An order whose end is known from REST and was not pushed is live for readers until the end is published.
        """
        before_ms = self._complete_until_ms(sweep) if sweep.is_audit else self._login_ms
        latest_ms = self._clocks.latest_date_ms(now)
        live = [order for order in self._orders.live() if order.order_id not in listed]
        for order_id in self._states.live_orders():
            order = self._orders.find(order_id, None) if order_id not in listed else None
            if order is not None and order.ended:
                live.append(order)
        return [order for order in live if order.last_seen_ms <= before_ms or order.updated_ms > latest_ms]

    def conclude_order_end(self, sweep: Sweep, order_id: str, state: str, now: Now) -> OrderPush | None:
        """Return the end of an order that a whole list of open orders lacks, once it is sure; else None.

        `state` is what the venue reports of the order when it is asked for it; empty where it reports none.
        """
        order = self._orders.find(order_id, None)
        if order is None or order.ended or not self._unreported_ends.has_surely_ended(order_id, state, sweep.began):
            return None
        record = build_concluded_end(order, self._states.last_value(Stream.ORDERS, order_id))
        sweep.concluded_ends.append(f"{order_id} ({state or 'not told'})")
        self._orders.conclude_end(order_id)
        self._outbox.publish_all(self._router.records_of(record, now, recovered=True))
        if not sweep.is_audit:
            self._count_recovered(sweep, Stream.ORDERS, sweep.began.wall_ms, missed=False)
        return record.order

    def judge_sweep(self, sweep: Sweep, now: Now) -> SweepOutcome:
        """End a complete sweep, and return its outcome; the next one is due at `sweep_due_boot_s`."""
        self._sweeps += 1
        self._absent, self._disputed = sweep.absent, sweep.disputed
        if sweep.is_audit:
            return self._end_audit(sweep, now)
        login = self._login or now
        # What is from after the login was read too, but is left to the stream.
        self._swept_boot_s = min(sweep.began.boot_s - self._rest_lag_s, login.boot_s) - _OVERLAP_MS / 1000
        self._had_unreadable_rows |= bool(sweep.unreadable)
        complete_boot_s = login.boot_s + self._rest_lag_s
        if sweep.began.boot_s >= complete_boot_s:
            self.sweep_due_boot_s = now.boot_s + self._rest_lag_s * _SECOND_SWEEP
            is_clean = sweep.recovered.total() == sweep.recovered[Stream.MARGIN_CALLS] and not sweep.absent
            return SweepOutcome.MAY_CLOSE if is_clean else SweepOutcome.NOTHING
        pause_s = self._rest_lag_s * _FIRST_PAUSE * 2 ** (self._sweeps - 1)
        self.sweep_due_boot_s = min(now.boot_s + pause_s, max(complete_boot_s, now.boot_s))
        return SweepOutcome.NOTHING

    def gaps_closed(self, now: Now) -> None:
        """Note that the gaps are closed: audits follow."""
        self.audits.begin((self._login or now).boot_s)
        self._had_unreadable_rows = False
        self.sweep_due_boot_s = now.boot_s + self._audit_period_s

    def lost_streams(self, now: Now) -> tuple[Lost, ...]:
        """Return what cannot be recovered."""
        always = (Lost.SNAPSHOTS_BETWEEN, Lost.MARGIN_CALLS, Lost.LIQUIDATIONS, Lost.UNRECOGNIZED)
        is_old = 0 < self._gaps.start_ms(now) < now.wall_ms - ARCHIVE_REACH_MS
        return (*always, *([Lost.OLD_TRADES] * is_old), *([Lost.UNREADABLE_ROWS] * self._had_unreadable_rows))

    def _end_audit(self, sweep: Sweep, now: Now) -> SweepOutcome:
        if self.audits.confirm_missing(sweep):
            self._swept_boot_s = -inf  # an earlier sweep has not read what is missing
            return SweepOutcome.MISSED
        pause_s = self._rest_lag_s * _SECOND_SWEEP if sweep.missing else self._audit_period_s
        self.sweep_due_boot_s = now.boot_s + pause_s
        return SweepOutcome.NOTHING

    def _is_unpublished(self, record: VenueRecord) -> bool:
        if record.stream is Stream.TRADES:
            return not self._router.trades.has(record)
        return self._states.compare(record) is not Comparison.NOTHING_NEW

    def _is_past(self, sweep: Sweep, record: VenueRecord) -> bool:
        """Whether a record is older than anything that a sweep asks for: pages of a history may go back further."""
        is_final = record.stream is Stream.TRADES or (record.progress.ended and not self._states.has(record))
        return is_final and 0 < record.time_ms < sweep.since_ms

    def _compare_unpublished(self, sweep: Sweep, record: VenueRecord, now: Now) -> None:
        if sweep.is_audit and record.stream is Stream.ASSETS and self._states.is_unattributed(record.key):
            # A push of this coin named no exchange, as it may; the row names it, and nothing was missed.
            self._outbox.publish_all(self._router.records_of(record, now, recovered=True))
        elif self._is_disputed(sweep, record):
            self._publish_if_still_disputed(sweep, record, now)
        elif sweep.is_audit:
            self._note_missing(sweep, record)
        elif record.time_ms <= self._login_ms:  # else the stream has it, or an audit finds that it is missing
            missed = record.stream is Stream.TRADES or (self._states.has(record) and self._is_relevant(record))
            sweep.possible_duplicates += self._may_be_forgotten(record)
            self._outbox.publish_all(self._router.records_of(record, now, recovered=True))
            self._count_recovered(sweep, record.stream, record.time_ms, missed=missed)

    def _is_disputed(self, sweep: Sweep, record: VenueRecord) -> bool:
        """Whether a row is dated before the published state; or, in a gap, undated with a push since the login."""
        if record.stream is Stream.TRADES:
            return False
        comparison = self._states.compare(record)
        if comparison is Comparison.UNDATED and not sweep.is_audit and self._login is not None:
            return self._states.known_since_boot_ms(record) > self._login.boot_ms
        return comparison is Comparison.DISPUTED

    def _publish_if_still_disputed(self, sweep: Sweep, record: VenueRecord, now: Now) -> None:
        """Publish a disputed row when every sweep has shown it for as long as REST may lag, and nothing was pushed.

        No push was missed: only the state itself is published.
        """
        known = (record.stream, record.key, self._states.known_since_boot_ms(record))
        since_boot_s = sweep.disputed[known] = self._disputed.get(known, sweep.began.boot_s)
        if since_boot_s <= sweep.began.boot_s - self._rest_lag_s and known in self._disputed:
            del sweep.disputed[known]
            self._outbox.publish_all(self._router.records_of(record, now, recovered=True))

    def _note_missing(self, sweep: Sweep, record: VenueRecord) -> None:
        """Note a record that was not pushed: as missing if it is older than REST may lag, other states as undated."""
        if not self._is_relevant(record):
            return
        is_dated = record.stream is Stream.TRADES or self._states.is_dated(record)
        if is_dated and record.time_ms <= self._complete_until_ms(sweep):
            name = record.event_id or f"a change of {record.key}"
            sweep.note_missing(f"{name}, perhaps pushed and forgotten" if self._may_be_forgotten(record) else name)
        elif record.stream is not Stream.TRADES and (not is_dated or self._states.has(record)):
            # The row of a state that changes all the time is never old, even if nothing of it was pushed for long.
            sweep.undated.add(
                f"a change of {record.key} since {self._states.known_since_boot_ms(record)} ms after boot"
            )
        # A younger trade, or a younger state of a new key, is left to the next audit: its push may still come.

    def _may_be_forgotten(self, record: VenueRecord) -> bool:
        """Whether an unknown record may have been published: more records came since than are remembered."""
        if record.stream is Stream.TRADES:
            return 0 < record.time_ms <= self._router.trades.forgotten_ms
        is_unknown_end = record.progress.ended and not self._states.has(record)
        return is_unknown_end and record.time_ms <= self._states.ends_forgotten_ms

    def _is_relevant(self, record: VenueRecord) -> bool:
        """Whether a difference matters to a reader: the value of a balance changes without a push."""
        return record.stream in {Stream.TRADES, Stream.ORDERS} or self._states.differs(record)

    def _count_recovered(self, sweep: Sweep, stream: Stream, time_ms: int, *, missed: bool) -> None:
        now = sweep.began
        sure_ms = self.audits.audited_ms(now) or self._gaps.start_ms(now) - self.audits.detection_ms
        self._gaps.count_recovered(stream, time_ms, now, missed=missed, sure_ms=sure_ms)
        sweep.recovered[stream] += 1

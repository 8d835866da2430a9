"""What the venue's REST tells after a login and later on: what was missed is published, and gaps close.

A sweep asks for everything once. While a gap is open, what a sweep brings from before the login is published. REST
may lag behind the stream, so the gap closes with a sweep that began `rest_lag_s` after the login and brought nothing.
Afterwards a sweep is an audit: what it knows and was not pushed is missing only if it is older than `rest_lag_s`, and
if the next sweep finds it missing still. What has no time, such as an end, must be found for so long, and so must
what changes all the time, with nothing pushed in between.
"""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from math import inf
from typing import Final, NamedTuple

from bridge.contract.pushes import OrderPush
from bridge.contract.session import Lost
from bridge.contract.topics import Stream
from bridge.core.clocks import Clocks
from bridge.core.now import Now
from bridge.core.orders import Order, Orders
from bridge.core.records import OutgoingRecord
from bridge.core.stream.gaps import GapLedger
from bridge.core.stream.order_ends import UnreportedEnds, concluded_end, identify_refused
from bridge.core.stream.overdue_pushes import OverduePushes
from bridge.core.stream.published_states import Comparison, PublishedStates
from bridge.core.stream.route import Router
from bridge.core.stream.sweep import ARCHIVE_REACH_MS, Sweep, SweepOutcome, name_some
from bridge.core.stream.venue_record import PARSERS, UNKNOWN_EXCHANGE, UNREADABLE, VenueRecord

_OVERLAP_MS: Final = 60_000
_FIRST_PAUSE: Final = 1 / 8
_SECOND_LOOK: Final = 1 / 6
"""Pauses, as parts of `rest_lag_s`: after the first sweep of a session, doubled each time; before a second look."""
_AUDITS_LATE_MS: Final = 30_000
"""By so much an audit may be late, for the venue's own limits."""


class _Seen(NamedTuple):
    """When an audit first found something, and when the one before it began, on the clock that never steps."""

    since_boot_s: float
    before_boot_s: float


class Reconciliation:
    """Judges the sweeps of one term."""

    def __init__(
        self,
        router: Router,
        standing: PublishedStates,
        orders: Orders,
        gaps: GapLedger,
        *,
        publish: Callable[[Iterable[OutgoingRecord]], None],
        clocks: Clocks,
        rest_lag_s: float,
        audit_period_s: float,
    ) -> None:
        self._router = router
        self._states = standing
        self._orders = orders
        self._gaps = gaps
        self._publish = publish
        self._rest_lag_s = rest_lag_s
        self._rest_lag_ms = int(rest_lag_s * 1000)
        self._audit_period_s = audit_period_s
        self._clocks = clocks
        # What was muted on the last link and not found by then lies so far before its end.
        self._overlap_ms = _OVERLAP_MS + int((audit_period_s + rest_lag_s) * 1000)
        # An owner before this one would have found earlier what was missing.
        self._detection_ms = int((audit_period_s + 2 * rest_lag_s) * 1000)
        self._login: Now | None = None
        self._sweeps = 0
        self._swept_boot_s = -inf
        self._unreadable = False
        self._missing: dict[str, _Seen] = {}
        """What the last audit has found."""
        self._absent: set[tuple[Stream, str]] = set()
        self._disputed: dict[tuple[Stream, str, int], float] = {}
        """What the last sweep has found of both."""
        self._untold_ends = UnreportedEnds(rest_lag_s)
        self.overdue_pushes = OverduePushes(orders, standing, router, publish, clocks)
        self._looked_boot_s = -inf
        self._audited_boot_s = -inf
        self.sweep_due_boot_s = 0.0
        """When the next sweep is due, on the clock that never steps."""

    @property
    def _login_ms(self) -> int:
        """The venue's time at the login, the latest that it may be; 0 before it."""
        return self._clocks.venue.read_at(self._login.boot_s).latest if self._login is not None else 0

    def _told_until_ms(self, sweep: Sweep) -> int:
        """Return the venue's time up to which its REST had told, when a sweep began, what the stream had."""
        return self._clocks.venue.read_at(sweep.began.boot_s).earliest - self._rest_lag_ms

    def audited_ms(self, now: Now) -> int:
        """Return up to when it is known that nothing is missing, Unix ms; 0 before that."""
        return now.unix_ms(self._audited_boot_s)

    def sure_until_ms(self, live_until_ms: int, now: Now) -> int:
        """Return how far the live stream may be trusted: audits in good order are never further behind than that."""
        audited_ms = self.audited_ms(now)
        return audited_ms + self._detection_ms + _AUDITS_LATE_MS if audited_ms else live_until_ms

    def rows_since_ms(self, from_ms: int) -> int:
        """Return from when on rows are asked for when a gap begins at `from_ms`."""
        return from_ms - self._overlap_ms

    def logged_in(self, now: Now) -> None:
        """Begin with a new session: a sweep is due at once."""
        self._gaps.logged_in(now)
        self._login = now
        self._sweeps = 0
        self._missing, self._absent, self._disputed = {}, set(), {}
        self.overdue_pushes.logged_in()
        self.sweep_due_boot_s = now.boot_s

    def begin_sweep(self, now: Now) -> Sweep:
        """Begin a sweep."""
        self._untold_ends.begin()
        since_ms = self._gaps.since_ms(self._overlap_ms, now)
        audited_ms = max(self.audited_ms(now) - self._rest_lag_ms - _OVERLAP_MS, self._gaps.first_ms(now))
        if since_ms is None:
            audit = Sweep(now, audited_ms, is_audit=True)
            audit.missing |= self.overdue_pushes.find_still_unpushed(self._told_until_ms(audit))
            return audit
        if self._audited_boot_s > -inf:
            # Audits may have failed for long before the link was lost, and what was muted then is before the overlap.
            since_ms = min(since_ms, audited_ms)
        if since_ms > now.wall_ms:
            since_ms = now.wall_ms - self._overlap_ms  # of an owner whose clock was ahead
        # What a whole sweep was told, it need not be told again: REST lags by `rest_lag_s` at most.
        return Sweep(now, max(since_ms, now.unix_ms(self._swept_boot_s)), is_audit=False)

    def is_unpublished(self, stream: Stream, row: bytes) -> bool:
        """Whether a row, which was understood before, tells more than what was published."""
        return self._is_news(PARSERS[stream](row))

    def compare_rows(self, sweep: Sweep, stream: Stream, rows: Iterable[bytes], now: Now) -> set[str]:
        """Take rows in the shape of the stream's push, and return their keys."""
        keys = set()
        latest_ms = self._clocks.latest_date_ms(now)
        for row in rows:
            try:
                element = identify_refused(PARSERS[stream](row), self._orders).without_later_time(latest_ms)
            except UNREADABLE:
                sweep.unreadable += 1
                continue
            if element.lacks_order_id:
                # Whether it was pushed under its orderId cannot be told.
                sweep.unreadable += 1
                continue
            keys.add(element.key)
            if self._is_news(element) and not self._is_past(sweep, element):
                self._judge_news(sweep, element, now)
        return keys

    def compare_list(self, sweep: Sweep, stream: Stream, listed: AbstractSet[str], now: Now) -> None:
        """Judge a state stream by the keys of its whole list: what two of them in a row lack gets a tombstone.

        One list may be empty for a moment, from a venue that is still loading.
        """
        before_boot_ms = sweep.began.boot_ms - self._rest_lag_ms
        for element in self._states.missing_from(stream, listed, before_boot_ms):
            # A push that told no exchange stands under no key of the list.
            expected = element.is_empty or element.key.startswith(UNKNOWN_EXCHANGE)
            if sweep.is_audit and not expected:
                sweep.undated.add(
                    f"the end of {element.key} since {self._states.known_since_boot_ms(element)} ms after boot"
                )
            elif (stream, element.key) not in self._absent:
                sweep.absent.add((stream, element.key))
            else:
                self._publish([self._router.tombstone(element, now)])
                if not expected:
                    self._count_recovered(sweep, stream, sweep.began.wall_ms, missed=False)

    def publish_risks(self, sweep: Sweep, rows: Iterable[bytes], now: Now) -> None:
        """Publish the risk of every exchange account as it is now, in place of the margin calls of the gap."""
        for row in rows:
            element = PARSERS[Stream.MARGIN_CALLS](row)
            self._publish(self._router.records_of(element, now, recovered=True))
            self._count_recovered(sweep, Stream.MARGIN_CALLS, now.wall_ms, missed=False)

    def find_unlisted_orders(self, sweep: Sweep, listed: AbstractSet[str], now: Now) -> list[Order]:
        """Return the orders that were live before, and that the list of open orders lacks.

        One whose end is known, by an answer of REST, and was not pushed lives on for readers until it is published.
        """
        before_ms = self._told_until_ms(sweep) if sweep.is_audit else self._login_ms
        latest_ms = self._clocks.latest_date_ms(now)
        live = [order for order in self._orders.live() if order.order_id not in listed]
        for order_id in self._states.live_orders():
            order = self._orders.find(order_id, None) if order_id not in listed else None
            if order is not None and order.ended:
                live.append(order)
        return [order for order in live if order.last_seen_ms <= before_ms or order.updated_ms > latest_ms]

    def conclude_order_end(self, sweep: Sweep, order_id: str, word: str, now: Now) -> OrderPush | None:
        """Note that a whole list of open orders lacks one, and what state the venue tells of it; empty for none.

        Return its end, once that is sure without a word of the venue's.
        """
        order = self._orders.find(order_id, None)
        if order is None or order.ended or not self._untold_ends.is_over(order_id, word, sweep.began):
            return None
        element = concluded_end(order, self._states.last_value(Stream.ORDERS, order_id))
        sweep.concluded_ends.append(f"{order_id} ({word or 'not told'})")
        self._orders.conclude_end(order_id)
        self._publish(self._router.records_of(element, now, recovered=True))
        if not sweep.is_audit:
            self._count_recovered(sweep, Stream.ORDERS, sweep.began.wall_ms, missed=False)
        return element.order

    def end_sweep(self, sweep: Sweep, now: Now) -> SweepOutcome:
        """Judge a sweep that is complete, and say when the next is due."""
        self._sweeps += 1
        self._absent, self._disputed = sweep.absent, sweep.disputed
        if sweep.is_audit:
            return self._end_audit(sweep, now)
        login = self._login or now
        # What is from after the login was told, but left to the stream.
        self._swept_boot_s = min(sweep.began.boot_s - self._rest_lag_s, login.boot_s) - _OVERLAP_MS / 1000
        self._unreadable |= bool(sweep.unreadable)
        settled = login.boot_s + self._rest_lag_s
        if sweep.began.boot_s >= settled:
            self.sweep_due_boot_s = now.boot_s + self._rest_lag_s * _SECOND_LOOK
            clean = not any(count for stream, count in sweep.recovered.items() if stream is not Stream.MARGIN_CALLS)
            return SweepOutcome.MAY_CLOSE if clean and not sweep.absent else SweepOutcome.NOTHING
        pause_s = self._rest_lag_s * _FIRST_PAUSE * 2 ** (self._sweeps - 1)
        self.sweep_due_boot_s = min(now.boot_s + pause_s, max(settled, now.boot_s))
        return SweepOutcome.NOTHING

    def gaps_closed(self, now: Now) -> None:
        """Note that the gaps are closed: what follows are audits, which begin where the sweeps looked no further."""
        self._audited_boot_s = self._looked_boot_s = (self._login or now).boot_s
        self._unreadable = False
        self.sweep_due_boot_s = now.boot_s + self._audit_period_s

    def lost_streams(self, now: Now) -> tuple[Lost, ...]:
        """Name what cannot be given back."""
        always = (Lost.SNAPSHOTS_BETWEEN, Lost.MARGIN_CALLS, Lost.LIQUIDATIONS, Lost.UNRECOGNIZED)
        is_old = 0 < self._gaps.start_ms(now) < now.wall_ms - ARCHIVE_REACH_MS
        return (*always, *([Lost.OLD_TRADES] * is_old), *([Lost.UNREADABLE_ROWS] * self._unreadable))

    def describe_missing(self) -> str:
        """Name some of what the last audit missed."""
        return f"REST knows what was not pushed: {name_some(sorted(self._missing))}"

    def _end_audit(self, sweep: Sweep, now: Now) -> SweepOutcome:
        began_boot_s, seen = sweep.began.boot_s, self._missing
        first = _Seen(began_boot_s, self._looked_boot_s)
        self._missing = {name: seen.get(name, first) for name in sweep.missing | sweep.undated}
        self._looked_boot_s = began_boot_s
        confirmed = sweep.missing & seen.keys()
        again = sweep.undated & seen.keys()
        confirmed |= {name for name in again if seen[name].since_boot_s <= began_boot_s - self._rest_lag_s}
        if confirmed:
            self._missing = {name: self._missing[name] for name in confirmed}
            self._swept_boot_s = -inf  # the venue did not tell an earlier sweep of it
            return SweepOutcome.MISSED
        if sweep.missing:
            self.sweep_due_boot_s = now.boot_s + self._rest_lag_s * _SECOND_LOOK
            return SweepOutcome.NOTHING
        # What this look was the first to find may have been missing since the look before it.
        sure_boot_s = min([began_boot_s, *(found.before_boot_s for found in self._missing.values())]) - self._rest_lag_s
        self._audited_boot_s = max(sure_boot_s, self._audited_boot_s)
        self.sweep_due_boot_s = now.boot_s + self._audit_period_s
        return SweepOutcome.NOTHING

    def _is_news(self, element: VenueRecord) -> bool:
        if element.stream is Stream.TRADES:
            return not self._router.is_known_trade(element)
        return self._states.compare(element) is not Comparison.NOTHING_NEW

    def _is_past(self, sweep: Sweep, element: VenueRecord) -> bool:
        """Whether a fact was over before anything that a sweep is about: pages of a history may go back further."""
        over = element.stream is Stream.TRADES or (element.progress.ended and not self._states.has(element))
        return over and 0 < element.time_ms < sweep.since_ms

    def _judge_news(self, sweep: Sweep, element: VenueRecord, now: Now) -> None:
        if sweep.is_audit and element.stream is Stream.ASSETS and self._states.is_unattributed(element.key):
            # A push of this coin told no exchange (it may); now it is known whose it was, and nothing was missed.
            self._publish(self._router.records_of(element, now, recovered=True))
            return
        if self._is_disputed(sweep, element):
            self._publish_if_still_disputed(sweep, element, now)
            return
        if sweep.is_audit:
            self._note_missing(sweep, element)
            return
        if element.time_ms > self._login_ms:
            return  # the stream tells it, or an audit finds out
        missed = element.stream is Stream.TRADES or (self._states.has(element) and self._is_relevant(element))
        sweep.possible_duplicates += self._may_be_forgotten(element)
        self._publish(self._router.records_of(element, now, recovered=True))
        self._count_recovered(sweep, element.stream, element.time_ms, missed=missed)

    def _is_disputed(self, sweep: Sweep, element: VenueRecord) -> bool:
        """Whether a row may be behind what stands: dated before it, or of no date and pushed since the login."""
        if element.stream is Stream.TRADES:
            return False
        news = self._states.compare(element)
        if news is Comparison.UNDATED and not sweep.is_audit and self._login is not None:
            return self._states.known_since_boot_ms(element) > self._login.boot_ms
        return news is Comparison.DISPUTED

    def _publish_if_still_disputed(self, sweep: Sweep, element: VenueRecord, now: Now) -> None:
        """Publish a disputed row when every sweep has shown it for as long as REST may lag.

        Nothing of it was pushed meanwhile. No push was missed, so nothing but the state itself is published.
        """
        known = (element.stream, element.key, self._states.known_since_boot_ms(element))
        since = sweep.disputed[known] = self._disputed.get(known, sweep.began.boot_s)
        if since <= sweep.began.boot_s - self._rest_lag_s and known in self._disputed:
            del sweep.disputed[known]
            self._publish(self._router.records_of(element, now, recovered=True))

    def _note_missing(self, sweep: Sweep, element: VenueRecord) -> None:
        """Note what was not pushed: as missing where it is old enough, else for the time that nothing is pushed for."""
        if not self._is_relevant(element):
            return
        is_dated = element.stream is Stream.TRADES or self._states.is_dated(element)
        if is_dated and element.time_ms <= self._told_until_ms(sweep):
            name = element.event_id or f"a change of {element.key}"
            sweep.note_missing(f"{name}, perhaps pushed and forgotten" if self._may_be_forgotten(element) else name)
        elif element.stream is not Stream.TRADES and (not is_dated or self._states.has(element)):
            # A state that changes all the time is never old, however long nothing of it has been pushed.
            sweep.undated.add(
                f"a change of {element.key} since {self._states.known_since_boot_ms(element)} ms after boot"
            )

    def _may_be_forgotten(self, element: VenueRecord) -> bool:
        """Whether what is not known may have been published all the same: more came since than is remembered."""
        if element.stream is Stream.TRADES:
            return 0 < element.time_ms <= self._router.trades_forgotten_ms
        is_unknown_end = element.progress.ended and not self._states.has(element)
        return is_unknown_end and element.time_ms <= self._states.ends_forgotten_ms

    def _is_relevant(self, element: VenueRecord) -> bool:
        """Whether a difference is one to a reader: what a balance is worth moves without a push."""
        return element.stream in {Stream.TRADES, Stream.ORDERS} or self._states.differs(element)

    def _count_recovered(self, sweep: Sweep, stream: Stream, time_ms: int, *, missed: bool) -> None:
        now = sweep.began
        sure_ms = self.audited_ms(now) or self._gaps.start_ms(now) - self._detection_ms
        self._gaps.count_recovered(stream, time_ms, now, missed=missed, sure_ms=sure_ms)
        sweep.recovered[stream] += 1

"""From a record of the commands topic to a place in a lane, or straight to an answer."""

from collections import deque
from enum import StrEnum
from heapq import heappop, heappush

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome, Reason
from bridge.core.admit import Refusal, Rules, admit
from bridge.core.claims import Claims
from bridge.core.clocks import Clocks
from bridge.core.command import Pending
from bridge.core.dedupe import Dedupe
from bridge.core.deferred import may_be_cancel
from bridge.core.held_commands import HeldCommands
from bridge.core.lanes import Lanes
from bridge.core.life import UNSENT, State
from bridge.core.memory import Memory
from bridge.core.now import Now
from bridge.core.order_lookups import OrderLookups
from bridge.core.orders import Orders
from bridge.core.replies import Replies
from bridge.core.sending import Sending
from bridge.core.settling import Settling
from bridge.core.traffic import CommandRecord
from bridge.core.validity import NotValid, judge_validity
from bridge.core.windows import Windows

_AT_ONCE = 500
"""Commands that expire in one turn: thousands at once would hold up a cancel."""
_ANSWERED_AT_ONCE = 100
"""Commands that a cancel_orders has ended and that are answered in one turn: it is to go out meanwhile."""
_LOOK_AGAIN_S = 0.05
"""A command that expires while its claim is under way is answered when that has come back."""


class Past(StrEnum):
    """What a takeover knows of a command from the time before it."""

    NEW = "new"
    READ = "read"
    """No trace of it; but a cancel needs no claim, so it may have been written."""
    CLAIMED = "claimed"
    """An earlier owner may have written it; no result is durable."""
    ANSWERED = "answered"
    """Its result is durable."""


class Intake:
    """Checks, dedupes, sorts into lanes; and answers what the bridge decides by itself."""

    def __init__(
        self,
        rules: Rules,
        lane_commands_max: int,
        *,
        replies: Replies,
        claims: Claims,
        memory: Memory,
        lanes: Lanes,
        windows: Windows,
        orders: Orders,
        lookups: OrderLookups,
        sending: Sending,
        settling: Settling,
        clocks: Clocks,
    ) -> None:
        self._rules = rules
        self._lane_max = lane_commands_max
        self._replies = replies
        self._claims = claims
        self._memory = memory
        self._dedupe = Dedupe(memory, replies)
        self._lanes = lanes
        self._windows = windows
        self._orders = orders
        self._sending = sending
        self._settling = settling
        self._clocks = clocks
        self._held = HeldCommands()
        self._deadlines: list[tuple[float, int, Pending]] = []
        self._superseded: deque[Pending] = deque()
        self._lookups = lookups

    @property
    def paused(self) -> bool:
        """Whether so many cancels wait that reading should pause."""
        if self._held.too_large:
            return True
        return len(self._held) + self._lanes.waiting(CANCEL) + self._lanes.waiting(CANCEL_ALL) >= self._lane_max

    def offer(self, record: CommandRecord, now: Now, past: Past = Past.NEW, *, behind: float = 0) -> None:
        """Take in a record of the commands topic; one that was taken in before is passed over.

        With more than a lane holds `behind` it, a place or replace is not even read: it will not be sent, and is
        answered when what is behind it has been read. Another new one is held back while there is no lease: what the
        bridge answers by itself is the owner's to say. A cancel that needs no such answer goes ahead.
        """
        if record.offset < self._claims.next_offset:
            return
        self._clocks.command_arrived(record.timestamp_ms, record.absent_boot_s, now)
        if behind > self._lane_max and past in {Past.NEW, Past.READ} and not may_be_cancel(record):
            self._claims.defer(record.offset, record.end)
            return
        self._claims.deferred.close()
        if past is not Past.ANSWERED:
            self._claims.opened(record.offset)
        self._claims.passed(record.end - 1)
        if past is Past.NEW and (self._held or not self._sending.has_lease(now)):
            self._held.hold(record)
            self._let_cancels_ahead(now)
        elif past is not Past.ANSWERED or may_be_cancel(record):
            self._take_in(record, now, past)

    @property
    def deferred(self) -> tuple[int, int] | None:
        """The first command that is to be answered later, and the offset after the last."""
        return self._claims.deferred.span

    def answer_deferred(self, record: CommandRecord, now: Now) -> None:
        """Deny a command that was too far behind; the first call for it counts."""
        if not self._claims.deferred.take(record.offset):
            return
        self._claims.opened(record.offset)
        self._claims.deferred.drop_below(record.end)
        admitted = admit(record, now, self._rules)
        if isinstance(admitted, Refusal):
            self._refuse(record, admitted, now)
        elif self._dedupe.is_first(admitted.command_id, admitted.digest, admitted, record, now):
            text = f"when it was read, more than {self._lane_max} commands were waiting behind it"
            self._deny(admitted, Reason.LANE_FULL, now, message=text)
            # A successor would defer it too, so nothing above has to wait until this answer is durable.
            self._claims.refused.discard(record.offset)

    def deferred_answered(self, below: int) -> None:
        """Note that every deferred command below an offset has been read again; retention may have removed some."""
        self._claims.deferred.drop_below(below)

    def read_to(self, offset: int) -> None:
        """Note that the topic holds no other command below an offset: control records and holes are nothing to do."""
        self._claims.passed(offset - 1)

    def tick(self, now: Now) -> None:
        """Take in what was held back, answer what has expired unsent, and forget what is older than the horizon."""
        self._let_cancels_ahead(now)
        if self._sending.has_lease(now):
            for record in self._held.oldest():
                self._held.take(record)
                self._take_in(record, now, Past.NEW)
            self._answer_superseded(now)
            self._expire(now)
        self._memory.forget(now.mono)

    def wake_at(self, now: Now) -> float:
        """Return when the next command expires, or is to be taken in."""
        if not self._sending.has_lease(now):
            return float("inf")
        if self._held or self._superseded:
            return now.mono
        return self._deadlines[0][0] if self._deadlines else float("inf")

    def lookups(self) -> list[str]:
        """Return the clientOrderIds of replaces that wait and whose order nobody here knows."""
        return self._lookups.names()

    def lookup_failed(self, client_order_id: str) -> None:
        """Ask for the others first: the venue gave no answer about this one."""
        self._lookups.put_last(client_order_id)

    def looked_up(self, client_order_id: str, now: Now) -> bool:
        """Go on with the replaces of an order after the venue was asked; Orders knows it by now if it exists.

        False while there is no lease to deny them with, which only the owner may: the venue is asked again.
        """
        known = self._orders.find(None, client_order_id) is not None
        if not known and not self._sending.has_lease(now):
            self.lookup_failed(client_order_id)
            return False
        for pending in self._lookups.pop(client_order_id):
            if known:
                self._lanes.put_back(pending)
            else:
                text = f"neither the bridge nor the venue knows an order {client_order_id}"
                self._end(pending, Outcome.DENIED, now, reason=Reason.UNKNOWN_ORDER, message=text)
        return True

    def _let_cancels_ahead(self, now: Now) -> None:
        """Take in the cancels among what is held back that need not wait."""
        if not self._sending.cancels_pass(now):
            return
        for record in self._held.next_unjudged():
            if self._goes_ahead(record, now):
                self._held.take(record)
                self._take_in(record, now, Past.NEW)

    def _goes_ahead(self, record: CommandRecord, now: Now) -> bool:
        """Whether a record is a cancel that may go now, and of which the bridge has nothing to say by itself.

        Its order is at the venue, so that nothing that is held back can be its place.
        """
        cancel = admit(record, self._clocks.by_broker(now), self._rules)
        if not isinstance(cancel, Pending) or cancel.action != CANCEL or self._memory.find(cancel.command_id):
            return False
        self._name_order(cancel)
        order = self._orders.find(cancel.order_id, cancel.client_order_id)
        if cancel.order_id is None or (order is not None and order.over):
            return False
        if self._lanes.unsent_replaces(cancel.order or ""):
            return False
        return self._slot_free_at(cancel, now) < cancel.deadline

    def _refuse(self, record: CommandRecord, refusal: Refusal, now: Now) -> None:
        if refusal.command_id is None or self._dedupe.is_first(refusal.command_id, refusal.digest, None, record, now):
            self._replies.refuse(record, refusal, now)

    def _take_in(self, record: CommandRecord, now: Now, past: Past) -> None:
        # What an earlier owner may have sent must not be denied because a limit has changed since.
        rules = self._rules.loosened() if past is Past.CLAIMED else self._rules
        # What has expired is told by the clock that stamped it.
        admitted = admit(record, self._clocks.by_broker(now), rules)
        if past is Past.ANSWERED:
            if isinstance(admitted, Pending):
                self._answered_before(admitted, now)
            return
        if isinstance(admitted, Refusal):
            self._refuse(record, admitted, now)
            return
        if not self._dedupe.is_first(admitted.command_id, admitted.digest, admitted, record, now):
            return
        self._name_order(admitted)
        if past is Past.CLAIMED:
            self._inherit(admitted, now)
            return
        if past is Past.READ and admitted.action == CANCEL:
            admitted.maybe_sent_before = True
            self._take_slot_of_earlier_owner(admitted, ("earlier owner", admitted.offset), now)
        holder = self._memory.order_offset(admitted.client_order_id or "")
        if admitted.action in {PLACE, REPLACE} and self._memory.full:
            self._deny(admitted, Reason.MEMORY_FULL, now)
        elif admitted.action == PLACE and holder != admitted.offset:
            text = (
                f"clientOrderId {admitted.client_order_id} belongs to another command; give this one a name of its own"
            )
            self._deny(admitted, Reason.CLIENT_ORDER_ID_IN_USE, now, message=text)
        elif (invalid := judge_validity(admitted, self._clocks, now)) is not None:
            self._take_in_invalid(admitted, invalid, now)
        else:
            self._queue(admitted, now)

    def _take_in_invalid(self, pending: Pending, invalid: NotValid, now: Now) -> None:
        """Answer what may not be sent any more, unless its order shows that an earlier owner has written it."""
        if pending.maybe_sent_before and self._settling.was_done(pending):
            self._inherit(pending, now)
        else:
            self._replies.last_word(pending, invalid.outcome, now, reason=invalid.reason, message=invalid.message)

    def _answered_before(self, pending: Pending, now: Now) -> None:
        """Let a cancel that reached the venue end what an earlier owner left waiting before it."""
        asked = self._memory.find(pending.command_id)
        if asked is None or asked.result is None or asked.offset != pending.offset:
            return  # submitted again, it was answered and not sent
        if not asked.result.outcome.unsent:
            self._name_order(pending)
            self._clear_the_way(pending, now)

    def _expire(self, now: Now) -> None:
        for _ in range(_AT_ONCE):
            if not self._deadlines or self._deadlines[0][0] > now.mono:
                return
            _, _, pending = heappop(self._deadlines)
            if pending.state is State.QUEUED:
                self._sending.withdraw(pending)
                self._end_unsent(pending, now)
            elif pending.state in UNSENT:
                heappush(self._deadlines, (now.mono + _LOOK_AGAIN_S, pending.offset, pending))

    def _end_unsent(self, pending: Pending, now: Now) -> None:
        """Answer what has expired in its lane; the venue has refused some of it for its rate as often as it went."""
        if pending.deferred is None:
            self._end(pending, Outcome.EXPIRED, now)
            return
        code, message = pending.deferred
        self._end(pending, Outcome.REJECTED, now, code=code, message=message)

    def _name_order(self, pending: Pending) -> None:
        """Find the one name under which all commands of an order meet, and what else is known of it."""
        if pending.action == PLACE:
            pending.order = pending.client_order_id
        if pending.action not in {REPLACE, CANCEL}:
            return
        order = self._orders.find(pending.order_id, pending.client_order_id)
        if order is not None:
            pending.order_id = pending.order_id or order.order_id
            pending.client_order_id = pending.client_order_id or order.client_order_id
            pending.exchange = order.exchange
        if pending.exchange is None and pending.client_order_id is not None:
            pending.exchange = self._lanes.exchange_of(pending.client_order_id)
        known = order.client_order_id if order is not None else None
        pending.order = known or pending.client_order_id or pending.order_id

    def _inherit(self, pending: Pending, now: Now) -> None:
        pending.maybe_sent_before = True
        self._replies.inherited(pending, now)
        self._claims.claimed.add(pending.offset)
        self._take_slot_of_earlier_owner(pending, pending.offset, now)
        self._lanes.occupy(pending)
        self._settling.inherited(pending, now)
        self._clear_the_way(pending, now)

    def _take_slot_of_earlier_owner(self, pending: Pending, token: object, now: Now) -> None:
        """Hold the slot of a request that an earlier owner may have written: before now, and within its validity."""
        written_at = self._clocks.last_write_boot_s(pending, now)
        self._windows[pending.action].restore_unanswered(token, written_at, now.mono)

    def _queue(self, pending: Pending, now: Now) -> None:
        if self._clear_the_way(pending, now):
            text = "its place had not been sent and was removed"
            self._replies.last_word(pending, Outcome.SUPERSEDED, now, message=text)
            return
        if pending.maybe_sent_before:  # it may repeat what was written, and leaves room for what was not
            heappush(self._deadlines, (pending.deadline, pending.offset, pending))
            self._lanes.occupy(pending)
            self._lanes.repeat(pending)
            return
        waiting, free_at = self._lanes.waiting(pending.action), self._slot_free_at(pending, now)
        retry_after_ms = max(1, int((free_at - now.mono) * 1000))
        if free_at >= pending.deadline:
            self._deny(pending, Reason.OVER_BUDGET, now, retry_after_ms=retry_after_ms)
            return
        if pending.action in {PLACE, REPLACE} and waiting >= self._lane_max:
            self._deny(pending, Reason.LANE_FULL, now, retry_after_ms=retry_after_ms)
            return
        heappush(self._deadlines, (pending.deadline, pending.offset, pending))
        self._lanes.add(pending)

    def _slot_free_at(self, pending: Pending, now: Now) -> float:
        """Estimate when a command gets a slot; `now` when at once."""
        return max(now.mono, self._windows[pending.action].free_at(self._lanes.waiting(pending.action), now.mono))

    def _clear_the_way(self, pending: Pending, now: Now) -> bool:
        """Let a cancel end what waits before it; whether that was the place of its order.

        Everything that waits was read before, so it stands at a lower offset. Thousands may wait before a
        cancel_orders: they are ended at once and answered in parts, because it is not to wait for their answers.
        """
        if pending.action == CANCEL_ALL:
            for earlier in self._lanes.unsent_in_scope(pending.exchange or ""):
                if earlier.state is State.QUEUED:
                    earlier.superseded = True
                    self._lanes.discard(earlier)
                    self._superseded.append(earlier)
                else:
                    self._supersede(earlier, now)
            self._answer_superseded(now)
        elif pending.action == CANCEL and pending.order is not None:
            for earlier in self._lanes.unsent_replaces(pending.order):
                self._supersede(earlier, now)
            place = self._lanes.unsent_place(pending.order)
            if place is not None:
                self._supersede(place, now)
                return True
        return False

    def _answer_superseded(self, now: Now) -> None:
        for _ in range(min(len(self._superseded), _ANSWERED_AT_ONCE)):
            pending = self._superseded.popleft()
            if pending.state is State.QUEUED:
                self._supersede(pending, now)

    def _supersede(self, pending: Pending, now: Now) -> None:
        self._sending.withdraw(pending)
        self._end(pending, Outcome.SUPERSEDED, now, message="a later cancel made it pointless")

    def _deny(
        self,
        pending: Pending,
        reason: Reason,
        now: Now,
        *,
        message: str | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        self._replies.last_word(
            pending, Outcome.DENIED, now, reason=reason, message=message, retry_after_ms=retry_after_ms
        )

    def _end(
        self,
        pending: Pending,
        outcome: Outcome,
        now: Now,
        *,
        reason: Reason | None = None,
        code: int | None = None,
        message: str | None = None,
    ) -> None:
        self._replies.last_word(pending, outcome, now, reason=reason, code=code, message=message)
        self._lanes.settled(pending)

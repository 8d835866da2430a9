"""From a record of the commands topic to a place in a lane, or straight to an answer."""

from enum import StrEnum
from heapq import heappop, heappush

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome, Reason
from bridge.contract.session import Alarm
from bridge.core.admit import Refusal, Rules, admit
from bridge.core.claims import Claims
from bridge.core.command import Pending
from bridge.core.lanes import Lanes
from bridge.core.life import UNSENT, Event, State
from bridge.core.memory import Asked, Memory
from bridge.core.now import Now
from bridge.core.orders import Orders
from bridge.core.replies import Replies
from bridge.core.sending import Sending
from bridge.core.settling import Settling
from bridge.core.traffic import CommandRecord
from bridge.core.windows import Windows


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
        sending: Sending,
        settling: Settling,
    ) -> None:
        self._rules = rules
        self._lane_max = lane_commands_max
        self._replies = replies
        self._claims = claims
        self._memory = memory
        self._lanes = lanes
        self._windows = windows
        self._orders = orders
        self._sending = sending
        self._settling = settling
        self._deadlines: list[tuple[float, int, Pending]] = []
        self._lookups: dict[str, list[Pending]] = {}

    @property
    def paused(self) -> bool:
        """Whether so many cancels wait that reading should pause."""
        return self._lanes.waiting(CANCEL) + self._lanes.waiting(CANCEL_ALL) >= self._lane_max

    def offer(self, record: CommandRecord, now: Now, past: Past = Past.NEW) -> None:
        """Take in a record of the commands topic."""
        admitted = admit(record, now, self._rules)
        if past is Past.ANSWERED:
            self._claims.passed(record.offset)
            if isinstance(admitted, Pending):
                self._name_order(admitted)
                self._clear_the_way(admitted, now)
            return
        self._claims.opened(record.offset)
        if isinstance(admitted, Refusal):
            self._replies.refuse(record, admitted, now)
            return
        if self._seen_before(admitted, record, now):
            return
        asked = Asked(
            command_id=admitted.command_id,
            offset=admitted.offset,
            timestamp_ms=admitted.timestamp_ms,
            digest=admitted.digest,
            client_order_id=admitted.client_order_id,
        )
        taken = admitted.action == PLACE and self._memory.holder(admitted.client_order_id or "") is not None
        self._memory.remember(asked, names_order=admitted.action == PLACE)
        self._name_order(admitted)
        if past is Past.CLAIMED:
            self._inherit(admitted, now)
            return
        if past is Past.READ and admitted.action == CANCEL:
            self._windows[CANCEL].restore((), [(("earlier owner", admitted.offset), now.mono)])
        if taken:
            text = (
                f"clientOrderId {admitted.client_order_id} belongs to another command; give this one a name of its own"
            )
            self._deny(admitted, Reason.CLIENT_ORDER_ID_IN_USE, now, message=text)
        elif now.mono >= admitted.deadline:
            self._replies.last_word(admitted, Outcome.EXPIRED, now)
        else:
            self._queue(admitted, now)

    def tick(self, now: Now) -> None:
        """Answer what has expired unsent, and forget what is older than the horizon."""
        while self._deadlines and self._deadlines[0][0] <= now.mono:
            _, _, pending = heappop(self._deadlines)
            if pending.state is State.QUEUED:
                self._sending.withdraw(pending)
                self._end(pending, Outcome.EXPIRED, now)
            elif pending.state in UNSENT:
                heappush(self._deadlines, (now.mono + 0.05, pending.offset, pending))
        self._memory.forget(now.wall_ms)

    def wake_at(self) -> float:
        """Return when the next command expires."""
        return self._deadlines[0][0] if self._deadlines else float("inf")

    def lookups(self) -> list[str]:
        """Return the clientOrderIds of replaces whose order nobody here knows."""
        for pending in self._sending.nameless:
            self._lookups.setdefault(pending.client_order_id or "", []).append(pending)
        self._sending.nameless.clear()
        return list(self._lookups)

    def looked_up(self, client_order_id: str, now: Now) -> None:
        """Go on with the replaces of an order after the venue was asked; Orders knows it by now if it exists."""
        known = self._orders.find(None, client_order_id) is not None
        for pending in self._lookups.pop(client_order_id, []):
            if pending.state is not State.QUEUED:
                continue
            if known:
                self._lanes.put_back(pending)
            else:
                text = f"neither the bridge nor the venue knows an order {client_order_id}"
                self._end(pending, Outcome.DENIED, now, reason=Reason.UNKNOWN_ORDER, message=text)

    def _seen_before(self, pending: Pending, record: CommandRecord, now: Now) -> bool:
        asked = self._memory.find(pending.command_id)
        if asked is None or asked.offset == pending.offset:
            return False
        if asked.digest != pending.digest:
            text = f"commandId {pending.command_id} was used at offset {asked.offset} with another body"
            self._replies.dead_letter(record, Reason.ID_CONFLICT, text, now)
            self._replies.alarm(Alarm.ID_CONFLICT, text, now)
        elif asked.result is not None:
            self._replies.again(asked.result, record.offset, pending.echo)
        else:
            asked.repeats.append((pending.offset, pending.echo))
        return True

    def _name_order(self, pending: Pending) -> None:
        """Find the one name under which all commands of an order meet, and what else is known of it."""
        if pending.action == CANCEL_ALL:
            return
        order = self._orders.find(pending.order_id, pending.client_order_id)
        if order is not None:
            pending.order_id = pending.order_id or order.order_id
            pending.client_order_id = pending.client_order_id or order.client_order_id
            pending.exchange = pending.exchange or order.exchange
        pending.order = pending.client_order_id or pending.order_id

    def _inherit(self, pending: Pending, now: Now) -> None:
        pending.step(Event.INHERITED)
        self._claims.claimed.add(pending.offset)
        self._windows[pending.action].restore((), [(pending.offset, now.mono)])
        self._lanes.occupy(pending)
        self._settling.inherited(pending)
        self._clear_the_way(pending, now)

    def _queue(self, pending: Pending, now: Now) -> None:
        self._clear_the_way(pending, now)
        if pending.state is not State.QUEUED:
            return
        waiting = self._lanes.waiting(pending.action)
        free_at = self._windows[pending.action].free_at(waiting, now.mono)
        retry_after_ms = max(1, int((free_at - now.mono) * 1000))
        if free_at >= pending.deadline:
            self._deny(pending, Reason.OVER_BUDGET, now, retry_after_ms=retry_after_ms)
            return
        if pending.action in {PLACE, REPLACE} and waiting >= self._lane_max:
            self._deny(pending, Reason.LANE_FULL, now, retry_after_ms=retry_after_ms)
            return
        heappush(self._deadlines, (pending.deadline, pending.offset, pending))
        self._lanes.add(pending)

    def _clear_the_way(self, pending: Pending, now: Now) -> None:
        """Let a cancel end what waits before it; the results of what it removed come before its own.

        Everything that waits was read before, so it stands at a lower offset.
        """
        if pending.action == CANCEL_ALL:
            for earlier in self._lanes.unsent_in_scope(pending.exchange or ""):
                self._supersede(earlier, now)
        elif pending.action == CANCEL and pending.order is not None:
            for earlier in self._lanes.unsent_replaces(pending.order):
                self._supersede(earlier, now)
            place = self._lanes.unsent_place(pending.order)
            if place is None:
                return
            self._supersede(place, now)
            if pending.state is State.QUEUED:
                text = "its place had not been sent and was removed"
                self._replies.last_word(pending, Outcome.SUPERSEDED, now, message=text)

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
        message: str | None = None,
    ) -> None:
        self._replies.last_word(pending, outcome, now, reason=reason, message=message)
        self._lanes.settled(pending)

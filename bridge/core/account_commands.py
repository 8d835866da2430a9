"""The commands of one account: from their topic into a lane, claimed, written and committed in the one safe order."""

from msgspec import structs

from bridge.contract.commands import CANCEL, CANCEL_ALL
from bridge.core.account_wings import AccountWings
from bridge.core.commands.command import TrackedCommand, wire_args
from bridge.core.commands.dispatch import Commit
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.now import Now
from bridge.core.records import CommandRecord, WriteRequest


class AccountCommands(AccountWings):
    """What `flow` reads, writes and commits for one account."""

    def key_accepted(self, fingerprint: str) -> None:
        """Note with which API key the venue has let us log in, for the commits to name; empty where it is not known."""
        if fingerprint:
            self._claims.origin = structs.replace(self._claims.origin, key_fingerprint=fingerprint)

    def offer(
        self,
        record: CommandRecord,
        now: Now,
        past: TakeoverStatus = TakeoverStatus.NEW,
        *,
        behind: int = 0,
        too_many_answers: bool = False,
    ) -> None:
        """Take in a record of the commands topic; `behind` is how many others wait behind it.

        `too_many_answers`: so much waits for Kafka that only cancels are taken in.
        """
        self.intake.offer(record, now, past, behind=behind, too_many_answers=too_many_answers)
        if past is TakeoverStatus.NEW:
            self.reading_delay.record_read(record.timestamp_ms, now)

    def read_to(self, position: int, end: int, now: Now, *, is_paused: bool = False) -> None:
        """Note the offset to read next, the topic's end as far as it is known, and whether reading is paused."""
        self.intake.mark_read_to(position)
        self.reading_delay.position_reached(position, end, now, is_paused=is_paused)

    @property
    def is_reading_full(self) -> bool:
        """Whether so many cancels wait that reading should pause."""
        return self.intake.is_paused

    def has_lease(self, now: Now) -> bool:
        """Whether a commit handed over less than a lease ago has been acknowledged."""
        return self.dispatcher.has_lease(now)

    @property
    def deferred_span(self) -> tuple[int, int] | None:
        """The first command that is to be answered later, and the offset after the last."""
        return self.intake.deferred_span

    def answer_deferred(self, record: CommandRecord, now: Now) -> None:
        """Deny a deferred command, which was read again (`lane_full`), or let it expire; a second call does nothing."""
        self.intake.answer_deferred(record, now)

    def deferred_answered(self, below: int) -> None:
        """Note that every deferred command below an offset has been read again, and so denied or expired."""
        self.intake.mark_deferred_answered(below)

    def next_request(self, now: Now, *, link_ready: bool, is_owner: bool) -> WriteRequest | None:
        """Return the request to write now, if any: it counts as written.

        New cancels come first, then those that the bridge sends of its own accord, then repeats, then what an
        acknowledged commit claims. `link_ready`: the session is logged in, its pong is fresh, and its write buffer is
        empty. `is_owner`: the group has not taken the partition away.
        """
        may_begin = link_ready and not self._is_ending
        while True:
            cancel = self.dispatcher.next_cancel(now, ready=may_begin)
            if cancel is not None:
                return self._write(cancel, now)
            # At the end too: the cancel_orders that they are for has been begun.
            own = self._next_own_cancel(now, ready=link_ready)
            if own is not None:
                return WriteRequest(own[0], CANCEL, own[1])
            repeat = self.dispatcher.next_repeat(now, ready=may_begin)
            if repeat is not None:
                return self._write(repeat, now)
            claimed = self.dispatcher.next_claimed(now, ready=may_begin and is_owner and self.first_sweep_done)
            if claimed is None:
                return None
            if not self._begin_single_cancels(claimed, now):
                return self._write(claimed, now)

    def begin_end(self) -> None:
        """Claim and begin nothing new any more: the term ends in good order."""
        self._is_ending = True

    @property
    def awaited_count(self) -> int:
        """How many answers of the venue are awaited."""
        return self.table.count_awaiting()

    def is_commit_due(self, now: Now) -> bool:
        """Return whether the period of the commits is over, or something waits to be claimed or counted by one."""
        return self.dispatcher.is_commit_due(now)

    def next_commit(self, now: Now, live_until_ms: int, *, recording: bool) -> Commit | None:
        """Return the commit to hand over now. `live_until_ms`: up to when what was received is durable.

        Nothing is claimed before the session is recovered, while results and events cannot be recorded, or after
        `begin_end`, when the term is ending.
        """
        may_claim = self.first_sweep_done and recording and not self._is_ending
        return self.dispatcher.next_commit(now, self.stream.durable_until_ms(live_until_ms, now), may_claim=may_claim)

    def commit_acked(self, now: Now) -> None:
        """Note that the commit under way is acknowledged: what it claims may be written."""
        self.dispatcher.tick(now)  # a pause before this moment changes what the commit proves
        self.dispatcher.commit_acked(now)

    def commit_dropped(self) -> None:
        """Note that the commit under way came to nothing: what it claimed waits again."""
        self.dispatcher.commit_dropped()

    def last_commit(self, now: Now, live_until_ms: int, *, released: bool) -> Commit:
        """Return the commit with which the term ends; `released`: the next owner may log in at once."""
        return self.dispatcher.last_commit(now, self.stream.durable_until_ms(live_until_ms, now), released=released)

    def _next_own_cancel(self, now: Now, *, ready: bool) -> tuple[str, dict[str, str]] | None:
        """Return id and arguments of a cancel that the bridge sends of its own accord, if one is to be written now."""
        return self.bridge_cancels.next_request(now) if ready and self.dispatcher.may_write_cancels(now) else None

    def _begin_single_cancels(self, command: TrackedCommand, now: Now) -> bool:
        """Begin a claimed cancel_orders without a message of its own, where that is the policy; False if it is not."""
        if command.action != CANCEL_ALL or not self._single_cancels:
            return False
        self.dispatcher.begin_single_cancels(command, now)
        self.in_flight.begin_single_cancels(command, now)
        return True

    def _write(self, command: TrackedCommand, now: Now) -> WriteRequest:
        slot_key = command.slot_key
        request_id = self.dispatcher.mark_written(command, now)
        self.in_flight.await_ack(command, request_id, slot_key)
        return WriteRequest(request_id, command.action, wire_args(command), command.command_id)

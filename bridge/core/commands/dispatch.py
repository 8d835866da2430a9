"""Which command is sent next: a commit claims it first, and a gate checks it again right before its write.

1. Claim (`next_commit`, `_claim_heads`). No other commit is under way; `may_claim` (`AccountCommands.next_commit`); the
   command is the head of its lane (`Lanes`: earlier commands of its order have results; `UnsentCommands.answer_due`
   answers expired ones in turns); no offset of `Claims.unrecorded_refusals` is before it; no earlier cancel_orders of
   its scope is unsent; `inflight_commands_max` and `_CLAIMS_PER_COMMIT_MAX` leave room; a replace has its orderId; the
   rate limit has a slot; the metadata has room. A cancel_orders waits for no refusal and no other cancel_orders.
2. Gate (`pass_gate`, in one synchronous step with the write). The commit is acknowledged; the command has no result
   yet; there is a lease; its deadline has not passed; `ready` (`AccountCommands.next_request`: the link is ready, this
   process owns the partition, the first sweep since the login is done, the term is not ending).

A command that the gate refuses goes back to its old position in its lane. Memory holds no claim of it any more; the
stored claim stays until the next commit. The owner commits every `commit_period_s`, even with nothing to claim. A lease
begins when its commit is handed over. CLOCK_BOOTTIME measures it, so a suspend of the machine does not lengthen it.
"""

from collections import deque
from math import inf

from msgspec import Struct

from bridge.config import Limits, Timing
from bridge.contract.commands import CANCEL, CANCEL_ALL, REPLACE
from bridge.core.commands.claims import METADATA_BYTES_MAX, encode
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.lanes import CLAIM_LANES
from bridge.core.commands.order_lookups import OrderLookups
from bridge.core.commands.order_names import resolve_order_id
from bridge.core.commands.states import CommandEvent, CommandState
from bridge.core.commands.term_state import TermState
from bridge.core.now import Now

_CLAIMS_PER_COMMIT_MAX = 200
"""So many commands are written well within a lease."""
_RESERVED_BYTES = 512
"""Room in the metadata that is reserved for claims of cancel_orders."""
_REFUSAL_CHECK_S = 0.005
"""How often to check whether a refusal is durable: the commands after it wait for that."""
_JUMP_S = 1.0
"""A longer pause between two ticks means that this process was frozen or its machine asleep."""

_SLOW_COMMITS_MIN = 2
"""So many commits in a row, each acknowledged after its lease, mean that commits are slow."""
_PROMPT_COMMITS_MIN = 5
"""So many in a row, each acknowledged within its lease, mean that they no longer are."""


class Commit(Struct, frozen=True):
    """One commit to hand over: offset and metadata, and the commands that it is the first to claim."""

    offset: int
    metadata: str
    claimed: tuple[TrackedCommand, ...]
    handed_over_boot_s: float
    extra_count: int = 0
    """How many extra requests to cancel it counts, of all that were noted in this term."""


class Dispatcher:
    """Hands over the commits of one term, and the commands to write."""

    def __init__(self, term: TermState, limits: Limits, timing: Timing) -> None:
        self._epoch = term.epoch
        self._table = term.table
        self._lanes = term.table.lanes
        self._rate_limits = term.rate_limits
        self._claims = term.claims
        self._orders = term.orders
        self.lookups = OrderLookups(term.table)
        self._lease_s = timing.lease_s
        self._commit_period_s = timing.commit_period_s
        self._inflight_max = limits.inflight_commands_max
        self._lease_until_boot_s = 0.0
        self._commit: Commit | None = None
        self._acked: deque[TrackedCommand] = deque()
        """Claimed by a commit that was acknowledged, and not written yet."""
        self._next_commit_boot_s = 0.0
        self._last_tick_boot_s: float | None = None
        self._jumped_boot_s = -inf
        self._cancels_until_boot_s = 0.0
        self._slow_commits, self._prompt_commits = 0, 0

    def tick(self, now: Now) -> None:
        """Notice a pause of this process or its machine: it may no longer own the account, until a commit succeeds."""
        if self._last_tick_boot_s is not None and now.boot_s - self._last_tick_boot_s > _JUMP_S:
            self._jumped_boot_s = now.boot_s
        self._last_tick_boot_s = now.boot_s

    def has_lease(self, now: Now) -> bool:
        """Whether a commit handed over less than a lease ago has been acknowledged."""
        return now.boot_s < self._lease_until_boot_s

    def may_write_cancels(self, now: Now) -> bool:
        """Whether cancels may be written. They are safe to repeat, so each of three cases is enough.

        There is a lease. Or a commit was acknowledged, however late, less than `lease_s` ago. Or a commit is under way
        that was handed over in one of these cases. A commit under way in a pause (`tick`) counts for case 1 only.
        """
        until_boot_s = max(self._lease_until_boot_s, self._cancels_until_boot_s)
        if self.has_lease(now) or self._jumped_boot_s < now.boot_s < self._cancels_until_boot_s:
            return True
        return self._commit is not None and self._jumped_boot_s <= self._commit.handed_over_boot_s < until_boot_s

    @property
    def commits_are_slow(self) -> bool | None:
        """Whether commits are acknowledged after their lease; None while the last ones give no clear answer."""
        if self._slow_commits >= _SLOW_COMMITS_MIN:
            return True
        return False if self._prompt_commits >= _PROMPT_COMMITS_MIN else None

    def last_commit(self, now: Now, durable_until_ms: int, *, released: bool) -> Commit:
        """Return the commit with which a term ends in good order."""
        self.commit_dropped()
        extra, _ = self._rate_limits.cancels.extra.counts_to_commit(now.boot_s, is_last=True)
        read_to = self._claims.next_offset
        stored = self._claims.build_metadata(
            self._epoch, durable_until_ms, released=released, read_to=read_to, extra_cancels=extra
        )
        return Commit(self._claims.committable_offset, encode(stored, self._claims.committable_offset), (), now.boot_s)

    def is_commit_due(self, now: Now) -> bool:
        """Return whether the period is over, or something waits to be claimed or counted."""
        is_wanted = now.boot_s >= self._next_commit_boot_s or self._rate_limits.cancels.extra.commit_wanted
        return is_wanted or any(self._lanes.peek_head(action) is not None for action in CLAIM_LANES)

    def next_commit(self, now: Now, durable_until_ms: int, *, may_claim: bool) -> Commit | None:
        """Return the commit to hand over now: to claim commands, or because the period is over; None for neither."""
        if self._commit is not None:
            return None
        batch = self._claim_heads(now) if may_claim else []
        if not batch and now.boot_s < self._next_commit_boot_s and not self._rate_limits.cancels.extra.commit_wanted:
            return None
        extra, noted = self._rate_limits.cancels.extra.counts_to_commit(now.boot_s)
        watermark = self._claims.committable_offset
        while True:
            claimed = (command.offset for command in batch)
            stored = self._claims.build_metadata(self._epoch, durable_until_ms, claimed, extra_cancels=extra)
            metadata = encode(stored, watermark)
            room = METADATA_BYTES_MAX - (_RESERVED_BYTES if batch and batch[-1].action != CANCEL_ALL else 0)
            if len(metadata) <= room or not batch:
                break
            self._drop_claim(batch.pop())
        self._next_commit_boot_s = now.boot_s + self._commit_period_s
        self._commit = Commit(watermark, metadata, tuple(batch), now.boot_s, noted)
        return self._commit

    def commit_acked(self, now: Now) -> list[TrackedCommand]:
        """Note that the commit under way is acknowledged; return what it claims: it waits for `next_claimed`."""
        commit = self._pop_commit()
        self._lease_until_boot_s = commit.handed_over_boot_s + self._lease_s
        self._rate_limits.cancels.extra.mark_committed(commit.extra_count)
        # The next is handed over at once if this one was slow. One from before a pause proves nothing after it.
        self._cancels_until_boot_s = (
            now.boot_s + self._lease_s if commit.handed_over_boot_s >= self._jumped_boot_s else self._lease_until_boot_s
        )
        is_slow = now.boot_s > self._lease_until_boot_s
        self._slow_commits = self._slow_commits + 1 if is_slow else 0
        self._prompt_commits = 0 if is_slow else self._prompt_commits + 1
        stored = []
        for command in commit.claimed:
            command.step(CommandEvent.CLAIM_STORED)
            if command.state is CommandState.CLAIMED:
                command.claimed_boot_s = now.boot_s
                self._claims.claimed.add(command.offset)
                stored.append(command)
        self._acked += stored
        return stored

    def commit_dropped(self) -> None:
        """Note that the commit under way, if any, failed: its commands without a result go back into their lanes."""
        self._next_commit_boot_s = 0.0
        if self._commit is not None:
            for command in reversed(self._pop_commit().claimed):
                self._drop_claim(command)

    def next_claimed(self, now: Now, *, ready: bool) -> TrackedCommand | None:
        """Return the claimed command to write now, if any. `pass_gate` decides about each."""
        while self._acked:
            command = self._acked.popleft()
            if self.pass_gate(command, now, ready=ready):
                return command
        return None

    def pass_gate(self, command: TrackedCommand, now: Now, *, ready: bool) -> bool:
        """Return whether a claimed command may be written now. If not, it goes back into its lane unless answered."""
        if command.state is not CommandState.CLAIMED:
            return False
        if ready and self.has_lease(now) and now.boot_s < command.deadline_boot_s:
            return True
        self._claims.claimed.discard(command.offset)
        self._drop_claim(command)
        return False

    def next_cancel(self, now: Now, *, ready: bool) -> TrackedCommand | None:
        """Return the cancel to write now for the first time; None when none may be. It needs no claim."""
        self.tick(now)
        if not ready or not self.may_write_cancels(now):
            return None
        command = self._lanes.peek_head(CANCEL)
        while command is not None and now.boot_s >= command.deadline_boot_s:  # answered as soon as there is a lease
            self._lanes.pop_head(command)
            command = self._lanes.peek_head(CANCEL)
        if command is not None and self._rate_limits.cancels.acquire(command.slot_key, now.boot_s):
            self._lanes.pop_head(command)
            return command
        return None

    def next_repeat(self, now: Now, *, ready: bool) -> TrackedCommand | None:
        """Return the cancel to repeat now; None when none may be. New cancels and bridge cancels come before."""
        if not ready or not self.may_write_cancels(now):
            return None
        repeat, cancels = self._lanes.peek_repeat(now.boot_s), self._rate_limits.cancels
        if repeat is None:
            return None
        acquire = cancels.acquire_after_rate_refusal if repeat.rate_refusal is not None else cancels.acquire_for_repeat
        if not acquire(repeat.slot_key, now.boot_s):
            return None
        if repeat.attempts:
            cancels.extra.add((repeat.offset, repeat.attempts - 1), repeat.written_boot_s)
        else:  # an earlier owner's request
            cancels.extra.add(("earlier owner", repeat.offset), now.boot_s)
        self._lanes.pop_repeat()
        return repeat

    def mark_written(self, command: TrackedCommand, now: Now) -> str:
        """Note that a command is being written; return the id of the request."""
        slot_key = command.slot_key
        if command.attempts == 0 and not command.maybe_written_before:
            command.first_written_boot_s = now.boot_s
        command.attempts += 1
        command.request_id = f"{self._epoch:x}x{command.offset:x}x{command.attempts:x}"
        command.written_boot_s = now.boot_s
        command.sent_at_ms = command.sent_at_ms or now.wall_ms
        command.step(CommandEvent.WRITTEN)
        self._rate_limits[command.action].mark_written(slot_key, now.boot_s)
        return command.request_id

    def begin_single_cancels(self, cancel_all: TrackedCommand, now: Now) -> None:
        """Note that a cancel_orders is carried out by single cancels from now on: it has no request of its own."""
        self._rate_limits[cancel_all.action].release(cancel_all.slot_key)
        cancel_all.written_boot_s = now.boot_s
        cancel_all.sent_at_ms = now.wall_ms
        cancel_all.step(CommandEvent.WRITTEN)

    def cancel_unsent(self, command: TrackedCommand) -> None:
        """Take an unsent command out of its lane, or give its slot back: it will not be written."""
        if command.state is CommandState.QUEUED:
            self._lanes.count_out(command)
        else:
            self._rate_limits[command.action].release(command.offset)

    def wake_at_boot_s(self, now: Now) -> float:
        """Return when the next commit is due, a slot comes free for a waiting command, or a refusal may be durable."""
        slots_free = [
            self._rate_limits[action].next_free_boot_s(now.boot_s)
            for action in (*CLAIM_LANES, CANCEL)
            if self._lanes.peek_head(action) is not None
        ]
        refusal_checks = [now.boot_s + _REFUSAL_CHECK_S] if self._claims.unrecorded_refusals else []
        return min([self._next_commit_boot_s, *refusal_checks, *(at for at in slots_free if at > now.boot_s)])

    def _claim_heads(self, now: Now) -> list[TrackedCommand]:
        """Take from their lanes, and return, the commands that the next commit claims."""
        batch: list[TrackedCommand] = []
        # Were a refusal lost, a successor might send the refused command after all, and after a later one.
        refused_offset = min(self._claims.unrecorded_refusals, default=inf)
        for action in CLAIM_LANES:
            # A cancel_orders is not limited by what is in flight.
            in_flight = 0 if action == CANCEL_ALL else len(self._claims.claimed)
            room = min(_CLAIMS_PER_COMMIT_MAX, self._inflight_max - in_flight) - len(batch)
            while room > 0 and (command := self._lanes.peek_head(action)) is not None:
                if action != CANCEL_ALL and (
                    command.offset > refused_offset or self._table.is_blocked_by_cancel_all(command)
                ):
                    break
                if action == REPLACE and not resolve_order_id(command, self._orders):
                    self.lookups.await_lookup(command)
                    continue
                if not self._rate_limits[action].acquire(command.offset, now.boot_s):
                    break
                self._lanes.pop_head(command)
                command.step(CommandEvent.CLAIM_REQUESTED)
                batch.append(command)
                room -= 1
        return batch

    def _drop_claim(self, command: TrackedCommand) -> None:
        """Give a slot back, and put the command into its lane again unless it was answered meanwhile."""
        self._rate_limits[command.action].release(command.offset)
        is_unsent = command.state in {CommandState.CLAIMING, CommandState.CLAIMED}
        command.step(CommandEvent.CLAIM_DROPPED)
        if is_unsent:
            self._lanes.put_back(command)

    def _pop_commit(self) -> Commit:
        commit, self._commit = self._commit, None
        if commit is None:
            raise AssertionError("a commit ended that was never handed over")
        return commit

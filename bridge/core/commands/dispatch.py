"""Which command goes next, the claim that must be stored before it, and the gate right before its write."""

from collections import deque
from math import inf

from msgspec import Struct

from bridge.config import Limits, Timing
from bridge.contract.commands import CANCEL, CANCEL_ALL
from bridge.core.commands.claims import METADATA_BYTES_MAX, Claims, encode
from bridge.core.commands.command import SAFE_TO_REPEAT, TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.lanes import CLAIM_LANES
from bridge.core.commands.order_lookups import OrderLookups
from bridge.core.commands.order_names import resolve_order_id
from bridge.core.commands.rate_limits import RateLimits
from bridge.core.commands.states import CommandEvent, CommandState
from bridge.core.now import Now
from bridge.core.orders import Orders

_BATCH_MAX = 200
"""Claims in one commit: so many are written well within a lease."""
_KEPT_BYTES = 512
"""Room in the metadata that is kept for claims of cancel_orders, whatever else is in flight."""
_LOOK_AGAIN_S = 0.005
"""How soon to look whether a refusal has become durable that holds up what is behind it."""
_JUMP_S = 1.0
"""A longer pause between two ticks means that this process was frozen or its machine asleep."""

_SLOW_TOLD = 2
"""So many commits in a row that were acknowledged after their lease are no accident."""
_PROMPT_TOLD = 5
"""So many in a row that were not end it."""


class Commit(Struct, frozen=True):
    """One commit to hand over: the whole state, and which commands it claims."""

    offset: int
    metadata: str
    claimed: tuple[TrackedCommand, ...]
    handed_over_boot_s: float
    extra_count: int = 0


class Dispatcher:
    """Lanes, windows, claims and the lease of one term."""

    def __init__(
        self,
        table: CommandTable,
        rate_limits: RateLimits,
        claims: Claims,
        orders: Orders,
        *,
        epoch: int,
        limits: Limits,
        timing: Timing,
    ) -> None:
        self._lanes = table.lanes
        self._windows = rate_limits
        self._claims = claims
        self._orders = orders
        self.lookups = OrderLookups(table.lanes)
        self._epoch = epoch
        self._lease_s = timing.lease_s
        self._commit_period_s = timing.commit_period_s
        self._inflight_max = limits.inflight_commands_max
        self._lease_until = 0.0
        self._commit: Commit | None = None
        self._acked: deque[TrackedCommand] = deque()
        """Claimed by a commit that was acknowledged, and not written yet."""
        self._next_commit_at = 0.0
        self._last_tick: float | None = None
        self._jumped_at = -inf
        self._cancels_until = 0.0
        self._slow, self._prompt = 0, 0

    def tick(self, now: Now) -> None:
        """Notice a jump of the clock that counts suspend: until the next stored commit nothing is certain."""
        if self._last_tick is not None and now.boot_s - self._last_tick > _JUMP_S:
            self._jumped_at = now.boot_s
        self._last_tick = now.boot_s

    def has_lease(self, now: Now) -> bool:
        """Whether a commit handed over less than a lease ago has been acknowledged."""
        return now.boot_s < self._lease_until

    def may_write_cancels(self, now: Now) -> bool:
        """Whether cancels may be written, which are safe to repeat.

        With a lease; or for as long after a slow commit was acknowledged; or while a commit is under way that was
        handed over within that time: the brokers are slow, or out of reach.
        """
        until = max(self._lease_until, self._cancels_until)
        if self.has_lease(now) or self._jumped_at < now.boot_s < self._cancels_until:
            return True
        return self._commit is not None and self._jumped_at <= self._commit.handed_over_boot_s < until

    @property
    def commits_are_slow(self) -> bool | None:
        """Whether commits outlast the lease, or do not any more; None while neither has been so for long enough."""
        if self._slow >= _SLOW_TOLD:
            return True
        return False if self._prompt >= _PROMPT_TOLD else None

    def last_commit(self, now: Now, durable_until_ms: int, *, released: bool) -> Commit:
        """Return the commit with which a term ends in good order."""
        self.commit_dropped()
        extra, _ = self._windows.cancels.extra.counts_to_commit(now.boot_s, is_last=True)
        read_to = self._claims.next_offset
        stored = self._claims.build_metadata(
            self._epoch, durable_until_ms, released=released, read_to=read_to, extra_cancels=extra
        )
        return Commit(self._claims.committable_offset, encode(stored, self._claims.committable_offset), (), now.boot_s)

    def next_commit(self, now: Now, durable_until_ms: int, *, may_claim: bool) -> Commit | None:
        """Return the commit to hand over now: for what can be claimed, or because the period is over."""
        if self._commit is not None:
            return None
        batch = self._claim_next(now) if may_claim else []
        if not batch and now.boot_s < self._next_commit_at and not self._windows.cancels.extra.commit_wanted:
            return None
        extra, noted = self._windows.cancels.extra.counts_to_commit(now.boot_s)
        watermark = self._claims.committable_offset
        while True:
            claimed = (command.offset for command in batch)
            stored = self._claims.build_metadata(self._epoch, durable_until_ms, claimed, extra_cancels=extra)
            metadata = encode(stored, watermark)
            room = METADATA_BYTES_MAX - (_KEPT_BYTES if batch and batch[-1].action != CANCEL_ALL else 0)
            if len(metadata) <= room or not batch:
                break
            self._put_back(batch.pop())
        self._next_commit_at = now.boot_s + self._commit_period_s
        self._commit = Commit(watermark, metadata, tuple(batch), now.boot_s, noted)
        return self._commit

    def commit_acked(self, now: Now) -> list[TrackedCommand]:
        """Note that the commit under way is acknowledged; return what it claims: it waits for `next_claimed`."""
        commit = self._end_commit()
        self._lease_until = commit.handed_over_boot_s + self._lease_s
        self._windows.cancels.extra.mark_committed(commit.extra_count)
        # The next is handed over at once if this one was slow. One from before a jump says nothing of the time after.
        self._cancels_until = (
            now.boot_s + self._lease_s if commit.handed_over_boot_s >= self._jumped_at else self._lease_until
        )
        slow = now.boot_s > self._lease_until
        self._slow, self._prompt = (self._slow + 1, 0) if slow else (0, self._prompt + 1)
        stored = []
        for command in commit.claimed:
            command.step(CommandEvent.CLAIM_STORED)
            if command.state is CommandState.CLAIMED:
                self._claims.claimed.add(command.offset)
                stored.append(command)
        self._acked += stored
        return stored

    def commit_dropped(self) -> None:
        """Note that the commit under way, if any, was given up: what it claimed waits again."""
        self._next_commit_at = 0.0
        if self._commit is not None:
            for command in reversed(self._end_commit().claimed):
                self._put_back(command)

    def next_claimed(self, now: Now, *, ready: bool) -> TrackedCommand | None:
        """Return the claimed command to write now, if any; one that may not be written goes back into its lane."""
        while self._acked:
            command = self._acked.popleft()
            if self.may_write(command, now, ready=ready):
                return command
        return None

    def may_write(self, command: TrackedCommand, now: Now, *, ready: bool) -> bool:
        """Decide right before the write of a claimed command; False puts it back into its lane.

        `ready`: the session is live and recovered, its pong fresh and its write buffer empty.
        """
        if command.state is not CommandState.CLAIMED:
            return False
        if ready and self.has_lease(now) and now.boot_s < command.deadline_boot_s:
            return True
        self._claims.claimed.discard(command.offset)
        self._put_back(command)
        return False

    def next_cancel(self, now: Now, *, ready: bool) -> TrackedCommand | None:
        """Return the cancel to write now for the first time, if any. It is safe to repeat and needs no claim."""
        self.tick(now)
        if not ready or not self.may_write_cancels(now):
            return None
        command = self._lanes.peek_head(CANCEL)
        while command is not None and now.boot_s >= command.deadline_boot_s:  # answered as soon as there is a lease
            self._lanes.pop_head(command)
            command = self._lanes.peek_head(CANCEL)
        if command is not None and self._windows.cancels.acquire(self.slot_key(command), now.boot_s):
            self._lanes.pop_head(command)
            return command
        return None

    def next_repeat(self, now: Now, *, ready: bool) -> TrackedCommand | None:
        """Return the cancel to repeat now, if any: after new ones and those that the bridge sends of its own accord."""
        if not ready or not self.may_write_cancels(now):
            return None
        repeat, window = self._lanes.peek_repeat(now.boot_s), self._windows.cancels
        if repeat is None:
            return None
        take = window.acquire_after_rate_refusal if repeat.rate_refusal is not None else window.acquire_for_repeat
        if not take(self.slot_key(repeat), now.boot_s):
            return None
        if repeat.attempts:
            window.extra.add((repeat.offset, repeat.attempts - 1), repeat.written_boot_s)
        else:  # an earlier owner's, from before now
            window.extra.add(("earlier owner", repeat.offset), now.boot_s)
        self._lanes.pop_repeat()
        return repeat

    def mark_written(self, command: TrackedCommand, now: Now) -> str:
        """Note that a command is being written; return the id of the request."""
        token = self.slot_key(command)
        if command.attempts == 0 and not command.maybe_written_before:
            command.first_written_boot_s = now.boot_s
        command.attempts += 1
        command.request_id = f"{self._epoch:x}x{command.offset:x}x{command.attempts:x}"
        command.written_boot_s = now.boot_s
        command.sent_at_ms = command.sent_at_ms or now.wall_ms
        command.step(CommandEvent.WRITTEN)
        self._windows[command.action].mark_written(token, now.boot_s)
        return command.request_id

    def begin_single_cancels(self, cancel_all: TrackedCommand, now: Now) -> None:
        """Note that a cancel_orders is carried out by single cancels from now on: no request of its own goes out."""
        self._windows[cancel_all.action].release(self.slot_key(cancel_all))
        cancel_all.written_boot_s = now.boot_s
        cancel_all.sent_at_ms = now.wall_ms
        cancel_all.step(CommandEvent.WRITTEN)

    def cancel_unsent(self, command: TrackedCommand) -> None:
        """Take a command out that will certainly not be written."""
        if command.state is CommandState.QUEUED:
            self._lanes.count_out(command)
        else:
            self._windows[command.action].release(command.offset)

    @staticmethod
    def slot_key(command: TrackedCommand) -> object:
        """Name the slot of the next request of a command."""
        return (command.offset, command.attempts) if command.action in SAFE_TO_REPEAT else command.offset

    def wake_at_boot_s(self, now: Now) -> float:
        """Return when something may become due by itself."""
        free = [
            self._windows[action].next_free(now.boot_s)
            for action in (*CLAIM_LANES, CANCEL)
            if self._lanes.peek_head(action) is not None
        ]
        soon = [now.boot_s + _LOOK_AGAIN_S] if self._claims.unrecorded_refusals else []
        return min([self._next_commit_at, *soon, *(at for at in free if at > now.boot_s)])

    def _claim_next(self, now: Now) -> list[TrackedCommand]:
        batch: list[TrackedCommand] = []
        # Were a refusal lost, a successor might send the cancel_orders or replace after all, and after what is next.
        refused = min(self._claims.unrecorded_refusals, default=inf)
        for action in CLAIM_LANES:
            # Nothing that is in flight keeps a cancel_orders back.
            in_flight = 0 if action == CANCEL_ALL else len(self._claims.claimed)
            room = min(_BATCH_MAX, self._inflight_max - in_flight) - len(batch)
            while room > 0 and (command := self._lanes.peek_head(action)) is not None:
                if action != CANCEL_ALL and (command.offset > refused or self._lanes.is_blocked_by_cancel_all(command)):
                    break
                if not resolve_order_id(command, self._orders):
                    self.lookups.await_lookup(command)
                    continue
                if not self._windows[action].acquire(command.offset, now.boot_s):
                    break
                self._lanes.pop_head(command)
                command.step(CommandEvent.CLAIM_REQUESTED)
                batch.append(command)
                room -= 1
        return batch

    def _put_back(self, command: TrackedCommand) -> None:
        self._windows[command.action].release(command.offset)
        waits = command.state in {CommandState.CLAIMING, CommandState.CLAIMED}
        command.step(CommandEvent.CLAIM_DROPPED)
        if waits:
            self._lanes.put_back(command)

    def _end_commit(self) -> Commit:
        commit, self._commit = self._commit, None
        if commit is None:
            raise AssertionError("a commit ended that was never handed over")
        return commit

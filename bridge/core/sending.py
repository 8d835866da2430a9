"""Which command goes next, the claim that must be stored before it, and the gate right before its write."""

from math import inf

from msgspec import Struct

from bridge.contract.commands import CANCEL, CANCEL_ALL
from bridge.core.claims import METADATA_BYTES_MAX, Claims, encode
from bridge.core.command import SAFE_TO_REPEAT, Pending
from bridge.core.lanes import CLAIM_LANES, Lanes
from bridge.core.life import Event, State
from bridge.core.now import Now
from bridge.core.order_lookups import OrderLookups
from bridge.core.order_names import has_order_id
from bridge.core.orders import Orders
from bridge.core.windows import Windows

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
    claimed: tuple[Pending, ...]
    handed_over: float
    extra_noted: int = 0


class Sending:
    """Lanes, windows, claims and the lease of one term."""

    def __init__(
        self,
        lanes: Lanes,
        windows: Windows,
        claims: Claims,
        orders: Orders,
        lookups: OrderLookups,
        *,
        epoch: int,
        lease_s: float,
        commit_period_s: float,
        inflight_max: int,
    ) -> None:
        self._lanes = lanes
        self._windows = windows
        self._claims = claims
        self._orders = orders
        self._lookups = lookups
        self._epoch = epoch
        self._lease_s = lease_s
        self._commit_period_s = commit_period_s
        self._inflight_max = inflight_max
        self._lease_until = 0.0
        self._commit: Commit | None = None
        self._next_commit_at = 0.0
        self._last_tick: float | None = None
        self._jumped_at = -inf
        self._cancels_until = 0.0
        self._slow, self._prompt = 0, 0

    def tick(self, now: Now) -> None:
        """Notice a jump of the clock that counts suspend: until the next stored commit nothing is certain."""
        if self._last_tick is not None and now.mono - self._last_tick > _JUMP_S:
            self._jumped_at = now.mono
        self._last_tick = now.mono

    def has_lease(self, now: Now) -> bool:
        """Whether a commit handed over less than a lease ago has been acknowledged."""
        return now.mono < self._lease_until

    def cancels_pass(self, now: Now) -> bool:
        """Whether cancels may be written, which are safe to repeat.

        With a lease; or for as long after a slow commit was acknowledged; or while a commit is under way that was
        handed over within that time: the brokers are slow, or out of reach.
        """
        until = max(self._lease_until, self._cancels_until)
        if self.has_lease(now) or self._jumped_at < now.mono < self._cancels_until:
            return True
        return self._commit is not None and self._jumped_at <= self._commit.handed_over < until

    @property
    def commits_are_slow(self) -> bool | None:
        """Whether commits outlast the lease, or do not any more; None while neither has been so for long enough."""
        if self._slow >= _SLOW_TOLD:
            return True
        return False if self._prompt >= _PROMPT_TOLD else None

    def last_commit(self, now: Now, durable_until_ms: int, *, released: bool) -> Commit:
        """Return the commit with which a term ends in good order."""
        self.commit_dropped()
        extra, _ = self._windows.cancels.extra.to_tell(now.mono, is_last=True)
        read_to = self._claims.next_offset
        stored = self._claims.stored(
            self._epoch, durable_until_ms, released=released, read_to=read_to, extra_cancels=extra
        )
        return Commit(self._claims.watermark, encode(stored, self._claims.watermark), (), now.mono)

    def next_commit(self, now: Now, durable_until_ms: int, *, may_claim: bool) -> Commit | None:
        """Return the commit to hand over now: for what can be claimed, or because the period is over."""
        if self._commit is not None:
            return None
        batch = self._claim(now) if may_claim else []
        if not batch and now.mono < self._next_commit_at and not self._windows.cancels.extra.commit_wanted:
            return None
        extra, noted = self._windows.cancels.extra.to_tell(now.mono)
        watermark = self._claims.watermark
        while True:
            claimed = (pending.offset for pending in batch)
            stored = self._claims.stored(self._epoch, durable_until_ms, claimed, extra_cancels=extra)
            metadata = encode(stored, watermark)
            room = METADATA_BYTES_MAX - (_KEPT_BYTES if batch and batch[-1].action != CANCEL_ALL else 0)
            if len(metadata) <= room or not batch:
                break
            self._put_back(batch.pop())
        self._next_commit_at = now.mono + self._commit_period_s
        self._commit = Commit(watermark, metadata, tuple(batch), now.mono, noted)
        return self._commit

    def commit_stored(self, now: Now) -> list[Pending]:
        """Note that the commit under way is acknowledged; return what it claims and may now try the gate."""
        commit = self._end_commit()
        self._lease_until = commit.handed_over + self._lease_s
        self._windows.cancels.extra.told(commit.extra_noted)
        # The next is handed over at once if this one was slow. One from before a jump says nothing of the time after.
        self._cancels_until = now.mono + self._lease_s if commit.handed_over >= self._jumped_at else self._lease_until
        slow = now.mono > self._lease_until
        self._slow, self._prompt = (self._slow + 1, 0) if slow else (0, self._prompt + 1)
        stored = []
        for pending in commit.claimed:
            pending.step(Event.CLAIM_STORED)
            if pending.state is State.CLAIMED:
                self._claims.claimed.add(pending.offset)
                stored.append(pending)
        return stored

    def commit_dropped(self) -> None:
        """Note that the commit under way, if any, was given up: what it claimed waits again."""
        self._next_commit_at = 0.0
        if self._commit is not None:
            for pending in reversed(self._end_commit().claimed):
                self._put_back(pending)

    def gate(self, pending: Pending, now: Now, *, ready: bool) -> bool:
        """Decide right before the write of a claimed command; False puts it back into its lane.

        `ready`: the session is live and recovered, its pong fresh and its write buffer empty.
        """
        if pending.state is not State.CLAIMED:
            return False
        if ready and self.has_lease(now) and now.mono < pending.deadline:
            return True
        self._claims.claimed.discard(pending.offset)
        self._put_back(pending)
        return False

    def next_cancel(self, now: Now, *, ready: bool) -> Pending | None:
        """Return the cancel to write now for the first time, if any. It is safe to repeat and needs no claim."""
        self.tick(now)
        if not ready or not self.cancels_pass(now):
            return None
        pending = self._lanes.head(CANCEL)
        while pending is not None and now.mono >= pending.deadline:  # answered as soon as there is a lease
            self._lanes.take(pending)
            pending = self._lanes.head(CANCEL)
        if pending is not None and self._windows.cancels.take(self.token(pending), now.mono):
            self._lanes.take(pending)
            return pending
        return None

    def next_repeat(self, now: Now, *, ready: bool) -> Pending | None:
        """Return the cancel to repeat now, if any: after new ones and those that the bridge sends of its own accord."""
        if not ready or not self.cancels_pass(now):
            return None
        repeat, window = self._lanes.head_repeat(now.mono), self._windows.cancels
        if repeat is None:
            return None
        take = window.take_for_deferred if repeat.deferred is not None else window.take_for_repeat
        if not take(self.token(repeat), now.mono):
            return None
        if repeat.attempts:
            window.extra.add((repeat.offset, repeat.attempts - 1), repeat.written_at)
        else:  # an earlier owner's, from before now
            window.extra.add(("earlier owner", repeat.offset), now.mono)
        self._lanes.take_repeat()
        return repeat

    def written(self, pending: Pending, now: Now) -> str:
        """Note that a command is being written; return the id of the request."""
        token = self.token(pending)
        if pending.attempts == 0 and not pending.maybe_sent_before:
            pending.first_written_boot_s = now.mono
        pending.attempts += 1
        pending.request_id = f"{self._epoch:x}x{pending.offset:x}x{pending.attempts:x}"
        pending.written_at = now.mono
        pending.sent_at_ms = pending.sent_at_ms or now.wall_ms
        pending.step(Event.WRITTEN)
        self._windows[pending.action].written(token, now.mono)
        return pending.request_id

    def begin_single_cancels(self, cancel_all: Pending, now: Now) -> None:
        """Note that a cancel_orders is carried out by single cancels from now on: no request of its own goes out."""
        self._windows[cancel_all.action].unwritten(self.token(cancel_all))
        cancel_all.written_at = now.mono
        cancel_all.sent_at_ms = now.wall_ms
        cancel_all.step(Event.WRITTEN)

    def withdraw(self, pending: Pending) -> None:
        """Take a command out that will certainly not be written."""
        if pending.state is State.QUEUED:
            self._lanes.discard(pending)
        else:
            self._windows[pending.action].unwritten(pending.offset)

    @staticmethod
    def token(pending: Pending) -> object:
        """Name the slot of the next request of a command."""
        return (pending.offset, pending.attempts) if pending.action in SAFE_TO_REPEAT else pending.offset

    def wake_at(self, now: Now) -> float:
        """Return when something may become due by itself."""
        free = [
            self._windows[action].next_free(now.mono)
            for action in (*CLAIM_LANES, CANCEL)
            if self._lanes.head(action) is not None
        ]
        soon = [now.mono + _LOOK_AGAIN_S] if self._claims.refused else []
        return min([self._next_commit_at, *soon, *(at for at in free if at > now.mono)])

    def _claim(self, now: Now) -> list[Pending]:
        batch: list[Pending] = []
        # Were a refusal lost, a successor might send the cancel_orders or replace after all, and after what is next.
        refused = min(self._claims.refused, default=inf)
        for action in CLAIM_LANES:
            # Nothing that is in flight keeps a cancel_orders back.
            in_flight = 0 if action == CANCEL_ALL else len(self._claims.claimed)
            room = min(_BATCH_MAX, self._inflight_max - in_flight) - len(batch)
            while room > 0 and (pending := self._lanes.head(action)) is not None:
                if action != CANCEL_ALL and (pending.offset > refused or self._lanes.barred(pending)):
                    break
                if not has_order_id(pending, self._orders):
                    self._lanes.set_aside(pending)
                    self._lookups.add(pending)
                    continue
                if not self._windows[action].take(pending.offset, now.mono):
                    break
                self._lanes.take(pending)
                pending.step(Event.CLAIM_ASKED)
                batch.append(pending)
                room -= 1
        return batch

    def _put_back(self, pending: Pending) -> None:
        self._windows[pending.action].unwritten(pending.offset)
        waits = pending.state in {State.CLAIMING, State.CLAIMED}
        pending.step(Event.CLAIM_DROPPED)
        if waits:
            self._lanes.put_back(pending)

    def _end_commit(self) -> Commit:
        commit, self._commit = self._commit, None
        if commit is None:
            raise AssertionError("a commit ended that was never handed over")
        return commit

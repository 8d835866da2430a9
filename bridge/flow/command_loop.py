"""The loop of the commands: read, claim, write. What is due next, the account decides."""

import asyncio
import contextlib
from collections.abc import Callable
from math import inf

import structlog

from bridge.core.account import Account
from bridge.core.commands.dispatch import Commit
from bridge.core.now import Now
from bridge.core.records import WriteRequest
from bridge.errors import CommitInterrupted, VenueUnreachable
from bridge.flow.dependencies import TermDependencies
from bridge.flow.ports import VenueSession
from bridge.flow.turn import Turn
from bridge.flow.venue_listener import VenueListener

_log = structlog.get_logger()
_TICK_S = 0.5
"""What has no due time of its own is looked at so often. A term that has not been looked at for a second was frozen."""
_POLL_S = 1.0
_PAUSED_POLL_S = 0.25
_REBALANCE_CHECK_S = 0.1
_OUTAGE_S = 600.0
"""How long a commit may wait for brokers that are away. One that was written and not answered ends the term at once."""
_CAUGHT_UP_RECORDS = 500
_ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""While more wait to become durable, places and replaces are deferred: they are read again later, and denied
(`lane_full`) or expired. With twice as many nothing is read."""


class CommandLoop:
    """Reads and writes the commands of one term. `wake_queries` is called when the venue's REST is to be asked."""

    def __init__(
        self,
        account: Account,
        parts: TermDependencies,
        *,
        session: VenueSession,
        events: VenueListener,
        wake_queries: Callable[[], None],
    ) -> None:
        self._account = account
        self._membership = parts.membership
        self._session = session
        self._publisher = parts.publisher
        self._events = events
        self._clock = parts.clock
        self._encode = parts.encode
        self._wake_queries = wake_queries
        self._metrics = parts.metrics
        self._wake = asyncio.Event()
        self._commit: tuple[Commit, asyncio.Task[None]] | None = None
        self._is_stopping = False
        self._ticked_boot_s = self._tick_due_boot_s = -inf
        self.stored_boot_s = -inf
        """When the last commit that was acknowledged had been handed over."""
        self.caught_up = True
        """Whether hardly anything is left to read: only then is there time to answer deferred commands."""

    def wake(self) -> None:
        """Let `send` check at once whether something is due."""
        self._wake.set()

    async def read(self) -> None:
        """Take commands in until cancelled. Raises TermEnded when the partition is lost."""
        account, membership = self._account, self._membership
        paused = False
        while True:
            records = await membership.poll(_PAUSED_POLL_S if paused else _POLL_S)
            self._events.read_broker_clock(self._clock())
            answer_bytes = self._publisher.answer_bytes
            too_many, end = answer_bytes > _ANSWER_BYTES_MAX, membership.known_end
            turn = Turn(self._clock)
            for record in records:
                account.offer(record, self._clock(), behind=end - record.offset, too_many_answers=too_many)
                if turn.over:
                    self._send_what_waits()
                    await turn.rest()
            account.read_to(membership.position, membership.known_end, self._clock(), is_paused=paused)
            self.caught_up = membership.known_end - membership.position <= _CAUGHT_UP_RECORDS
            if records:
                self._send_what_waits()
            if (account.is_reading_full or answer_bytes > 2 * _ANSWER_BYTES_MAX) != paused:
                paused = not paused
                (membership.pause if paused else membership.resume)()

    def stop(self) -> None:
        """Begin no more commits; `send` returns when the one under way has ended."""
        self._is_stopping = True
        self._wake.set()

    async def send(self) -> None:
        """Claim and write what is due until `stop`. Raises TermEnded when ownership is over or uncertain."""
        try:
            while True:
                self._wake.clear()
                self._do_what_is_due()
                if self._is_stopping and self._commit is None:
                    return
                await self._wait_until_due()
        finally:
            if self._commit is not None:
                self._commit[1].cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await self._commit[1]

    async def commit_last(self, timeout_s: float, *, released: bool) -> None:
        """Commit the whole state once more, after the end of `send`; again after a rebalance, while there is time.

        Raises what `Membership.commit` raises.
        """
        now = self._clock()
        commit = self._account.last_commit(now, self._events.live_until_ms(now), released=released)
        end_boot_s = now.boot_s + timeout_s
        while True:
            self._wake.clear()
            left_s = end_boot_s - self._clock().boot_s
            try:
                return await self._membership.commit(commit.offset, commit.metadata, max(left_s, 0.0))
            except CommitInterrupted:
                if left_s <= 0:
                    raise
            await self._wait_for_rebalance(end_boot_s)

    async def _wait_for_rebalance(self, end_boot_s: float) -> None:
        """Wait until a rebalance has given the partition back, or the time is over."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_REBALANCE_CHECK_S, max(0.0, end_boot_s - self._clock().boot_s))):
                    await self._wake.wait()
            self._wake.clear()
            if self._membership.owned or self._clock().boot_s >= end_boot_s:
                return

    def _do_what_is_due(self) -> None:
        now = self._clock()
        if now.boot_s >= self._tick_due_boot_s:
            self._ticked_boot_s = now.boot_s
            self._events.read_broker_clock(now)
            self._account.tick(now, stuck=self._publisher.stuck_streams)
        if self._commit is not None and self._commit[1].done():
            self._end_commit(*self._commit)
        self._write_requests()
        self._begin_commit()
        if self._account.has_queries(self._clock()):
            self._wake_queries()

    def _send_what_waits(self) -> None:
        """Write what may be written and claim what may be claimed, in the turn in which it was read."""
        self._write_requests()
        self._begin_commit()
        if self._next_due_boot_s(self._clock()) < self._tick_due_boot_s:
            self._wake.set()

    async def _wait_until_due(self) -> None:
        if self._wake.is_set():
            await asyncio.sleep(0)  # what is always due must not keep the loop
            return
        now = self._clock()
        self._tick_due_boot_s = self._next_due_boot_s(now)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._tick_due_boot_s - now.boot_s)):
                await self._wake.wait()

    def _next_due_boot_s(self, now: Now) -> float:
        due_boot_s = max(now.boot_s, self._ticked_boot_s + _TICK_S)
        return min(due_boot_s, self._account.wake_at_boot_s(now)) if self._may_commit() else due_boot_s

    def _may_commit(self) -> bool:
        return self._commit is None and self._membership.owned and not self._is_stopping

    def _begin_commit(self) -> None:
        now = self._clock()
        if not self._may_commit() or not self._account.is_commit_due(now):
            return
        recording = self._publisher.healthy and not self._publisher.overfull
        commit = self._account.next_commit(now, self._events.live_until_ms(now), recording=recording)
        if commit is None:
            return
        attempt = self._membership.commit(commit.offset, commit.metadata, _OUTAGE_S)
        task = asyncio.create_task(attempt, name="commit")
        task.add_done_callback(lambda _: self._wake.set())
        self._commit = (commit, task)

    def _end_commit(self, commit: Commit, task: asyncio.Task[None]) -> None:
        self._commit = None
        try:
            task.result()
        except CommitInterrupted:
            _log.info("commit.interrupted", offset=commit.offset)
            self._account.commit_dropped()
        else:
            now, self.stored_boot_s = self._clock(), commit.handed_over_boot_s
            self._metrics.note_commit(now.boot_s - commit.handed_over_boot_s)
            self._account.commit_acked(now)

    def _write_requests(self) -> None:
        while (request := self._next_request()) is not None:
            try:
                self._session.send(self._encode(request.request_id, request.action, request.args))
            except VenueUnreachable as error:
                # `VenueListener.lost` is called too: it marks as unknown every command that awaits an ack.
                if request.command_id is None:
                    _log.warning("bridge_cancel.unsent", request_id=request.request_id, detail=str(error))
                else:
                    _log.warning("command.unsent", command_id=request.command_id, detail=str(error))

    def _next_request(self) -> WriteRequest | None:
        now = self._clock()
        link_ready = self._session.ready_to_write(now)
        return self._account.next_request(now, link_ready=link_ready, is_owner=self._membership.owned)

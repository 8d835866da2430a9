"""The loop of the commands: read, claim, write. What is due next, the account decides."""

import asyncio
import contextlib
from collections.abc import Callable
from math import inf

import structlog

from bridge.core.account import Account
from bridge.core.commands.dispatch import Commit
from bridge.core.records import WriteRequest
from bridge.errors import CommitInterrupted, VenueUnreachable
from bridge.flow.dependencies import TermDependencies
from bridge.flow.ports import VenueSession
from bridge.flow.turn import Turn
from bridge.flow.venue_listener import VenueListener

_log = structlog.get_logger()
_TICK_S = 0.25
_POLL_S = 0.5
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
        self._wake = asyncio.Event()
        self._commit: tuple[Commit, asyncio.Task[None]] | None = None
        self._is_stopping = False
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
            records = await membership.poll(_POLL_S)
            self._events.read_broker_clock(self._clock())
            answer_bytes = self._publisher.answer_bytes
            too_many, end = answer_bytes > _ANSWER_BYTES_MAX, membership.known_end
            turn = Turn(self._clock)
            for record in records:
                account.offer(record, self._clock(), behind=end - record.offset, too_many_answers=too_many)
                if turn.over:
                    self._wake.set()
                    await turn.rest()
            account.read_to(membership.position, membership.known_end, self._clock(), is_paused=paused)
            self.caught_up = membership.known_end - membership.position <= _CAUGHT_UP_RECORDS
            if records:
                self._wake.set()
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
                await self._do_what_is_due()
                await asyncio.sleep(0)  # what is always due must not keep the loop
                if self._is_stopping and self._commit is None:
                    return
                await self._wait_until_due()
        finally:
            if self._commit is not None:
                self._commit[1].cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await self._commit[1]

    async def commit_last(self, timeout_s: float, *, released: bool) -> None:
        """Commit the whole state once more, after the end of `send`. Raises what `Membership.commit` raises."""
        now = self._clock()
        commit = self._account.last_commit(now, self._events.live_until_ms(now), released=released)
        await self._membership.commit(commit.offset, commit.metadata, timeout_s)

    async def _do_what_is_due(self) -> None:
        now = self._clock()
        self._events.read_broker_clock(now)
        self._account.tick(now, stuck=self._publisher.stuck_streams)
        await self._write_requests()
        if self._commit is not None and self._commit[1].done():
            self._end_commit(*self._commit)
            await self._write_requests()
        if self._may_commit():
            self._begin_commit()
        if self._account.has_queries(self._clock()):
            self._wake_queries()

    async def _wait_until_due(self) -> None:
        now = self._clock()
        wait_s = _TICK_S
        if self._may_commit():
            wait_s = max(0.0, min(_TICK_S, self._account.wake_at_boot_s(now) - now.boot_s))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._wake.wait()

    def _may_commit(self) -> bool:
        return self._commit is None and self._membership.owned and not self._is_stopping

    def _begin_commit(self) -> None:
        now = self._clock()
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
            self.stored_boot_s = commit.handed_over_boot_s
            self._account.commit_acked(self._clock())

    async def _write_requests(self) -> None:
        while (request := self._next_request()) is not None:
            try:
                await self._session.send(self._encode(request.request_id, request.action, request.args))
            except VenueUnreachable as error:
                # `VenueListener.lost` is called too: it marks as unknown every command that awaits an ack.
                if request.command_id is None:
                    _log.warning("own_cancel.unsent", request_id=request.request_id, detail=str(error))
                else:
                    _log.warning("command.unsent", command_id=request.command_id, detail=str(error))

    def _next_request(self) -> WriteRequest | None:
        now = self._clock()
        link_ready = self._session.ready_to_write(now)
        return self._account.next_request(now, link_ready=link_ready, is_owner=self._membership.owned)

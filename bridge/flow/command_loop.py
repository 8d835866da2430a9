"""The commands street: read, claim, write. What is due next is the account's to say."""

import asyncio
import contextlib
from collections.abc import Callable
from math import inf

import structlog

from bridge.contract.commands import CANCEL
from bridge.core.account import Account
from bridge.core.commands.command import TrackedCommand, wire_args
from bridge.core.commands.dispatch import Commit
from bridge.core.commands.reading_delay import ReadingDelay
from bridge.core.now import Now
from bridge.errors import CommitInterrupted, VenueUnreachable
from bridge.flow.ports import Clock, EncodeAction, Membership, Publisher, VenueSession
from bridge.flow.turn import Turn
from bridge.flow.venue_listener import VenueListener

_log = structlog.get_logger()
_TICK_S = 0.25
_POLL_S = 0.5
_CAUGHT_UP_RECORDS = 500
_ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""While more wait to become durable, places and replaces are put off; with twice as many nothing is read."""


class CommandLoop:
    """Reads and sends the commands of one term."""

    def __init__(
        self,
        account: Account,
        *,
        membership: Membership,
        session: VenueSession,
        publisher: Publisher,
        events: VenueListener,
        clock: Clock,
        encode: EncodeAction,
        commit_timeout_s: float,
        ask: Callable[[], None],
    ) -> None:
        self._account = account
        self._membership = membership
        self._session = session
        self._publisher = publisher
        self._events = events
        self._clock = clock
        self._encode = encode
        self._commit_timeout_s = commit_timeout_s
        self._ask = ask
        self._delay = ReadingDelay(account.alarms, account.clocks)
        self._wake = asyncio.Event()
        self._commit: tuple[Commit, asyncio.Task[None]] | None = None
        self._ending = False
        self.stored_at = -inf
        """When the last commit that was acknowledged had been handed over, on the clock that never steps."""
        self.caught_up = True
        """Whether hardly anything is left to read: only then is there time for what was put off."""
        self.closing = False
        """Whether nothing new is to be written any more."""

    def wake(self) -> None:
        """Look at once whether something is due."""
        self._wake.set()

    async def read(self) -> None:
        """Take commands in until cancelled. Raises TermEnded when the partition is lost."""
        paused = False
        while True:
            records = await self._membership.poll(_POLL_S)
            self._events.learn_broker_clock(self._clock())
            answer_bytes = self._publisher.answer_bytes
            end = inf if answer_bytes > _ANSWER_BYTES_MAX else self._membership.known_end
            turn = Turn(self._clock)
            for record in records:
                now = self._clock()
                self._account.intake.offer(record, now, behind=end - record.offset)
                self._delay.record_read(record.timestamp_ms, now)
                if turn.over:
                    self._wake.set()
                    await turn.rest()
            self._account.intake.read_to(self._membership.position)
            left = self._membership.known_end - self._membership.position
            self.caught_up = left <= _CAUGHT_UP_RECORDS
            self._delay.position_reached(
                self._membership.position, self._membership.known_end, self._clock(), rests=paused
            )
            if records:
                self._wake.set()
            if (self._account.intake.paused or answer_bytes > 2 * _ANSWER_BYTES_MAX) != paused:
                paused = not paused
                (self._membership.pause if paused else self._membership.resume)()

    def end(self) -> None:
        """Begin no more commits; `send` returns when the one under way has its answer."""
        self._ending = True
        self._wake.set()

    async def send(self) -> None:
        """Claim and write what is due until `end`. Raises TermEnded when ownership is over or uncertain."""
        try:
            while True:
                self._wake.clear()
                await self._once()
                await asyncio.sleep(0)  # what is always due must not keep the loop
                if self._ending and self._commit is None:
                    return
                await self._sleep()
        finally:
            if self._commit is not None:
                self._commit[1].cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await self._commit[1]

    async def commit_last(self, timeout_s: float, *, released: bool) -> None:
        """Commit the whole state once more, after the end of `send`. Raises what `Membership.commit` raises."""
        now = self._clock()
        commit = self._account.last_commit(now, self._events.durable_until_ms(now), released=released)
        await self._membership.commit(commit.offset, commit.metadata, timeout_s)

    async def _once(self) -> None:
        now = self._clock()
        self._events.learn_broker_clock(now)
        self._account.tick(now, stuck=self._publisher.stuck_streams)
        await self._write_cancels(self._account.sending.next_cancel)
        await self._write_own_cancels()
        await self._write_cancels(self._account.sending.next_repeat)
        if self._commit is not None and self._commit[1].done():
            await self._commit_ended(*self._commit)
        if self._commit is None and self._membership.owned and not self._ending:
            self._begin_commit()
        if self._account.intake.lookups() or self._account.doubts.wake_at_boot_s() <= now.boot_s:
            self._ask()

    async def _sleep(self) -> None:
        now = self._clock()
        due = self._commit is None and self._membership.owned and not self._ending
        wait_s = max(0.0, min(_TICK_S, self._account.wake_at_boot_s(now) - now.boot_s)) if due else _TICK_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._wake.wait()

    def _begin_commit(self) -> None:
        recording = self._publisher.healthy and not self._publisher.overfull and not self.closing
        now = self._clock()
        commit = self._account.next_commit(now, self._events.durable_until_ms(now), recording=recording)
        if commit is None:
            return
        attempt = self._membership.commit(commit.offset, commit.metadata, self._commit_timeout_s)
        task = asyncio.create_task(attempt, name="commit")
        task.add_done_callback(lambda _: self._wake.set())
        self._commit = (commit, task)

    async def _commit_ended(self, commit: Commit, task: asyncio.Task[None]) -> None:
        self._commit = None
        try:
            task.result()
        except CommitInterrupted:
            _log.info("commit.interrupted", offset=commit.offset)
            self._account.sending.commit_dropped()
            return
        self.stored_at = commit.handed_over
        for command in self._account.sending.commit_acked(self._clock()):
            now = self._clock()
            if not self._account.sending.may_write(command, now, ready=self._ready(now)):
                continue
            if self._account.begin_single_cancels(command, now):
                self._ask()
                await self._write_own_cancels()
            else:
                await self._write(command, now)

    async def _write_cancels(self, next_due: Callable[..., TrackedCommand | None]) -> None:
        while True:
            now = self._clock()
            command = next_due(now, ready=self._session.ready_to_write(now) and not self.closing)
            if command is None:
                return
            await self._write(command, now)

    async def _write_own_cancels(self) -> None:
        while True:
            now = self._clock()
            # At the end too: the cancel_orders that they are for has been begun.
            own = self._account.next_own_cancel(now, ready=self._session.ready_to_write(now))
            if own is None:
                return
            try:
                await self._session.send(self._encode(own[0], CANCEL, own[1]))
            except VenueUnreachable as error:
                _log.warning("own_cancel.unsent", request_id=own[0], detail=str(error))

    def _ready(self, now: Now) -> bool:
        return (
            not self.closing
            and self._account.recovered
            and self._membership.owned
            and self._session.ready_to_write(now)
        )

    async def _write(self, command: TrackedCommand, now: Now) -> None:
        token = self._account.sending.slot_key(command)
        request_id = self._account.sending.mark_written(command, now)
        self._account.settling.await_ack(command, request_id, token)
        try:
            await self._session.send(self._encode(request_id, command.action, wire_args(command)))
        except VenueUnreachable as error:
            # Its loss is told by the listener, which puts the command in doubt like every other in flight.
            _log.warning("command.unsent", command_id=command.command_id, detail=str(error))

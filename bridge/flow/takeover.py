"""Taking an account over: what the predecessor left, in the one order that is safe.

Commit the next epoch first, so that the coordinator fences whoever held the last; then say so on `results`; only
then read what was answered, because nothing of an older epoch behind that record counts; and read every command
there is before anything is sent.
"""

from collections.abc import Sequence
from math import inf

import structlog

from bridge.contract.session import Alarm
from bridge.contract.topics import STATE_STREAMS, Stream, topic_name
from bridge.core.account import Account
from bridge.core.claims import Stored, decode, encode
from bridge.core.intake import Past
from bridge.core.terms import Terms
from bridge.errors import ClusterUnreachable, OffsetLost
from bridge.flow.past import Answered, Heard, States
from bridge.flow.ports import Clock, Membership, Publisher, ReadTail, TailRecord
from bridge.flow.together import together
from bridge.flow.turn import Turn

_log = structlog.get_logger()
_POLL_S = 0.5


class Takeover:
    """One takeover of one account."""

    def __init__(
        self,
        prefix: str,
        name: str,
        instance: str,
        terms: Terms,
        *,
        membership: Membership,
        publisher: Publisher,
        read_tail: ReadTail,
        clock: Clock,
        commit_timeout_s: float,
        executions_since_ms: int | None,
    ) -> None:
        self._prefix = prefix
        self._name = name
        self._instance = instance
        self._terms = terms
        self._membership = membership
        self._publisher = publisher
        self._read_tail = read_tail
        self._clock = clock
        self._commit_timeout_s = commit_timeout_s
        self._executions_since_ms = executions_since_ms

    async def run(self) -> Account:
        """Take over; the account that comes back may send as soon as its session is live.

        Raises TermEnded when the partition is lost on the way, ClusterUnreachable when the brokers do not answer, and
        OffsetLost, after an alarm, when the topic does not hold what comes next.
        """
        committed = await self._membership.committed()
        offset, stored = committed.offset, None
        if offset is not None:
            stored = decode(committed.metadata, offset)
        readable = stored is not None
        if stored is None:
            seen = await self._answers(since_ms=0)
            heard = await self._heard(since_ms=0)
            readable = offset is None and seen.epoch == heard.epoch == 0
            offset = await self._membership.begin_offset() if offset is None else offset
            stored = Stored(seen.epoch, 0, (), 0)
            if not readable:
                # A term that was cut off before it announced itself left no trace on `results`, and may still do so:
                # in seconds since 1970, the clock is ahead of any number of terms.
                now_ms = self._clock().wall_ms
                epoch = max(seen.epoch, heard.epoch, now_ms // 1000)
                # Nor is it known up to when events are durable. At the last login they were, but for its open gaps.
                durable_ms = heard.last_login_ms or now_ms - int(self._terms.horizon_s * 1000)
                stored = Stored(epoch, durable_ms, (), await self._membership.end_offset())
        offset = offset or 0
        epoch = stored.epoch + 1
        fenced = Stored(epoch, stored.durable_until_ms, stored.claimed, stored.doubtful_below)
        await self._membership.commit(offset, encode(fenced, offset), self._commit_timeout_s)
        self._membership.set_epoch(epoch)
        account = Account(
            self._prefix,
            self._name,
            self._terms,
            epoch=epoch,
            start=offset,
            durable_until_ms=stored.durable_until_ms,
            doubtful_below=stored.doubtful_below,
            other_login_at=-inf if epoch == 1 or stored.released else self._clock().mono,
        )
        self._publisher.begin_epoch(epoch)
        account.replies.takeover(epoch, self._instance, self._clock())
        await self._flush(account)
        try:
            since_ms = await self._since_ms(offset)
            answers = await self._answers(0 if stored.doubtful_below > offset else since_ms, account)
            states = (self._states(stream, since_ms, account) for stream in STATE_STREAMS)
            durable_ms = stored.durable_until_ms
            await together(*states, self._trades(durable_ms, account), self._gaps(min(since_ms, durable_ms), account))
            await self._read_commands(account, offset, stored, answers)
        except OffsetLost as error:
            account.replies.alarm(Alarm.OFFSET_LOST, str(error), self._clock())
            await self._flush(account)
            raise
        await self._flush(account)
        account.begin(self._instance, self._clock(), self._executions_since_ms)
        _log.info("account.remembered", account=self._name, answered=len(answers.offsets), since_ms=since_ms)
        return account

    async def _since_ms(self, start: int) -> int:
        """Return from when on answers matter: one horizon back, or longer where a command in doubt holds the offset."""
        since_ms = self._clock().wall_ms - int(self._terms.horizon_s * 1000)
        self._membership.seek(start)
        end = await self._membership.end_offset()
        while self._membership.position < end:
            for record in await self._membership.poll(_POLL_S):
                return min(since_ms, record.timestamp_ms - int(self._terms.skew_bound_s * 1000))
        return since_ms

    async def _answers(self, since_ms: int, account: Account | None = None) -> Answered:
        """Read what was answered; the account, if there is one yet, remembers it. It may be much."""
        answered = Answered()

        def take(records: Sequence[TailRecord]) -> None:
            results = answered.results(records)
            if account is not None:
                account.restore(results, self._clock())

        await self._read_tail(topic_name(self._prefix, self._name, Stream.RESULTS), since_ms, take)
        letters = topic_name(self._prefix, self._name, Stream.DEAD_LETTERS)
        await self._read_tail(letters, since_ms, answered.dead_letters)
        return answered

    async def _states(self, stream: Stream, since_ms: int, account: Account) -> None:
        """Read what stands on a state topic: it tells everything within one horizon."""
        states = States()
        await self._read_tail(topic_name(self._prefix, self._name, stream), since_ms, states.take)
        for value, published_ms in states.last.values():
            account.listening.remember(stream, value, published_ms)

    async def _heard(self, since_ms: int) -> Heard:
        """Read what earlier owners said of their sessions and gaps."""
        heard = Heard()
        await self._read_tail(topic_name(self._prefix, self._name, Stream.SESSION), since_ms, heard.take)
        return heard

    async def _gaps(self, since_ms: int, account: Account) -> None:
        """Take on the gaps that earlier owners left open."""
        heard = await self._heard(since_ms)
        account.listening.inherit(heard.left_open)

    async def _trades(self, durable_until_ms: int, account: Account) -> None:
        """Read which trades have been published of the time that REST will be asked about."""
        since_ms = account.listening.recovery.overlapping(
            durable_until_ms or self._executions_since_ms or self._clock().wall_ms
        )

        def take(records: Sequence[TailRecord]) -> None:
            for record in records:
                account.listening.remember(Stream.TRADES, record.value or b"", record.timestamp_ms)

        await self._read_tail(topic_name(self._prefix, self._name, Stream.TRADES), since_ms, take)

    async def _flush(self, account: Account) -> None:
        for record in account.drain():
            self._publisher.publish(record)
        if not await self._publisher.flush(self._commit_timeout_s):
            raise ClusterUnreachable("records of the takeover did not become durable in time")

    async def _read_commands(self, account: Account, start: int, stored: Stored, answers: Answered) -> None:
        """Read every command there is. Where claims were lost, whatever has no result counts as claimed."""
        claimed = frozenset(stored.claimed)
        self._membership.seek(start)
        end = await self._membership.end_offset()
        passed_over = 0
        while self._membership.position < end:
            turn = Turn(self._clock)
            for record in await self._membership.poll(_POLL_S):
                if turn.over:
                    await turn.rest()
                past = Past.READ
                if record.offset in answers.offsets:
                    past = Past.ANSWERED
                elif record.offset in claimed or record.offset < stored.doubtful_below:
                    past = Past.CLAIMED
                lost = past is Past.CLAIMED and record.offset < stored.doubtful_below
                if lost and record.timestamp_ms < answers.trimmed_ms:
                    passed_over += 1
                    past = Past.ANSWERED
                account.intake.offer(record, self._clock(), past)
            account.intake.read_to(self._membership.position)
            for record_out in account.drain():
                self._publisher.publish(record_out)
        if stored.doubtful_below > start:
            detail = f"the group's commit held no claims of ours; {passed_over} commands were passed over"
            account.replies.alarm(Alarm.CLAIMS_UNREADABLE, detail, self._clock())
            _log.warning("claims.unreadable", account=self._name, passed_over=passed_over)

"""Taking an account over: what the predecessor left, in the one order that is safe.

Commit the next epoch first, so that the coordinator fences whoever held the last; then say so on `results`; only
then read what was answered, because nothing of an older epoch behind that record counts; and read every command
there is before anything is sent. A takeover may read for long, and polls meanwhile: the group puts out a member that
does not.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import inf

import structlog
from msgspec import structs

from bridge.config import Limits, Timing
from bridge.contract.session import Alarm
from bridge.contract.topics import STATE_STREAMS, Stream, topic_name
from bridge.core.account import Account
from bridge.core.clocks import UNMEASURED_MS
from bridge.core.commands.claims import CommitMetadata, Origin, TermStart, encode
from bridge.core.commands.intake import TakeoverStatus
from bridge.core.commands.reading_delay import ReadingDelay
from bridge.core.late_records import publish_again
from bridge.core.outbox import Outbox
from bridge.core.records import TopicRecord
from bridge.core.replay import ReplayedResults
from bridge.core.takeover_plan import (
    Beginning,
    begin_without_claims,
    clamp,
    in_words,
    read_commit,
)
from bridge.errors import ClusterUnreachable, ForeignOwner, OffsetLost
from bridge.flow.concurrency import run_concurrently
from bridge.flow.polling import POLL_S, while_polling
from bridge.flow.ports import Clock, Membership, Publisher
from bridge.flow.record_sink import RecordSink
from bridge.flow.replay import TopicReplay
from bridge.flow.turn import Turn
from bridge.flow.whose_account import Identity, find_foreign_owner

_log = structlog.get_logger()


class Takeover:
    """One takeover of one account. `was_owned`: it had an owner before, even if no topic tells of one any more."""

    def __init__(
        self,
        prefix: str,
        name: str,
        instance: str,
        limits: Limits,
        timing: Timing,
        *,
        sink: RecordSink,
        identity: Identity,
        membership: Membership,
        publisher: Publisher,
        topics: TopicReplay,
        clock: Clock,
        commit_timeout_s: float,
        executions_since_ms: int | None,
        was_owned: bool,
    ) -> None:
        self._prefix = prefix
        self._name = name
        self._instance = instance
        self._limits = limits
        self._timing = timing
        self._sink = sink
        self._identity = identity
        self._membership = membership
        self._publisher = publisher
        self._topics = topics
        self._clock = clock
        self._commit_timeout_s = commit_timeout_s
        self._executions_since_ms = executions_since_ms
        self._was_owned = was_owned

    async def run(self) -> Account:
        """Take over; the account that comes back may send as soon as its session is live.

        Raises TermEnded when the partition is lost on the way, ClusterUnreachable when the brokers do not answer;
        and, after an alarm, OffsetLost when the topic does not hold what comes next, and ForeignOwner when the account
        is another's.
        """
        topic_id = await self._membership.topic_id()
        own = Origin(self._identity.environment, self._identity.key_fingerprint, topic_id)
        begin = await while_polling(self._membership, self._find_beginning(topic_id))
        foreign = await while_polling(
            self._membership,
            find_foreign_owner(self._name, begin.stored, own, topics=self._topics, identity=self._identity),
        )
        account = await self._fence(begin, begin.stored.origin if foreign is not None else own)
        if foreign is not None:
            account.outbox.publish_alarm(Alarm.FOREIGN_OWNER, foreign, self._clock())
            await self._flush(account, Stream.SESSION)
            raise ForeignOwner(foreign)
        account.replies.publish_takeover(account.epoch, self._instance, self._clock(), own)
        await self._flush(account, Stream.RESULTS)
        try:
            await self._remember(account, begin)
        except OffsetLost as error:
            account.outbox.publish_alarm(Alarm.OFFSET_LOST, str(error), self._clock())
            await self._flush(account, Stream.SESSION)
            raise
        await self._flush(account, Stream.RESULTS)
        account.begin(self._instance, self._clock(), self._executions_since_ms)
        return account

    async def _find_beginning(self, topic_id: str) -> Beginning:
        """Find where to begin: by the group's commit, or by what the topics tell where that says nothing."""
        committed = await self._membership.committed()
        end = await self._membership.end_offset()
        found = read_commit(committed.offset, committed.metadata, topic_id)
        now_ms, horizon_ms = self._clock().wall_ms, int(self._timing.horizon_s * 1000)
        if isinstance(found, Beginning):
            return Beginning(found.offset, clamp(found.stored, max(end, found.offset), now_ms, horizon_ms))
        remains = await self._topics.remains()
        return begin_without_claims(
            remains,
            found,
            was_owned=self._was_owned or committed.offset is not None,
            begin=await self._membership.begin_offset(),
            end=end,
            now_ms=now_ms,
            horizon_ms=horizon_ms,
        )

    async def _fence(self, begin: Beginning, origin: Origin) -> Account:
        """Commit the next epoch: from then on the coordinator refuses what predecessors commit."""
        stored = begin.stored
        epoch = stored.epoch + 1
        start = TermStart(
            epoch,
            begin.offset,
            stored.durable_until_ms,
            stored.doubtful_below,
            # Until the venue has taken our key, it is not known to be this account's.
            structs.replace(origin, key_fingerprint=stored.origin.key_fingerprint),
            -inf if begin.is_first or stored.released else self._clock().boot_s,
        )
        outbox = Outbox(self._name, self._sink.publish)
        commands_topic = topic_name(self._prefix, self._name, Stream.COMMANDS)
        account = Account(outbox, commands_topic, self._limits, self._timing, start, now=self._clock())
        in_good_order = begin.is_first or stored.released
        extra = account.restore_extra_cancels(stored.extra_cancels, self._clock(), in_good_order=in_good_order)
        fenced = CommitMetadata(
            epoch,
            stored.durable_until_ms,
            stored.claimed,
            stored.doubtful_below,
            origin=account.origin,
            extra_cancels=extra,
        )
        await self._membership.commit(begin.offset, encode(fenced, begin.offset), self._commit_timeout_s)
        self._membership.set_epoch(epoch)
        self._publisher.begin_epoch(epoch, account.on_durable)
        return account

    async def _remember(self, account: Account, begin: Beginning) -> None:
        """Read what the topics tell of the time before, and then every command there is."""
        # Commands and results are stamped by the brokers, whose clock the takeover record has told.
        now_ms, horizon_ms = account.clocks.by_broker(self._clock()).wall_ms, int(self._timing.horizon_s * 1000)
        durable_ms, in_doubt = begin.stored.durable_until_ms, begin.stored.doubtful_below > begin.offset
        end, delay = await self._membership.end_offset(), ReadingDelay(account.alarms, account.clocks)

        def tell_delay(position: int = begin.offset, end: int = end) -> None:
            delay.position_reached(position, end, self._clock())

        since_ms = await self._answers_since_ms(begin.offset, end, now_ms - horizon_ms)
        # While nobody owned the account, no state was published again.
        states_since_ms = min(since_ms, durable_ms - horizon_ms) if durable_ms else since_ms
        states_since_ms -= UNMEASURED_MS  # these are stamped by the clocks of earlier owners
        answers = await while_polling(
            self._membership, self._answers(account, begin.offset, 0 if in_doubt else since_ms), tell_delay
        )
        states = (self._states(stream, states_since_ms, account) for stream in STATE_STREAMS)
        gaps = self._gaps(min(since_ms, durable_ms), account)
        await while_polling(
            self._membership, run_concurrently(*states, self._trades(durable_ms, account), gaps), tell_delay
        )
        self._membership.resume()
        await self._read_commands(account, begin, answers, answers.complete_since_ms(now_ms - horizon_ms), tell_delay)
        _log.info("account.remembered", account=self._name, answered=answers.count, since_ms=since_ms)

    async def _answers_since_ms(self, start: int, end: int, since_ms: int) -> int:
        """Return from when on answers matter: `since_ms`, or earlier where a command in doubt holds the offset."""
        self._membership.seek(start)
        while self._membership.position < end:
            for record in await self._membership.poll(POLL_S):
                self._membership.pause()
                return min(since_ms, record.timestamp_ms - int(self._timing.skew_bound_s * 1000))
        self._membership.pause()
        return since_ms

    async def _answers(self, account: Account, from_offset: int, since_ms: int) -> ReplayedResults:
        """Read what was answered, and let the account remember it. It may be much."""
        answers = ReplayedResults(from_offset)

        def take(records: Sequence[TopicRecord]) -> None:
            account.restore(answers.take_results(records, own_epoch=account.epoch), self._clock())

        await self._topics.read(Stream.RESULTS, since_ms, take)
        await self._topics.read(Stream.DEAD_LETTERS, since_ms - UNMEASURED_MS, answers.take_dead_letters)
        overtaken = await self._topics.overtaken(Stream.RESULTS, since_ms, answers.late_keys)
        account.outbox.publish_all([publish_again(Stream.RESULTS, record) for record in overtaken])
        return answers

    async def _states(self, stream: Stream, since_ms: int, account: Account) -> None:
        """Let the account remember what stands on a state topic."""
        listening = account.listening

        def remember(value: bytes, published_ms: int, recovered: bool) -> None:  # noqa: FBT001 - it comes so
            listening.remember(stream, value, published_ms, recovered=recovered)

        late_keys = await self._topics.states(stream, since_ms, remember, partial(listening.forget, stream))
        overtaken = await self._topics.overtaken(stream, since_ms, late_keys)
        account.outbox.publish_all([publish_again(stream, record) for record in overtaken])

    async def _gaps(self, since_ms: int, account: Account) -> None:
        """Take on the gaps that earlier owners left open."""
        session = await self._topics.session(since_ms)
        account.listening.inherit(session.left_open)
        account.outbox.publish_all([publish_again(Stream.SESSION, record) for record in session.overtaken])

    async def _trades(self, durable_until_ms: int, account: Account) -> None:
        """Read which trades have been published of the time that REST will be asked about."""
        since_ms = account.listening.recovery.overlapping(
            durable_until_ms or self._executions_since_ms or self._clock().wall_ms
        )

        def take(records: Sequence[TopicRecord]) -> None:
            for record in records:
                account.listening.remember(Stream.TRADES, record.value or b"", record.timestamp_ms)

        await self._topics.read(Stream.TRADES, since_ms, take)

    async def _flush(self, account: Account, stream: Stream) -> None:
        """Wait for the records of the one topic that the next step needs: another may take nothing."""
        if not await self._publisher.flush(self._commit_timeout_s, [stream]):
            raise ClusterUnreachable("records of the takeover did not become durable in time")
        if self._publisher.clock_reading is not None:
            account.clocks.broker_read(self._publisher.clock_reading, self._clock())

    async def _read_commands(
        self,
        account: Account,
        begin: Beginning,
        answers: ReplayedResults,
        complete_since_ms: int,
        tell_delay: Callable[[int, int], None],
    ) -> None:
        """Read every command there is. Where claims were lost, whatever has no result counts as claimed.

        Unless it is so old that its result may have been removed: nobody can tell any more what was answered.
        """
        stored = begin.stored
        claimed = frozenset(stored.claimed)
        self._membership.seek(begin.offset)
        end = await self._membership.end_offset()
        passed_over = in_doubt = 0
        while self._membership.position < end:
            turn = Turn(self._clock)
            for record in await self._membership.poll(POLL_S):
                if turn.over:
                    await turn.rest()
                lost = record.offset < stored.doubtful_below
                past = TakeoverStatus.UNREAD if begin.is_unread(record.offset) else TakeoverStatus.READ
                if answers.has_answer(record):
                    past = TakeoverStatus.ANSWERED
                elif (lost or begin.is_first) and record.timestamp_ms < complete_since_ms:
                    passed_over += 1
                    past = TakeoverStatus.ANSWERED
                elif lost or record.offset in claimed:
                    in_doubt += lost
                    past = TakeoverStatus.CLAIMED
                account.intake.offer(record, self._clock(), past, behind=end - record.offset)
            account.intake.read_to(self._membership.position)
            tell_delay(self._membership.position, end)
        account.forget_offsets(answers.answered_elsewhere(), self._clock())
        if stored.doubtful_below > begin.offset or passed_over:
            detail = in_words(begin, in_doubt, passed_over)
            account.outbox.publish_alarm(Alarm.CLAIMS_UNREADABLE, detail, self._clock())
            _log.warning("claims.unreadable", account=self._name, passed_over=passed_over, in_doubt=in_doubt)

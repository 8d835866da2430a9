"""Taking an account over: what the predecessor left, in the one order that is safe.

Commit the next epoch first, so that the coordinator fences the owner of the last; then announce it on `results`; only
then read what was answered, because nothing of an older epoch behind that record counts; and read every command there
is before anything is sent. A takeover may read for long, and polls meanwhile: the group puts out a member that does
not.
"""

from collections.abc import Sequence
from functools import partial

import structlog

from bridge.contract.session import Alarm, SessionEvent
from bridge.contract.topics import STATE_STREAMS, Stream, topic_name
from bridge.core.account import Account
from bridge.core.commands.claims import Origin
from bridge.core.commands.dispatch import Commit
from bridge.core.outbox import Outbox
from bridge.core.records import TopicRecord
from bridge.core.replay import ReplayedResults
from bridge.core.takeover_plan import (
    EarlierCommands,
    ReplaySpans,
    TakeoverStart,
    begin_without_claims,
    bound_commit,
    plan_term,
    read_commit,
)
from bridge.errors import ClusterUnreachable, CommitInterrupted, ForeignOwner, OffsetLost
from bridge.flow.alarm_log import log_alarm
from bridge.flow.concurrency import run_concurrently
from bridge.flow.dependencies import TakeoverDependencies
from bridge.flow.polling import POLL_S, while_polling
from bridge.flow.turn import Turn
from bridge.flow.whose_account import find_foreign_owner

_log = structlog.get_logger()


class AccountTakeover:
    """One takeover of one account by one instance of the bridge."""

    def __init__(self, name: str, instance: str, parts: TakeoverDependencies) -> None:
        self._name = name
        self._instance = instance
        self._parts = parts
        self._membership = parts.membership
        self._topics = parts.topics
        self._clock = parts.clock

    async def run(self) -> Account:
        """Take over; the account that is returned may send as soon as its session is live.

        Raises TermEnded when the partition is lost on the way, ClusterUnreachable when the brokers do not answer;
        and, after an alarm, OffsetLost when the topic does not hold what comes next, and ForeignOwner when the account
        is another's.
        """
        identity = self._parts.identity
        topic_id = await self._membership.topic_id()
        own = Origin(identity.environment, identity.key_fingerprint, topic_id)
        begin = await while_polling(self._membership, self._find_beginning(topic_id))
        foreign = await while_polling(
            self._membership,
            find_foreign_owner(self._name, begin.stored, own, topics=self._topics, identity=identity),
        )
        account = await self._fence_predecessor(begin, begin.stored.origin if foreign is not None else own)
        if foreign is not None:
            account.publish_alarm(Alarm.FOREIGN_OWNER, foreign, self._clock())
            await self._make_durable(account, Stream.SESSION)
            raise ForeignOwner(foreign)
        account.announce(self._instance, own, self._clock())
        await self._make_durable(account, Stream.RESULTS)
        try:
            await self._replay_topics(account, begin)
        except OffsetLost as error:
            account.publish_alarm(Alarm.OFFSET_LOST, str(error), self._clock())
            await self._make_durable(account, Stream.SESSION)
            raise
        await self._make_durable(account, Stream.RESULTS)
        account.begin(self._instance, self._clock(), self._parts.executions_since_ms)
        return account

    async def _find_beginning(self, topic_id: str) -> TakeoverStart:
        """Find where to begin: by the group's commit, or by what the topics tell where that says nothing."""
        committed = await self._membership.committed()
        end = await self._membership.end_offset()
        found = read_commit(committed.offset, committed.metadata, topic_id)
        now_ms, horizon_ms = self._clock().wall_ms, int(self._parts.timing.horizon_s * 1000)
        if isinstance(found, TakeoverStart):
            return TakeoverStart(found.offset, bound_commit(found.stored, max(end, found.offset), now_ms, horizon_ms))
        remains = await self._topics.read_remains()
        return begin_without_claims(
            remains,
            found,
            was_owned=self._parts.was_owned or committed.offset is not None,
            begin=await self._membership.begin_offset(),
            end=end,
            now_ms=now_ms,
            horizon_ms=horizon_ms,
        )

    async def _fence_predecessor(self, begin: TakeoverStart, origin: Origin) -> Account:
        """Commit the next epoch: from then on the coordinator refuses what predecessors commit."""
        parts, now = self._parts, self._clock()

        def note_event(event: SessionEvent) -> None:
            parts.metrics.note_session_event(event)
            log_alarm(event)

        outbox = Outbox(self._name, parts.publisher.publish, parts.result_log.publish, note_event)
        commands_topic = topic_name(parts.prefix, self._name, Stream.COMMANDS)
        start = plan_term(begin, origin, now)
        account = Account(outbox, commands_topic, parts.limits, parts.timing, start, now=now)
        commit = account.fencing_commit(begin, now)
        await self._commit_fence(commit)
        self._membership.set_epoch(account.epoch)
        parts.publisher.begin_epoch(account.epoch, account.on_durable)
        return account

    async def _commit_fence(self, commit: Commit) -> None:
        """Commit once; again after a rebalance that left the partition here, as every hand-over brings one or two."""
        while True:
            try:
                return await self._membership.commit(commit.offset, commit.metadata, self._parts.commit_timeout_s)
            except CommitInterrupted:
                await self._membership.poll(POLL_S)
                while not self._membership.owned:
                    await self._membership.poll(POLL_S)

    async def _replay_topics(self, account: Account, begin: TakeoverStart) -> None:
        """Read what the topics tell of the time before, and then every command there is."""
        now, end = self._clock(), await self._membership.end_offset()

        def note_position() -> None:
            account.read_to(begin.offset, end, self._clock())

        spans = account.plan_replay(begin, await self._first_command_ms(begin.offset, end), now)
        answers = await while_polling(self._membership, self._read_answers(account, begin.offset, spans), note_position)
        trades_since_ms = begin.stored.durable_until_ms or self._parts.executions_since_ms or self._clock().wall_ms
        reading = run_concurrently(
            *(self._read_states(stream, spans.states_since_ms, account) for stream in STATE_STREAMS),
            self._read_trades(account.trades_since_ms(trades_since_ms), account),
            self._read_gaps(spans.session_since_ms, account),
        )
        await while_polling(self._membership, reading, note_position)
        self._membership.resume()
        await self._read_commands(account, begin, EarlierCommands(begin, answers, spans.horizon_since_ms))
        _log.info("account.remembered", account=self._name, answered=answers.count, since_ms=spans.results_since_ms)

    async def _first_command_ms(self, start: int, end: int) -> int | None:
        """Return when the first command to read was stamped, Unix ms; None without one."""
        self._membership.seek(start)
        while self._membership.position < end:
            for record in await self._membership.poll(POLL_S):
                self._membership.pause()
                return record.timestamp_ms
        self._membership.pause()
        return None

    async def _read_answers(self, account: Account, from_offset: int, spans: ReplaySpans) -> ReplayedResults:
        """Read what was answered, and let the account remember it. It may be much."""
        answers = ReplayedResults(from_offset)

        def take(records: Sequence[TopicRecord]) -> None:
            account.restore(answers.read_results(records, own_epoch=account.epoch), self._clock())

        await self._topics.read(Stream.RESULTS, spans.answers_since_ms, take)
        await self._topics.read(Stream.DEAD_LETTERS, spans.dead_letters_since_ms, answers.read_dead_letters)
        overtaken = await self._topics.read_overtaken(Stream.RESULTS, spans.answers_since_ms, answers.late_keys)
        account.publish_again(Stream.RESULTS, overtaken)
        return answers

    async def _read_states(self, stream: Stream, since_ms: int, account: Account) -> None:
        """Let the account remember the newest states of a state topic."""

        def remember(value: bytes, published_ms: int, recovered: bool) -> None:  # noqa: FBT001 - so `read_states` calls it
            account.remember_state(stream, value, published_ms, recovered=recovered)

        late_keys = await self._topics.read_states(stream, since_ms, remember, partial(account.forget_state, stream))
        account.publish_again(stream, await self._topics.read_overtaken(stream, since_ms, late_keys))

    async def _read_gaps(self, since_ms: int, account: Account) -> None:
        """Take on the gaps that earlier owners left open."""
        session = await self._topics.read_session(since_ms)
        account.inherit_gaps(session.open_gaps)
        account.publish_again(Stream.SESSION, session.overtaken_closings)

    async def _read_trades(self, since_ms: int, account: Account) -> None:
        """Read which trades have been published of the time that REST will be asked about."""
        await self._topics.read(Stream.TRADES, since_ms, account.remember_trades)

    async def _make_durable(self, account: Account, stream: Stream) -> None:
        """Wait for the records of the one topic that the next step needs: another may take nothing."""
        publisher = self._parts.publisher
        if not await publisher.flush(self._parts.commit_timeout_s, [stream]):
            raise ClusterUnreachable("records of the takeover did not become durable in time")
        account.broker_clock_read(publisher.clock_reading, self._clock())

    async def _read_commands(self, account: Account, begin: TakeoverStart, earlier: EarlierCommands) -> None:
        """Read every command there is."""
        self._membership.seek(begin.offset)
        end = await self._membership.end_offset()
        while self._membership.position < end:
            turn = Turn(self._clock)
            for record in await self._membership.poll(POLL_S):
                if turn.over:
                    await turn.rest()
                account.offer(record, self._clock(), earlier.status_of(record), behind=end - record.offset)
            account.read_to(self._membership.position, end, self._clock())
        if account.earlier_commands_read(earlier, self._clock()):
            passed_over, in_doubt = earlier.passed_over, earlier.in_doubt
            _log.warning("claims.unreadable", account=self._name, passed_over=passed_over, in_doubt=in_doubt)

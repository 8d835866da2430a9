"""What flow meets outside, by hand: a group with its topics, a publisher, and a venue that answers at once."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from math import inf
from typing import Any

import msgspec
from msgspec import Struct

from bridge.account_parts import clock
from bridge.contract import headers as names
from bridge.contract.headers import Headers
from bridge.contract.pushes import OrderPush, TradePush
from bridge.contract.results import Result
from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.account import Account
from bridge.core.commands.claims import decode
from bridge.core.commands.claims import encode as encode_stored
from bridge.core.now import Now
from bridge.core.records import Answer, CommandRecord, Committed, OutgoingRecord, Received, Rows
from bridge.core.rest_rows import OrderRow, TradeRow
from bridge.core.session_listener import SessionListener
from bridge.core.skew import ClockReading, Skew
from bridge.core.topic_losses import LostTopic, MissingGrant
from bridge.errors import (
    CommitInterrupted,
    KafkaTrouble,
    ListTooLong,
    OffsetLost,
    TermEnded,
    VenueError,
    VenueRefused,
    VenueUnreachable,
)
from bridge.flow.dependencies import (
    LATE_AFTER_S,
    SupervisorDependencies,
    TakeoverDependencies,
    TermDependencies,
)
from bridge.flow.ports import Membership as MembershipPort
from bridge.flow.result_log import ResultLog
from bridge.flow.supervisor import AccountPhase, AccountSupervisor
from bridge.flow.takeover import AccountTakeover
from bridge.flow.topic_replay import TopicReplay
from bridge.flow.whose_account import Identity
from bridge.metrics import AccountMetrics, Metrics
from tests.support.clock_readings import reading_of
from tests.support.one_account import settings_with
from tests.witness.waiting import until

STOP_DEADLINE_S = 4.0
COMMIT_TIMEOUT_S = 1.0


class Tail(Struct, frozen=True):
    """A record read back."""

    timestamp_ms: int
    value: bytes | None
    headers: Headers
    offset: int = 0
    key: bytes | None = None


def order_row(order: OrderPush) -> OrderRow:
    """Return an order as REST returns it."""
    return OrderRow(order, msgspec.json.encode(order))


def trade_row(trade: TradePush) -> TradeRow:
    """Return an execution as REST returns it."""
    return TradeRow(trade, msgspec.json.encode(trade))


class Topics:
    """A publisher, and what readers of its topics find. `hold` keeps records from becoming durable."""

    def __init__(self) -> None:
        self.durable: list[tuple[int, OutgoingRecord]] = []
        self.pending: list[tuple[int, OutgoingRecord]] = []
        self.hold = False
        self.unwritable: set[Stream] = set()
        """Topics that take nothing; the others do."""
        self.healthy = True
        self.why: list[str] = []
        self._begun_s = time.monotonic()
        self.overfull = self.is_draining = False
        self.renewals = 0
        self.first_offset = 0
        self.ahead_ms = 0
        """By how much the broker's clock is ahead of the account's."""
        self.clock_reading: ClockReading | None = None
        self.unread = asyncio.Event()
        """Reading waits while it is cleared."""
        self.unread.set()
        self._epoch = 0
        self._on_durable: Callable[[Sequence[OutgoingRecord]], None] | None = None

    @property
    def oldest_wait_s(self) -> float:
        """Say how long the oldest record waits: since the test began, if any does."""
        return 0.0 if self.healthy else time.monotonic() - self._begun_s

    @property
    def stuck_streams(self) -> Collection[Stream]:
        """Say which topics take nothing."""
        return self.unwritable if self.healthy else list(Stream)

    @property
    def problems(self) -> list[str]:
        """Say what keeps records from their topics."""
        return [] if self.healthy else self.why

    async def wait_for_room(self) -> bool:
        """Have room."""
        return False

    def begin_epoch(self, epoch: int, on_durable: Callable[[Sequence[OutgoingRecord]], None] | None = None) -> None:
        """Stamp this epoch from now on."""
        self._epoch, self._on_durable = epoch, on_durable

    def publish(self, record: OutgoingRecord) -> None:
        """Queue a record."""
        self.pending.append((self._epoch, record))
        asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        pending, self.pending, kept = self.pending, [], []
        for epoch, record in pending:
            if self.hold or record.stream in self.unwritable:
                kept.append((epoch, record))
                continue
            self.durable.append((epoch, record))
            self.clock_reading = reading_of(Skew(-self.ahead_ms - 1, -self.ahead_ms), clock())
            if epoch == self._epoch and record.answers_offset is not None and self._on_durable is not None:
                self._on_durable([record])
        self.pending = kept + self.pending

    def release(self) -> None:
        """Let everything become durable."""
        self.hold = False
        self._settle()

    @property
    def answer_bytes(self) -> int:
        """Return what answers that are not durable take."""
        return sum(len(one.value or b"") for _, one in self.pending)

    def oldest_pending_boot_s(self) -> float | None:
        """Return when the oldest event that is not durable was received."""
        return min((one.received_boot_s for _, one in self.pending if one.received_boot_s is not None), default=None)

    async def flush(self, timeout_s: float, streams: Collection[Stream] | None = None) -> bool:
        """Wait until everything of these streams, or of all, is durable, or the time is over."""

        def waiting() -> bool:
            return any(streams is None or one.stream in streams for _, one in self.pending)

        with contextlib.suppress(AssertionError):
            await until(lambda: not waiting(), timeout_s)
        return not waiting()

    async def read_tail(self, topic: str, since_ms: int, take: Callable[[list[Tail]], None]) -> None:
        """Read a topic back from a point in time on, one record at a time."""
        await self.unread.wait()
        for record in self.read_back(Stream(topic.rsplit(".", 1)[1])):
            if record.timestamp_ms >= since_ms:
                take([record])

    def read_back(self, stream: Stream) -> list[Tail]:
        """Return the durable records of a stream, as a reader finds them."""
        of_stream = [(epoch, one) for epoch, one in self.durable if one.stream is stream]
        sequences: dict[int, dict[int, int]] = {}
        """Of each epoch, the number of each record, which it keeps wherever it stands again."""
        for epoch, one in of_stream:
            of_epoch = sequences.setdefault(epoch, {})
            of_epoch.setdefault(id(one), len(of_epoch) + 1)
        return [
            Tail(one.time_ms, one.value, [*_ours(one, epoch, sequences[epoch][id(one)]), *one.headers], offset, one.key)
            for offset, (epoch, one) in enumerate(of_stream, self.first_offset)
        ]

    def deliver_again(self, epoch: int, record: OutgoingRecord) -> None:
        """Let a record that is there stand behind all others as well, as one that the network kept back."""
        self.durable.append((epoch, record))

    async def read_last(self, topic: str, take: Callable[[list[Tail]], None]) -> int:
        """Read the end of a topic."""
        found: list[Tail] = []
        await self.read_tail(topic, 0, found.extend)
        take(found)
        return self.first_offset + len(found)

    def said(self) -> list[OutgoingRecord]:
        """Return everything that was published, durable or not."""
        return [one for _, one in (*self.durable, *self.pending)]

    def results(self, command_id: str) -> list[Result]:
        """Return the results of a command."""
        found = [one for one in self.said() if one.stream is Stream.RESULTS and one.key == command_id.encode()]
        return [msgspec.json.decode(one.value or b"", type=Result) for one in found]

    def outcomes(self, command_id: str) -> list[str]:
        """Return the outcomes of a command."""
        return [result.outcome.value for result in self.results(command_id)]

    def session_events(self, kind: str = "") -> list[dict[str, Any]]:
        """Return the session events of a type, or all."""
        events = [json.loads(one.value or b"") for one in self.said() if one.stream is Stream.SESSION]
        return [event for event in events if kind in {"", event["type"]}]


class WatchedTopics:
    """What is known to be wrong with the topics."""

    def __init__(self) -> None:
        self.losses: dict[str, LostTopic] = {}
        self.grants: list[MissingGrant] = []

    def lose(self, stream: Stream, problem: str = "", *, is_empty: bool = True) -> None:
        """Lose a topic, or mend it, with no problem any more."""
        topic = f"ltp.main.{stream.value}"
        self.losses[topic] = LostTopic(topic, stream, clock().wall_ms, problem, is_empty)

    def lost_topics(self) -> list[LostTopic]:
        """Return them."""
        return list(self.losses.values())

    def missing_grants(self) -> list[MissingGrant]:
        """Return them."""
        return self.grants

    def mark_reported(self, topic: str) -> None:
        """Forget one."""
        del self.losses[topic]


def _ours(record: OutgoingRecord, epoch: int, sequence: int) -> Headers:
    return names.build_event_headers(
        event_id=record.event_id,
        event_source=b"/ltp/test/main",
        event_type=record.event_type or names.EVENT_TYPES[record.stream],
        time_ms=record.time_ms,
        subject=record.key,
        epoch=epoch,
        sequence=sequence,
        recovered=record.recovered,
        is_json=record.is_json,
    )


class Group:
    """The group of one account and its commands topic; `trouble` is raised by whoever asks next."""

    def __init__(self) -> None:
        self.log: list[CommandRecord] = []
        self.begin = 0
        self.committed = Committed(None, "")
        self.commits: list[int] = []
        self.topic_id = "topic-1"
        self.trouble: KafkaTrouble | None = None
        self.refusal: KafkaTrouble | None = None
        self.slow_s = 0.0
        self.ahead_ms = 0
        """By how much the clock that stamps commands is ahead of the account's."""
        self.given = asyncio.Event()
        self.given.set()
        self.hand_over_asked = asyncio.Event()
        self.cuts_off: Callable[[str], bool] = lambda _: False
        """Whether a rebalance cuts a commit of this metadata off; after `rebalance_s` the partition is back."""
        self.rebalance_s = 0.02
        self.left = 0
        self.unread = 0
        """More records than have come are on the topic."""

    def write(self, *bodies: dict[str, Any] | bytes | None) -> None:
        """Append commands."""
        for body in bodies:
            value = json.dumps(body).encode() if isinstance(body, dict) else body
            self.log.append(
                CommandRecord(self.begin + len(self.log), clock().wall_ms + self.ahead_ms, b"key", value, ())
            )

    def commit(self, offset: int | None, metadata: str = "") -> None:
        """Set what is committed, as a tool may."""
        self.committed = Committed(offset, metadata)

    def make_topic_again(self) -> None:
        """Delete the commands topic and make it again; Kafka removes the group's offset with it."""
        self.log.clear()
        self.begin = 0
        self.topic_id += "-again"
        self.committed = Committed(None, "")

    async def read_commands(self, begin: int, end: int, take: Callable[[list[CommandRecord]], Awaitable[None]]) -> None:
        """Read commands again, one at a time."""
        for record in self.log[begin - self.begin : end - self.begin]:
            await take([record])

    def give_away(self) -> None:
        """Give the partition to another member for good."""
        self.trouble = TermEnded("given to another member")


class Member:
    """One member of a group."""

    def __init__(self, group: Group, changed: Callable[[], None]) -> None:
        self._group = group
        self._changed = changed
        self.owned = False
        self.position = -1
        self.polls = 0
        self.epoch = 0
        self.paused: list[bool] = []

    def set_epoch(self, epoch: int) -> None:
        """Note the term."""
        self.epoch = epoch

    async def join(self) -> None:
        """Join."""
        self._raise()

    async def wait_owned(self) -> None:
        """Wait until the partition is given away."""
        await self._group.given.wait()
        self._raise()
        self.owned = True

    async def wait_hand_over_asked(self) -> None:
        """Wait until the test asks."""
        await self._group.hand_over_asked.wait()

    async def committed(self) -> Committed:
        """Return what is committed."""
        return self._group.committed

    async def commit(self, offset: int, metadata: str, timeout_s: float) -> None:
        """Commit, unless told otherwise."""
        group = self._group
        refusal, group.refusal = group.refusal, None
        if group.slow_s > timeout_s:
            await asyncio.sleep(timeout_s)
            raise TermEnded("not acknowledged in time")
        await asyncio.sleep(group.slow_s)
        if refusal is not None:
            raise refusal
        self._raise()
        if group.cuts_off(metadata):
            self.owned = False
            asyncio.get_running_loop().call_later(group.rebalance_s, self._get_back)
            raise CommitInterrupted("a rebalance ended the commit")
        group.committed = Committed(offset, metadata)
        group.commits.append(offset)

    def _get_back(self) -> None:
        self.owned = True
        self._changed()

    async def poll(self, timeout_s: float) -> list[CommandRecord]:
        """Return new records."""
        self.polls += 1
        with contextlib.suppress(AssertionError):
            await until(lambda: self._group.trouble or self._may_read(), min(timeout_s, 0.05))
        self._raise()
        if not self._may_read():
            return []
        if self.position < self._group.begin:
            raise OffsetLost("commands", self.position, self._group.begin, self.end)
        found = self._group.log[self.position - self._group.begin :]
        self.position = self.end
        return found

    def _may_read(self) -> bool:
        resting = bool(self.paused) and self.paused[-1]
        return 0 <= self.position < self.end and not resting

    @property
    def end(self) -> int:
        """The offset behind the last record."""
        return self._group.begin + len(self._group.log)

    @property
    def known_end(self) -> int:
        """The offset behind the last record."""
        return self.end + self._group.unread

    def seek(self, offset: int) -> None:
        """Read from here on."""
        self.position = offset

    def pause(self) -> None:
        """Note it."""
        self.paused.append(True)

    def resume(self) -> None:
        """Note it."""
        self.paused.append(False)

    async def topic_id(self) -> str:
        """Return the id of the commands topic."""
        return self._group.topic_id

    async def begin_offset(self) -> int:
        """Return the first offset."""
        return self._group.begin

    async def end_offset(self) -> int:
        """Return the last."""
        return self.end

    async def leave(self) -> None:
        """Leave."""
        self.owned = False
        self._group.left += 1

    def rebalance(self) -> None:
        """Take the partition away for a moment: the commit under way comes to nothing."""
        self._group.refusal = CommitInterrupted("a rebalance ended the commit")
        self._changed()

    def _raise(self) -> None:
        if self._group.trouble is not None:
            raise self._group.trouble


class Venue:
    """A venue: its REST, and what its sessions share. `answer` is the code of every action; None is silence."""

    def __init__(self) -> None:
        self.answer: int | None = 200000
        self.refusal: Exception | None = None
        self.away = ""
        self.open: list[OrderRow] = []
        self.orders: dict[str, OrderRow] = {}
        self.rest_trouble: Exception | None = None
        self.order_trouble: Exception | None = None
        self.ended: list[OrderRow] = []
        self.trades: list[TradePush] = []
        self.asked: list[str] = []
        self.searched: list[str] = []
        self.search_refusal: VenueRefused | None = None
        self.swept = 0
        self.written: list[dict[str, Any]] = []
        self.sessions: list[Session] = []
        self.other_logins: list[float] = []
        self.unwritable = False
        self.refused: set[str] = set()
        self.during_sweep: Callable[[], None] | None = None
        self.balances: list[bytes] = []
        self.holdings: list[bytes] = []
        self.risks: list[bytes] = []
        self.risks_trouble: VenueError | None = None
        self.during_risks: Callable[[], None] | None = None
        self.longest_ms: int | None = None
        self.asked_between: list[tuple[int, int]] = []
        self.unreadable = 0
        self.ahead_ms = 0
        """By how much its clock is ahead of the account's."""
        self.key_problem: str | None = None
        self.slowed_limits: list[str] = []
        self.preferred = ""

    @property
    def clock_reading(self) -> ClockReading:
        """Return what its answers tell of its clock."""
        now = clock()
        return reading_of(Skew(-self.ahead_ms - 1, -self.ahead_ms), now)

    @property
    def session(self) -> "Session":
        """The latest session."""
        return self.sessions[-1]

    async def fetch_open_orders(self) -> AsyncIterator[Rows[OrderRow]]:
        """Return every open order."""
        self.swept += 1
        interrupt, self.during_sweep = self.during_sweep, None
        if interrupt is not None:
            interrupt()
            await asyncio.sleep(0.02)
        if self.rest_trouble is not None:
            raise self.rest_trouble
        yield Rows(self.open, self.unreadable)

    async def fetch_order(self, *, order_id: str | None = None, client_order_id: str | None = None) -> OrderRow | None:
        """Return one order."""
        self.asked.append(client_order_id or order_id or "")
        if client_order_id in self.refused:
            raise VenueRefused(1000, "no")
        if self.order_trouble is not None:
            raise self.order_trouble
        return self.orders.get(order_id or client_order_id or "")

    def prefer(self, endpoint: str) -> None:
        """Write it down."""
        self.preferred = endpoint

    async def fetch_ended_orders(
        self, sym: str | None, begin_ms: int, end_ms: int | None = None
    ) -> AsyncIterator[Rows[OrderRow]]:
        """Return what is over."""
        if sym is None:
            return
        self.searched.append(sym)
        if self.search_refusal is not None:
            raise self.search_refusal
        yield Rows(self.ended)

    async def fetch_executions(
        self, sym: str | None, begin_ms: int, end_ms: int | None = None
    ) -> AsyncIterator[Rows[TradeRow]]:
        """Return what was executed."""
        span = begin_ms, end_ms or clock().wall_ms
        self.asked_between.append(span)
        if self.longest_ms is not None and span[1] - span[0] > self.longest_ms:
            raise ListTooLong("more than 100 pages")
        yield Rows(trade_row(trade) for trade in self.trades)

    async def fetch_order_executions(self, order_id: str, begin_ms: int) -> AsyncIterator[Rows[TradeRow]]:
        """Return what was executed of one order."""
        self.asked.append(f"executions of {order_id}")
        if self.order_trouble is not None:
            raise self.order_trouble
        yield Rows(trade_row(trade) for trade in self.trades if str(trade.order_id) == order_id)

    async def fetch_assets(self) -> AsyncIterator[Rows[bytes]]:
        """Return the balances."""
        yield Rows(self.balances)

    async def fetch_positions(self) -> AsyncIterator[Rows[bytes]]:
        """Return the positions."""
        yield Rows(self.holdings)

    async def fetch_account_risks(self) -> AsyncIterator[Rows[bytes]]:
        """Return the risk of each exchange account."""
        interrupt, self.during_risks = self.during_risks, None
        if interrupt is not None:
            interrupt()
            await asyncio.sleep(0.02)
        if self.risks_trouble is not None:
            raise self.risks_trouble
        yield Rows(self.risks)

    def opened(self, listener: SessionListener, other_login_boot_s: float) -> "Session":
        """Make a session."""
        self.other_logins.append(other_login_boot_s)
        self.sessions.append(Session(self, listener))
        return self.session

    def actions(self, action: str) -> list[dict[str, str]]:
        """Return the arguments of the actions that were written."""
        return [one["args"] for one in self.written if one["action"] == action]


class Session:
    """A session that logs in at once, and again after it was lost."""

    def __init__(self, venue: Venue, listener: SessionListener) -> None:
        self._venue = venue
        self.listener = listener
        self.logged_in = False
        self.last_frame_boot_s = -inf
        self._ended: asyncio.Future[tuple[Cause, str]] | None = None

    def ready_to_write(self, now: Now) -> bool:
        """Tell whether it is logged in."""
        return self.logged_in

    def login_due(self, now: Now) -> bool:
        """Tell that its logins are long ago."""
        return True

    def send(self, frame: bytes) -> None:
        """Take a frame, and answer it in a moment."""
        if self._venue.unwritable:
            raise VenueUnreachable("the connection has ended")
        request = json.loads(frame)
        self._venue.written.append(request)
        if self._venue.answer is not None:
            asyncio.get_running_loop().call_soon(self.acknowledge, request["id"], self._venue.answer)

    def acknowledge(self, request_id: str | None, code: int = 200000) -> None:
        """Answer a request."""
        order_id = f"9{len(self._venue.written)}"
        self.receive(Answer(request_id, "place_order", code, "", order_id, None))

    def receive(self, event: Received) -> None:
        """Let a frame arrive."""
        self.last_frame_boot_s = clock().boot_s
        self.listener.received(event, clock())

    def drop(self, cause: Cause, detail: str) -> None:
        """End it."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_result((cause, detail))

    async def run(self) -> None:
        """Log in, and again."""
        while True:
            if self._venue.refusal is not None:
                raise self._venue.refusal
            if self._venue.away:
                self.listener.attempt_failed("here", Cause.LINK_FAILED, self._venue.away, clock())
                await asyncio.sleep(0.01)
                continue
            self._ended = asyncio.get_running_loop().create_future()
            self.logged_in, self.last_frame_boot_s = True, clock().boot_s
            self.listener.logged_in("here", clock())
            cause, detail = Cause.STOPPED, "stopped"
            try:
                await self._ended
            finally:
                if self._ended.done() and not self._ended.cancelled():
                    cause, detail = self._ended.result()
                self.logged_in = False
                self.listener.lost("here", cause, detail, clock())
            self.listener.attempt_failed("here", Cause.LINK_FAILED, "once more", clock())
            await asyncio.sleep(0.01)


def encode(request_id: str, action: str, args: Mapping[str, str]) -> bytes:
    """Write a frame that a test can read."""
    return json.dumps({"id": request_id, "action": action, "args": dict(args)}).encode()


class Outside:
    """All of it, and an account that lives in it."""

    def __init__(self, **changes: object) -> None:
        self.topics = Topics()
        self.group = Group()
        self.venue = Venue()
        self.watched = WatchedTopics()
        self.members: list[Member] = []
        self.executions_since_ms: int | None = None
        self.was_owned = False
        self.late_after_s = LATE_AFTER_S
        self.key = "key-1"
        self.environment = "sandbox"
        self.refusal: str | None = None
        self.new_key = asyncio.Event()
        self.started = asyncio.Event()
        self.started.set()
        self.limits, self.timing = settings_with(
            **{"commit_period_s": 0.05, "lease_s": 0.5, "ack_timeout_s": 0.3} | changes
        )
        self.all_metrics = Metrics("test")
        self.metrics = AccountMetrics(self.all_metrics, "main")
        self.result_log = ResultLog("main", self.topics, self.metrics)
        self.flow = AccountSupervisor(
            "main",
            "here:1",
            SupervisorDependencies(
                start=self._start,
                join=self._join,
                take_over=self._take_over,
                new_term=self._parts,
                topics=self.watched,
                key_changed=self.new_key.wait,
                describe_refusal=lambda: self.refusal,
                random=lambda: 0.0,
                clock=clock,
            ),
            session_timeout_s=COMMIT_TIMEOUT_S,
            stop_deadline_s=STOP_DEADLINE_S,
        )

    @property
    def trading(self) -> bool:
        """Whether the account is owned and ready; a standby is ready too."""
        return self.flow.phase is AccountPhase.OWNER and self.flow.ready

    async def closed(self, gaps: int) -> None:
        """Wait until so many gaps are closed."""
        await until(lambda: len(self.topics.session_events("gap.closed")) == gaps)

    @property
    def member(self) -> Member:
        """The latest member."""
        return self.members[-1]

    async def _start(self) -> None:
        await self.started.wait()

    def _join(self, wake: Callable[[], None]) -> Member:
        self.members.append(Member(self.group, wake))
        return self.member

    async def _holdings(self) -> list[bytes]:
        return [*self.venue.balances, *self.venue.holdings]

    async def _take_over(self, member: MembershipPort) -> Account:
        parts = TakeoverDependencies(
            prefix="ltp",
            limits=self.limits,
            timing=self.timing,
            result_log=self.result_log,
            identity=Identity(self.environment, self.key, self._holdings),
            membership=member,
            publisher=self.topics,
            topics=TopicReplay("ltp", "main", self.topics.read_tail, self.topics.read_last),
            clock=clock,
            metrics=self.metrics,
            commit_timeout_s=COMMIT_TIMEOUT_S,
            executions_since_ms=self.executions_since_ms,
            was_owned=self.was_owned,
        )
        return await AccountTakeover("main", "here:1", parts).run()

    def _parts(self, member: MembershipPort) -> TermDependencies:
        return TermDependencies(
            membership=member,
            publisher=self.topics,
            rest=self.venue,
            open_session=self.venue.opened,
            encode=encode,
            clock=clock,
            key_fingerprint=lambda: self.key,
            read_commands=self.group.read_commands,
            topics=TopicReplay("ltp", "main", self.topics.read_tail, self.topics.read_last),
            late_after_s=self.late_after_s,
            result_log=self.result_log,
            topic_watch=self.watched,
            metrics=self.metrics,
        )

    def let_pass(self, seconds: float) -> None:
        """Make everything older by so much, as if nobody had been there for so long."""
        ms = int(seconds * 1000)
        older = [(epoch, msgspec.structs.replace(one, time_ms=one.time_ms - ms)) for epoch, one in self.topics.durable]
        self.topics.durable = older
        self.group.log[:] = [msgspec.structs.replace(one, timestamp_ms=one.timestamp_ms - ms) for one in self.group.log]
        stored = decode(self.group.committed.metadata, self.group.committed.offset or 0)
        if stored is not None:
            durable_ms = stored.durable_until_ms
            before = msgspec.structs.replace(stored, durable_until_ms=durable_ms and durable_ms - ms)
            self.group.commit(self.group.committed.offset or 0, encode_stored(before, self.group.committed.offset or 0))

    def lose_records(self, *streams: Stream, trimmed: bool = True) -> None:
        """Remove all records of some topics: by retention, or, not `trimmed`, as if the topic had been made again."""
        before = len(self.topics.durable)
        self.topics.durable = [(epoch, one) for epoch, one in self.topics.durable if one.stream not in streams]
        if trimmed:
            self.topics.first_offset += before - len(self.topics.durable)

    @contextlib.asynccontextmanager
    async def running(self, *, ready: bool = True) -> AsyncIterator[asyncio.Task[None]]:
        """Run the account until the end of the block, and stop it in good order."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.flow.run(stop))
        try:
            if ready:
                await until(lambda: self.trading)
            yield task
        finally:
            stop.set()
            await asyncio.wait_for(task, 10)

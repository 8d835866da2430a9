"""One term of ownership: everything that runs between a takeover and the loss of the partition, or the stop."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

import structlog
from msgspec import Struct

from bridge.contract.session import Alarm, Cause
from bridge.core.account import Account
from bridge.core.now import Now
from bridge.core.records import OutgoingRecord
from bridge.core.session_listener import SessionListener
from bridge.errors import KafkaTrouble, LoginRefused, OffsetLost
from bridge.flow.command_loop import CommandLoop
from bridge.flow.concurrency import end_tasks, raise_failure
from bridge.flow.deferred import DeferredAnswers
from bridge.flow.key_files import KeyFileWatch
from bridge.flow.late_records import LATE_AFTER_S, LateRecordRepair
from bridge.flow.ports import (
    Clock,
    EncodeAction,
    Membership,
    Publisher,
    ReadCommands,
    TopicWatch,
    VenueRest,
    VenueSession,
)
from bridge.flow.readiness import COMMITS, PUBLISHING, SESSION, SWEEP, Missing
from bridge.flow.record_sink import RecordSink
from bridge.flow.recovery_sweeps import RecoverySweeps
from bridge.flow.replay import TopicReplay
from bridge.flow.rest_limits import RestLimitWatch
from bridge.flow.session_keeping import SessionKeeper
from bridge.flow.status_queries import StatusQueries
from bridge.flow.topic_alarms import TopicAlarms
from bridge.flow.venue_listener import VenueListener

_log = structlog.get_logger()
_LOOK_S = 0.05
_OUTAGE_S = 600.0
"""How long a commit may wait for brokers that are away. One that was written and not answered ends the term at once."""
_SETTLE_SHARE = 0.35
_FLUSH_SHARE = 0.15
_COMMIT_SHARE = 0.1
"""Parts of the time to stop; what is left is for leaving the group and for the publisher's own end."""


class TermDependencies(Struct, frozen=True):
    """What a term is made of besides its account."""

    membership: Membership
    publisher: Publisher
    rest: VenueRest
    open_session: Callable[[SessionListener, float], VenueSession]
    """Takes who is told, and when a predecessor may last have logged in."""
    encode: EncodeAction
    clock: Clock
    key_fingerprint: Callable[[], str]
    """A digest of the API key that is in its file now; empty where it cannot be read."""
    read_commands: ReadCommands
    topics: TopicReplay
    sink: RecordSink
    topic_watch: TopicWatch
    late_after_s: float = LATE_AFTER_S
    """When, after a takeover or a renewal of the producer, nothing old can arrive any more."""


class Term:
    """Runs one account from its takeover on."""

    def __init__(
        self,
        name: str,
        instance: str,
        account: Account,
        parts: TermDependencies,
        *,
        session_timeout_s: float,
        stop_deadline_s: float,
    ) -> None:
        self._name = name
        self._instance = instance
        self._account = account
        self._parts = parts
        self._stop_deadline_s = stop_deadline_s
        self._began_ms = parts.clock().wall_ms
        parts.sink.on_result = self.wake
        self._events = VenueListener(
            name, account, parts.publisher, wake=self.wake, on_login=self._logged_in, began_ms=self._began_ms
        )
        self.session = parts.open_session(self._events, account.other_login_boot_s)
        self._events.session = self.session
        self._questions = StatusQueries(
            name,
            account,
            rest=parts.rest,
            events=self._events,
            clock=parts.clock,
            wake=self.wake,
        )
        self._recovery = RecoverySweeps(
            name,
            account,
            questions=self._questions,
            rest=parts.rest,
            session=self.session,
            events=self._events,
            publisher=parts.publisher,
            clock=parts.clock,
            wake=self.wake,
        )
        self._key_files = KeyFileWatch(name, account, parts.rest, parts.clock)
        self._rest_limits = RestLimitWatch(name, account, parts.rest, parts.clock)
        self._topic_alarms = TopicAlarms(instance, account, parts.topic_watch, parts.clock)
        self._commands = self._new_commands()
        self._session_keeper = self._new_session_keeper(session_timeout_s)
        self._deferred = DeferredAnswers(
            name,
            account,
            read_commands=parts.read_commands,
            has_time=lambda: self._commands.caught_up,
            publisher=parts.publisher,
            clock=parts.clock,
        )
        self._late_records = LateRecordRepair(
            name,
            account,
            topics=parts.topics,
            publisher=parts.publisher,
            sink=parts.sink,
            clock=parts.clock,
            late_after_s=parts.late_after_s,
        )

    def _new_commands(self) -> CommandLoop:
        parts = self._parts
        return CommandLoop(
            self._account,
            membership=parts.membership,
            session=self.session,
            publisher=parts.publisher,
            events=self._events,
            clock=parts.clock,
            encode=parts.encode,
            commit_timeout_s=_OUTAGE_S,
            ask=self._questions.ask,
        )

    def _new_session_keeper(self, session_timeout_s: float) -> SessionKeeper:
        return SessionKeeper(
            self._name,
            self.session,
            events=self._events,
            commands=self._commands,
            publisher=self._parts.publisher,
            clock=self._parts.clock,
            session_timeout_s=session_timeout_s,
        )

    def missing(self) -> list[Missing]:
        """Return what keeps the account from doing its part: session, sweep, commits, or records that wait."""
        now, account = self._parts.clock(), self._account
        found = [self._missing_commits(now), self._missing_publishing(now), self._missing_session()]
        if self._events.session_missing is None and not account.recovered:
            why = self._recovery.trouble or "the venue's REST is being asked what it knows"
            found.append(Missing(SWEEP, self._events.logged_in_ms, why))
        return [one for one in found if one is not None]

    @property
    def detail(self) -> str:
        """What a person should know of an account that does its part all the same."""
        active = self._account.alarms.active()
        return next((one.detail for one in active if one.alarm is Alarm.COMMANDS_BEHIND), "")

    def _missing_commits(self, now: Now) -> Missing | None:
        slow = next((one for one in self._account.alarms.active() if one.alarm is Alarm.COMMITS_SLOW), None)
        if not self._session_keeper.is_surely_owner():
            stored_ms = (
                now.wall_ms - int((now.boot_s - self._commands.stored_at) * 1000) if self._has_committed() else 0
            )
            return Missing(COMMITS, max(stored_ms, self._began_ms), "Kafka acknowledges no offset commit")
        return None if slow is None else Missing(COMMITS, slow.since_ms, slow.detail)

    def _has_committed(self) -> bool:
        return self._commands.stored_at > -inf

    def _missing_publishing(self, now: Now) -> Missing | None:
        publisher = self._parts.publisher
        if publisher.healthy:
            return None
        since_ms = now.wall_ms - int(publisher.oldest_wait_s * 1000)
        why = "; ".join(publisher.problems) or "records wait for Kafka's acknowledgement; the log says why"
        return Missing(PUBLISHING, since_ms, why)

    def _missing_session(self) -> Missing | None:
        missing = self._events.session_missing
        if missing is not None and self._parts.publisher.overfull:
            why = "no login while more events wait for Kafka than may be held in memory"
            return Missing(SESSION, missing.since_ms, why)
        return missing

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then end in good order.

        Raises TermEnded when ownership is over or uncertain; LoginRefused when the venue does not want this key, and
        OffsetLost when the topic lacks what comes next: both after an alarm and an end in good order.
        """
        work: dict[str, Coroutine[Any, Any, None]] = {
            "session": self._session_keeper.run(),
            "read": self._commands.read(),
            "send": self._commands.send(),
            "recovery": self._recovery.run(),
            "questions": self._questions.run(),
            "key": self._key_files.run(),
            "limits": self._rest_limits.run(),
            "topics": self._topic_alarms.run(),
            "deferred": self._deferred.run(),
            "late records": self._late_records.run(),
        }
        tasks = {what: asyncio.create_task(step, name=f"{self._name}:{what}") for what, step in work.items()}
        stopping = asyncio.create_task(stop.wait(), name=f"{self._name}:stop")
        try:
            await asyncio.wait([*tasks.values(), stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks.values():
                raise_failure(task)
            await self._end(tasks, "the bridge was stopped")
        except (LoginRefused, OffsetLost) as error:
            alarm = Alarm.LOGIN_STOPPED if isinstance(error, LoginRefused) else Alarm.OFFSET_LOST
            self._account.outbox.publish_alarm(alarm, str(error), self._parts.clock())
            with contextlib.suppress(KafkaTrouble):  # the reason to give up is the other one
                await self._end(tasks, f"the account is given up: {error}")
            raise
        except KafkaTrouble as error:
            self.session.drop(Cause.OWNERSHIP_LOST, str(error))
            raise
        except Exception as error:
            self.session.drop(Cause.BRIDGE_FAILED, f"a mistake: {type(error).__name__}")
            raise
        finally:
            await end_tasks(*tasks.values(), stopping)

    async def _end(self, tasks: dict[str, asyncio.Task[None]], why: str) -> None:
        """Stop in good order.

        Reading stops. Nothing new is written; what was written settles, to a deadline. The session closes. Everything
        that was said becomes durable, the state is committed, and the caller leaves the group.
        """
        self._commands.closing = True
        await end_tasks(tasks["read"])
        send = tasks["send"]
        deadline = asyncio.get_running_loop().time() + self._stop_deadline_s * _SETTLE_SHARE
        while self._account.table.count_awaiting() and asyncio.get_running_loop().time() < deadline:
            await asyncio.wait([send], timeout=_LOOK_S)
            raise_failure(send)
        self.session.drop(Cause.STOPPED, why)
        await end_tasks(tasks["session"])
        self._commands.end()
        await asyncio.wait([send], timeout=self._stop_deadline_s * _COMMIT_SHARE)
        raise_failure(send)
        await end_tasks(send)
        self._account.end(self._instance, self._parts.clock())
        if not await self._parts.publisher.flush(self._stop_deadline_s * _FLUSH_SHARE):
            _log.warning("stop.unflushed", account=self._name)
        released = self.session.login_due(self._parts.clock())
        await self._commands.commit_last(self._stop_deadline_s * _COMMIT_SHARE, released=released)

    def too_large(self, record: OutgoingRecord) -> None:
        """Tell that a record was not published because of its size."""
        self._events.too_large(record, self._parts.clock())

    def wake(self) -> None:
        """Look at once whether something is due."""
        self._commands.wake()

    def _logged_in(self, endpoint: str) -> None:
        self._account.key_accepted(self._parts.key_fingerprint())
        self._recovery.begin(endpoint)

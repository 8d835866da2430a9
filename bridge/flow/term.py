"""One term of ownership: everything that runs between a takeover and the loss of the partition, or the stop."""

import asyncio
import contextlib
from collections.abc import Coroutine
from math import inf
from typing import Any

import structlog
from msgspec import Struct

from bridge.contract.session import Alarm, Cause
from bridge.core.account import Account
from bridge.core.account_status import AccountStatus
from bridge.core.now import Now
from bridge.core.records import OutgoingRecord
from bridge.errors import KafkaTrouble, LoginRefused, OffsetLost
from bridge.flow.command_loop import CommandLoop
from bridge.flow.concurrency import end_tasks, raise_failure
from bridge.flow.deferred import DeferredAnswers
from bridge.flow.dependencies import TermDependencies
from bridge.flow.key_files import KeyFileWatch
from bridge.flow.late_record_repair import LateRecordRepair
from bridge.flow.readiness import COMMITS, PUBLISHING, SESSION, SWEEP, Missing
from bridge.flow.recovery_sweeps import RecoverySweeps
from bridge.flow.rest_limits import RestLimitWatch
from bridge.flow.session_keeping import SessionKeeper
from bridge.flow.status_queries import StatusQueries
from bridge.flow.topic_alarms import TopicAlarms
from bridge.flow.venue_listener import VenueListener

_log = structlog.get_logger()
_CHECK_PERIOD_S = 0.05
_WATCH_PERIOD_S = 1.0
_SETTLE_SHARE = 0.35
_FLUSH_SHARE = 0.15
_COMMIT_SHARE = 0.1
"""Parts of the time to stop; what is left is for leaving the group and for the publisher's own end."""


class TermStatus(Struct, frozen=True):
    """An account that this process owns: what it knows, and its session. `logged_in_ms` is 0 without a session."""

    account: AccountStatus
    endpoint: str
    logged_in_ms: int


class Term:
    """Runs one account from its takeover to the loss of the partition, or to the stop."""

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
        parts.result_log.on_result = self.wake
        self._events = VenueListener(
            name, account, parts.publisher, wake=self.wake, on_login=self._on_login, began_ms=self._began_ms
        )
        self.session = parts.open_session(self._events, account.other_login_boot_s)
        self._events.session = self.session
        self._queries = StatusQueries(name, account, parts.rest, self._events, parts.clock)
        self._recovery = RecoverySweeps(
            name, account, parts, session=self.session, events=self._events, queries=self._queries
        )
        self._key_files = KeyFileWatch(account, parts.rest, parts.clock)
        self._rest_limits = RestLimitWatch(account, parts.rest, parts.clock)
        self._topic_alarms = TopicAlarms(instance, account, parts.topic_watch, parts.clock)
        self._commands = CommandLoop(
            account, parts, session=self.session, events=self._events, wake_queries=self._queries.wake
        )
        self._session_keeper = SessionKeeper(
            name,
            self.session,
            events=self._events,
            commands=self._commands,
            parts=parts,
            session_timeout_s=session_timeout_s,
        )
        self._deferred = DeferredAnswers(name, account, parts, has_time=lambda: self._commands.caught_up)
        self._late_records = LateRecordRepair(name, account, parts)

    def find_missing(self) -> list[Missing]:
        """Return what keeps the account from doing its part: session, sweep, commits, or records that wait."""
        now, account = self._parts.clock(), self._account
        found = [self._check_commits(now), self._check_publishing(now), self._check_session()]
        if self._events.session_missing is None and not account.first_sweep_done:
            why = self._recovery.trouble or "the venue's REST is being asked what it knows"
            found.append(Missing(SWEEP, self._events.logged_in_ms, why))
        return [one for one in found if one is not None]

    def read_status(self) -> TermStatus:
        """Return how the account and its session are now."""
        now, events = self._parts.clock(), self._events
        is_up = events.session_missing is None
        return TermStatus(self._account.read_status(now), events.endpoint, events.logged_in_ms if is_up else 0)

    @property
    def detail(self) -> str:
        """What a person should know, though nothing is missing; empty for nothing."""
        behind = self._account.active_alarm(Alarm.COMMANDS_BEHIND)
        return behind.detail if behind is not None else ""

    def _check_commits(self, now: Now) -> Missing | None:
        slow = self._account.active_alarm(Alarm.COMMITS_SLOW)
        if not self._session_keeper.is_surely_owner():
            stored_ms = (
                now.wall_ms - int((now.boot_s - self._commands.stored_boot_s) * 1000) if self._has_committed() else 0
            )
            return Missing(COMMITS, max(stored_ms, self._began_ms), "Kafka acknowledges no offset commit")
        return None if slow is None else Missing(COMMITS, slow.since_ms, slow.detail)

    def _has_committed(self) -> bool:
        return self._commands.stored_boot_s > -inf

    def _check_publishing(self, now: Now) -> Missing | None:
        publisher = self._parts.publisher
        if publisher.healthy:
            return None
        since_ms = now.wall_ms - int(publisher.oldest_wait_s * 1000)
        why = "; ".join(publisher.problems) or "records wait for Kafka's acknowledgement; the log says why"
        return Missing(PUBLISHING, since_ms, why)

    def _check_session(self) -> Missing | None:
        missing = self._events.session_missing
        if missing is not None and self._parts.publisher.overfull:
            why = "no login while more events wait for Kafka than may be held in memory"
            return Missing(SESSION, missing.since_ms, why)
        return missing

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set or the account is to be handed over, then end in good order.

        Raises TermEnded when ownership is over or uncertain; LoginRefused when the venue does not want this key, and
        OffsetLost when the topic lacks what comes next: both after an alarm and an end in good order.
        """
        tasks = {
            what: asyncio.create_task(step, name=f"{self._name}:{what}") for what, step in self._new_work().items()
        }
        stopping = asyncio.create_task(stop.wait(), name=f"{self._name}:stop")
        handing_over = asyncio.create_task(
            self._parts.membership.wait_hand_over_asked(), name=f"{self._name}:hand over"
        )
        try:
            await asyncio.wait([*tasks.values(), stopping, handing_over], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks.values():
                raise_failure(task)
            if not stop.is_set():
                _log.info("account.handing_over", account=self._name, epoch=self._account.epoch)
            await self._end_term(tasks, "the bridge was stopped" if stop.is_set() else "the account is handed over")
        except (LoginRefused, OffsetLost) as error:
            alarm = Alarm.LOGIN_STOPPED if isinstance(error, LoginRefused) else Alarm.OFFSET_LOST
            self._account.publish_alarm(alarm, str(error), self._parts.clock())
            with contextlib.suppress(KafkaTrouble):  # the reason to give up is the other one
                await self._end_term(tasks, f"the account is given up: {error}")
            raise
        except KafkaTrouble as error:
            self.session.drop(Cause.OWNERSHIP_LOST, str(error))
            raise
        except Exception as error:
            self.session.drop(Cause.BRIDGE_FAILED, f"a mistake: {type(error).__name__}")
            raise
        finally:
            await end_tasks(*tasks.values(), stopping, handing_over)

    def _new_work(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Return everything that runs side by side during a term."""
        return {
            "session": self._session_keeper.run(),
            "read": self._commands.read(),
            "send": self._commands.send(),
            "recovery": self._recovery.run(),
            "queries": self._queries.run(),
            "watches": self._watch(),
            "deferred": self._deferred.run(),
            "late records": self._late_records.run(),
        }

    async def _watch(self) -> None:
        """Look every second, in one turn of the loop, at what has no event of its own."""
        while True:
            self._key_files.check_files()
            self._rest_limits.check_limits()
            self._topic_alarms.check_topics()
            await asyncio.sleep(_WATCH_PERIOD_S)

    async def _end_term(self, tasks: dict[str, asyncio.Task[None]], why: str) -> None:
        """Stop in good order.

        Reading stops. Nothing new is written; what was written gets its answers, to a deadline. The session closes.
        What was published becomes durable, the state is committed, and the caller leaves the group.
        """
        self._account.begin_end()
        await end_tasks(tasks["read"])
        send = tasks["send"]
        deadline = asyncio.get_running_loop().time() + self._stop_deadline_s * _SETTLE_SHARE
        while self._account.awaited_count and asyncio.get_running_loop().time() < deadline:
            await asyncio.wait([send], timeout=_CHECK_PERIOD_S)
            raise_failure(send)
        self.session.drop(Cause.STOPPED, why)
        await end_tasks(tasks["session"])
        self._commands.stop()
        await asyncio.wait([send], timeout=self._stop_deadline_s * _COMMIT_SHARE)
        raise_failure(send)
        await end_tasks(send)
        self._account.end(self._instance, self._parts.clock())
        if not await self._parts.publisher.flush(self._stop_deadline_s * _FLUSH_SHARE):
            _log.warning("stop.unflushed", account=self._name)
        released = self.session.login_due(self._parts.clock())
        await self._commands.commit_last(self._stop_deadline_s * _COMMIT_SHARE, released=released)

    def record_too_large(self, record: OutgoingRecord) -> None:
        """Raise the alarm for a record that was not published because of its size."""
        self._events.record_too_large(record, self._parts.clock())

    def wake(self) -> None:
        """Find out at once whether something is due."""
        self._commands.wake()

    def _on_login(self, endpoint: str) -> None:
        self._account.key_accepted(self._parts.key_fingerprint())
        self._recovery.begin(endpoint)

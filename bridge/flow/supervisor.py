"""An account in this process: join its group, wait for the partition, take over, run a term, and begin again."""

import asyncio
import contextlib
from collections.abc import Awaitable
from enum import StrEnum

import structlog

from bridge.core.backoff import full_jitter
from bridge.core.records import OutgoingRecord
from bridge.errors import BridgeError, ForeignOwner, LoginRefused, OffsetLost
from bridge.flow.concurrency import end_tasks
from bridge.flow.dependencies import SupervisorDependencies
from bridge.flow.readiness import KAFKA, OPERATOR, TAKEOVER, TOPICS, Missing, explain_by_refusal
from bridge.flow.term import Term, TermStatus

_log = structlog.get_logger()


class AccountPhase(StrEnum):
    """Where an account stands in this process."""

    JOINING = "joining"
    STANDBY = "standby"
    """In the group; another process owns the account."""
    TAKING_OVER = "taking_over"
    OWNER = "owner"
    STOPPED = "stopped"
    """Given up: a person must look at it."""


class AccountSupervisor:
    """Runs the terms of one account, one after the other. What fails here touches no other account."""

    def __init__(
        self,
        name: str,
        instance: str,
        parts: SupervisorDependencies,
        *,
        session_timeout_s: float,
        stop_deadline_s: float,
    ) -> None:
        self.name = name
        self.phase = AccountPhase.JOINING
        self.detail = ""
        self._instance = instance
        self._parts = parts
        self._session_timeout_s = session_timeout_s
        self._stop_deadline_s = stop_deadline_s
        self._unready_since_ms = parts.clock().wall_ms
        self._term: Term | None = None
        self._log = _log.bind(account=name)

    @property
    def ready(self) -> bool:
        """Whether this process does its part: as standby, or as owner with session and Kafka alive."""
        return not self.find_missing()

    def find_missing(self) -> list[Missing]:
        """Return what keeps this process from doing its part, since when and why; nothing when it does."""
        return explain_by_refusal(
            [*self._find_missing_by_phase(), *self._find_missing_topics()], self._parts.describe_refusal()
        )

    def _find_missing_topics(self) -> list[Missing]:
        lost = [(one.since_ms, one.problem) for one in self._parts.topics.lost_topics() if one.problem]
        refused = [(one.since_ms, one.detail) for one in self._parts.topics.missing_grants()]
        return [Missing(TOPICS, since_ms, why) for since_ms, why in (*lost, *refused)]

    def _find_missing_by_phase(self) -> list[Missing]:
        since_ms = self._unready_since_ms
        if self.phase is AccountPhase.STANDBY:
            return []
        if self.phase is AccountPhase.OWNER and self._term is not None:
            return self._term.find_missing()
        if self.phase is AccountPhase.STOPPED:
            return [Missing(OPERATOR, since_ms, self.detail)]
        if self.phase is AccountPhase.TAKING_OVER:
            return [Missing(TAKEOVER, since_ms, self.detail or "what the predecessor left is being read")]
        return [Missing(KAFKA, since_ms, self.detail or "the group is being joined")]

    def read_status(self) -> TermStatus | None:
        """Return how the account is; None while this process does not own it."""
        return self._term.read_status() if self._term is not None else None

    def describe(self) -> str:
        """Return for a person what there is to know, whether or not something is missing."""
        return self.detail or (self._term.detail if self._term is not None else "")

    def wait_for_kafka(self, detail: str) -> None:
        """Note why the account cannot begin yet."""
        self.detail = detail

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, or until the account has to be given up."""
        failures = 0
        while not stop.is_set():
            began = asyncio.get_running_loop().time()
            try:
                await self._run_term(stop)
            except (OffsetLost, ForeignOwner) as error:
                self._give_up(error)
                return
            except LoginRefused as error:
                self._give_up(error)
                if await stopped_before(stop, self._parts.key_changed()):
                    return
                self._log.warning("account.resumed", detail="the files hold another key")
            except BridgeError as error:
                self.detail = str(error)
                self._log_end(error)
            except Exception as error:  # noqa: BLE001 - one account's mistake must not end the others
                self.detail = f"a mistake in the bridge: {type(error).__name__}"
                self._log.exception("term.crashed")
            failures = 0 if asyncio.get_running_loop().time() - began > _STABLE_S else failures + 1
            wait_s = full_jitter(failures, self._parts.random(), base_s=0.2, cap_s=10.0, floor_s=0.05)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await stop.wait()

    def _log_end(self, error: BridgeError) -> None:
        if error.retryable:
            self._log.warning("term.ended", reason=type(error).__name__, detail=str(error))
        else:
            self._log.error("term.failed", reason=type(error).__name__, detail=str(error))

    def _give_up(self, error: BridgeError) -> None:
        self.phase, self.detail = AccountPhase.STOPPED, str(error)
        self._unready_since_ms = self._parts.clock().wall_ms
        self._log.error("account.stopped", reason=type(error).__name__, detail=str(error))

    def record_too_large(self, record: OutgoingRecord) -> None:
        """Raise the alarm for a record that was not published because of its size."""
        if self._term is not None:
            self._term.record_too_large(record)

    def _wake(self) -> None:
        """Find out at once whether something is due: a rebalance gave the partition back."""
        if self._term is not None:
            self._term.wake()

    async def _run_term(self, stop: asyncio.Event) -> None:
        self.phase = AccountPhase.JOINING
        if await stopped_before(stop, self._parts.start()):
            return
        membership = self._parts.join(self._wake)
        try:
            if await stopped_before(stop, membership.join()):
                return
            self.phase, self.detail = AccountPhase.STANDBY, ""
            self._log.info("account.standby")
            if await stopped_before(stop, membership.wait_owned()):
                return
            self.phase, self._unready_since_ms = AccountPhase.TAKING_OVER, self._parts.clock().wall_ms
            taking = asyncio.ensure_future(self._parts.take_over(membership))
            if await stopped_before(stop, taking):
                return
            account = taking.result()
            self._log.info("account.owned", epoch=account.epoch)
            self._term = Term(
                self.name,
                self._instance,
                account,
                self._parts.new_term(membership),
                session_timeout_s=self._session_timeout_s,
                stop_deadline_s=self._stop_deadline_s,
            )
            self.phase, self.detail = AccountPhase.OWNER, ""
            await self._term.run(stop)
            self._log.info("account.released", epoch=account.epoch)
        finally:
            if self.phase in {AccountPhase.STANDBY, AccountPhase.OWNER}:
                self._unready_since_ms = self._parts.clock().wall_ms
            self._term, self.phase = None, AccountPhase.JOINING
            await membership.leave()


_STABLE_S = 30.0


async def stopped_before(stop: asyncio.Event, step: Awaitable[object]) -> bool:
    """Take a step unless `stop` is set first; True when it was."""
    doing, stopping = asyncio.ensure_future(step), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([doing, stopping], return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
        return stop.is_set()
    finally:
        await end_tasks(doing, stopping)

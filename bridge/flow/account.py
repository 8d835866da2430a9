"""An account's life in this process: join its group, wait for the partition, take over, run, and begin again."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from enum import StrEnum

import structlog

from bridge.core.account import Account
from bridge.core.backoff import full_jitter
from bridge.errors import BridgeError, KafkaTrouble, LoginRefused
from bridge.flow.ports import Membership
from bridge.flow.term import Parts, Term

_log = structlog.get_logger()


class Phase(StrEnum):
    """Where an account stands in this process."""

    JOINING = "joining"
    STANDBY = "standby"
    """In the group; another process owns the account."""
    TAKING_OVER = "taking_over"
    OWNER = "owner"
    STOPPED = "stopped"
    """Given up: a person must look at it."""


class AccountFlow:
    """Keeps one account going. What fails here touches no other account."""

    def __init__(
        self,
        name: str,
        instance: str,
        *,
        start: Callable[[], Awaitable[None]],
        join: Callable[[Callable[[], None]], Membership],
        take_over: Callable[[Membership], Awaitable[Account]],
        parts: Callable[[Membership], Parts],
        random: Callable[[], float],
        commit_timeout_s: float,
        stop_deadline_s: float,
    ) -> None:
        self.name = name
        self.phase = Phase.JOINING
        self.detail = ""
        self._instance = instance
        self._start = start
        self._join = join
        self._take_over = take_over
        self._parts = parts
        self._random = random
        self._commit_timeout_s = commit_timeout_s
        self._stop_deadline_s = stop_deadline_s
        self._term: Term | None = None
        self._log = _log.bind(account=name)

    @property
    def ready(self) -> bool:
        """Whether this process does its part: as a standby in the group, or as an owner whose session is live."""
        if self.phase is Phase.OWNER:
            return self._term is not None and self._term.recovered
        return self.phase is Phase.STANDBY

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, or until the account has to be given up."""
        failures = 0
        while not stop.is_set():
            began = asyncio.get_running_loop().time()
            try:
                await self._one_term(stop)
            except LoginRefused as error:
                self.phase, self.detail = Phase.STOPPED, str(error)
                self._log.error("account.stopped", detail=str(error))
                return
            except KafkaTrouble as error:
                self._log.warning("term.ended", reason=type(error).__name__, detail=str(error))
            except BridgeError as error:
                self._log.error("term.failed", reason=type(error).__name__, detail=str(error))
            except Exception:  # noqa: BLE001 - one account's mistake must not end the others
                self._log.exception("term.crashed")
            failures = 0 if asyncio.get_running_loop().time() - began > _STABLE_S else failures + 1
            wait_s = full_jitter(failures, self._random(), base_s=0.2, cap_s=10.0, floor_s=0.05)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await stop.wait()

    def _wake(self) -> None:
        """Look at once whether something is due: a rebalance gave the partition back."""
        if self._term is not None:
            self._term.wake()

    async def _one_term(self, stop: asyncio.Event) -> None:
        self.phase = Phase.JOINING
        if await _unless(stop, self._start()):
            return
        membership = self._join(self._wake)
        try:
            if await _unless(stop, membership.join()):
                return
            self.phase = Phase.STANDBY
            self._log.info("account.standby")
            if await _unless(stop, membership.wait_owned()):
                return
            self.phase = Phase.TAKING_OVER
            account = await self._take_over(membership)
            self._log.info("account.owned", epoch=account.epoch)
            self._term = Term(
                self.name,
                self._instance,
                account,
                self._parts(membership),
                commit_timeout_s=self._commit_timeout_s,
                stop_deadline_s=self._stop_deadline_s,
            )
            self.phase = Phase.OWNER
            await self._term.run(stop)
            self._log.info("account.released", epoch=account.epoch)
        finally:
            self._term = None
            await membership.leave()


_STABLE_S = 30.0


async def _unless(stop: asyncio.Event, step: Awaitable[None]) -> bool:
    """Take a step unless `stop` is set first; True when it was."""
    doing, stopping = asyncio.ensure_future(step), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([doing, stopping], return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
        return stop.is_set()
    finally:
        for task in (doing, stopping):
            task.cancel()
        await asyncio.gather(doing, stopping, return_exceptions=True)

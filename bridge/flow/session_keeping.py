"""Keeps the session of a term: opens it, and keeps it, while this process may log in.

Without brokers an open session stays open, and its events wait in memory. No session is opened, though, while more
wait than may, nor while another process may own the account and log in with the same key.
"""

import asyncio

import structlog

from bridge.flow.command_loop import CommandLoop
from bridge.flow.concurrency import end_tasks, raise_failure
from bridge.flow.dependencies import TermDependencies
from bridge.flow.ports import VenueSession
from bridge.flow.venue_listener import VenueListener

_log = structlog.get_logger()
_CHECK_PERIOD_S = 0.05


class SessionKeeper:
    """Runs the session of one term."""

    def __init__(
        self,
        name: str,
        session: VenueSession,
        *,
        events: VenueListener,
        commands: CommandLoop,
        parts: TermDependencies,
        session_timeout_s: float,
    ) -> None:
        self._name = name
        self._session = session
        self._events = events
        self._commands = commands
        self._publisher = parts.publisher
        self._clock = parts.clock
        self._session_timeout_s = session_timeout_s

    def is_surely_owner(self) -> bool:
        """Whether the group cannot have put this member out: a commit was acknowledged within its session timeout."""
        return self._clock().boot_s - self._commands.stored_boot_s < self._session_timeout_s

    async def run(self) -> None:
        """Open a session whenever one may be, until cancelled. Raises what `VenueSession.run` raises."""
        while True:
            while not self._may_log_in():  # noqa: ASYNC110 - neither the publisher nor the clock has an event for it
                await asyncio.sleep(_CHECK_PERIOD_S)
            await self._run_while_allowed()
            _log.warning("session.held_back", account=self._name, overfull=self._publisher.overfull)

    def _may_log_in(self) -> bool:
        return self.is_surely_owner() and not self._publisher.overfull

    async def _run_while_allowed(self) -> None:
        running = asyncio.create_task(self._session.run(), name=f"{self._name}:socket")
        try:
            while True:
                self._events.ended.clear()
                ended = asyncio.create_task(self._events.ended.wait(), name=f"{self._name}:ended")
                # While a login may be made at any moment, whether it still may is looked at often.
                timeout_s = None if self._session.logged_in else _CHECK_PERIOD_S
                try:
                    await asyncio.wait([running, ended], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await end_tasks(ended)
                raise_failure(running)
                if not self._session.logged_in and not self._may_log_in():
                    return
        finally:
            await end_tasks(running)

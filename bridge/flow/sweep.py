"""The sweep that opens a session: what is live at the venue, and what became of commands in doubt."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from bridge.core.account import Account
from bridge.errors import VenueError, VenueRefused
from bridge.flow.events import Events
from bridge.flow.ports import Clock, VenueSession
from bridge.flow.questions import Questions

_log = structlog.get_logger()
_RETRY_FIRST_S = 1.0
_RETRY_LAST_S = 8.0


class Sweep:
    """Sweeps after every login of one term."""

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        questions: Questions,
        session: VenueSession,
        events: Events,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._log = _log.bind(account=name)
        self._account = account
        self._questions = questions
        self._session = session
        self._events = events
        self._clock = clock
        self._wake = wake
        self._login = asyncio.Event()
        self._endpoint = ""

    def begin(self, endpoint: str) -> None:
        """Sweep for the session that has just logged in."""
        self._endpoint = endpoint
        self._login.set()

    async def run(self) -> None:
        """Sweep after every login until cancelled."""
        while True:
            await self._login.wait()
            self._login.clear()
            wait_s = _RETRY_FIRST_S
            while self._session.logged_in and not self._login.is_set() and not await self._swept():
                # A new login is not made to wait for what went wrong before it.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._login.wait()
                wait_s = min(2 * wait_s, _RETRY_LAST_S)

    async def _swept(self) -> bool:
        """Ask for the open orders, and for each command in doubt; False when the venue did not tell the open orders."""
        try:
            open_orders = await self._questions.open_orders()
            await self._questions.ask_all()
        except VenueRefused as error:
            self._log.error("sweep.refused", detail=str(error))
            return False
        except VenueError as error:
            self._log.warning("sweep.failed", detail=str(error))
            return False
        if not self._session.logged_in or self._login.is_set():
            return False
        self._account.session_opened(self._endpoint, open_orders, self._clock())
        self._log.info("session.opened", endpoint=self._endpoint, open_orders=open_orders)
        self._events.publish()
        self._wake()
        return True

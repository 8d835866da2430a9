"""What is asked of the venue's REST: the sweep that opens a session, and orders that nobody here knows."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from bridge.core.account import Account
from bridge.core.now import Now
from bridge.errors import VenueError, VenueRefused
from bridge.flow.events import Events
from bridge.flow.ports import Clock, OrderRow, VenueRest, VenueSession

_log = structlog.get_logger()
_RETRY_FIRST_S = 1.0
_RETRY_LAST_S = 8.0


class Sweep:
    """Asks the venue on behalf of one term."""

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        rest: VenueRest,
        session: VenueSession,
        events: Events,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._log = _log.bind(account=name)
        self._account = account
        self._rest = rest
        self._session = session
        self._events = events
        self._clock = clock
        self._wake = wake
        self._login = asyncio.Event()
        self._asked = asyncio.Event()
        self._endpoint = ""

    def begin(self, endpoint: str) -> None:
        """Sweep for the session that has just logged in."""
        self._endpoint = endpoint
        self._login.set()

    def ask(self) -> None:
        """Look up the orders that the account wants to know of."""
        self._asked.set()

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

    async def look_up(self) -> None:
        """Look up the orders of replaces that name one nobody here knows, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            while wanted := self._account.intake.lookups():
                for client_order_id in wanted:
                    await self._looked_up(client_order_id)
                if self._account.intake.lookups():
                    # The venue gave no answer, or there is no lease to deny with.
                    await asyncio.sleep(_RETRY_FIRST_S)

    async def _looked_up(self, client_order_id: str) -> None:
        try:
            row = await self._rest.order(client_order_id=client_order_id)
        except VenueError as error:
            self._log.warning("lookup.failed", client_order_id=client_order_id, detail=str(error))
            return
        now = self._clock()
        self._take(row, now)
        self._account.intake.looked_up(client_order_id, now)
        self._events.publish()
        self._wake()

    async def _swept(self) -> bool:
        """Ask for the open orders, and once for each command in doubt; False when the venue did not answer."""
        try:
            rows = await self._rest.open_orders()
            for row in rows:
                self._take(row, self._clock())
            for question in self._account.settling.questions():
                await self._ask_once(question.client_order_id)
        except VenueRefused as error:
            self._log.error("sweep.refused", detail=str(error))
            return False
        except VenueError as error:
            self._log.warning("sweep.failed", detail=str(error))
            return False
        if not self._session.logged_in or self._login.is_set():
            return False
        self._account.session_opened(self._endpoint, len(rows), self._clock())
        self._log.info("session.opened", endpoint=self._endpoint, open_orders=len(rows))
        self._events.publish()
        self._wake()
        return True

    async def _ask_once(self, client_order_id: str) -> None:
        """Ask about a command in doubt. One that the venue refuses to speak of stays so, and holds up no other."""
        try:
            row = await self._rest.order(client_order_id=client_order_id)
        except VenueRefused as error:
            self._log.error("question.refused", client_order_id=client_order_id, detail=str(error))
        else:
            self._take(row, self._clock())

    def _take(self, row: OrderRow | None, now: Now) -> None:
        if row is not None:
            self._account.order_row(row.order, now)

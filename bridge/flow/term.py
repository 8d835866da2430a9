"""One term of ownership: everything that runs between a takeover and the loss of the partition, or the stop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from msgspec import Struct

from bridge.contract.session import Alarm
from bridge.core.account import Account
from bridge.errors import LoginRefused
from bridge.flow.commands import Commands
from bridge.flow.events import Events
from bridge.flow.ports import Clock, EncodeAction, Listener, Membership, Publisher, VenueRest, VenueSession
from bridge.flow.sweep import Sweep

_log = structlog.get_logger()
_LOOK_S = 0.05


class Parts(Struct, frozen=True):
    """What a term is made of besides its account."""

    membership: Membership
    publisher: Publisher
    rest: VenueRest
    open_session: Callable[[Listener, float], VenueSession]
    """Takes who is told, and when a predecessor may last have logged in."""
    encode: EncodeAction
    clock: Clock


class Term:
    """Runs one account from its takeover on."""

    def __init__(
        self,
        name: str,
        instance: str,
        account: Account,
        parts: Parts,
        *,
        commit_timeout_s: float,
        stop_deadline_s: float,
    ) -> None:
        self._name = name
        self._instance = instance
        self._account = account
        self._parts = parts
        self._stop_deadline_s = stop_deadline_s
        self._events = Events(name, account, parts.publisher, wake=self.wake, on_login=self._logged_in)
        self.session = parts.open_session(self._events, account.fenced_at)
        self._events.session = self.session
        self._sweep = Sweep(
            name,
            account,
            rest=parts.rest,
            session=self.session,
            events=self._events,
            clock=parts.clock,
            wake=self.wake,
        )
        self._commands = Commands(
            account,
            membership=parts.membership,
            session=self.session,
            publisher=parts.publisher,
            events=self._events,
            clock=parts.clock,
            encode=parts.encode,
            commit_timeout_s=commit_timeout_s,
            ask=self._sweep.ask,
        )

    @property
    def recovered(self) -> bool:
        """Whether the session is live and places may go."""
        return self._account.recovered

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then end in good order.

        Raises TermEnded when ownership is over or uncertain, LoginRefused when the venue does not want this key.
        """
        work: dict[str, Coroutine[Any, Any, None]] = {
            "session": self.session.run(),
            "read": self._commands.read(),
            "send": self._commands.send(),
            "sweep": self._sweep.run(),
            "look_up": self._sweep.look_up(),
        }
        tasks = {what: asyncio.create_task(step, name=f"{self._name}:{what}") for what, step in work.items()}
        stopping = asyncio.create_task(stop.wait(), name=f"{self._name}:stop")
        try:
            await asyncio.wait([*tasks.values(), stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks.values():
                if task.done():
                    task.result()
            await self._end(tasks)
        except LoginRefused as error:
            self._account.replies.alarm(Alarm.LOGIN_STOPPED, str(error), self._parts.clock())
            self._events.publish()
            await self._parts.publisher.flush(self._stop_deadline_s / 4)
            raise
        finally:
            stopping.cancel()
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), stopping, return_exceptions=True)

    async def _end(self, tasks: dict[str, asyncio.Task[None]]) -> None:
        """Stop in good order.

        Intake stops. Nothing new is written; what was written settles, to a deadline. The session closes. Everything
        that was said becomes durable, the state is committed, and the caller leaves the group.
        """
        self._commands.closing = True
        await _cancel(tasks["read"])
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._stop_deadline_s / 2
        while self._account.settling.awaited and loop.time() < deadline:  # noqa: ASYNC110 - the pure core has no event
            await asyncio.sleep(_LOOK_S)
        await _cancel(tasks["send"])
        await _cancel(tasks["session"])
        self._account.end(self._instance, self._parts.clock())
        self._events.publish()
        if not await self._parts.publisher.flush(self._stop_deadline_s / 4):
            _log.warning("stop.unflushed", account=self._name)
        await self._commands.commit_last()

    def wake(self) -> None:
        """Look at once whether something is due."""
        self._commands.wake()

    def _logged_in(self, endpoint: str) -> None:
        self._sweep.begin(endpoint)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

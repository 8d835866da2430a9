"""A command on its way, and the errors of the client.

ClientError
├── BadCommand       not a command of the contract; nothing was sent
├── Unreachable      the client could not begin: brokers away, topics missing or refused
├── NotSent          the command is surely not on the topic, and nothing will come of it
├── NotAnswered      no last word on it yet: it may have been carried out, or may still be
└── CommandRefused   a dead letter: the bridge will never act on this record
"""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from msgspec import UNSET

from bridge.contract.commands import Command, PlaceOrder
from bridge.contract.results import Result

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClientError(Exception):
    """Anything the client raises on purpose."""


class Unreachable(ClientError):
    """The client could not begin. The text says why."""


class NotSent(ClientError):
    """The command was surely not appended to the topic. It may be submitted again as it is."""

    def __init__(self, command: Command, why: str) -> None:
        self.command = command
        super().__init__(f"command {command.command_id} was not sent: {why}")


class NotAnswered(ClientError):
    """There is no last word on the command yet; it may have been carried out, or may still be.

    `submitted` can be awaited further, unless it is None or its client is closed. To learn in every case what became
    of the command, submit `command` again, unchanged. A new command in its place may become a second order.
    """

    def __init__(self, command: Command, why: str, submitted: "CommandHandle | None" = None) -> None:
        self.command = command
        self.submitted = submitted
        super().__init__(
            f"no last word on command {command.command_id} yet ({why}): it may have been carried out, or may still be; "
            "await it again, or submit the same command again"
        )


class CommandRefused(ClientError):
    """The record became a dead letter, and is never acted on. `reason` is one of the contract's Reason.

    With `id_conflict` another command has this commandId; that one lives, and this one was never looked at.
    """

    def __init__(self, command: Command, reason: str, message: str) -> None:
        self.command = command
        self.reason = reason
        super().__init__(f"command {command.command_id} is a dead letter: {reason}: {message}")


class CommandHandle:
    """A command that is on the topic. Await its `result()`, or iterate over its results as they come.

    `offset` is its record's on `commands`; `headers` are those of the latest result's record.
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self.command_id = command.command_id
        self.offset = -1
        self.headers: Mapping[str, bytes] = {}
        self._results: list[Result] = []
        self._early: list[tuple[int, Result | ClientError, Mapping[str, bytes]]] = []
        self._failure: ClientError | None = None
        self._changed = asyncio.Event()

    @property
    def client_order_id(self) -> str | None:
        """The name of the order it places, known before any answer; None for other commands."""
        name = self.command.args.client_order_id if isinstance(self.command, PlaceOrder) else UNSET
        return None if name is UNSET else name

    @property
    def in_doubt(self) -> bool:
        """Whether it was written to the venue and its fate is not known yet: `unknown` came, and no last word."""
        return bool(self._results) and not self.over

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self._failure is not None or (bool(self._results) and self._results[-1].outcome.terminal)

    async def __aiter__(self) -> AsyncIterator[Result]:
        """Yield its results from the first: perhaps one `unknown`, then the last word. Raises like `result`."""
        told = 0
        while True:
            while told < len(self._results):
                yield self._results[told]
                told += 1
            if self._failure is not None:
                raise self._failure
            if self.over:
                return
            await self._changed.wait()

    async def result(self, timeout_s: float | None = None) -> Result:
        """Wait for the last word, however often this was given up before.

        Raises NotAnswered when the time runs out or the client ends first, and CommandRefused for a dead letter.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not self.over:
                    await self._changed.wait()
        except TimeoutError:
            raise self.not_answered(f"after {timeout_s:g} s") from None
        if self._failure is not None:
            raise self._failure
        return self._results[-1]

    def not_answered(self, why: str) -> NotAnswered:
        """Say truthfully that there is no last word."""
        doubt = "in doubt, the venue is being asked" if self.in_doubt else "nothing was heard of it"
        return NotAnswered(self.command, f"{why}; {doubt}", self)

    def on_appended(self, offset: int) -> None:
        """Learn the offset, and hear what came before it was known."""
        self.offset = offset
        early, self._early = self._early, []
        for one in early:
            self.on_answer(*one)

    def on_answer(self, offset: int, answer: Result | ClientError, headers: "Mapping[str, bytes]") -> None:
        """Take an answer under this commandId to the command at an offset.

        Every record is answered at its own offset, repeats too. The answer at another offset may be to another
        command, whose commandId this one took by mistake; but that the commandId is in doubt concerns every repeat.
        """
        if self.offset < 0:
            self._early.append((offset, answer, headers))
            return
        doubt = isinstance(answer, Result) and not answer.outcome.terminal
        if self.over or (doubt and self._results) or (not doubt and offset != self.offset):
            return
        if isinstance(answer, Result):
            self._results.append(answer)
            self.headers = headers
            self._wake()
        else:
            self.fail(answer)

    def fail(self, failure: ClientError) -> None:
        """End with an error instead of a last word."""
        self._failure = failure
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

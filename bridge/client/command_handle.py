"""The handle of a submitted command, and the errors of the client.

ClientError
├── BadCommand       the command is not one of the contract; nothing was sent
├── Unreachable      the client could not start: no broker answers, or a topic is missing or refused
├── NotSent          the command is certainly not on the topic and will not be carried out
├── NotAnswered      there is no terminal result yet: the command may have been carried out, or may still be
└── CommandRefused   the command is a dead letter: the bridge will never act on this record
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
    """The base of every error that the client raises on purpose."""


class Unreachable(ClientError):
    """The client could not start. The text says why."""


class NotSent(ClientError):
    """The command was certainly not appended to the topic. The caller may submit it again unchanged."""

    def __init__(self, command: Command, why: str) -> None:
        self.command = command
        super().__init__(f"command {command.command_id} was not sent: {why}")


class NotAnswered(ClientError):
    """There is no terminal result yet; the command may have been carried out, or may still be.

    `submitted` is the command's handle, or None. The caller may wait for its result again while its client is open. To
    learn the outcome in every case, submit `command` again, unchanged. A new command may become a second order.
    """

    def __init__(self, command: Command, why: str, submitted: "CommandHandle | None" = None) -> None:
        self.command = command
        self.submitted = submitted
        super().__init__(
            f"command {command.command_id} has no terminal result yet ({why}): it may have been carried out, or "
            "may still be; wait for it again, or submit the same command again"
        )


class CommandRefused(ClientError):
    """The record became a dead letter: the bridge never acts on it. `reason` is one of the contract's Reason.

    With `id_conflict` another command has this commandId. The bridge acts only on that one.
    """

    def __init__(self, command: Command, reason: str, message: str) -> None:
        self.command = command
        self.reason = reason
        super().__init__(f"command {command.command_id} is a dead letter: {reason}: {message}")


class CommandHandle:
    """The handle of a submitted command. Await its `result()`, or iterate over its results as they come.

    `offset` is the offset of the command's record on `commands`; `headers` are the headers of the latest result.
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self.command_id = command.command_id
        self.offset = -1
        self.headers: Mapping[str, bytes] = {}
        self._results: list[Result] = []
        self._early_answers: list[tuple[int, Result | ClientError, Mapping[str, bytes]]] = []
        self._failure: ClientError | None = None
        self._changed = asyncio.Event()

    @property
    def client_order_id(self) -> str | None:
        """The clientOrderId of the order that it places, known before any answer; None for other commands."""
        name = self.command.args.client_order_id if isinstance(self.command, PlaceOrder) else UNSET
        return None if name is UNSET else name

    @property
    def in_doubt(self) -> bool:
        """Whether the outcome is open: the result `unknown` came, and no terminal result."""
        return bool(self._results) and not self.over

    @property
    def over(self) -> bool:
        """Whether no further result will come."""
        return self._failure is not None or (bool(self._results) and self._results[-1].outcome.terminal)

    async def __aiter__(self) -> AsyncIterator[Result]:
        """Yield the results from the first: perhaps `unknown`, then the terminal result. Raises as `result` does."""
        yielded = 0
        while True:
            while yielded < len(self._results):
                yield self._results[yielded]
                yielded += 1
            if self._failure is not None:
                raise self._failure
            if self.over:
                return
            await self._changed.wait()

    async def result(self, timeout_s: float | None = None) -> Result:
        """Wait for the terminal result and return it. It may be called again after NotAnswered.

        Raises NotAnswered when the time runs out or the client closes first, and CommandRefused for a dead letter.
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
        """Return the error which says that there is no terminal result, and whether the outcome is unknown."""
        doubt = "in doubt, the bridge is asking the venue" if self.in_doubt else "no result of it came"
        return NotAnswered(self.command, f"{why}; {doubt}", self)

    def on_appended(self, offset: int) -> None:
        """Store the offset, and process the answers that came before it was known."""
        self.offset = offset
        early, self._early_answers = self._early_answers, []
        for one in early:
            self.on_answer(*one)

    def on_answer(self, offset: int, answer: Result | ClientError, headers: "Mapping[str, bytes]") -> None:
        """Process an answer under this commandId to the command at `offset`.

        The bridge answers every record with its own offset, repeats too. An answer with another offset is ignored,
        because it may belong to another command that has the same commandId by mistake. Only `unknown` counts with
        any offset: it holds for every repeat of the command.
        """
        if self.offset < 0:
            self._early_answers.append((offset, answer, headers))
            return
        doubt = isinstance(answer, Result) and not answer.outcome.terminal
        if self.over or (doubt and self._results) or (not doubt and offset != self.offset):
            return
        if isinstance(answer, Result):
            self._results.append(answer)
            self.headers = headers
            self._wake_waiters()
        else:
            self.fail(answer)

    def fail(self, failure: ClientError) -> None:
        """End the wait with an error instead of a terminal result."""
        self._failure = failure
        self._wake_waiters()

    def _wake_waiters(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

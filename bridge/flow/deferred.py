"""Answers to deferred commands: they are read again after all others, and denied (`lane_full`) or expired, not sent."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from bridge.core.account import Account
from bridge.core.records import CommandRecord
from bridge.errors import ClusterUnreachable, KafkaTrouble
from bridge.flow.dependencies import TermDependencies
from bridge.flow.turn import TURN_S, Turn

_log = structlog.get_logger()
_CHECK_PERIOD_S = 0.25
_QUIET_PERIOD_S = 1.0
"""How often to look whether anything was deferred."""
_AGAIN_S = 5.0
_ANSWER_BYTES_MAX = 4 * 1024 * 1024
"""So many bytes of answers may wait to become durable before the next command is answered."""


class DeferredAnswers:
    """Answers the deferred commands of one term. `has_time`: nothing more urgent is left to read."""

    def __init__(
        self,
        name: str,
        account: Account,
        parts: TermDependencies,
        has_time: Callable[[], bool],
    ) -> None:
        self._name = name
        self._account = account
        self._read_commands = parts.read_commands
        self._has_time = has_time
        self._publisher = parts.publisher
        self._clock = parts.clock

    async def run(self) -> None:
        """Answer the deferred commands until cancelled. When the brokers are out of reach, it tries again."""
        while True:
            span = self._account.deferred_span
            if span is None:
                await asyncio.sleep(_QUIET_PERIOD_S)
                continue
            begin, end = span
            _log.info("commands.deferred", account=self._name, begin=begin, end=end)
            try:
                await self._read_commands(begin, end, self._answer_some)
                self._account.deferred_answered(end)
            except (ClusterUnreachable, KafkaTrouble) as error:
                _log.warning("commands.deferred_unread", account=self._name, reason=str(error))
                await asyncio.sleep(_AGAIN_S)

    async def _answer_some(self, records: Sequence[CommandRecord]) -> None:
        turn = Turn(self._clock)
        for record in records:
            while not self._may_answer():  # noqa: ASYNC110 - neither the publisher nor the lease has an event for it
                await asyncio.sleep(_CHECK_PERIOD_S)
            self._account.answer_deferred(record, self._clock())
            if turn.over:
                await asyncio.sleep(TURN_S)  # at most half of the time: cancels and events come first
                await turn.rest()

    def _may_answer(self) -> bool:
        """Whether this owner may answer, and memory has room for the answer until it is durable."""
        has_lease = self._account.has_lease(self._clock())
        return has_lease and self._has_time() and self._publisher.answer_bytes <= _ANSWER_BYTES_MAX

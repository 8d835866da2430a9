"""The log of every result that an account publishes."""

from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from bridge.core.records import OutgoingRecord, PublishedResult
from bridge.flow.ports import Publisher
from bridge.metrics import AccountMetrics

_log = structlog.get_logger()
_LAST_MAX: Final = 20
"""So many results are kept to be looked at."""


class ResultLog:
    """Passes the results of one account on to the publisher and logs them, from its takeover to the end of its term."""

    on_result: Callable[[], None] | None = None
    """Is called after each result: it may let the next command of its order go."""

    def __init__(self, name: str, publisher: Publisher, metrics: AccountMetrics) -> None:
        self._log = _log.bind(account=name)
        self._publisher = publisher
        self._metrics = metrics
        self.last: deque[PublishedResult] = deque(maxlen=_LAST_MAX)
        """The last results, the oldest first."""

    def publish(self, record: OutgoingRecord) -> None:
        """Hand a result to the publisher and log it."""
        self._publisher.publish(record)
        if record.answer is None:
            return
        self._metrics.note_result(record.answer)
        self.last.append(record.answer)
        result = record.answer.result
        self._log.info(
            "command." + result.outcome.value,
            command_id=result.command_id,
            action=result.action,
            offset=result.command_offset,
            client_order_id=result.client_order_id,
            order_id=result.order_id,
            code=result.code,
            reason=result.reason.value if result.reason else None,
        )
        if self.on_result is not None:
            self.on_result()

"""The log of every result that an account publishes."""

from collections.abc import Callable

import structlog

from bridge.core.records import OutgoingRecord
from bridge.flow.ports import Publisher

_log = structlog.get_logger()


class ResultLog:
    """Passes the results of one account on to the publisher and logs them, from its takeover to the end of its term."""

    on_result: Callable[[], None] | None = None
    """Is called after each result: it may let the next command of its order go."""

    def __init__(self, name: str, publisher: Publisher) -> None:
        self._log = _log.bind(account=name)
        self._publisher = publisher

    def publish(self, record: OutgoingRecord) -> None:
        """Hand a result to the publisher and log it."""
        self._publisher.publish(record)
        if record.answer is None:
            return
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

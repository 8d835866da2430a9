"""From the account to the publisher: every record is handed on at once, and every result is logged."""

import contextlib
from collections.abc import Callable, Iterator

import structlog

from bridge.contract.results import Result
from bridge.contract.topics import Stream
from bridge.core.records import OutgoingRecord
from bridge.flow.ports import Publisher

_log = structlog.get_logger()


class RecordSink:
    """Takes the records of one account, from its takeover to the end of its term."""

    def __init__(self, name: str, publisher: Publisher) -> None:
        self._log = _log.bind(account=name)
        self._publisher = publisher
        self._noted_keys: set[tuple[Stream, bytes]] | None = None
        self.on_result: Callable[[], None] | None = None
        """Called after each result: the next command of its order may be due."""

    def publish(self, record: OutgoingRecord) -> None:
        """Hand a record to the publisher."""
        if self._noted_keys is not None:
            self._noted_keys.add((record.stream, record.key))
        self._publisher.publish(record)
        if record.answer is not None:
            self._log_result(record.answer.result)
            if self.on_result is not None:
                self.on_result()

    @contextlib.contextmanager
    def noting_keys(self) -> Iterator[set[tuple[Stream, bytes]]]:
        """Note under which keys something is published during the block."""
        self._noted_keys = noted = set[tuple[Stream, bytes]]()
        try:
            yield noted
        finally:
            self._noted_keys = None

    def _log_result(self, result: Result) -> None:
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

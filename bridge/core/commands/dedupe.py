"""A commandId that was used before gets its answer again, or is a conflict."""

import msgspec

from bridge.contract import headers as names
from bridge.contract.results import Reason, Result
from bridge.contract.session import Alarm
from bridge.core.commands.answered_commands import short_digest
from bridge.core.commands.command import Resubmission, TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.dedupe_index import DedupeIndex
from bridge.core.commands.parse import InvalidCommand
from bridge.core.commands.results import Results
from bridge.core.now import Now
from bridge.core.outbox import Outbox
from bridge.core.records import CommandRecord


class Dedupe:
    """Remembers what is asked for the first time, and answers what is asked again."""

    def __init__(self, table: CommandTable, index: DedupeIndex, results: Results, outbox: Outbox) -> None:
        self._table = table
        self._index = index
        self._results = results
        self._outbox = outbox

    def remember_if_first(
        self, asked: TrackedCommand | InvalidCommand, record: CommandRecord, now: Now, *, is_claimed: bool = False
    ) -> bool:
        """Remember a command; False for a commandId that was used before: it has been answered, or will be.

        `is_claimed`: an earlier owner claimed it, so it had forgotten the refusal of any before it.
        """
        command_id = asked.command_id or ""
        earlier = self._table.find_by_command_id(command_id)
        if earlier is not None:
            if earlier.digest != asked.digest:
                self._tell_conflict(command_id, earlier.offset, record, now)
            elif self._index.has_too_many_resubmissions:
                text = "too many repeats wait for the answer to their command"
                self._results.publish_dead_letter(record, Reason.MEMORY_FULL, text, now)
            else:
                self._index.add_resubmission(earlier, _resubmission(record))
            return False
        answered = self._index.find_answered(command_id)
        if answered is None or (is_claimed and answered.result.outcome.unsent):
            if isinstance(asked, TrackedCommand):
                self._index.add(asked)
            return True
        if answered.digest != short_digest(asked.digest):
            self._tell_conflict(command_id, answered.offset, record, now)
        else:
            self._results.publish_repeated(_complete_result(answered.result, asked), _resubmission(record))
        return False

    def _tell_conflict(self, command_id: str, offset: int, record: CommandRecord, now: Now) -> None:
        text = f"commandId {command_id} was used at offset {offset} with another body"
        self._results.publish_dead_letter(record, Reason.ID_CONFLICT, text, now)
        self._outbox.publish_alarm(Alarm.ID_CONFLICT, text, now)


def _resubmission(record: CommandRecord) -> Resubmission:
    return Resubmission(record.offset, record.timestamp_ms, names.select_correlation_headers(record.headers))


def _complete_result(result: Result, asked: TrackedCommand | InvalidCommand) -> Result:
    """Add to a remembered result what the resubmission says again."""
    if not isinstance(asked, TrackedCommand):
        return msgspec.structs.replace(result, body_digest=asked.digest)
    return msgspec.structs.replace(
        result,
        body_digest=asked.digest,
        action=result.action or asked.action,
        client_order_id=result.client_order_id or asked.client_order_id,
    )

"""A record whose commandId was used before gets the result of the first command again, or is a conflict."""

import msgspec

from bridge.contract import headers as names
from bridge.contract.results import Reason, Result
from bridge.contract.session import Alarm
from bridge.core.commands.answered_commands import AnsweredCommand, short_digest
from bridge.core.commands.command import Resubmission, TrackedCommand
from bridge.core.commands.parse import InvalidCommand
from bridge.core.commands.results import Results
from bridge.core.commands.term_state import TermState
from bridge.core.now import Now
from bridge.core.records import CommandRecord


class Resubmissions:
    """Answers records whose commandId was used before."""

    def __init__(self, term: TermState, results: Results) -> None:
        self._index = term.index
        self._outbox = term.outbox
        self._results = results

    def answer(
        self,
        earlier: TrackedCommand | AnsweredCommand,
        command: TrackedCommand | InvalidCommand,
        record: CommandRecord,
        now: Now,
    ) -> None:
        """Answer a record, or let it wait for the result of the earlier command of its commandId."""
        is_answered = isinstance(earlier, AnsweredCommand)
        if earlier.digest != (short_digest(command.digest) if is_answered else command.digest):
            self._publish_conflict(command.command_id or "", earlier.offset, record, now)
        elif isinstance(earlier, AnsweredCommand):
            self._results.publish_repeated(_complete_result(earlier.result, command), _to_resubmission(record))
        elif self._index.has_too_many_resubmissions:
            text = "too many repeats wait for the answer to their command"
            self._results.publish_dead_letter(record, Reason.MEMORY_FULL, text, now)
        else:
            self._index.add_resubmission(earlier, _to_resubmission(record))

    def _publish_conflict(self, command_id: str, offset: int, record: CommandRecord, now: Now) -> None:
        text = f"commandId {command_id} was used at offset {offset} with another body"
        self._results.publish_dead_letter(record, Reason.ID_CONFLICT, text, now)
        self._outbox.publish_alarm(Alarm.ID_CONFLICT, text, now)


def _to_resubmission(record: CommandRecord) -> Resubmission:
    return Resubmission(record.offset, record.timestamp_ms, names.select_correlation_headers(record.headers))


def _complete_result(result: Result, command: TrackedCommand | InvalidCommand) -> Result:
    """Return a remembered result with the fields that the index leaves out, taken from the resubmission."""
    if not isinstance(command, TrackedCommand):
        return msgspec.structs.replace(result, body_digest=command.digest)
    return msgspec.structs.replace(
        result,
        body_digest=command.digest,
        action=result.action or command.action,
        client_order_id=result.client_order_id or command.client_order_id,
    )

"""A commandId that was used before gets its answer again, or is a conflict."""

import msgspec

from bridge.contract import headers as names
from bridge.contract.commands import PLACE
from bridge.contract.results import Reason, Result
from bridge.contract.session import Alarm
from bridge.core.commands.answered_commands import short_digest
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.dedupe_index import DedupeIndex, Resubmission, SeenCommand
from bridge.core.commands.results import Results
from bridge.core.now import Now
from bridge.core.outbox import Outbox
from bridge.core.records import CommandRecord


class Dedupe:
    """Remembers what is asked for the first time, and answers what is asked again."""

    def __init__(self, memory: DedupeIndex, replies: Results, outbox: Outbox) -> None:
        self._memory = memory
        self._replies = replies
        self._outbox = outbox

    def is_first(
        self,
        command_id: str,
        digest: str | None,
        command: TrackedCommand | None,
        record: CommandRecord,
        now: Now,
        *,
        is_claimed: bool = False,
    ) -> bool:
        """Remember a commandId; one that was used before gets the same answer, or is a conflict.

        `is_claimed`: an earlier owner claimed it, so it had forgotten the refusal of any before it.
        """
        asked = self._memory.find(command_id)
        if asked is None or (is_claimed and asked.result is not None and asked.result.outcome.unsent):
            names_order = command is not None and command.action == PLACE
            client_order_id = command.client_order_id if command is not None else None
            self._memory.remember(
                SeenCommand(command_id, record.offset, short_digest(digest), client_order_id), names_order=names_order
            )
            return True
        repeat = Resubmission(record.offset, record.timestamp_ms, names.correlation_headers(record.headers))
        if asked.digest != short_digest(digest):
            text = f"commandId {command_id} was used at offset {asked.offset} with another body"
            self._replies.publish_dead_letter(record, Reason.ID_CONFLICT, text, now)
            self._outbox.publish_alarm(Alarm.ID_CONFLICT, text, now)
        elif asked.result is not None:
            self._replies.publish_repeated(_completed(asked.result, digest, command), repeat)
        elif self._memory.repeats_full:
            text = "too many repeats wait for the answer to their command"
            self._replies.publish_dead_letter(record, Reason.MEMORY_FULL, text, now)
        else:
            self._memory.add_resubmission(asked, repeat)
        return False


def _completed(result: Result, digest: str | None, command: TrackedCommand | None) -> Result:
    """Add to a remembered result what the repeat says again."""
    action, name = (command.action, command.client_order_id) if command is not None else (None, None)
    return msgspec.structs.replace(
        result,
        body_digest=digest,
        action=result.action or action,
        client_order_id=result.client_order_id or name,
    )

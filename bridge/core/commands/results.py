"""What the bridge says: results, dead letters and session events, as records to publish."""

import msgspec

from bridge.contract import headers as names
from bridge.contract.commands import CANCEL_ALL, REPLACE
from bridge.contract.results import Outcome, Reason, Result, Takeover
from bridge.contract.topics import Stream
from bridge.core.commands.claims import UNKNOWN_ORIGIN, Claims, Origin
from bridge.core.commands.command import SAFE_TO_REPEAT, Resubmission, TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.dedupe_index import DedupeIndex
from bridge.core.commands.parse import InvalidCommand, shorten_text
from bridge.core.commands.states import CommandEvent, CommandState
from bridge.core.now import Now
from bridge.core.outbox import Outbox
from bridge.core.records import CommandRecord, OutgoingRecord, PublishedResult

_encode = msgspec.json.Encoder().encode
_NAME_CHARS_MAX = 128
"""What is longer is no name or quantity of an order, whatever a row of the venue's says; the answer has none then."""
_DEAD_LETTER_BYTES_MAX = 900_000
"""Above this the value is left out, and so is a longer key: with headers they might not fit. The offset remains."""


class Results:
    """Publishes results and dead letters, and finishes a command with its terminal result."""

    def __init__(
        self, outbox: Outbox, commands_topic: str, claims: Claims, table: CommandTable, index: DedupeIndex
    ) -> None:
        self._outbox = outbox
        self._commands_topic = commands_topic
        self._claims = claims
        self._table = table
        self._index = index

    def publish_terminal(
        self,
        command: TrackedCommand,
        outcome: Outcome,
        now: Now,
        *,
        by: CommandEvent = CommandEvent.DECIDED,
        code: int | None = None,
        message: str | None = None,
        reason: Reason | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        """Publish the terminal result of a command, and the same for its resubmissions; `by` is what ended it.

        The next command of its order may go, if there is one.
        """
        command.step(by)
        command.outcome = outcome
        result = msgspec.structs.replace(
            self._build_result(command, outcome, now, code, message), reason=reason, retry_after_ms=retry_after_ms
        )
        published = PublishedResult(result, command.timestamp_ms, command.unknown_at_ms)
        self._publish_result(published, command.correlation_headers, answers_offset=command.offset)
        if outcome in {Outcome.DENIED, Outcome.EXPIRED} and command.action in {CANCEL_ALL, REPLACE}:
            self._claims.unrecorded_refusals.add(command.offset)
        for resubmission in self._index.mark_answered(command, result, now.boot_s):
            self.publish_repeated(result, resubmission)
        self._table.finish(command)

    def publish_expired(self, command: TrackedCommand, now: Now) -> None:
        """Answer an expired command: as rejected where the venue refused it for its rate before."""
        if command.rate_refusal is None:
            self.publish_terminal(command, Outcome.EXPIRED, now)
        else:
            code, message = command.rate_refusal
            self.publish_terminal(command, Outcome.REJECTED, now, code=code, message=message)

    def publish_unknown(
        self, command: TrackedCommand, now: Now, *, code: int | None = None, message: str | None = None
    ) -> None:
        """Publish that the fate of a command is not known yet; once."""
        first = command.state is CommandState.SENT
        command.step(CommandEvent.BECAME_UNKNOWN)
        if first:
            command.unknown_at_ms = now.wall_ms
            self._publish_unknown_result(command, now, code, message)

    def publish_inherited(self, command: TrackedCommand, now: Now) -> None:
        """Publish that an earlier owner may have sent a command, and that its fate is not known yet; if none has."""
        command.step(CommandEvent.INHERITED)
        if command.action not in SAFE_TO_REPEAT:  # of those there may be more than fit into a commit
            self._claims.claimed.add(command.offset)
        command.unknown_at_ms = self._index.find_unknown_at_ms(command.command_id, command.offset)
        if command.unknown_at_ms is not None:
            return
        command.unknown_at_ms = now.wall_ms
        text = "claimed by an earlier owner, which left no result"
        self._publish_unknown_result(command, now, None, text)

    def publish_repeated(self, result: Result, resubmission: Resubmission) -> None:
        """Answer a command that was submitted again with its first outcome."""
        copy = msgspec.structs.replace(result, command_offset=resubmission.offset, repeated=True)
        published = PublishedResult(copy, resubmission.timestamp_ms, repeated=True)
        self._publish_result(published, resubmission.correlation_headers, answers_offset=resubmission.offset)

    def publish_invalid(self, record: CommandRecord, refusal: InvalidCommand, now: Now) -> None:
        """Answer a record that is no command: under its own id if it has one, else as a dead letter."""
        if refusal.command_id is None:
            self.publish_dead_letter(record, refusal.reason, refusal.message, now)
            return
        result = Result(
            command_id=refusal.command_id,
            command_offset=record.offset,
            outcome=Outcome.DENIED,
            answered_at=now.wall_ms,
            action=refusal.action,
            message=refusal.message,
            reason=refusal.reason,
            body_digest=refusal.digest,
        )
        published = PublishedResult(result, record.timestamp_ms)
        self._publish_result(published, names.select_correlation_headers(record.headers), answers_offset=record.offset)
        self._index.remember_result(result, refusal.digest, now.boot_s)

    def publish_dead_letter(self, record: CommandRecord, reason: Reason, message: str, now: Now) -> None:
        """Publish the original bytes of a record that cannot be answered under an id of its own."""
        key, value = record.key or b"", record.value
        if len(key) + len(value or b"") > _DEAD_LETTER_BYTES_MAX:
            key, value = key if len(key) <= _DEAD_LETTER_BYTES_MAX else b"", b""
            message += f"; {'the value is' if key else 'key and value are'} left out here for size, read at the offset"
        self._outbox.publish(
            OutgoingRecord(
                stream=Stream.DEAD_LETTERS,
                key=key,
                value=value,
                time_ms=now.wall_ms,
                event_id=f"dead-letter:{record.offset}",
                is_json=False,
                headers=[
                    *names.select_correlation_headers(record.headers),
                    (names.ERROR_TOPIC, self._commands_topic.encode()),
                    (names.ERROR_PARTITION, b"0"),
                    (names.ERROR_OFFSET, str(record.offset).encode()),
                    (names.ERROR_STAGE, b"VALUE_CONVERTER"),
                    (names.ERROR_CLASS, names.ERROR_CLASS_VALUE.encode()),
                    (names.ERROR_MESSAGE, message.encode("utf-8", "replace")),
                    (names.ERROR_CODE, reason.value.encode()),
                ],
                answers_offset=record.offset,
            )
        )

    def publish_takeover(self, epoch: int, instance: str, now: Now, origin: Origin = UNKNOWN_ORIGIN) -> None:
        """Publish the record with which a term begins; `origin` says for whom it is."""
        takeover = Takeover(
            epoch=epoch,
            instance=instance,
            at=now.wall_ms,
            environment=origin.environment or None,
            key_fingerprint=origin.key_fingerprint or None,
        )
        self._outbox.publish(
            OutgoingRecord(
                stream=Stream.RESULTS,
                key=self._outbox.account_key,
                value=_encode(takeover),
                time_ms=now.wall_ms,
                event_id=f"takeover:{epoch}",
                event_type=names.TAKEOVER_TYPE,
            )
        )

    def mark_result_durable(self, offset: int) -> None:
        """Note that the answer to the record at an offset of `commands` is durable."""
        self._claims.mark_answered(offset)
        command = self._table.forget(offset)
        if command is not None:
            command.step(CommandEvent.RESULT_DURABLE)

    @staticmethod
    def _build_result(
        command: TrackedCommand, outcome: Outcome, now: Now, code: int | None, message: str | None
    ) -> Result:
        return Result(
            command_id=command.command_id,
            command_offset=command.offset,
            outcome=outcome,
            answered_at=now.wall_ms,
            action=command.action,
            code=code,
            message=shorten_text(message) if message else None,
            order_id=_drop_if_too_long(command.order_id),
            client_order_id=_drop_if_too_long(command.client_order_id),
            body_digest=command.digest,
            sent_at=command.sent_at_ms,
            order_qty=_drop_if_too_long(command.actual_quantity),
        )

    def _publish_unknown_result(self, command: TrackedCommand, now: Now, code: int | None, message: str | None) -> None:
        result = self._build_result(command, Outcome.UNKNOWN, now, code, message)
        published = PublishedResult(result, command.timestamp_ms, command.unknown_at_ms)
        self._publish_result(published, command.correlation_headers)

    def _publish_result(
        self, published: PublishedResult, correlation: names.Headers, *, answers_offset: int | None = None
    ) -> None:
        result = published.result
        last = "" if result.outcome.terminal else ":unknown"
        self._outbox.publish_result(
            OutgoingRecord(
                stream=Stream.RESULTS,
                key=result.command_id.encode(),
                value=_encode(result),
                time_ms=result.answered_at,
                event_id=f"result:{result.command_id}{last}",
                headers=correlation,
                answers_offset=answers_offset,
                answer=published,
            )
        )


def _drop_if_too_long(text: str | None) -> str | None:
    """Return what names an order or its quantity; None when it is too long to be that."""
    return text if text is None or len(text) <= _NAME_CHARS_MAX else None

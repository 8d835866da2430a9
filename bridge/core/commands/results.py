"""Results, dead letters and takeover records, as records to publish; `publish_terminal` is a command's one end."""

import msgspec

from bridge.contract import headers as names
from bridge.contract.commands import CANCEL_ALL, REPLACE
from bridge.contract.results import Outcome, Reason, Result, Takeover
from bridge.contract.topics import Stream
from bridge.core.commands.claims import UNKNOWN_ORIGIN, Origin
from bridge.core.commands.command import SAFE_TO_REPEAT, Resubmission, TrackedCommand
from bridge.core.commands.parse import InvalidCommand, shorten_text
from bridge.core.commands.states import CommandEvent, CommandState
from bridge.core.commands.term_state import TermState
from bridge.core.now import Now
from bridge.core.records import CommandRecord, OutgoingRecord, PublishedResult

_encode = msgspec.json.Encoder().encode
_ORDER_FIELD_CHARS_MAX = 128
"""A longer text is no name or quantity of an order, even if a row of the venue has it; a result leaves it out."""
_DEAD_LETTER_BYTES_MAX = 900_000
"""A dead letter with a longer key and value leaves out the value, and a longer key too: its offset is enough."""


class Results:
    """Publishes results and dead letters, and finishes a command with its terminal result."""

    def __init__(self, term: TermState, commands_topic: str) -> None:
        self._outbox = term.outbox
        self._commands_topic = commands_topic
        self._claims = term.claims
        self._table = term.table
        self._index = term.index

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
        """Publish the terminal result of a command and finish it: no other function does.

        `by` is the event that ends it. Its resubmissions get the same result, and the next command of its order may be
        sent. The command stays in the table until the result is durable.
        """
        command.step(by)
        command.outcome = outcome
        result = msgspec.structs.replace(
            self._build_result(command, outcome, now, code, message), reason=reason, retry_after_ms=retry_after_ms
        )
        stages_s = command.measure_stages(now)
        published = PublishedResult(result, command.timestamp_ms, command.unknown_at_ms, stages_s=stages_s)
        self._publish_result(published, command.correlation_headers, answers_offset=command.offset)
        if outcome in {Outcome.DENIED, Outcome.EXPIRED} and command.action in {CANCEL_ALL, REPLACE}:
            self._claims.unrecorded_refusals.add(command.offset)
        for resubmission in self._index.mark_answered(command, result, now.boot_s):
            self.publish_repeated(result, resubmission)
        self._table.finish(command)

    def publish_denied(
        self,
        command: TrackedCommand,
        reason: Reason,
        now: Now,
        *,
        message: str | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        """Publish that the bridge does not send a command, and why."""
        self.publish_terminal(
            command, Outcome.DENIED, now, reason=reason, message=message, retry_after_ms=retry_after_ms
        )

    def deny_client_order_id(self, place: TrackedCommand, now: Now) -> None:
        """Deny a place whose clientOrderId another command uses."""
        text = f"clientOrderId {place.client_order_id} belongs to another command; give this one a name of its own"
        self.publish_denied(place, Reason.CLIENT_ORDER_ID_IN_USE, now, message=text)

    def publish_expired(self, command: TrackedCommand, now: Now) -> None:
        """Publish that a command has expired; or was rejected, if the venue refused its last request for its rate."""
        if command.rate_refusal is None:
            self.publish_terminal(command, Outcome.EXPIRED, now)
        else:
            code, message = command.rate_refusal
            self.publish_terminal(command, Outcome.REJECTED, now, code=code, message=message)

    def publish_unknown(
        self, command: TrackedCommand, now: Now, *, code: int | None = None, message: str | None = None
    ) -> None:
        """Publish that the outcome of a command is unknown; a second time nothing is published."""
        is_first = command.state is CommandState.SENT
        command.step(CommandEvent.BECAME_UNKNOWN)
        if is_first:
            command.unknown_at_ms = now.wall_ms
            self._publish_unknown_result(command, now, code, message)

    def publish_inherited(self, command: TrackedCommand, now: Now) -> None:
        """Publish that the outcome of a command of an earlier owner is unknown, unless such a result is published."""
        command.step(CommandEvent.INHERITED)
        if command.action not in SAFE_TO_REPEAT:  # more cancels than fit into a commit may be unknown
            self._claims.claimed.add(command.offset)
        command.unknown_at_ms = self._index.find_unknown_at_ms(command.command_id, command.offset)
        if command.unknown_at_ms is not None:
            return
        command.unknown_at_ms = now.wall_ms
        text = "claimed by an earlier owner, which left no result"
        self._publish_unknown_result(command, now, None, text)

    def publish_repeated(self, result: Result, resubmission: Resubmission) -> None:
        """Publish a copy of a command's result for a record that submitted it again."""
        copy = msgspec.structs.replace(result, command_offset=resubmission.offset, repeated=True)
        published = PublishedResult(copy, resubmission.timestamp_ms, repeated=True)
        self._publish_result(published, resubmission.correlation_headers, answers_offset=resubmission.offset)

    def publish_invalid(self, record: CommandRecord, invalid: InvalidCommand, now: Now) -> None:
        """Deny a record that is no command: with a result under its commandId, or without one by a dead letter."""
        if invalid.command_id is None:
            self.publish_dead_letter(record, invalid.reason, invalid.message, now)
            return
        result = Result(
            command_id=invalid.command_id,
            command_offset=record.offset,
            outcome=Outcome.DENIED,
            answered_at=now.wall_ms,
            action=invalid.action,
            message=invalid.message,
            reason=invalid.reason,
            body_digest=invalid.digest,
        )
        published = PublishedResult(result, record.timestamp_ms)
        self._publish_result(published, names.select_correlation_headers(record.headers), answers_offset=record.offset)
        self._index.remember_result(result, invalid.digest, now.boot_s)

    def publish_dead_letter(self, record: CommandRecord, reason: Reason, message: str, now: Now) -> None:
        """Publish the bytes of a record that gets no result of its own, and why."""
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
        """Publish the record with which a term begins; `origin` names the environment and the API key."""
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
        """Note that the result for the record at an offset of `commands` is durable; forget its command."""
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
        suffix = "" if result.outcome.terminal else ":unknown"
        self._outbox.publish_result(
            OutgoingRecord(
                stream=Stream.RESULTS,
                key=result.command_id.encode(),
                value=_encode(result),
                time_ms=result.answered_at,
                event_id=f"result:{result.command_id}{suffix}",
                headers=correlation,
                answers_offset=answers_offset,
                answer=published,
            )
        )


def _drop_if_too_long(text: str | None) -> str | None:
    """Return a name or quantity of an order; None when it is too long to be one."""
    return text if text is None or len(text) <= _ORDER_FIELD_CHARS_MAX else None

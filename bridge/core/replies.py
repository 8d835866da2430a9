"""What the bridge says: results, dead letters and session events, as records to publish."""

from collections.abc import Callable
from functools import partial

import msgspec

from bridge.contract import headers as names
from bridge.contract.commands import CANCEL_ALL, REPLACE
from bridge.contract.results import Outcome, Reason, Result, Takeover
from bridge.contract.session import Alarm, AlarmRaised, SessionEvent
from bridge.contract.topics import Stream
from bridge.core.admit import Refusal, short
from bridge.core.claims import UNKNOWN_ORIGIN, Claims, Origin
from bridge.core.command import SAFE_TO_REPEAT, Pending
from bridge.core.life import Event, State
from bridge.core.memory import Memory, Repeat
from bridge.core.now import Now
from bridge.core.traffic import CommandRecord, LastWord, Outgoing

_REFUSAL_CLASS = f"{Refusal.__module__}.{Refusal.__name__}".encode()
_encode = msgspec.json.Encoder().encode
_NAME_CHARS_MAX = 128
"""What is longer is no name or quantity of an order, whatever a row of the venue's says; the answer has none then."""
_DEAD_LETTER_BYTES_MAX = 900_000
"""Above this the value is left out, and so is a longer key: with headers they might not fit. The offset remains."""


class Replies:
    """Builds the records and keeps what a last word changes: memory, claims and the life of the command."""

    def __init__(self, account: str, commands_topic: str, claims: Claims, memory: Memory) -> None:
        self.outbox: list[Outgoing] = []
        self.spoken: list[Result] = []
        """Results since the last look, for the log."""
        self._account = account.encode()
        self._commands_topic = commands_topic
        self._claims = claims
        self._memory = memory

    def last_word(
        self,
        pending: Pending,
        outcome: Outcome,
        now: Now,
        *,
        by: Event = Event.DECIDED,
        code: int | None = None,
        message: str | None = None,
        reason: Reason | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        """Publish the terminal result of a command, and the same for every repeat of it; `by` is what ended it."""
        pending.step(by)
        result = msgspec.structs.replace(
            self._result(pending, outcome, now, code, message), reason=reason, retry_after_ms=retry_after_ms
        )
        told = LastWord(result, pending.timestamp_ms, pending.doubted_at_ms)
        self._publish(result, pending.echo, lambda: self._recorded(pending, outcome), told)
        if outcome in {Outcome.DENIED, Outcome.EXPIRED} and pending.action in {CANCEL_ALL, REPLACE}:
            self._claims.refused.add(pending.offset)
        for repeat in self._memory.answered(result, now.mono):
            self.again(result, repeat)

    def doubt(self, pending: Pending, now: Now, *, code: int | None = None, message: str | None = None) -> None:
        """Publish that the fate of a command is not known yet; once."""
        first = pending.state is State.SENT
        pending.step(Event.DOUBTED)
        if first:
            pending.doubted_at_ms = now.wall_ms
            result = self._result(pending, Outcome.UNKNOWN, now, code, message)
            self._publish(result, pending.echo)

    def inherited(self, pending: Pending, now: Now) -> None:
        """Publish that an earlier owner may have sent a command, and that its fate is not known yet; if none has."""
        pending.step(Event.INHERITED)
        if pending.action not in SAFE_TO_REPEAT:  # of those there may be more than fit into a commit
            self._claims.claimed.add(pending.offset)
        pending.doubted_at_ms = self._memory.doubted_at_ms(pending.command_id, pending.offset)
        if pending.doubted_at_ms is not None:
            return
        pending.doubted_at_ms = now.wall_ms
        text = "claimed by an earlier owner, which left no result"
        self._publish(self._result(pending, Outcome.UNKNOWN, now, None, text), pending.echo)

    def again(self, result: Result, repeat: Repeat) -> None:
        """Answer a command that was submitted again with its first outcome."""
        copy = msgspec.structs.replace(result, command_offset=repeat.offset, repeated=True)
        told = LastWord(copy, repeat.timestamp_ms, again=True)
        self._publish(copy, repeat.echo, partial(self._claims.durable, repeat.offset), told)

    def refuse(self, record: CommandRecord, refusal: Refusal, now: Now) -> None:
        """Answer a record that is no command: under its own id if it has one, else as a dead letter."""
        if refusal.command_id is None:
            self.dead_letter(record, refusal.reason, refusal.message, now)
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
        told = LastWord(result, record.timestamp_ms)
        self._publish(result, names.echo(record.headers), partial(self._claims.durable, record.offset), told)
        self._memory.answered(result, now.mono)

    def dead_letter(self, record: CommandRecord, reason: Reason, message: str, now: Now) -> None:
        """Publish the original bytes of a record that cannot be answered under an id of its own."""
        key, value = record.key or b"", record.value
        if len(key) + len(value or b"") > _DEAD_LETTER_BYTES_MAX:
            key, value = key if len(key) <= _DEAD_LETTER_BYTES_MAX else b"", b""
            message += f"; {'the value is' if key else 'key and value are'} left out here for size, read at the offset"
        self.outbox.append(
            Outgoing(
                stream=Stream.DEAD_LETTERS,
                key=key,
                value=value,
                time_ms=now.wall_ms,
                event_id=f"dead-letter:{record.offset}",
                is_json=False,
                headers=[
                    *names.echo(record.headers),
                    (names.ERROR_TOPIC, self._commands_topic.encode()),
                    (names.ERROR_PARTITION, b"0"),
                    (names.ERROR_OFFSET, str(record.offset).encode()),
                    (names.ERROR_STAGE, b"VALUE_CONVERTER"),
                    (names.ERROR_CLASS, _REFUSAL_CLASS),
                    (names.ERROR_MESSAGE, message.encode("utf-8", "replace")),
                    (names.ERROR_CODE, reason.value.encode()),
                ],
                when_durable=partial(self._claims.durable, record.offset),
            )
        )

    def takeover(self, epoch: int, instance: str, now: Now, origin: Origin = UNKNOWN_ORIGIN) -> None:
        """Publish the record with which a term begins; `origin` says for whom it is."""
        takeover = Takeover(
            epoch=epoch,
            instance=instance,
            at=now.wall_ms,
            environment=origin.environment or None,
            key_fingerprint=origin.key_fingerprint or None,
        )
        self.outbox.append(
            Outgoing(
                stream=Stream.RESULTS,
                key=self._account,
                value=_encode(takeover),
                time_ms=now.wall_ms,
                event_id=f"takeover:{epoch}",
                event_type=names.TAKEOVER_TYPE,
            )
        )

    def session(self, event: SessionEvent) -> None:
        """Publish a session event."""
        self.outbox.append(Outgoing(stream=Stream.SESSION, key=self._account, value=_encode(event), time_ms=event.at))

    def alarm(self, alarm: Alarm, detail: str, now: Now) -> None:
        """Publish the alarm of an occurrence, which has no end; a condition is told by `ActiveAlarms`."""
        self.session(AlarmRaised(at=now.wall_ms, alarm=alarm, detail=detail))

    def _recorded(self, pending: Pending, outcome: Outcome) -> None:
        pending.step(Event.RECORDED)
        self._claims.durable(pending.offset)
        if outcome.unsent:
            # Not before: were the answer lost, the next owner would find two commands of one name waiting.
            self._memory.release(pending.client_order_id, pending.offset)

    @staticmethod
    def _result(pending: Pending, outcome: Outcome, now: Now, code: int | None, message: str | None) -> Result:
        return Result(
            command_id=pending.command_id,
            command_offset=pending.offset,
            outcome=outcome,
            answered_at=now.wall_ms,
            action=pending.action,
            code=code,
            message=short(message) if message else None,
            order_id=_drop_if_too_long(pending.order_id),
            client_order_id=_drop_if_too_long(pending.client_order_id),
            body_digest=pending.digest,
            sent_at=pending.sent_at_ms,
            order_qty=_drop_if_too_long(pending.shown_qty),
        )

    def _publish(
        self,
        result: Result,
        echo: names.Headers,
        when_durable: Callable[[], None] | None = None,
        told: LastWord | None = None,
    ) -> None:
        self.spoken.append(result)
        last = "" if result.outcome.terminal else ":unknown"
        self.outbox.append(
            Outgoing(
                stream=Stream.RESULTS,
                key=result.command_id.encode(),
                value=_encode(result),
                time_ms=result.answered_at,
                event_id=f"result:{result.command_id}{last}",
                headers=echo,
                when_durable=when_durable,
                told=told,
            )
        )


def _drop_if_too_long(text: str | None) -> str | None:
    """Return what names an order or its quantity; None when it is too long to be that."""
    return text if text is None or len(text) <= _NAME_CHARS_MAX else None

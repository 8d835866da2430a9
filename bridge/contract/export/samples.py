"""Golden samples: whole records of one short story, with which readers can test.

A desk buys 0.5 BTC, the order is filled while the connection is down, and some later commands fail.
"""

import base64
from typing import Any, Final

import msgspec
from msgspec import Struct

from bridge.contract import commands, results
from bridge.contract.export import story, venue
from bridge.contract.headers import (
    ERROR_CLASS,
    ERROR_CLASS_VALUE,
    ERROR_CODE,
    ERROR_MESSAGE,
    ERROR_OFFSET,
    ERROR_PARTITION,
    ERROR_STAGE,
    ERROR_TOPIC,
    EVENT_TYPES,
    TAKEOVER_TYPE,
    build_event_headers,
    format_source,
)
from bridge.contract.topics import Stream, topic_name

_encode = msgspec.json.Encoder().encode


class Sample(Struct, frozen=True):
    """One record. Headers are text, as every header of the bridge is."""

    message: str
    variant: str
    summary: str
    stream: Stream
    key: str
    headers: dict[str, str]
    value: bytes | None
    is_json: bool = True

    @property
    def name(self) -> str:
        """The name of the sample's file."""
        return f"{self.message}.{self.variant}" if self.variant else self.message

    @property
    def tombstone(self) -> bool:
        """Whether the record has no value."""
        return self.value is None

    @property
    def shown(self) -> Any:  # noqa: ANN401 - any JSON
        """The value as JSON, or as text if it is not JSON."""
        if self.value is None:
            return None
        return msgspec.json.decode(self.value) if self.is_json else self.value.decode("utf-8", "replace")

    @property
    def content(self) -> dict[str, Any]:
        """The content of the sample's file."""
        value = {"value": self.shown} if self.is_json else {"base64": base64.b64encode(self.value or b"").decode()}
        topic = topic_name(story.PREFIX, story.ACCOUNT, self.stream)
        return {"summary": self.summary, "topic": topic, "key": self.key, "headers": self.headers, **value}


class _SampleWriter:
    """Collects the records of the story, with a sequence for each topic."""

    def __init__(self) -> None:
        self._sequences = dict.fromkeys(Stream, 0)
        self.samples: list[Sample] = []

    def event(
        self,
        message: str,
        stream: Stream,
        key: str,
        value: bytes | None,
        *,
        time_ms: int,
        summary: str,
        variant: str = "",
        event_id: str | None = None,
        event_type: bytes | None = None,
        recovered: bool = False,
        is_json: bool = True,
        more: dict[str, str] | None = None,
    ) -> None:
        """Add a record of the bridge."""
        self._sequences[stream] += 1
        headers = build_event_headers(
            event_id=event_id,
            event_source=format_source(story.ENVIRONMENT, story.ACCOUNT),
            event_type=event_type or EVENT_TYPES[stream],
            time_ms=time_ms,
            subject=key.encode(),
            epoch=story.EPOCH,
            sequence=self._sequences[stream],
            recovered=recovered,
            is_json=is_json,
        )
        text = {name: content.decode() for name, content in headers} | (more or {})
        self.samples.append(Sample(message, variant, summary, stream, key, text, value, is_json))

    def command(self, command: commands.Command, summary: str) -> None:
        """Add a record of a caller."""
        message = commands.action_of(command).replace("_", "-")
        key, value = command.command_id, _encode(command)
        headers = {"traceparent": story.TRACEPARENT}
        self.samples.append(Sample(message, "", summary, Stream.COMMANDS, key, headers, value))


def _write_samples() -> list[Sample]:
    writer = _SampleWriter()
    for push in venue.PUSHES:
        writer.event(
            push.message,
            push.stream,
            push.key,
            _encode(push.value) if push.value is not None else None,
            time_ms=push.time_ms,
            summary=push.summary,
            variant=push.variant,
            event_id=push.event_id,
            recovered=push.recovered,
        )
    for command, summary in story.COMMANDS:
        writer.command(command, summary)
    _write_answers(writer)
    _write_session(writer)
    _write_bytes(writer)
    return writer.samples


def _write_answers(writer: _SampleWriter) -> None:
    takeover = results.Takeover(epoch=story.EPOCH, instance=story.INSTANCE, at=story.START_MS)
    writer.event(
        "takeover",
        Stream.RESULTS,
        story.ACCOUNT,
        _encode(takeover),
        time_ms=takeover.at,
        summary="An owner begins its term.",
        event_id=f"takeover:{story.EPOCH}",
        event_type=TAKEOVER_TYPE,
    )
    for answer in story.RESULTS:
        result = answer.result
        last = "" if result.outcome.terminal else ":unknown"
        writer.event(
            "result",
            Stream.RESULTS,
            result.command_id,
            _encode(result),
            time_ms=result.answered_at,
            summary=answer.summary,
            variant=answer.variant,
            event_id=f"result:{result.command_id}{last}",
            more={"traceparent": story.TRACEPARENT},
        )


def _write_session(writer: _SampleWriter) -> None:
    for event in story.SESSION:
        writer.event(
            "session",
            Stream.SESSION,
            story.ACCOUNT,
            _encode(event),
            time_ms=event.at,
            summary=(type(event).__doc__ or "").partition("\n")[0],
            variant=str(event.__struct_config__.tag).replace(".", "-"),
        )


def _write_bytes(writer: _SampleWriter) -> None:
    writer.event(
        "unrecognized",
        Stream.UNRECOGNIZED,
        "Statements",
        b'{"channel":"Statements","data":{"amount":"-0.12"}}',
        time_ms=story.START_MS,
        summary="A frame of an undocumented channel.",
        is_json=False,
    )
    offset = 67
    writer.event(
        "dead-letter",
        Stream.DEAD_LETTERS,
        "",
        b'{"action":"place_order"}',
        time_ms=story.START_MS,
        summary="A record without a commandId.",
        event_id=f"dead-letter:{offset}",
        is_json=False,
        more={
            ERROR_TOPIC: topic_name(story.PREFIX, story.ACCOUNT, Stream.COMMANDS),
            ERROR_PARTITION: "0",
            ERROR_OFFSET: str(offset),
            ERROR_STAGE: "VALUE_CONVERTER",
            ERROR_CLASS: ERROR_CLASS_VALUE,
            ERROR_MESSAGE: "Object missing required field `commandId`",
            ERROR_CODE: results.Reason.NO_COMMAND_ID.value,
        },
    )


SAMPLES: Final = tuple(_write_samples())
"""At least one sample of every message."""

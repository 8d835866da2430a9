"""`ltp-bridge trace`: reads the topics until the story of one command or order is complete, and tells it."""

import asyncio
import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from bridge.config import Kafka
from bridge.contract.results import Result
from bridge.contract.session import OwnerAcquired, OwnerReleased
from bridge.contract.topics import Stream, topic_name
from bridge.errors import BridgeError
from bridge.inspect.contents import ShownCommand
from bridge.inspect.fate import tell_fate
from bridge.inspect.json_lines import format_json_line, format_object
from bridge.inspect.line_printer import LinePrinter
from bridge.inspect.lines import describe_duration, describe_record, style_of
from bridge.inspect.points import format_point
from bridge.inspect.story import STORY_STREAMS, Step, Story, StoryCollector
from bridge.inspect.streams_reader import open_reader


class NothingFound(BridgeError):
    """No record on the topics is about the command or order in that time."""


class TraceOptions(Struct, frozen=True, kw_only=True):
    """The options of the command line; `subject` is a commandId, an orderId or a clientOrderId."""

    account: str
    subject: str
    since_ms: int
    as_json: bool = False


async def run(kafka: Kafka, options: TraceOptions, printer: LinePrinter, tell: Callable[[str], None]) -> None:
    """Print the story of a command or order. Raises ClusterUnreachable, KafkaTrouble, NothingFound."""
    until_ms = time.time_ns() // 1_000_000
    collector = StoryCollector(options.subject)
    async with open_reader(kafka, options.account, STORY_STREAMS, tell) as reader:
        await reader.find_span(options.since_ms)
        while True:
            collector.begin_pass()
            async for records in reader.read_history():
                for record in records:
                    collector.take(record)
                await asyncio.sleep(0)
            if not collector.end_pass():
                break
    story = collector.story()
    if story.is_cut:
        tell("there are more records about it than are shown: only the first 20,000")
    if not story.steps:
        since = format_point(options.since_ms) if options.since_ms else "their first records"
        topics = ", ".join(topic_name(kafka.topic_prefix, options.account, stream) for stream in STORY_STREAMS)
        raise NothingFound(
            f"nothing about {options.subject} on {topics} from {since} to "
            f"{format_point(until_ms)}; check the id, or read more with --since 7d"
        )
    print_story(story, printer, as_json=options.as_json)


def print_story(story: Story, printer: LinePrinter, *, as_json: bool = False) -> None:
    """Print each step with the time since the one before, and in the end what became of it all."""
    asked_ms: dict[str, int] = {}
    before_ms = story.steps[0].record.timestamp_ms
    for step in story.steps:
        record = step.record
        if isinstance(step.content, ShownCommand) and record.stream is Stream.COMMANDS:
            asked_ms.setdefault(step.content.command_id, record.timestamp_ms)
        since_ms, sent_ms = record.timestamp_ms - before_ms, _find_time_to_write(step, asked_ms)
        before_ms = record.timestamp_ms
        what = describe_record(record, step.content)
        if as_json:
            times = {"sincePreviousMs": since_ms, "askedToSentMs": sent_ms}
            printer.print_text(format_json_line(record, epoch=record.epoch, what=what, **times))
            continue
        marks = "".join(f"[{mark}] " for mark in record.marks)
        tells_epoch = isinstance(step.content, OwnerAcquired | OwnerReleased)
        epoch = f", epoch {record.epoch}" if record.epoch >= 0 and not tells_epoch else ""
        sent = "" if sent_ms is None else f", sent {describe_duration(sent_ms)} after its record"
        when = f"{format_point(record.timestamp_ms)}  {describe_duration(since_ms):>9}"
        printer.print_columns(when, record.place, f"{marks}{what}{sent}{epoch}", style_of(record, step.content))
    fate = tell_fate(story)
    printer.print_text(format_object({"subject": story.subject, "fate": fate}) if as_json else fate)
    printer.flush()


def _find_time_to_write(step: Step, asked_ms: Mapping[str, int]) -> int | None:
    """Return how long after its record a command was written to the venue, ms; None where it is not known.

    Two clocks are compared, the broker's and the bridge's: a time below zero says nothing.
    """
    result = step.content
    if not isinstance(result, Result) or result.sent_at is None or result.command_id not in asked_ms:
        return None
    took_ms = result.sent_at - asked_ms[result.command_id]
    return took_ms if took_ms >= 0 else None

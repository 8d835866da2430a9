"""The story of one command or order: every record about it, in order, and what may explain it. No I/O."""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

from msgspec import Struct

from bridge.contract.results import Result
from bridge.contract.topics import Stream
from bridge.core.order_states import TERMINAL, canonical_state
from bridge.inspect.contents import Content, ShownCommand, ShownOrder, ShownTrade
from bridge.inspect.seen_record import SeenRecord
from bridge.inspect.story_names import StoryNames
from bridge.inspect.time_merge import TimeMerge

STORY_STREAMS: Final = (
    *(Stream.COMMANDS, Stream.SESSION, Stream.ORDERS),
    *(Stream.TRADES, Stream.RESULTS, Stream.DEAD_LETTERS),
)
"""The topics that tell of commands and orders, in the order in which records of one time are told."""
_RECORDS_MAX: Final = 20_000
_PASSES_MAX: Final = 12


class Step(Struct, frozen=True):
    """One record of the story, and its content."""

    record: SeenRecord
    content: Content | None

    @property
    def counts(self) -> bool:
        """Whether it tells something new that a reader may believe."""
        return not self.record.is_void


class Story(Struct, frozen=True):
    """The steps of one command or order, the oldest first; none where nothing is known of it."""

    subject: str
    steps: Sequence[Step]
    is_cut: bool = False
    """Whether there were more records than are kept."""

    def contents(self, kind: type[Content]) -> list[Step]:
        """Return the steps of one kind that count."""
        return [step for step in self.steps if step.counts and isinstance(step.content, kind)]


class StoryCollector:
    """Collects a story from records that are read several times, until no pass leads to further names."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._names = StoryNames(subject)
        self._steps: list[Step] = []
        self._background: list[Step] = []
        self._known = 0
        self._passes = 0

    def begin_pass(self) -> None:
        """Begin to read the records from the first one on."""
        self._steps, self._background = [], []
        self._known = self._names.size
        self._passes += 1

    def take(self, record: SeenRecord) -> None:
        """Take in the next record of its topic."""
        belongs, content = self._names.select(record)
        if belongs:
            steps = self._steps if self._names.concerns(record, content) else self._background
            if len(steps) < _RECORDS_MAX:
                steps.append(Step(record, content))

    def end_pass(self) -> bool:
        """Return whether another pass is needed: this one has found names that its first records were not asked for."""
        self._names.decide()
        return self._names.size > self._known and self._passes < _PASSES_MAX

    def story(self) -> Story:
        """Return the story as of the last pass."""
        if not self._steps:
            return Story(self._subject, ())
        steps = _in_order([*self._steps, *_select_background(self._background, self._steps)])
        return Story(self._subject, tuple(steps), len(self._steps) >= _RECORDS_MAX)


def collect_story(subject: str, records: Sequence[SeenRecord]) -> Story:
    """Return the story of a command or order by the records of all topics."""
    collector = StoryCollector(subject)
    while True:
        collector.begin_pass()
        for record in records:
            collector.take(record)
        if not collector.end_pass():
            return collector.story()


def last_states(steps: Iterable[Step]) -> dict[str, ShownOrder]:
    """Return the last state of each order that counts, in the order in which they were first seen."""
    return {
        str(step.content.order_id): step.content
        for step in steps
        if step.counts and isinstance(step.content, ShownOrder)
    }


def _select_background(others: list[Step], own: list[Step]) -> list[Step]:
    """Return what names neither command nor order, and can have had an effect on it: by its time and its scope."""
    begin_ms = min(one.record.timestamp_ms for one in own)
    end_ms = max(one.record.timestamp_ms for one in own) if _has_ended(own) else inf
    symbols = {one.content.sym or "" for one in own if isinstance(one.content, ShownOrder | ShownTrade)}
    scopes = {"ALL", *(symbol.partition("_")[0] for symbol in symbols)} if symbols else set()
    in_time = [step for step in others if begin_ms <= step.record.timestamp_ms <= end_ms]
    cancel_alls = {
        step.content.command_id
        for step in in_time
        if isinstance(step.content, ShownCommand) and step.content.args.get("exchangeType") in scopes
    }
    return [
        step
        for step in in_time
        if step.record.stream is Stream.SESSION
        or (isinstance(step.content, ShownCommand | Result) and step.content.command_id in cancel_alls)
    ]


def _has_ended(own: list[Step]) -> bool:
    """Whether every order is at its end and every command answered: what comes later had no effect."""
    open_orders = [one for one in last_states(own).values() if canonical_state(one.order_state) not in TERMINAL]
    asked = {step.content.command_id for step in own if isinstance(step.content, ShownCommand | Result)}
    answered = {
        step.content.command_id
        for step in own
        if (isinstance(step.content, Result) and step.counts and step.content.outcome.terminal)
        or (isinstance(step.content, ShownCommand) and step.record.stream is Stream.DEAD_LETTERS)
    }
    return not open_orders and not asked - answered


def _in_order(steps: list[Step]) -> list[Step]:
    """Return steps in the order of their times; the order of each topic stays."""
    by_place = {(step.record.stream, step.record.offset): step for step in steps}
    merge = TimeMerge(STORY_STREAMS)
    merge.add(step.record for step in sorted(steps, key=lambda step: step.record.offset))
    for stream in STORY_STREAMS:
        merge.finish(stream)
    return [by_place[record.stream, record.offset] for record in merge.pop_ready()]

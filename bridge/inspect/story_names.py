"""Which records belong to the story of one command or order: the names that lead from one to the other.

A place leads by its clientOrderId and its results to its order, an order by both of its ids to the commands on it and
to the order that a replace made of it, which keeps the clientOrderId.
"""

from typing import Final

from bridge.contract import headers as header_names
from bridge.contract.commands import CANCEL_ALL
from bridge.contract.results import Outcome, Reason, Result
from bridge.contract.session import (
    AlarmRaised,
    GapClosed,
    GapOpened,
    OwnerAcquired,
    OwnerReleased,
    SessionLost,
    SessionOpened,
)
from bridge.contract.topics import Stream
from bridge.inspect.contents import Content, Names, ShownCommand, decode_content, find_names
from bridge.inspect.seen_record import SeenRecord

BACKGROUND_EVENTS = (SessionOpened, SessionLost, GapOpened, GapClosed, OwnerAcquired, OwnerReleased)
"""Events on `session` that may explain what happened to any command or order."""
_NEEDLES_MAX: Final = 30
_PUNCTUATION: Final = ".,;:()'\""


class StoryNames:
    """The names of one story. Each record that belongs to it may add some; `size` tells whether any were added."""

    def __init__(self, subject: str) -> None:
        self._command_ids = {subject} - {""}
        self._order_ids = set(self._command_ids)
        self._client_order_ids = set(self._command_ids)
        self._command_offsets: set[bytes] = set()
        self._undecided: dict[str, Names] = {}
        """The names in commands that have no result yet: a command that is denied may name another one's order."""
        self._needles: list[bytes] = []
        self._needles_size = 0

    @property
    def size(self) -> int:
        """How many names are known."""
        known = self._command_ids, self._order_ids, self._client_order_ids, self._command_offsets
        return sum(len(names) for names in known)

    def may_concern(self, record: SeenRecord) -> bool:
        """Whether a record may belong to the story, by its bytes: most do not, and decoding takes longer."""
        if record.stream in {Stream.COMMANDS, Stream.DEAD_LETTERS, Stream.SESSION}:
            return True
        value = record.value or b""
        if self._needles_size != self.size:
            self._needles_size, self._needles = self.size, self._as_bytes()
        if len(self._needles) > _NEEDLES_MAX:
            return True  # an order that was replaced a thousand times: then decoding is quicker
        # Where a value has an escape, a name in it may be written in another way.
        return b"\\" in value or b'"cancel_orders"' in value or any(name in value for name in self._needles)

    def select(self, record: SeenRecord) -> tuple[bool, Content | None]:
        """Return whether a record belongs to the story or may explain it, with its content; learn its names."""
        if not self.may_concern(record):
            return False, None
        content = decode_content(record)
        if record.stream is Stream.SESSION:
            return isinstance(content, BACKGROUND_EVENTS) or self._is_alarm_about(content), content
        names = find_names(record, content)
        if self._concerns(record, names):
            self._learn(record, content, names)
            return True, content
        # A cancel_orders names no order; whether it can have ended this one is judged when all is known.
        return isinstance(content, ShownCommand | Result) and content.action == CANCEL_ALL, content

    def concerns(self, record: SeenRecord, content: Content | None) -> bool:
        """Whether a record belongs to the story, by the names that are known now."""
        if record.stream is Stream.SESSION:
            return self._is_alarm_about(content)
        return self._concerns(record, find_names(record, content))

    def decide(self) -> None:
        """Follow the names of commands without a result too: nothing more has been written about them."""
        for names in self._undecided.values():
            self._add(names)
        self._undecided.clear()

    def _concerns(self, record: SeenRecord, names: Names) -> bool:
        if record.stream is Stream.DEAD_LETTERS:
            offset = record.header(header_names.ERROR_OFFSET)
            return names.command_id in self._command_ids or offset in self._command_offsets
        return (
            names.command_id in self._command_ids
            or names.order_id in self._order_ids
            or names.client_order_id in self._client_order_ids
        )

    def _is_alarm_about(self, content: Content | None) -> bool:
        if not isinstance(content, AlarmRaised):
            return False
        words = {word.strip(_PUNCTUATION) for word in f"{content.subject} {content.detail}".split()}
        return bool(words & (self._command_ids | self._order_ids | self._client_order_ids))

    def _learn(self, record: SeenRecord, content: Content | None, names: Names) -> None:
        if names.command_id:
            self._command_ids.add(names.command_id)
        if record.stream is Stream.COMMANDS:
            self._command_offsets.add(b"%d" % record.offset)
            self._undecided[names.command_id] = names
        elif isinstance(content, Result):
            command = self._undecided.pop(names.command_id, Names())
            if not _names_another_order(content):
                self._add(command)
                self._add(names)
        elif record.stream is not Stream.DEAD_LETTERS:
            self._add(names)

    def _add(self, names: Names) -> None:
        self._order_ids.update({names.order_id} - {""})
        self._client_order_ids.update({names.client_order_id} - {""})

    def _as_bytes(self) -> list[bytes]:
        names = self._command_ids | self._order_ids | self._client_order_ids
        return [name.encode("utf-8", "replace") for name in names]


def _names_another_order(result: Result) -> bool:
    """Whether the clientOrderId in a result is that of another command's order."""
    return result.outcome is Outcome.DENIED and result.reason is Reason.CLIENT_ORDER_ID_IN_USE

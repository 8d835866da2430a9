"""Values that pass between the rooms: frames of the venue, and records that are read from Kafka or published."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Protocol, Self, TypeVar

from msgspec import Struct

from bridge.contract.headers import Headers, count_memory_bytes
from bridge.contract.pushes import AssetPush, OrderPush, PositionPush, TradePush
from bridge.contract.results import Result
from bridge.contract.topics import Stream

VenuePush = OrderPush | TradePush | AssetPush | PositionPush
"""The decoded fields of a push of the channels that carry most pushes."""


class Push(Struct, frozen=True, gc=False):
    """A push of the venue: the bytes of its `data`, an object or an array of objects, and of the whole frame.

    `decoded` are the fields of `data` where the frame is written as usual: then they are read with the frame.
    """

    channel: str
    data: bytes
    frame: bytes
    decoded: VenuePush | None = None


class Answer(Struct, frozen=True):
    """The venue's answer to an action; `request_id` is None when the answer names none.

    `push` is the frame as a push, where it names a channel too: it is one if none of our requests has that id.
    """

    request_id: str | None
    event: str
    code: int
    message: str
    order_id: str | None
    client_order_id: str | None
    push: Push | None = None


class InvalidFrame(Struct, frozen=True):
    """A frame that is not of the venue's protocol."""

    frame: bytes
    reason: str


Received = Push | Answer | InvalidFrame
T_co = TypeVar("T_co", covariant=True)


class Rows(tuple[T_co, ...]):  # noqa: SLOT001 - a subclass of tuple may have none
    """The readable rows of a list of the venue's REST, and the number of those that are `unreadable`.

    Nothing can be concluded from a missing row of a list that has unreadable ones.
    """

    unreadable: int

    def __new__(cls, rows: Iterable[T_co] = (), unreadable: int = 0) -> Self:
        """Return the readable rows as Rows, with the number of the others."""
        made = super().__new__(cls, rows)
        made.unreadable = unreadable
        return made


class CommandRecord(Struct, frozen=True):
    """A record of the `commands` topic. `timestamp_ms` is the broker's append time; `headers` those to carry back.

    `unreadable` says why nothing of it could be decoded; then it represents every offset up to `last_offset`.
    `transactional`: it came in a batch of a transaction, which may have been aborted. `absent_boot_s` is when, on the
    boot clock, the topic was last known not to have it.
    """

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    last_offset: int = -1
    transactional: bool = False
    unreadable: str | None = None
    absent_boot_s: float = -inf

    @property
    def next_offset(self) -> int:
        """The offset after it."""
        return max(self.offset, self.last_offset) + 1

    @property
    def size_bytes(self) -> int:
        """The memory that it takes, roughly."""
        return len(self.key or b"") + len(self.value or b"") + count_memory_bytes(self.headers)


class Committed(Struct, frozen=True):
    """What a consumer group has committed; `offset` is None if it never committed."""

    offset: int | None
    metadata: str


class WriteRequest(Struct, frozen=True):
    """A request to write to the venue now. `command_id` is None for a cancel of the bridge's own accord."""

    request_id: str
    action: str
    args: Mapping[str, str]
    command_id: str | None = None


class TopicRecord(Protocol):
    """A record that was read from a topic."""

    @property
    def offset(self) -> int:
        """The offset in its partition."""

    @property
    def timestamp_ms(self) -> int:
        """The record's timestamp, Unix ms."""

    @property
    def key(self) -> bytes | None:
        """The key."""

    @property
    def value(self) -> bytes | None:
        """The value."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """The headers; one may have no value."""


class PublishedResult(Struct, frozen=True, gc=False):
    """The result that a record carries, for the log and for traces.

    `asked_at_ms` is the time of the command's record and `unknown_at_ms` that of its first `unknown`, both Unix ms.
    `repeated`: the command was submitted again and gets the result that it had before.
    """

    result: Result
    asked_at_ms: int
    unknown_at_ms: int | None = None
    repeated: bool = False
    stages_s: dict[str, float] = {}
    """How long each stage of the command took, in s; empty where it has no terminal result or had it before."""


class OutgoingRecord(Struct, frozen=True, gc=False):
    """A record to publish.

    `event_id` None means that the event has no identity at the venue; `event_type` None is the stream's own.
    `headers` are added to the CloudEvents ones. `received_boot_s` is when the venue's push arrived, None for a record
    that the bridge makes itself. `answers_offset` is the offset on `commands` that this record answers for good; it is
    done once the record is durable. `answer` is present in every result.
    """

    stream: Stream
    key: bytes
    value: bytes | None
    time_ms: int
    event_id: str | None = None
    event_type: bytes | None = None
    headers: Headers = ()
    recovered: bool = False
    is_json: bool = True
    received_boot_s: float | None = None
    answers_offset: int | None = None
    answer: PublishedResult | None = None

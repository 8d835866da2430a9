"""Record headers: CloudEvents 1.0 in binary mode, its sequence extension, and the bridge's own."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from bridge.contract.topics import Stream

Headers = Sequence[tuple[str, bytes]]

EPOCH: Final = "ce_epoch"
"""The owner's term, a number that only grows. A lower one after a higher is void on results, session and states."""
SEQUENCE: Final = "ce_sequence"
"""Counts from 1 per topic and epoch without gaps; zero-padded, because the CloudEvents extension sorts as text."""
RECOVERED: Final = "ce_recovered"
"""`true` if the record came from REST and not from a push."""
TYPE: Final = "ce_type"
ID: Final = "ce_id"

SEQUENCE_DIGITS: Final = 20

CORRELATION_HEADERS: Final = frozenset(
    {
        *("kafka_correlationId", "correlation_id", "ce_correlationid"),
        *("traceparent", "tracestate", "ce_traceparent", "ce_tracestate"),
    }
)
"""Headers of a command that its answers carry back unchanged: correlation ids, and W3C trace context, plain or as
CloudEvents attributes."""
HEADER_BYTES_MAX: Final = 1024
"""Longer values of callers become no header, because answers must fit a record. W3C wants 512 for `tracestate`."""

EVENT_TYPES: Final[dict[Stream, bytes]] = {
    Stream.ORDERS: b"ltp.order.v1",
    Stream.TRADES: b"ltp.trade.v1",
    Stream.ASSETS: b"ltp.asset.v1",
    Stream.POSITIONS: b"ltp.position.v1",
    Stream.MARGIN_CALLS: b"ltp.margin-call.v1",
    Stream.LIQUIDATIONS: b"ltp.liquidation.v1",
    Stream.SESSION: b"ltp.session.v1",
    Stream.UNRECOGNIZED: b"ltp.unrecognized.v1",
    Stream.RESULTS: b"ltp.result.v1",
    Stream.DEAD_LETTERS: b"ltp.dead-letter.v1",
}
TAKEOVER_TYPE: Final = b"ltp.takeover.v1"
"""The record on `results` with which an owner begins its term. It answers no command."""

ERROR_TOPIC: Final = "__connect.errors.topic"
ERROR_PARTITION: Final = "__connect.errors.partition"
ERROR_OFFSET: Final = "__connect.errors.offset"
ERROR_STAGE: Final = "__connect.errors.stage"
ERROR_CLASS: Final = "__connect.errors.exception.class.name"
ERROR_CLASS_VALUE: Final = "bridge.core.admit.Refusal"
"""The only value of that header. Consumers may compare it, so it stays when the code's own names change."""
ERROR_MESSAGE: Final = "__connect.errors.exception.message"
ERROR_CODE: Final = "error_code"
"""Why a command is a dead letter; the `__connect.errors.*` names are those of Kafka Connect."""

_OVERHEAD_BYTES: Final = 150
"""The memory of one header beside its name and content: a tuple and two objects."""

_SPECVERSION = ("ce_specversion", b"1.0")
_JSON = ("content-type", b"application/json")
_BYTES = ("content-type", b"application/octet-stream")


def format_source(environment: str, account: str) -> bytes:
    """Return `ce_source`, a URI reference of environment and account."""
    return f"/ltp/{environment}/{account}".encode()


@lru_cache(maxsize=8)
def _format_second(unix_s: int) -> bytes:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%S}".encode()


@lru_cache(maxsize=8)
def format_rfc3339(unix_ms: int) -> bytes:
    """Return a Unix time in milliseconds, before the year 10000, as RFC 3339 in UTC."""
    second, ms = divmod(unix_ms, 1000)
    return b"%b.%03dZ" % (_format_second(second), ms)


# What a CloudEvents String must not hold: control characters, and the noncharacters of each plane of Unicode.
_NO_STRING: Final = re.compile(
    f"[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef{''.join(chr(end) + chr(end + 1) for end in range(0xFFFE, 0x110000, 0x10000))}]"
)


def _is_string(content: bytes) -> bool:
    """Return whether this may be the value of a CloudEvents attribute."""
    if content.isalnum():
        return True  # as most keys are
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return bool(text) and not _NO_STRING.search(text)


def select_correlation_headers(headers: Headers) -> Headers:
    """Return the headers of a command that its answers carry back, each name once, because readers make a mapping.

    It leaves out values that are empty, longer than `HEADER_BYTES_MAX`, or not valid in a CloudEvent.
    """
    found: dict[str, bytes] = {}
    for name, content in headers:
        if (
            name in CORRELATION_HEADERS
            and 0 < len(content) <= HEADER_BYTES_MAX
            and (name[:3] != "ce_" or _is_string(content))
        ):
            found.setdefault(name, content)
    return list(found.items())


def count_memory_bytes(headers: Iterable[tuple[str, bytes | None]]) -> int:
    """Return roughly how much memory headers take: for a short header, more than its bytes."""
    return sum(len(name) + len(content or b"") + _OVERHEAD_BYTES for name, content in headers)


@lru_cache(maxsize=8)
def _make_epoch_header(epoch: int) -> tuple[str, bytes]:
    return (EPOCH, b"%d" % epoch)


def build_event_headers(
    *,
    event_id: str | None,
    event_source: bytes,
    event_type: bytes,
    time_ms: int,
    subject: bytes,
    epoch: int,
    sequence: int,
    recovered: bool = False,
    is_json: bool = True,
) -> list[tuple[str, bytes]]:
    """Return the headers of one record.

    An event without an identity at the venue (`event_id` None) gets a `ce_id` from its type, epoch and sequence. A
    `subject` that is empty, too long or not text is left out: the key of a dead letter may be any of these.
    """
    headers = [
        _SPECVERSION,
        (ID, event_id.encode() if event_id else b"%b:%d:%d" % (event_type, epoch, sequence)),
        ("ce_source", event_source),
        (TYPE, event_type),
        ("ce_time", format_rfc3339(time_ms)),
        _JSON if is_json else _BYTES,
        (SEQUENCE, b"%0*d" % (SEQUENCE_DIGITS, sequence)),
        _make_epoch_header(epoch),
    ]
    if len(subject) <= HEADER_BYTES_MAX and _is_string(subject):
        headers.append(("ce_subject", subject))
    if recovered:
        headers.append((RECOVERED, b"true"))
    return headers


_NUMBER_DIGITS_MAX: Final = 18
EPOCH_MAX: Final = 10**15
"""More than any number of terms, and any clock in seconds: a bridge writes no higher epoch."""


def parse_number(content: bytes | None) -> int:
    """Return the number of at most 18 digits in a header; -1 if the header is missing or holds something else."""
    if content is None or len(content) > SEQUENCE_DIGITS or not content.isdigit():
        return -1
    digits = content.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= _NUMBER_DIGITS_MAX else -1


def parse_epoch(content: bytes | None) -> int:
    """Return the epoch in the header `ce_epoch`; -1 if it is missing or a bridge cannot have written it."""
    found = parse_number(content)
    return found if found <= EPOCH_MAX else -1

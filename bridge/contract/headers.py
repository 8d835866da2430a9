"""Record headers: CloudEvents 1.0 in binary mode, its sequence extension, and the bridge's own."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from bridge.contract.topics import Stream

Headers = Sequence[tuple[str, bytes]]

EPOCH: Final = "ce_epoch"
"""The owner's term, a number that only grows. Void: a lower one after a higher, on `results` and state topics."""
SEQUENCE: Final = "ce_sequence"
"""Contiguous per topic and epoch from 1, zero-padded because the CloudEvents extension sorts as text."""
RECOVERED: Final = "ce_recovered"
"""`true` when the row came from REST and not from the stream."""
TYPE: Final = "ce_type"
ID: Final = "ce_id"

SEQUENCE_DIGITS: Final = 20

ECHOED: Final = frozenset({"kafka_correlationId", "correlation_id", "ce_correlationid", "traceparent", "tracestate"})
"""Headers of a command that its results carry back unchanged."""

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
"""On `results`: the record with which an owner begins its term. It answers no command."""

ERROR_TOPIC: Final = "__connect.errors.topic"
ERROR_PARTITION: Final = "__connect.errors.partition"
ERROR_OFFSET: Final = "__connect.errors.offset"
ERROR_STAGE: Final = "__connect.errors.stage"
ERROR_CLASS: Final = "__connect.errors.exception.class.name"
ERROR_MESSAGE: Final = "__connect.errors.exception.message"
ERROR_CODE: Final = "error_code"
"""Why a command is a dead letter; the `__connect.errors.*` names are those of Kafka Connect."""

_SPECVERSION = ("ce_specversion", b"1.0")
_JSON = ("content-type", b"application/json")
_BYTES = ("content-type", b"application/octet-stream")


def source(environment: str, account: str) -> bytes:
    """Name where an event comes from: environment and account, as a URI reference."""
    return f"/ltp/{environment}/{account}".encode()


def rfc3339(unix_ms: int) -> bytes:
    """Write a time in milliseconds since 1970, before the year 10000, as RFC 3339 in UTC."""
    second, ms = divmod(unix_ms, 1000)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03}Z".encode()


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def event_headers(
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
    """Build the headers of one record.

    An event without an identity at the venue (`event_id` None) is named by its publication. A `subject` that is
    empty or no text is left out: CloudEvents allows neither, and a dead letter's key may be both.
    """
    padded = str(sequence).zfill(SEQUENCE_DIGITS)
    headers = [
        _SPECVERSION,
        (ID, (event_id or f"{event_type.decode()}:{epoch}:{sequence}").encode()),
        ("ce_source", event_source),
        (TYPE, event_type),
        ("ce_time", rfc3339(time_ms)),
        _JSON if is_json else _BYTES,
        (SEQUENCE, padded.encode()),
        (EPOCH, str(epoch).encode()),
    ]
    if subject and _is_text(subject):
        headers.append(("ce_subject", subject))
    if recovered:
        headers.append((RECOVERED, b"true"))
    return headers


def number(content: bytes | None) -> int:
    """Read a header that holds a number; -1 where there is none, or something else."""
    return int(content) if content is not None and content.isdigit() else -1

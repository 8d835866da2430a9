"""Every record of the bridge is a CloudEvent: its headers by the README, and as the official SDK reads them."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat

from tests.records.contract import TYPES, fields, headers_of, sample_headers, schema_of, wrong
from tests.witness.record import NO_JSON, Record

_BYTES: Final = frozenset({"unrecognized", "dead-letters"})
"""Topics whose values are whatever somebody else wrote."""


def headers_wrong(record: Record) -> Iterator[str]:
    """Say what is wrong with the headers of an event."""
    for name, times in Counter(name for name, _ in record.headers).items():
        if times > 1:
            yield f"the header {name} stands {times} times"
    if record.texts.get("ce_type") not in TYPES[record.stream]:
        yield f"ce_type is {record.texts.get('ce_type')!r}"
        return  # without it nobody knows what else should be there
    why = wrong(headers_of(record), record.texts)
    if why is not None:
        yield f"headers: {why}"
    yield from (f"the header {name} is not told" for name in record.texts if name not in fields(headers_of(record)))
    yield from (f"the sample has {name}" for name in _of_sample(record) if name not in record.texts)
    yield from _values_wrong(record)


def _of_sample(record: Record) -> frozenset[str]:
    """Return the headers that the golden sample has; a subject is left out where the key can be none."""
    return sample_headers(schema_of(record)) - (frozenset() if _subject(record.key) else {"ce_subject"})


def _values_wrong(record: Record) -> Iterator[str]:
    """Say which header contradicts the record."""
    if not record.texts.get("ce_source", "").endswith(f"/{record.account}"):
        yield f"ce_source does not name the account {record.account}"
    content = "application/octet-stream" if record.stream in _BYTES else "application/json"
    if record.texts.get("content-type") != content:
        yield f"content-type is {record.texts.get('content-type')!r}"
    if dict(record.headers).get("ce_subject", b"") != _subject(record.key):
        yield f"ce_subject is {record.texts.get('ce_subject')!r} and the key {record.key!r}"


def _subject(key: bytes | None) -> bytes:
    """Return what the subject must be: the key, unless it is empty, over 1024 bytes or no printable text."""
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError:
        return b""
    return text.encode() if text.isprintable() and len(text.encode()) <= 1024 else b""


def unread(record: Record) -> str | None:
    """Say what the official SDK does not read, or reads otherwise than it was written; None when all is well."""
    # The SDK wants every header and the key to be text. A caller's correlation id and the key of a dead letter may be
    # any bytes: it is given the CloudEvents headers, and the key where it is text. It reads a null value as no data.
    headers = {name: content for name, content in record.headers if name.startswith("ce_") or name == "content-type"}
    key = record.key if _subject(record.key) else None
    message = KafkaMessage(headers=headers, key=key, value=record.value)  # type: ignore[arg-type]
    try:
        event = from_binary_event(message, JSONFormat())
    except Exception as error:  # noqa: BLE001 - whatever it raises, the event is not read
        return f"{type(error).__name__}: {error}"
    read = {name: str(value) for name, value in event.get_attributes().items() if name not in {"time", "partitionkey"}}
    written = {name[3:]: text for name, text in record.texts.items() if name.startswith("ce_") and name != "ce_time"}
    written["datacontenttype"] = record.texts.get("content-type", "")
    if read != written:
        return f"attributes {read} instead of {written}"
    if "ce_time" not in record.texts or event.get_time() != datetime.fromisoformat(record.texts["ce_time"]):
        return f"time {event.get_time()} instead of that of ce_time"
    if event.get_data() != _data(record):
        return f"data {event.get_data()!r}"
    return None


def _data(record: Record) -> object:
    """Return what an event's data is: JSON, text, bytes, or nothing at all."""
    if not record.value:
        return None
    if record.stream not in _BYTES and record.json is not NO_JSON:
        return record.json
    try:
        return record.value.decode()
    except UnicodeDecodeError:
        return record.value

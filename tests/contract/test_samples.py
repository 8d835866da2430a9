"""The golden samples are valid and complete, and the bridge writes and accepts the same records."""

import base64
import json
from typing import Any

import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat

from bridge.contract.export.messages import MESSAGES
from bridge.contract.headers import format_source
from bridge.contract.results import Outcome
from bridge.contract.session import SessionEvent
from bridge.contract.topics import Stream
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.parse import parse_command
from bridge.core.records import CommandRecord, OutgoingRecord, Push
from bridge.kafka.topic_queue import SequencedRecord
from tests.support.one_account import LIMITS, START, TIMING, OneAccount
from tests.support.published import document, headers_of, is_valid, message_of, samples, validator

SAMPLES = samples()
EPOCH = 7
CHANNELS = {
    "order": "Orders",
    "trade": "Trades",
    "asset": "Assets",
    "position": "Positions",
    "margin-call": "MarginCall",
    "liquidation": "LiquidationEvent",
}
COMMANDS = [name for name, sample in SAMPLES.items() if sample["topic"].endswith(".commands")]


def _bytes(sample: dict[str, Any]) -> bytes | None:
    if "base64" in sample:
        return base64.b64decode(sample["base64"])
    return None if sample["value"] is None else json.dumps(sample["value"], separators=(",", ":")).encode()


def _headers(record: OutgoingRecord, sample: dict[str, Any]) -> dict[str, str]:
    """Return the headers of a record as the publisher writes them, with the sample's sequence."""
    sequence = int(sample["headers"]["ce_sequence"])
    numbered = SequencedRecord(record, EPOCH, sequence)
    return {name: content.decode() for name, content in numbered.headers(format_source("production", "main"))}


def test_every_message_has_a_sample() -> None:
    """There is a sample of every message, the tombstone, every session event and every outcome."""
    assert {message.name for message in MESSAGES} | {"tombstone"} == {message_of(name) for name in SAMPLES}
    types = {sample["value"]["type"] for name, sample in SAMPLES.items() if message_of(name) == "session"}
    assert types == {kind.__struct_config__.tag for kind in SessionEvent.__args__}
    outcomes = {sample["value"]["outcome"] for name, sample in SAMPLES.items() if message_of(name) == "result"}
    assert outcomes == {outcome.value for outcome in Outcome}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_valid(name: str) -> None:
    """A sample's value and headers are valid against their schemas."""
    sample, message = SAMPLES[name], message_of(name)
    if message != "tombstone":
        validator(message).validate(sample.get("value"))
    stream = sample["topic"].rpartition(".")[2]
    validator(headers_of(message, stream)).validate(sample["headers"])


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - set(COMMANDS)))
def test_the_official_sdk_reads_every_sample(name: str) -> None:
    """Every sample of the bridge is a CloudEvent in binary mode."""
    sample = SAMPLES[name]
    headers = {header: content.encode() for header, content in sample["headers"].items()}
    record = KafkaMessage(headers=headers, key=sample["key"].encode(), value=_bytes(sample) or b"")
    event = from_binary_event(record, JSONFormat())
    assert event.get_id() == sample["headers"]["ce_id"]
    assert event.get_extension("epoch") == str(EPOCH)


@pytest.mark.parametrize("name", [name for name in SAMPLES if message_of(name) in CHANNELS])
def test_the_bridge_writes_a_push_as_its_sample_says(name: str) -> None:
    """From the venue's bytes the bridge makes the key, headers and value of the sample."""
    sample, one = SAMPLES[name], OneAccount()
    one.drain()
    value = _bytes(sample) or b""
    one.account.on_frame(Push(CHANNELS[message_of(name)], value, b""), one.now)
    (record,) = one.drain()
    if "ce_recovered" in sample["headers"]:
        record = msgspec.structs.replace(record, recovered=True)
    assert (record.key.decode(), record.value) == (sample["key"], value)
    assert _headers(record, sample) == sample["headers"]


def test_the_bridge_writes_an_unknown_channel_as_its_sample_says() -> None:
    """The value is the whole frame, and the key is the channel's name."""
    sample, one = SAMPLES["unrecognized"], OneAccount()
    one.drain()
    frame = _bytes(sample) or b""
    one.account.on_frame(Push("Statements", b"{}", frame), one.now)
    (record,) = [said for said in one.drain() if said.stream is Stream.UNRECOGNIZED]
    assert (record.key.decode(), record.value) == (sample["key"], frame)
    assert record.stream is Stream.UNRECOGNIZED
    assert not record.is_json


def test_the_bridge_writes_a_dead_letter_as_its_sample_says() -> None:
    """The headers say what is wrong and where the record is, as in the sample."""
    sample = SAMPLES["dead-letter"]
    one = OneAccount(start=int(sample["headers"]["__connect.errors.offset"]))
    one.offer(_bytes(sample))
    (letter,) = one.dead_letters()
    letter = msgspec.structs.replace(letter, key=b"")
    said = _headers(letter, sample)
    assert letter.value == _bytes(sample)
    assert said | {"ce_time": sample["headers"]["ce_time"]} == sample["headers"]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_bridge_takes_every_command_of_the_samples(name: str) -> None:
    """The bridge accepts each sample unchanged, with its traceparent."""
    sample = SAMPLES[name]
    headers = [(header, content.encode()) for header, content in sample["headers"].items()]
    record = CommandRecord(65, 1_795_164_156_000, sample["key"].encode(), _bytes(sample), headers)
    taken = parse_command(record, START, LIMITS, TIMING)
    assert isinstance(taken, TrackedCommand)
    assert list(taken.correlation_headers) == headers


def test_the_bridge_answers_as_the_samples_say() -> None:
    """The accepted result of the place has the sample's key, headers, digest, ids and fields."""
    command, sample = SAMPLES["place-order"], SAMPLES["result.accepted"]
    result = sample["value"]
    one = OneAccount(start=result["commandOffset"])
    body = {name: value for name, value in command["value"].items() if name != "validUntil"}
    one.offer(body, headers=[(name, content.encode()) for name, content in command["headers"].items()])
    one.send()
    one.answer(result["commandOffset"], message="Success", order_id=result["orderId"])
    (said,) = [record for record in one.drain() if record.stream is Stream.RESULTS]
    times = {name: result[name] for name in ("answeredAt", "sentAt")}
    assert json.loads(said.value or b"") | times == result
    assert said.key.decode() == sample["key"]
    assert _headers(said, sample) | {"ce_time": sample["headers"]["ce_time"]} == sample["headers"]


@pytest.mark.parametrize("name", ["result.unknown", "takeover", "session.owner-acquired"])
def test_the_bridge_names_its_own_records_as_the_samples_say(name: str) -> None:
    """An `unknown` result, a takeover and a session event have the sample's key and headers."""
    sample, one = SAMPLES[name], OneAccount()
    one.drain()
    if name == "result.unknown":
        one.offer(SAMPLES["place-order"]["value"] | {"commandId": sample["key"], "validUntil": START.wall_ms + 1000})
        one.send()
        one.lose_session()
    elif name == "takeover":
        one.account.results.publish_takeover(EPOCH, "host", one.now)
    else:
        one.account.begin("host", one.now)
    stream = sample["topic"].rpartition(".")[2]
    said = next(record for record in one.drain() if record.stream.value == stream)
    kept = {header: content for header, content in sample["headers"].items() if header != "traceparent"}
    assert said.key.decode() == sample["key"]
    assert _headers(said, sample) | {"ce_time": kept["ce_time"]} == kept


def test_an_incomplete_sample_is_refused() -> None:
    """The check can fail: each JSON sample without one of its required fields is not valid."""
    tried = 0
    for name, sample in SAMPLES.items():
        schema = document(message_of(name)) if sample.get("value") else {}
        for field in schema.get("required", ()):
            tried += 1
            assert not is_valid(message_of(name), {key: v for key, v in sample["value"].items() if key != field})
    assert tried > 30

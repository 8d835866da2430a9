"""The AsyncAPI 3 document: every topic with its messages, keys and headers, and the results as replies to commands."""

from typing import Any, Final

from bridge import __version__
from bridge.contract.export import headers
from bridge.contract.export.messages import MESSAGES, Message
from bridge.contract.export.samples import SAMPLES, Sample
from bridge.contract.export.schemas import build_components
from bridge.contract.topics import CLEANUP_POLICY, STATE_STREAMS, Stream

_KAFKA_BINDING: Final = "0.5.0"
_TEMPLATE: Final = "#/components/schemas/{name}"
_TOMBSTONE: Final = "tombstone"
_BYTES: Final = {"description": "The bytes as they came; empty if there were none."}
_DESCRIPTION: Final = """\
Orders, executions, balances, positions and margin calls of LTP (LiquidityTech) RapidX as Kafka topics, and a topic of
commands, each answered on a topic of results. Every topic has one partition.

- Every record but a command has CloudEvents 1.0 headers in binary mode.
- `ce_sequence` counts from 1 per topic and `ce_epoch`. A missing number is a record that you missed, or that retention
  or compaction removed, or that was larger than its topic allows (alarm `record_too_large`).
- `ce_id` of a trade, an order's state or a result identifies the fact: a repeat of the fact has the same `ce_id`.
- On `orders`, `assets` and `positions` the last record of a key is its state, and a state may be published again.
- On these topics, on `results` and on `session`, a record is void if its `ce_epoch` is lower than one already read.
- Ignore a `ce_type`, a session event and fields that you do not know: a later version may add them.
"""
_PURPOSES: Final[dict[Stream, str]] = {
    Stream.ORDERS: "Every state of every order of the account, no matter who placed it.",
    Stream.TRADES: "Every execution of the account, once.",
    Stream.ASSETS: "One balance for each coin on each exchange.",
    Stream.POSITIONS: "One position for each symbol and side.",
    Stream.MARGIN_CALLS: "Margin calls of the venue, and after a gap the risk of each exchange account.",
    Stream.LIQUIDATIONS: "Pushes of the liquidation channels.",
    Stream.SESSION: "Ownership, begin and end of sessions, gaps and their recovery, alarms.",
    Stream.UNRECOGNIZED: "Frames of the venue that its documents do not describe.",
    Stream.COMMANDS: "Commands of callers, up to 64 KiB each. The broker sets the timestamps.",
    Stream.RESULTS: "Answers to commands: one terminal result for each command, perhaps an `unknown` before it.",
    Stream.DEAD_LETTERS: "Records of `commands` that can get no result under a commandId of their own.",
}


def build_document() -> dict[str, Any]:
    """Return the whole document, which refers to no other file."""
    kinds = {message.name: message.kind for message in MESSAGES if message.kind is not None}
    heads = dict.fromkeys(message.headers for message in MESSAGES)
    bodies, schemas = build_components([*kinds.values(), *heads], _TEMPLATE)
    payloads = dict(zip(kinds, bodies, strict=False))
    messages = {message.name: _describe_message(message, payloads.get(message.name, _BYTES)) for message in MESSAGES}
    messages[_TOMBSTONE] = _describe_tombstone()
    return {
        "asyncapi": "3.0.0",
        "id": "urn:ltp-kafka-bridge",
        "info": {
            "title": "LTP ⇄ Kafka bridge",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {stream.value: _describe_channel(stream) for stream in Stream},
        "operations": _describe_operations(),
        "components": {"parameters": _address_parameters(), "messages": messages, "schemas": schemas},
    }


def _message_names(stream: Stream) -> list[str]:
    """Return the names of the messages of a topic."""
    names = [message.name for message in MESSAGES if message.stream is stream]
    return [*names, _TOMBSTONE] if stream in STATE_STREAMS - {Stream.ORDERS} else names


def _refer_to_messages(where: str, names: list[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/{where}/messages/{name}"} for name in names]


def _address_parameters() -> dict[str, Any]:
    return {
        "prefix": {"description": "The bridge's `kafka.topic_prefix`.", "default": "ltp"},
        "account": {"description": "The account's name in the bridge's settings.", "default": "main"},
    }


def _describe_channel(stream: Stream) -> dict[str, Any]:
    names = _message_names(stream)
    return {
        "address": f"{{prefix}}.{{account}}.{stream.value}",
        "description": _PURPOSES[stream],
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in _address_parameters()},
        "messages": dict(zip(names, _refer_to_messages("components", names), strict=True)),
        "bindings": {
            "kafka": {
                "partitions": 1,
                "topicConfiguration": {"cleanup.policy": CLEANUP_POLICY[stream].split(",")},
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _describe_operations() -> dict[str, Any]:
    """Return the operations of the bridge: it sends on every topic but `commands`, which it receives and answers."""
    operations: dict[str, Any] = {}
    for stream in Stream:
        channel = f"channels/{stream.value}"
        is_commands = stream is Stream.COMMANDS
        # Results of commands are the reply, so only the takeover is left on their topic.
        names = [name for name in _message_names(stream) if name != "result"]
        operations["receive-commands" if is_commands else f"send-{stream.value}"] = {
            "action": "receive" if is_commands else "send",
            "channel": {"$ref": f"#/{channel}"},
            "messages": _refer_to_messages(channel, names),
        }
    results = f"channels/{Stream.RESULTS.value}"
    operations["receive-commands"]["reply"] = {
        "channel": {"$ref": f"#/{results}"},
        "messages": _refer_to_messages(results, ["result"]),
    }
    return operations


def _describe_message(message: Message, payload: dict[str, Any]) -> dict[str, Any]:
    event_type = message.event_type.decode() if message.event_type else None
    described: dict[str, Any] = {
        "name": event_type or message.name,
        "title": message.summary,
        "contentType": "application/json" if message.kind is not None else "application/octet-stream",
        "headers": _headers_schema(message.headers.__name__, event_type),
        "payload": payload,
        "bindings": _key_binding(message.key, optional=message.stream is Stream.COMMANDS),
        "examples": [
            _build_example(sample) for sample in SAMPLES if sample.message == message.name and not sample.tombstone
        ],
    }
    if message.stream in {Stream.COMMANDS, Stream.RESULTS} and message.name != "takeover":
        described["correlationId"] = {
            "description": "A result names its command.",
            "location": "$message.payload#/commandId",
        }
    return described


def _headers_schema(name: str, event_type: str | None) -> dict[str, Any]:
    about = {"$ref": _TEMPLATE.format(name=name)}
    return {"allOf": [about, {"properties": {"ce_type": {"const": event_type}}}]} if event_type else about


def _key_binding(key: str, *, optional: bool) -> dict[str, Any]:
    kinds = ["string", "null"] if optional else "string"
    return {"kafka": {"key": {"type": kinds, "description": key}, "bindingVersion": _KAFKA_BINDING}}


def _describe_tombstone() -> dict[str, Any]:
    return {
        "name": _TOMBSTONE,
        "title": "There is no such balance or position any more",
        "headers": {"$ref": _TEMPLATE.format(name=headers.EventHeaders.__name__)},
        "payload": {"type": "null"},
        "bindings": _key_binding("The key of the state that has ended", optional=False),
        "examples": [_build_example(sample) for sample in SAMPLES if sample.tombstone],
    }


def _build_example(sample: Sample) -> dict[str, Any]:
    return {"name": sample.name, "summary": sample.summary, "headers": sample.headers, "payload": sample.shown}

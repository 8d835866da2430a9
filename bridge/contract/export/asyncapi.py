"""The AsyncAPI 3 document: every topic, its messages, keys and headers, and which results answer commands."""

from typing import Any, Final

from bridge import __version__
from bridge.contract.export import headers
from bridge.contract.export.messages import MESSAGES, Message
from bridge.contract.export.samples import SAMPLES, Sample
from bridge.contract.export.schemas import components
from bridge.contract.topics import CLEANUP_POLICY, STATE_STREAMS, Stream

_KAFKA_BINDING: Final = "0.5.0"
_TEMPLATE: Final = "#/components/schemas/{name}"
_TOMBSTONE: Final = "tombstone"
_BYTES: Final = {"description": "Bytes, as they came; none where there were none."}
_DESCRIPTION: Final = """\
Orders, executions, balances, positions and margin calls of LTP (LiquidityTech) RapidX as Kafka topics, and a topic of
commands, each answered on a topic of results. Every topic has one partition.

- Every record but a command carries CloudEvents 1.0 headers in binary mode.
- `ce_sequence` counts from 1 per topic and `ce_epoch`: a number that is left out is a record that was missed, or one
  that retention or compaction removed, or one that was larger than its topic takes (alarm `record_too_large`).
- `ce_id` names the fact, if the fact is a trade, an order's state or a result: a repeat of it has the same.
- On `orders`, `assets` and `positions` the last record of a key is the truth, and a state may be published again.
- On these, on `results` and on `session`, a record whose `ce_epoch` is lower than one already read is void.
- Pass over a `ce_type`, a session event, and fields that you do not know: a later version may add them.
"""
_PURPOSES: Final[dict[Stream, str]] = {
    Stream.ORDERS: "Every state of every order of the account, whoever placed it.",
    Stream.TRADES: "Every execution of the account, once.",
    Stream.ASSETS: "Balances, one for each coin of each exchange.",
    Stream.POSITIONS: "Positions, one for each symbol and side.",
    Stream.MARGIN_CALLS: "The venue's margin calls, and after a gap the risk of each exchange account.",
    Stream.LIQUIDATIONS: "What the liquidation channels say.",
    Stream.SESSION: "Ownership, the life of the session, gaps and what was recovered of them, alarms.",
    Stream.UNRECOGNIZED: "What the venue sent and nobody documented.",
    Stream.COMMANDS: "What callers ask for, up to 64 KiB each. The broker sets the timestamps.",
    Stream.RESULTS: "What callers are answered: one terminal result for each command, perhaps an `unknown` before it.",
    Stream.DEAD_LETTERS: "Records of `commands` that cannot be answered under an id of their own.",
}


def document() -> dict[str, Any]:
    """Return the whole document; nothing in it refers to another file."""
    kinds = {message.name: message.kind for message in MESSAGES if message.kind is not None}
    heads = dict.fromkeys(message.headers for message in MESSAGES)
    bodies, schemas = components([*kinds.values(), *heads], _TEMPLATE)
    payloads = dict(zip(kinds, bodies, strict=False))
    messages = {message.name: _message(message, payloads.get(message.name, _BYTES)) for message in MESSAGES}
    messages[_TOMBSTONE] = _tombstone()
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
        "channels": {stream.value: _channel(stream) for stream in Stream},
        "operations": _operations(),
        "components": {"parameters": _parameters(), "messages": messages, "schemas": schemas},
    }


def _names(stream: Stream) -> list[str]:
    """Name the messages of a topic."""
    names = [message.name for message in MESSAGES if message.stream is stream]
    return [*names, _TOMBSTONE] if stream in STATE_STREAMS - {Stream.ORDERS} else names


def _refer(where: str, names: list[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/{where}/messages/{name}"} for name in names]


def _parameters() -> dict[str, Any]:
    return {
        "prefix": {"description": "The bridge's `kafka.topic_prefix`.", "default": "ltp"},
        "account": {"description": "The account's name in the bridge's settings.", "default": "main"},
    }


def _channel(stream: Stream) -> dict[str, Any]:
    names = _names(stream)
    return {
        "address": f"{{prefix}}.{{account}}.{stream.value}",
        "description": _PURPOSES[stream],
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in _parameters()},
        "messages": dict(zip(names, _refer("components", names), strict=True)),
        "bindings": {
            "kafka": {
                "partitions": 1,
                "topicConfiguration": {"cleanup.policy": CLEANUP_POLICY[stream].split(",")},
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _operations() -> dict[str, Any]:
    """Say what the bridge does: it sends on every topic but `commands`, which it receives and answers."""
    operations: dict[str, Any] = {}
    for stream in Stream:
        channel = f"channels/{stream.value}"
        is_commands = stream is Stream.COMMANDS
        # Results of commands are the reply; what is left on their topic is the takeover.
        names = [name for name in _names(stream) if name != "result"]
        operations["receive-commands" if is_commands else f"send-{stream.value}"] = {
            "action": "receive" if is_commands else "send",
            "channel": {"$ref": f"#/{channel}"},
            "messages": _refer(channel, names),
        }
    results = f"channels/{Stream.RESULTS.value}"
    operations["receive-commands"]["reply"] = {
        "channel": {"$ref": f"#/{results}"},
        "messages": _refer(results, ["result"]),
    }
    return operations


def _message(message: Message, payload: dict[str, Any]) -> dict[str, Any]:
    event_type = message.event_type.decode() if message.event_type else None
    said: dict[str, Any] = {
        "name": event_type or message.name,
        "title": message.summary,
        "contentType": "application/json" if message.kind is not None else "application/octet-stream",
        "headers": _headers(message.headers.__name__, event_type),
        "payload": payload,
        "bindings": _keyed(message.key, optional=message.stream is Stream.COMMANDS),
        "examples": [_example(sample) for sample in SAMPLES if sample.message == message.name and not sample.tombstone],
    }
    if message.stream in {Stream.COMMANDS, Stream.RESULTS} and message.name != "takeover":
        said["correlationId"] = {
            "description": "A result names its command.",
            "location": "$message.payload#/commandId",
        }
    return said


def _headers(name: str, event_type: str | None) -> dict[str, Any]:
    about = {"$ref": _TEMPLATE.format(name=name)}
    return {"allOf": [about, {"properties": {"ce_type": {"const": event_type}}}]} if event_type else about


def _keyed(key: str, *, optional: bool) -> dict[str, Any]:
    kinds = ["string", "null"] if optional else "string"
    return {"kafka": {"key": {"type": kinds, "description": key}, "bindingVersion": _KAFKA_BINDING}}


def _tombstone() -> dict[str, Any]:
    return {
        "name": _TOMBSTONE,
        "title": "There is no such balance or position any more",
        "headers": {"$ref": _TEMPLATE.format(name=headers.EventHeaders.__name__)},
        "payload": {"type": "null"},
        "bindings": _keyed("The key of the state that is no more", optional=False),
        "examples": [_example(sample) for sample in SAMPLES if sample.tombstone],
    }


def _example(sample: Sample) -> dict[str, Any]:
    return {"name": sample.name, "summary": sample.summary, "headers": sample.headers, "payload": sample.shown}

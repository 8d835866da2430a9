"""What in today's contract would break a user of the released one: two AsyncAPI documents, compared by meaning.

No library does it: jsonsubschema ends at draft 4, jsoncompat (alpha, by its own word) says that something broke and
not what, and none of the tools for AsyncAPI knows which side reads, and so that an optional argument of a command is
welcome and a looser result is not.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tests.support.schema_changes import changes
from tests.support.schema_forms import Node, Schema
from tests.support.schema_pairs import READ, WRITTEN, Pair, Rule, from_to

_TOLD: Final = frozenset({"title", "name", "summary", "description", "tags", "externalDocs", "examples"})
_CHANNEL: Final = _TOLD | {"messages", "parameters", "bindings", "servers"}
_MESSAGE: Final = _TOLD | {"payload", "headers", "contentType", "bindings"}
_OPERATION: Final = _TOLD | {"channel", "messages", "reply"}
_BINDING: Final = frozenset({"bindingVersion", "replicas", "key", "topicConfiguration"})
_OPPOSITE: Final = {"send": "receive", "receive": "send"}


def breaks(released: Schema, today: Schema) -> list[str]:
    """Return a line for each change that would break a user, with the path to it; none if there is none."""
    old, new = Node(released, released), Node(today, today)
    return list(dict.fromkeys([*_channels(old, new), *_operations(old, new)]))


def _channels(old: Node, new: Node) -> Iterator[str]:
    rules = _rules(old)
    for name, was, now in _parts(old, new, "channels"):
        yield from _channel(Pair(was, now, name, rules.get(name, WRITTEN))) if now else [f"{name}: channel removed"]


def _rules(document: Node) -> dict[str, Rule]:
    """Say by channel what may change: more where only the bridge reads."""
    actions: dict[str, set[str]] = {}
    for operation in document.body.get("operations", {}).values():
        body = document.to(operation).follow()
        actions.setdefault(_last(body["channel"]), set()).add(body["action"])
        reply = document.to(body.get("reply", {})).follow()
        if "channel" in reply:
            actions.setdefault(_last(reply["channel"]), set()).add(_OPPOSITE[body["action"]])
    return {channel: READ if done == {"receive"} else WRITTEN for channel, done in actions.items()}


def _channel(pair: Pair) -> Iterator[str]:
    old, new = pair.old.body, pair.new.body
    yield from _rest(pair.at, old, new, _CHANNEL)
    yield from _binding(pair)
    for name, was, now in _parts(pair.old, pair.new, "parameters"):
        at = f"{pair.at}: parameter {name}"
        yield from _rest(at, was.body, now.body, _TOLD) if now else [f"{at}: removed"]
    for name in _added(old, new, "parameters"):
        yield f"{pair.at}: parameter {name}: added"
    types = [_event_type(was) for _, was, _ in _parts(pair.old, pair.new, "messages")]
    for name, was, now in _parts(pair.old, pair.new, "messages"):
        at = f"{pair.at}: {name}"
        yield from _message(replace(pair, old=was, new=now, at=at)) if now else [f"{at}: message removed"]
    for name in _added(old, new, "messages"):
        own = _event_type(pair.new.to(pair.new.to(new["messages"][name]).follow()))
        if pair.rule is not READ and (own is None or own in types):
            yield f"{pair.at}: {name}: message added, and no ce_type of its own tells readers to pass over it"


def _message(pair: Pair) -> Iterator[str]:
    old, new = pair.old.body, pair.new.body
    kinds = [node.body.get("contentType", node.document.get("defaultContentType")) for node in (pair.old, pair.new)]
    yield from _value(pair.at, "contentType", *kinds)
    yield from _rest(pair.at, old, new, _MESSAGE)
    yield from _binding(pair)
    yield from changes(pair.down(_kafka(old).get("key", True), _kafka(new).get("key", True), ": key"))
    yield from changes(pair.down(old.get("headers", True), new.get("headers", True), ": headers"))
    payloads = old.get("payload", True), new.get("payload", True)
    named = "$ref" in payloads[0] if isinstance(payloads[0], dict) else False
    at = f"{pair.at.split(':')[0]}: {_last(payloads[0])}" if named else pair.at
    yield from changes(replace(pair, at=at).to(*payloads))


def _event_type(message: Node) -> str | None:
    """Return the one `ce_type` that the headers of a message say."""
    headers = message.to(message.body.get("headers", True)).resolved()
    for part in (headers, *(message.to(part).resolved() for part in headers.get("allOf", []))):
        forms = message.to(part.get("properties", {}).get("ce_type", True)).forms()
        if len(forms.values) == 1 and not forms.shapes:
            return str(*forms.values.values())
    return None


def _operations(old: Node, new: Node) -> Iterator[str]:
    for name, was, now in _parts(old, new, "operations"):
        at = f"operation {name}"
        if now is None:
            yield f"{at}: removed"
            continue
        yield from _rest(at, was.body, now.body, _OPERATION)
        yield from _travels(at, was, now)
        replies = [node.to(node.to(node.body.get("reply", {})).follow()) for node in (was, now)]
        yield from _rest(f"{at}: reply", replies[0].body, replies[1].body, _OPERATION)
        yield from _travels(f"{at}: reply", *replies)


def _travels(at: str, old: Node, new: Node) -> Iterator[str]:
    """Compare the channel of an operation or a reply, and its messages: where none are named, all of the channel's."""
    yield from _value(at, "channel", *(_last(node.body.get("channel")) for node in (old, new)))
    named = [node.body.get("messages") for node in (old, new)]
    if named[1] is not None:
        olds, news = ({_last(reference) for reference in references or []} for references in named)
        yield from (f"{at}: {name}: message removed" for name in sorted(olds - news))
        if named[0] is None:
            yield f"{at}: messages: named, and were all of the channel"


def _binding(pair: Pair) -> Iterator[str]:
    """Compare what the Kafka binding promises: partitions, and the settings of the topic."""
    old, new = _kafka(pair.old.body), _kafka(pair.new.body)
    for name in sorted(old.keys() - _BINDING):
        yield from _value(pair.at, name, old[name], new.get(name))
    settings = old.get("topicConfiguration", {}), new.get("topicConfiguration", {})
    for name in settings[0]:
        was, now = (sorted(kept) if isinstance(kept := said.get(name), list) else kept for said in settings)
        yield from _value(pair.at, name, was, now)


def _kafka(body: Schema) -> Schema:
    return dict(body.get("bindings", {}).get("kafka", {}))


def _parts(old: Node, new: Node, kind: str) -> Iterator[tuple[str, Node, Node | None]]:
    """Yield each old part of a kind with the new one of its name."""
    for name, was in old.body.get(kind, {}).items():
        now = new.body.get(kind, {}).get(name)
        yield name, old.to(old.to(was).follow()), None if now is None else new.to(new.to(now).follow())


def _added(old: Schema, new: Schema, kind: str) -> list[str]:
    return [name for name in new.get(kind, {}) if name not in old.get(kind, {})]


def _rest(at: str, old: Schema, new: Schema, judged: frozenset[str]) -> Iterator[str]:
    """Compare what needs no judgement: it must be the same."""
    for name in sorted(old.keys() | new.keys()):
        if name not in judged and not name.startswith("x-"):
            yield from _value(at, name, old.get(name), new.get(name))


def _value(at: str, name: str, was: object, now: object) -> Iterator[str]:
    if was != now:
        yield f"{at}: {from_to(name, was, now)}"


def _last(reference: dict[str, str] | None) -> str:
    """Return the name at the end of a reference."""
    return reference["$ref"].rsplit("/", 1)[-1] if reference else "none"

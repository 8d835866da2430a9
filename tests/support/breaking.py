"""What in today's contract would break a user of the released one: two AsyncAPI documents, walked side by side.

Additions pass, every other difference is named. Readers meet what the bridge writes, callers write what it reads; so
the rule for a schema (`additive.py`) knows the direction of its channel.
"""

from collections.abc import Iterator
from typing import Any, Final

from tests.support.additive import Schema, compare_schemas, follow, inline, say, write

_TOLD: Final = frozenset({"title", "name", "summary", "description", "tags", "externalDocs", "examples"})
_BINDING: Final = frozenset({"bindingVersion", "replicas", "key", "topicConfiguration"})


def find_breaks(released: Schema, today: Schema) -> list[str]:
    """Return a line for each change that would break a user, with the path to it; none if there is none."""
    walk = _Walk(released, today)
    return list(dict.fromkeys([*walk.compare_channels(), *walk.compare_operations()]))


class _Walk:
    """The released document and today's, walked side by side."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new

    def compare_channels(self) -> Iterator[str]:
        """Yield what breaks in the channels and in their messages."""
        read = self._find_channels_read()
        was, now = (document.get("defaultContentType") for document in (self._old, self._new))
        if was != now:
            yield say("defaultContentType", was, now)
        for name, was, now in self._pair(self._old, self._new, "channels"):
            yield from (
                [f"{name}: channel removed"]
                if now is None
                else self._compare_channel(name, was, now, read=name in read)
            )

    def _find_channels_read(self) -> set[str]:
        """Return the channels that only the bridge reads."""
        actions: set[tuple[str, str]] = set()
        for part in self._old["operations"].values():
            operation = _follow(self._old, part)
            reply = _follow(self._old, operation.get("reply", {}))
            actions |= {(operation["action"], _last(operation["channel"])), ("send", _last(reply.get("channel")))}
        return {channel for action, channel in actions if action == "receive"} - {
            channel for action, channel in actions if action == "send"
        }

    def _compare_channel(self, at: str, old: Schema, new: Schema, *, read: bool) -> Iterator[str]:
        yield from _compare_rest(at, old, new, {"messages", "parameters", "bindings", "servers"})
        yield from _compare_binding(at, old, new)
        for name, was, now in self._pair(old, new, "parameters"):
            here = f"{at}: parameter {name}"
            yield from [f"{here}: removed"] if now is None else _compare_rest(here, was, now)
        for name in _list_added(old, new, "parameters"):
            yield f"{at}: parameter {name}: added"
        types = set()
        for name, was, now in self._pair(old, new, "messages"):
            types.add(_find_event_type(self._old, was))
            here = f"{at}: {name}"
            yield from [f"{here}: message removed"] if now is None else self._compare_message(here, was, now, read=read)
        for name in _list_added(old, new, "messages"):
            own = _find_event_type(self._new, _follow(self._new, new["messages"][name]))
            if not read and (own is None or own in types):
                yield f"{at}: {name}: message added, and no ce_type of its own tells readers to pass over it"

    def _compare_message(self, at: str, old: Schema, new: Schema, *, read: bool) -> Iterator[str]:
        yield from _compare_rest(at, old, new, {"payload", "headers", "bindings"})
        yield from _compare_binding(at, old, new)
        payload = old.get("payload", True)
        named = f"{at.partition(':')[0]}: {_last(payload)}" if isinstance(payload, dict) and "$ref" in payload else at
        for here, was, now in (
            (f"{at}: key", _kafka(old).get("key", True), _kafka(new).get("key", True)),
            (f"{at}: headers", old.get("headers", True), new.get("headers", True)),
            (named, payload, new.get("payload", True)),
        ):
            yield from compare_schemas(here, inline(self._old, was), inline(self._new, now), read=read)

    def compare_operations(self) -> Iterator[str]:
        """Yield what breaks in the operations: who does what, with which messages, and where the reply is."""
        for name, was, now in self._pair(self._old, self._new, "operations"):
            at = f"operation {name}"
            if now is None:
                yield f"{at}: removed"
                continue
            yield from _compare_way(at, was, now)
            replies = (_follow(self._old, was.get("reply", {})), _follow(self._new, now.get("reply", {})))
            yield from _compare_way(f"{at}: reply", *replies)

    def _pair(self, old: Schema, new: Schema, kind: str) -> Iterator[tuple[str, Schema, Schema | None]]:
        """Yield each old part of a kind with the new one of its name, or None."""
        for name, was in old.get(kind, {}).items():
            now = new.get(kind, {}).get(name)
            yield name, _follow(self._old, was), None if now is None else _follow(self._new, now)


def _compare_way(at: str, old: Schema, new: Schema) -> Iterator[str]:
    """Compare an operation or a reply: its channel and its messages, all of the channel's if none is named."""
    yield from _compare_rest(at, old, new, {"channel", "messages", "reply"})
    was, now = (_last(part.get("channel")) for part in (old, new))
    if was != now:
        yield f"{at}: {say('channel', was, now)}"
    if "messages" in new:
        olds, news = ({_last(message) for message in part.get("messages", [])} for part in (old, new))
        yield from (f"{at}: {name}: message removed" for name in sorted(olds - news))
        if "messages" not in old:
            yield f"{at}: messages: named, and were all of the channel"


def _compare_binding(at: str, old: Schema, new: Schema) -> Iterator[str]:
    """Compare what the Kafka binding promises: partitions, and the settings of the topic."""
    yield from _compare_rest(at, _kafka(old), _kafka(new), _BINDING)
    yield from _compare_rest(at, *(_kafka(part).get("topicConfiguration", {}) for part in (old, new)))


def _compare_rest(at: str, old: Schema, new: Schema, judged: set[str] | frozenset[str] = frozenset()) -> Iterator[str]:
    """Compare what must be the same."""
    for name in sorted((old.keys() | new.keys()) - judged - _TOLD):
        was, now = old.get(name), new.get(name)
        if not name.startswith("x-") and write(was) != write(now):
            yield f"{at}: {say(name, was, now)}"


def _find_event_type(document: Schema, message: Schema) -> str | None:
    """Return the one `ce_type` that the headers of a message say."""
    headers = inline(document, message.get("headers", {}))
    for part in (headers, *headers.get("allOf", [])):
        values = part.get("properties", {}).get("ce_type", {}).get("enum", [])
        if len(values) == 1:
            return str(values[0])
    return None


def _follow(document: Schema, part: Any) -> Schema:  # noqa: ANN401 - any JSON
    return dict(follow(document, part)[0])


def _list_added(old: Schema, new: Schema, kind: str) -> list[str]:
    return [name for name in new.get(kind, {}) if name not in old.get(kind, {})]


def _kafka(part: Schema) -> Schema:
    return dict(part.get("bindings", {}).get("kafka", {}))


def _last(reference: Schema | None) -> str:
    """Return the name at the end of a reference."""
    return str(reference["$ref"]).rsplit("/", 1)[-1] if reference else "none"

"""The AsyncAPI document is complete and fits the topics, and its examples are valid.

AsyncAPI's own parser reads it in `make validators`, which needs Node.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator, ValidationError

from bridge.contract.topics import CLEANUP_POLICY, STATE_STREAMS, Stream
from tests.support.published import SCHEMAS

DOCUMENT: dict[str, Any] = json.loads((SCHEMAS / "asyncapi.json").read_bytes())
MESSAGES: dict[str, dict[str, Any]] = DOCUMENT["components"]["messages"]
EXAMPLES = [(name, example) for name, message in MESSAGES.items() for example in message["examples"]]


def _at(reference: str) -> Any:  # noqa: ANN401 - any JSON
    """Follow a reference within the document."""
    part: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        part = part[step]
    return part


def _references(part: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == "$ref")
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _validate(schema: dict[str, Any], value: Any) -> None:  # noqa: ANN401 - any JSON
    """Validate with the dialect of AsyncAPI, inside the document, so that references resolve."""
    Draft7Validator({**DOCUMENT, "allOf": [schema]}).validate(value)


def test_every_reference_resolves() -> None:
    """References resolve within the document, without a second file."""
    references = list(_references(DOCUMENT))
    assert len(references) > 100
    for reference in references:
        assert _at(reference) is not None


def test_no_reference_has_neighbours() -> None:
    """The dialect of AsyncAPI ignores keywords beside a reference."""

    def neighbours(part: Any) -> Iterator[Any]:  # noqa: ANN401 - any JSON
        for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            yield from neighbours(value)
        if isinstance(part, dict) and "$ref" in part and len(part) > 1:
            yield part

    assert list(neighbours(DOCUMENT)) == []


@pytest.mark.parametrize("stream", Stream)
def test_every_topic_is_a_channel(stream: Stream) -> None:
    """A channel has one partition, its clean-up policy and its messages; states that may end have the tombstone."""
    channel = DOCUMENT["channels"][stream.value]
    assert channel["address"] == f"{{prefix}}.{{account}}.{stream.value}"
    assert channel["bindings"]["kafka"]["partitions"] == 1
    assert ",".join(channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]) == CLEANUP_POLICY[stream]
    assert ("tombstone" in channel["messages"]) == (stream in STATE_STREAMS - {Stream.ORDERS})
    assert len(DOCUMENT["channels"]) == len(Stream)


def test_commands_are_received_and_answered() -> None:
    """The four commands are answered on `results` by commandId; the bridge sends everything else."""
    receive = DOCUMENT["operations"]["receive-commands"]
    assert receive["action"] == "receive"
    assert len(receive["messages"]) == 4
    assert receive["reply"]["messages"] == [{"$ref": "#/channels/results/messages/result"}]
    names = ("place-order", "replace-order", "cancel-order", "cancel-orders", "result")
    assert {MESSAGES[name]["correlationId"]["location"] for name in names} == {"$message.payload#/commandId"}
    actions = [operation["action"] for operation in DOCUMENT["operations"].values()]
    assert actions.count("send") == len(Stream) - 1


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_is_one_of_the_dialect(name: str) -> None:
    """Each schema is valid in JSON Schema Draft 7, which the dialect of AsyncAPI contains."""
    Draft7Validator.check_schema(DOCUMENT["components"]["schemas"][name])


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[example["name"] for _, example in EXAMPLES])
def test_every_example_is_valid(name: str, example: dict[str, Any]) -> None:
    """Payload and headers are valid against the message."""
    _validate(MESSAGES[name]["payload"], example["payload"])
    _validate(MESSAGES[name]["headers"], example["headers"])


def test_invalid_records_are_refused() -> None:
    """The check can fail: another type of event, another command, an extra field."""
    (order, *_) = MESSAGES["order"]["examples"]
    (place,) = MESSAGES["place-order"]["examples"]
    wrong = [
        (MESSAGES["trade"]["headers"], order["headers"]),
        (MESSAGES["trade"]["payload"], order["payload"]),
        (MESSAGES["cancel-order"]["payload"], place["payload"]),
        (MESSAGES["place-order"]["payload"], place["payload"] | {"more": 1}),
        (MESSAGES["tombstone"]["payload"], {}),
    ]
    for schema, value in wrong:
        with pytest.raises(ValidationError):
            _validate(schema, value)


def test_every_message_has_an_example() -> None:
    """Every message of the document has one or more examples."""
    assert [name for name, message in MESSAGES.items() if not message["examples"]] == []

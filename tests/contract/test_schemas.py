"""The published schemas come from the types, and fit what the bridge writes and accepts."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bridge.contract.export.messages import MESSAGES
from bridge.contract.export.write import build_contract, build_schemas, write_contract
from bridge.contract.headers import CORRELATION_HEADERS
from bridge.contract.results import Outcome, Reason
from bridge.contract.session import Alarm, Cause, Lost
from bridge.contract.topics import Stream
from tests.support.one_account import ORDER_ID, OneAccount, place
from tests.support.published import SCHEMAS, is_valid, parts


def test_the_committed_contract_is_what_the_exporter_writes(tmp_path: Path) -> None:
    """The committed files are equal byte for byte; none is missing or left over. `make schemas` writes them."""
    names = write_contract(tmp_path)
    committed = {str(path.relative_to(SCHEMAS)) for path in SCHEMAS.rglob("*.json")}
    assert sorted(names) == sorted(committed)
    for name in names:
        assert (tmp_path / name).read_bytes() == (SCHEMAS / name).read_bytes(), name


@pytest.mark.parametrize("name", build_schemas())
def test_every_schema_is_valid(name: str) -> None:
    """Each schema is valid JSON Schema 2020-12."""
    Draft202012Validator.check_schema(build_schemas()[name])


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_every_schema_of_a_value_names_its_topic(message: Any) -> None:  # noqa: ANN401 - a Message
    """The description says on which topic such records are."""
    assert f"{{prefix}}.{{account}}.{message.stream.value}" in build_schemas()[message.name]["description"]


@pytest.mark.parametrize("name", build_schemas())
def test_every_field_is_described(name: str) -> None:
    """Every field but the constant tag has a description, or refers to a type that has one."""
    schema = build_schemas()[name]
    for definition in (schema, *schema.get("$defs", {}).values()):
        assert definition["description"], definition["title"]
        assert "\n    " not in definition["description"]
        for field, about in definition.get("properties", {}).items():
            assert about.keys() & {"description", "$ref", "const"}, f"{definition['title']}.{field}"


def test_patterns_are_for_every_language() -> None:
    """Validators in Go and Rust have no look-ahead, and `$` in Python would accept a last line feed."""
    texts = [part["pattern"] for part in parts(build_contract()) if isinstance(part.get("pattern"), str)]
    assert texts
    assert not [text for text in texts if "(?" in text]
    assert not is_valid("place-order", place("c-1", orderQty="1\n"))


@pytest.mark.parametrize("words", [Outcome, Reason, Cause, Alarm, Lost])
def test_every_value_of_an_enumeration_is_described(words: Any) -> None:  # noqa: ANN401 - an enumeration
    """The schemas have the meaning of each value."""
    descriptions = [str(part["description"]) for part in parts(build_contract()) if part.get("title") == words.__name__]
    for word in words:
        assert word.__doc__
        assert any(f"- `{word.value}`: {word.__doc__}" in text for text in descriptions)


def test_outcomes_are_terminal_or_unsent() -> None:
    """Only `unknown` is not terminal; for three outcomes the bridge sent nothing."""
    assert [outcome for outcome in Outcome if not outcome.terminal] == [Outcome.UNKNOWN]
    assert [outcome for outcome in Outcome if outcome.unsent] == [Outcome.DENIED, Outcome.EXPIRED, Outcome.SUPERSEDED]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order", {"orderId": "1", "orderState": "OPEN", "leverage": None, "new": [1]}),
        ("order", {"orderId": 1, "orderState": "NEVER_SEEN", "leverage": 3, "reduceOnly": "false"}),
        ("trade", {"transactionId": 1, "orderId": "1", "sym": "S", "quantity": "1", "price": "1", "side": "BUY"}),
        ("asset", {"coin": "USDT", "balance": 0.001}),
        ("position", {"sym": "S", "positionSide": "NET", "updateAt": 5, "liqPrice": None}),
        ("margin-call", {}),
        ("liquidation", {"liquidationEventId": 1, "totalTradingFee": None}),
        ("result", {"commandId": "c", "commandOffset": 1, "outcome": "denied", "answeredAt": 1, "reason": "to_come"}),
        ("session", {"type": "weather.changed", "at": 1, "sun": True}),
        ("session", {"type": "session.lost", "at": 1, "endpoint": "HA", "cause": "to_come", "detail": "", "new": 1}),
    ],
)
def test_records_may_have_unknown_fields_and_values(name: str, value: dict[str, Any]) -> None:
    """Unknown fields, reasons, causes and events are valid, so that later versions break no reader."""
    assert is_valid(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order", {"orderState": "OPEN"}),
        ("order", {"orderId": ["1"], "orderState": "OPEN"}),
        ("trade", {"transactionId": "1", "orderId": "1", "sym": "S", "quantity": "1", "price": "1"}),
        ("asset", {"balance": "1"}),
        ("position", {"positionQty": "1"}),
        ("liquidation", {}),
        ("result", {"commandId": "c", "commandOffset": 1, "outcome": "perhaps", "answeredAt": 1}),
        ("result", {"commandId": "c", "commandOffset": 1, "outcome": "denied", "answeredAt": 1, "reason": None}),
        ("session", {"type": "session.lost", "at": 1}),
        ("session", {"at": 1}),
        ("takeover", {"epoch": 1, "at": 1}),
        ("event-headers", {"ce_id": "1"}),
    ],
)
def test_records_outside_the_contract_are_not_valid(name: str, value: dict[str, Any]) -> None:
    """An unlisted outcome, a missing required field, or a null outside of the venue's data is not valid."""
    assert not is_valid(name, value)


def test_a_result_of_the_bridge_is_valid() -> None:
    """A result that an account publishes is valid against the schema."""
    one = OneAccount()
    one.offer(place("p"))
    one.offer(place("q", orderQty="-1"))
    one.send()
    one.answer(0, order_id=ORDER_ID, client_order_id="p")
    one.drain()
    values = [json.loads(record.value or b"") for record in one.said if record.stream is Stream.RESULTS]
    assert len(values) == 2
    assert all(is_valid("result", value) for value in values)


def test_every_header_that_comes_back_is_described() -> None:
    """The schemas of the headers have every header that the bridge carries back."""
    for name in ("command-headers", "result-headers"):
        assert CORRELATION_HEADERS <= build_schemas()[name]["properties"].keys()

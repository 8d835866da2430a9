"""The published schemas: written from the types, and true to what the bridge writes and takes."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, ValidationError
from one_account import ORDER_ID, START, OneAccount, cancel, cancel_all, place, replace

from bridge.contract.export import VALUES, schema, write
from bridge.contract.results import Outcome, Reason, Result, Takeover
from bridge.contract.session import (
    Alarm,
    AlarmRaised,
    Cause,
    GapClosed,
    GapOpened,
    Lost,
    OwnerAcquired,
    OwnerReleased,
    Recovered,
    RecoveryComplete,
    SessionLost,
    SessionOpened,
)
from bridge.contract.topics import Stream

SCHEMAS = Path(__file__).parents[2] / "schemas"


def _valid(name: str, value: Any) -> bool:  # noqa: ANN401 - any JSON
    return Draft202012Validator(schema(name)).is_valid(value)


def test_the_committed_schemas_are_what_the_exporter_writes(tmp_path: Path) -> None:
    """File by file and byte by byte; none is missing and none is left over."""
    names = write(tmp_path / "new")
    assert sorted(names) == sorted(path.name for path in SCHEMAS.glob("*.schema.json"))
    for name in names:
        assert (tmp_path / "new" / name).read_bytes() == (SCHEMAS / name).read_bytes()


@pytest.mark.parametrize("name", VALUES)
def test_every_schema_is_one(name: str) -> None:
    """JSON Schema 2020-12, with a title that says the topic."""
    document = schema(name)
    Draft202012Validator.check_schema(document)
    assert f"{{prefix}}.{{account}}.{VALUES[name][0]}" in document["title"]


@pytest.mark.parametrize(
    "body",
    [
        place("c-1"),
        place("c-1", clientOrderId="a1", timeInForce="GTX", reduceOnly="true", positionSide="LONG", tpPrice="0"),
        place("c-1") | {"validUntil": START.wall_ms + 1000},
        replace("c-1", orderId=ORDER_ID),
        cancel("c-1", clientOrderId="a1"),
        cancel_all("c-1", "EDX"),
    ],
)
def test_commands_of_the_contract_are_valid(body: dict[str, Any]) -> None:
    """What the schema lets through the bridge takes, too."""
    assert _valid("command", body)
    one = OneAccount()
    one.offer(body)
    assert one.outcomes() == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**place("c-1"), "action": "buy"},
        {**place("c-1"), "more": 1},
        {**place("c-1"), "commandId": "with space"},
        place("c-1", orderQty="1e3"),
        place("c-1", orderQty="0"),
        place("c-1", orderQty="1\n"),
        place("c-1", sym="BTCUSDT"),
        place("c-1", leverage="5"),
        cancel("c-1", orderId=5),  # type: ignore[arg-type] # the mistake that is tried
        cancel_all("c-1", "KRAKEN"),
    ],
)
def test_what_is_no_command_is_not_valid(body: dict[str, Any]) -> None:
    """What the bridge denies for its schema the schema refuses, too."""
    with pytest.raises(ValidationError):
        Draft202012Validator(schema("command")).validate(body)
    one = OneAccount()
    one.offer(body)
    assert one.results() or one.dead_letters()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("result", Result("c", 5, Outcome.UNKNOWN, 1)),
        ("result", Result("c", 5, Outcome.DENIED, 1, "place_order", reason=Reason.OVER_BUDGET, retry_after_ms=5)),
        ("result", Result("c", 5, Outcome.REJECTED, 1, "place_order", 401009, "exists", body_digest="d", sent_at=1)),
        ("takeover", Takeover(3, "host:1", 1)),
        ("session", OwnerAcquired(1, 3, "host:1")),
        ("session", OwnerReleased(1, 3, "host:1")),
        ("session", SessionOpened(1, "az4")),
        ("session", RecoveryComplete(1, "az4", 3, Recovered(orders=1), 250)),
        ("session", SessionLost(1, "az4", Cause.LINK_FAILED, "cut")),
        ("session", GapOpened(1, "3-1", 1, Cause.OWNER_CHANGED, "")),
        ("session", GapClosed(1, "3-1", 1, 2, Cause.LINK_FAILED, Recovered(trades=2), (Lost.MARGIN_CALLS,))),
        ("session", AlarmRaised(1, Alarm.ID_CONFLICT, "twice")),
    ],
)
def test_what_the_bridge_writes_is_valid(name: str, value: msgspec.Struct) -> None:
    """Results, takeovers and session events, as their bytes."""
    assert _valid(name, json.loads(msgspec.json.encode(value)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order", {"orderId": "1", "orderState": "OPEN", "leverage": None, "new": [1]}),
        ("trade", {"transactionId": 1, "orderId": "1", "sym": "S", "quantity": "1", "price": "1", "side": "BUY"}),
        ("asset", {"coin": "USDT", "balance": "1"}),
        ("position", {"sym": "S", "positionSide": "NONE", "updateAt": 5}),
        ("margin-call", {}),
        ("liquidation", {"liquidationEventId": 1}),
    ],
)
def test_pushes_may_bring_more_than_is_promised(name: str, value: dict[str, Any]) -> None:
    """Fields that the schema does not name are the venue's, and valid."""
    assert _valid(name, value)


def test_a_result_of_the_bridge_is_valid() -> None:
    """Not only in theory: what an account says is what the schema describes."""
    one = OneAccount()
    one.offer(place("p"))
    one.offer(place("q", orderQty="-1"))
    one.send()
    one.answer(0, order_id=ORDER_ID, client_order_id="p")
    one.drain()
    values = [json.loads(record.value or b"") for record in one.said if record.stream is Stream.RESULTS]
    assert len(values) == 2
    assert all(_valid("result", value) for value in values)


def test_an_outcome_says_who_decided() -> None:
    """Only `unknown` is not terminal; three are the bridge's own, and nothing was sent."""
    assert [outcome for outcome in Outcome if not outcome.terminal] == [Outcome.UNKNOWN]
    assert [outcome for outcome in Outcome if outcome.unsent] == [Outcome.DENIED, Outcome.EXPIRED, Outcome.SUPERSEDED]


def test_descriptions_are_for_readers() -> None:
    """No description carries the indentation of the code."""
    for name in VALUES:
        assert "\n    " not in json.dumps(schema(name))
        assert "\\n   " not in json.dumps(schema(name))

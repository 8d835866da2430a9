"""Which records a filter lets through."""

import json

import pytest

from bridge.contract.topics import Stream
from bridge.inspect.filters import RecordFilter
from tests.inspect.records import SAMPLES, sample, seen

ORDER, CLIENT = "2104172237333826", "01jd2z8q4h7v5n3m9k6t1r8w0x"


def passed(wanted: RecordFilter) -> set[str]:
    """Return the names of the samples that pass."""
    return {path.stem for path in SAMPLES.glob("*.json") if wanted.select(sample(path.stem))[0]}


def test_without_a_filter_everything_passes() -> None:
    """That is the default."""
    assert passed(RecordFilter()) == {path.stem for path in SAMPLES.glob("*.json")}


@pytest.mark.parametrize("name", [ORDER, CLIENT])
def test_an_order_is_found_by_both_names(name: str) -> None:
    """On orders, trades and results, and in commands; a place by the clientOrderId that the bridge makes for it."""
    both = {"order", "order.recovered", "trade", "result.accepted", "result.rejected"}
    commands = {"cancel-order"} if name == ORDER else {"place-order", "replace-order"}
    assert passed(RecordFilter(order=name)) == both | commands


def test_a_command_is_found_by_its_id() -> None:
    """Its record and its results."""
    assert passed(RecordFilter(command="c-8")) == {"result.unknown", "result.not_found"}
    assert passed(RecordFilter(command="c-2")) == {"replace-order", "result.rejected"}


def test_a_symbol_is_found_where_it_is_named() -> None:
    """Results and events of the session name none."""
    expected = {"place-order", "order", "order.recovered", "trade", "position", "liquidation"}
    assert passed(RecordFilter(symbol="BINANCE_PERP_BTC_USDT")) == expected


def test_several_filters_must_all_hold() -> None:
    """A trade names no command."""
    assert passed(RecordFilter(order=CLIENT, symbol="BINANCE_PERP_BTC_USDT", command="c-2")) == set()
    assert "trade" in passed(RecordFilter(order=ORDER, symbol="BINANCE_PERP_BTC_USDT"))


def test_a_name_that_is_written_with_escapes_is_found() -> None:
    """JSON may write any character as an escape, and a part of a name is not the name."""
    value = json.dumps({"commandId": "c-8", "commandOffset": 1, "outcome": "denied", "answeredAt": 1})
    escaped = value.replace("c-8", "\\u0063-8").encode()
    assert RecordFilter(command="c-8").select(seen(Stream.RESULTS, escaped))[0]
    assert not RecordFilter(command="c-").select(seen(Stream.RESULTS, value.encode()))[0]


@pytest.mark.parametrize("value", [b'{"commandId":"c-8","args":[]}', b"\xff", None])
def test_bad_commands_and_dead_letters_are_found(value: bytes | None) -> None:
    """By what can be read of them: the commandId of a command that is none, the key of a dead letter."""
    wanted = RecordFilter(command="c-8")
    assert wanted.select(seen(Stream.COMMANDS, value))[0] == (value is not None and value.startswith(b"{"))
    assert wanted.select(seen(Stream.DEAD_LETTERS, value, key=b"c-8"))[0]

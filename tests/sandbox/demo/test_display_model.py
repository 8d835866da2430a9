"""What the demo displays: rates, budgets and the commands of other callers."""

import json
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from bridge.contract.headers import ERROR_OFFSET
from bridge.contract.topics import Stream
from bridge.sandbox.demo.check import PushLatencies
from bridge.sandbox.demo.daemon import UsedBudget
from bridge.sandbox.demo.desk import TradingDesk
from bridge.sandbox.demo.display_model import DisplayModel, RateMeter, describe_budgets
from bridge.sandbox.demo.orders import CommandMix
from bridge.sandbox.demo.readers import TopicRecords
from bridge.sandbox.demo.running_check import RunningCheck
from bridge.sandbox.venue.clock import ManualClock
from bridge.sandbox.venue.ledger import Ledger
from tests.support.demo_records import PORTFOLIO, RUNNING, read_record


@pytest.fixture
async def display() -> AsyncIterator[DisplayModel]:
    """Return the display of a run whose desk has sent nothing."""
    topic_records, ledger, producer = TopicRecords(), Ledger(ManualClock()), AIOKafkaProducer()
    desk = TradingDesk(producer, "commands", CommandMix({}, 1), topic_records)
    check = RunningCheck(ledger, PORTFOLIO, topic_records)
    yield DisplayModel(topic_records, desk, PushLatencies(ledger, PORTFOLIO), check, RUNNING)
    await producer.stop()


def test_a_rate_is_that_of_the_last_seconds() -> None:
    """Counts of more than 5 s ago do not matter."""
    meter = RateMeter()
    begin_s = 1e9
    assert [round(meter.measure(count, begin_s + at_s)) for at_s, count in ((0, 0), (2, 20), (7, 70), (12, 80))] == [
        0,
        10,
        10,
        2,
    ]


async def test_budgets_are_shown_with_the_fullest(display: DisplayModel) -> None:
    """Places come first; the fullest budget is the one with the largest share."""
    assert describe_budgets(display.fullest_budget) == "-"
    display.set_budgets([UsedBudget("cancel_order", 5, 100), UsedBudget("place_order", 2, 10)])
    assert describe_budgets(display.budgets) == "place 2/10, cancel 5/100"
    assert describe_budgets(display.fullest_budget) == "place 2/10"


async def test_a_command_of_another_caller_is_shown_with_its_answer(display: DisplayModel) -> None:
    """It is told apart from the desk's, and its latency is the broker's."""
    args = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderQty": "1"}
    command = json.dumps({"commandId": "mine", "action": "place_order", "args": args}).encode()
    result = json.dumps({"commandId": "mine", "commandOffset": 4, "outcome": "accepted", "orderId": "9"}).encode()
    display.topic_records.add([read_record(Stream.COMMANDS, "", command, 4, timestamp_ms=1000)])
    display.topic_records.add([read_record(Stream.RESULTS, "mine", result, 1, timestamp_ms=1012)])
    ((_, shown),) = display.commands
    assert (shown.draft.action, shown.draft.text) == ("place_order", "(other) BUY 1 BINANCE_PERP_BTC_USDT")
    assert (shown.outcome, shown.comment, round(shown.latency_ms)) == ("accepted", "9", 12)
    assert display.measure().other_commands == 1
    assert display.desk.outcomes == {}


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\xff",
        b'{"commandId":"\xff"}',
        b"[" * 50_000,
        b"null",
        b'{"commandId":[]}',
        b'{"action":["\\u001b[2J"],"args":3}',
        b'{"commandId":7}',
    ],
)
async def test_junk_of_another_caller_is_shown_escaped(display: DisplayModel, junk: bytes) -> None:
    """Nothing on the topic of commands ends the demo or reaches the terminal as it is."""
    display.topic_records.add([read_record(Stream.COMMANDS, "", junk, 4)])
    letter = read_record(Stream.DEAD_LETTERS, "", junk)
    letter.headers[ERROR_OFFSET] = b"4"
    display.topic_records.add([letter])
    ((_, shown),) = display.commands
    assert (shown.draft.action + shown.draft.text).isprintable()

"""The example in Python, run as its readers run it, and held to what the topics hold."""

import asyncio
import json
import os
import sys
import time
import uuid
from asyncio.subprocess import PIPE, STDOUT
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiokafka import AIOKafkaProducer
from rig import PLACE, Rig, Topic, command

from bridge.contract.topics import Stream

from .planted import FIGURES, figures, planted

_DESK = Path(__file__).parents[2] / "examples" / "python" / "desk.py"
_MARKET = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}
_DEADLINE_S = 60.0


async def desk(bootstrap: str, prefix: str, **more: str) -> tuple[int | None, str]:
    """Run the example to its end; return its exit code and what it told."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "LTP_PREFIX": prefix,
        "LTP_SECONDS": "2",
        "LTP_ANSWER_SECONDS": "30",
        **more,
    }
    process = await asyncio.create_subprocess_exec(sys.executable, _DESK, env=environment, stdout=PIPE, stderr=STDOUT)
    async with asyncio.timeout(_DEADLINE_S):
        told, _ = await process.communicate()
    return process.returncode, told.decode()


def counted(topic: Topic) -> str:
    """Say how many records a topic holds, in the example's words, where nothing is missing or void."""
    return f"records {len(topic.records)}  holes 0  gone 0  void 0"


def live(orders: Topic) -> int:
    """Count the orders whose last record has them open."""
    last: dict[bytes, Any] = {record.key: json.loads(record.value) for record in orders.records}
    return sum(order["orderState"] in {"NEW", "OPEN", "PARTIALLY_FILLED"} for order in last.values())


def bought(trades: Topic) -> Decimal:
    """Add up what was executed, each execution once."""
    unique = {dict(record.headers)["ce_id"]: json.loads(record.value) for record in trades.records}
    sums = {side: sum(Decimal(t["quantity"]) for t in unique.values() if t["side"] == side) for side in ("BUY", "SELL")}
    return Decimal(sums["BUY"] - sums["SELL"])


async def trade(rig: Rig, results: Topic, *args: dict[str, str]) -> None:
    """Place orders, and wait for their answers."""
    places = [command("place_order", one) for one in args]
    await rig.send(*places)
    for place in places:
        await results.result(place)


async def test_what_it_tells_is_what_the_topics_hold(rig: Rig) -> None:
    """Records, live orders and the sum of all trades of two terms are as counted here; its order is gone again."""
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        await trade(rig, results, PLACE, _MARKET, _MARKET, PLACE)
    async with rig.daemon():
        await trade(rig, results, PLACE, {**_MARKET, "side": "SELL"})
        code, told = await desk(rig.bootstrap, rig.prefix, LTP_SECONDS="5")
        orders, trades = await rig.topic(Stream.ORDERS), await rig.topic(Stream.TRADES)
        assert (0, 3) == (code, live_at_the_end(told)), told
        await orders.until(lambda _: f"{counted(orders)}  live {live(orders)}" in told)
        await trades.until(
            lambda _: f"{counted(trades)}  duplicates 0  net {_MARKET['sym']} {bought(trades):f}\n" in told
        )
        await results.until(lambda _: f"results  {counted(results)}\n" in told)
    cancelled = [v for v in results.values if v.get("action") == "cancel_order"]
    assert [f"cancel_order  {one['outcome']} in" in told for one in cancelled] == [True]


def live_at_the_end(told: str) -> int:
    """Return how many orders it found live."""
    return int(told.partition("  live ")[2].partition("\n")[0])


class Told:
    """What the example made of the planted log."""

    def __init__(self, code: int | None, text: str, prefix: str) -> None:
        self.code = code
        self.figures = figures(text, prefix).splitlines()

    def of(self, *words: str) -> list[str]:
        """Return the lines that begin with one of these words."""
        return [line for line in self.figures if line.startswith(words)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(bootstrap: str) -> Told:
    """Return what the example made of the planted log."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    async with planted(bootstrap, prefix):
        return Told(*await desk(bootstrap, prefix), prefix)


async def test_lost_records_are_told_one_by_one_and_end_it_with_1(told: Told) -> None:
    """What the absent offsets do not account for is a hole; what they may account for is not."""
    assert told.code == 1
    holes = [line for line in FIGURES.splitlines() if line.startswith(("HOLE", "BROKEN"))]
    assert holes == told.of("HOLE", "BROKEN")


async def test_a_trade_counts_once(told: Told) -> None:
    """A repeated ce_id adds nothing, an earlier owner's late trade does, and no digit is lost."""
    expected = [line for line in FIGURES.splitlines() if line.startswith("ltp.main.trades")]
    assert expected == told.of("ltp.main.trades")


async def test_the_last_record_of_an_order_that_is_not_void_counts(told: Told) -> None:
    """Ended, removed and void ones leave four live orders."""
    expected = [line for line in FIGURES.splitlines() if line.startswith("ltp.main.orders")]
    assert expected == told.of("ltp.main.orders")


async def test_an_answer_is_the_last_word_of_the_present_owner(told: Told) -> None:
    """Void results before and after it, `unknown`, other commandIds and other types are passed over."""
    expected = [line for line in FIGURES.splitlines() if "accepted" in line]
    assert expected == told.of("place_order", "cancel_order")


async def test_without_an_answer_it_says_so_in_time(bootstrap: str) -> None:
    """It ends at its deadline with the commandId, what to do, and what it has seen."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    async with planted(bootstrap, prefix, answered=False):
        begun_s = time.monotonic()
        code, text = await desk(bootstrap, prefix, LTP_ANSWER_SECONDS="1")
    assert (1, True) == (code, time.monotonic() - begun_s < 20)
    assert "BROKEN  no last word on place_order " in text
    assert "under the same commandId" in text
    assert f"{prefix}.main.orders  records 11  " in text


async def test_a_record_that_nobody_can_read_is_named(bootstrap: str) -> None:
    """Rather than guess, it stops at the offset."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    async with planted(bootstrap, prefix), AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        written = await producer.send_and_wait(f"{prefix}.main.trades", b"{}", headers=[("ce_epoch", b"three")])
        code, text = await desk(bootstrap, prefix)
    assert code == 1
    assert f"BROKEN  {prefix}.main.trades offset {written.offset} cannot be read: ValueError(" in text


async def test_without_a_broker_it_says_so() -> None:
    """A closed port ends it at once, in words."""
    code, text = await desk("127.0.0.1:1", "ltp")
    assert code == 1
    assert "BROKEN  KafkaConnectionError" in text


async def test_a_tool_that_is_missing_is_named(tmp_path: Path) -> None:
    """`make examples` says which command it lacks and what to install, and fails."""
    root = Path(__file__).parents[2]
    environment = {"PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests" / "support")])}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.examples.run", "java", "go"), cwd=root, env=environment, stdout=PIPE
    )
    told, _ = await process.communicate()
    assert process.returncode == 1
    assert "java FAILED: `java` is not on PATH; install a JDK, 17 or later" in told.decode()
    assert "go FAILED: `go` is not on PATH; install Go, 1.26 or later" in told.decode()

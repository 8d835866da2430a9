"""The example in Python, run as its readers run it, and held to what the topics hold."""

import asyncio
import json
import os
import sys
import uuid
from asyncio.subprocess import PIPE, STDOUT
from decimal import Decimal
from pathlib import Path
from typing import Any

from bridge.contract.topics import Stream
from tests.examples.planted import FIGURES, figures, planted
from tests.support.rig import PLACE, Rig, Topic, command
from tests.witness.child_process import start_module

_DESK = Path(__file__).parents[2] / "examples" / "python" / "desk.py"
_MARKET = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}
_DEADLINE_S = 60.0


async def desk(bootstrap: str, prefix: str, watch_s: int = 2) -> tuple[int | None, str]:
    """Run the example to its end; return its exit code and what it told."""
    given = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "LTP_PREFIX": prefix, "LTP_SECONDS": str(watch_s)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, _DESK), env={**os.environ, **given}, stdout=PIPE, stderr=STDOUT
    )
    async with asyncio.timeout(_DEADLINE_S):
        told, _ = await process.communicate()
    return process.returncode, told.decode()


def counted(topic: Topic) -> str:
    """Say how many records a topic holds, in the example's words, where nothing is missing or void."""
    return f"records {len(topic.records)}  lost 0  gone 0  void 0\n"


def summed(orders: Topic, trades: Topic) -> str:
    """Say what is live and what was bought, each execution once, in the example's words."""
    last: dict[bytes, Any] = {record.key: json.loads(record.value) for record in orders.records}
    live = sum(order["orderState"] in {"NEW", "OPEN", "PARTIALLY_FILLED"} for order in last.values())
    unique = {dict(record.headers)["ce_id"]: json.loads(record.value) for record in trades.records}
    signed = [Decimal(t["quantity"]) * (1 if t["side"] == "BUY" else -1) for t in unique.values()]
    return f"live orders {live}  {_MARKET['sym']} trades {len(signed)}  bought {sum(signed, Decimal()).normalize():f}\n"


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
        code, told = await desk(rig.bootstrap, rig.prefix, watch_s=5)
        orders, trades = await rig.topic(Stream.ORDERS), await rig.topic(Stream.TRADES)
        await orders.until(lambda _: f"{rig.prefix}.main.orders  {counted(orders)}" in told)
        await trades.until(lambda _: f"{rig.prefix}.main.trades  {counted(trades)}" in told)
        await results.until(lambda _: f"{rig.prefix}.main.results  {counted(results)}" in told)
    assert code == 0
    assert "place_order  accepted\ncancel_order  accepted\n" in told
    assert "live orders 3  " in told
    assert summed(orders, trades) in told


async def test_it_finds_in_the_planted_log_what_is_in_it(bootstrap: str) -> None:
    """What is lost, void, told again or no last word is seen for what it is."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    async with planted(bootstrap, prefix):
        code, told = await desk(bootstrap, prefix)
    assert (1, FIGURES) == (code, figures(told, prefix))


async def test_without_an_answer_it_says_what_to_do(bootstrap: str) -> None:
    """It ends at its deadline with the command to send again."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    async with planted(bootstrap, prefix, answered=False):
        code, told = await desk(bootstrap, prefix)
    assert code == 1
    assert "BROKEN  no result within 15 s: send the SAME command again: {" in told


async def test_without_a_broker_it_says_so() -> None:
    """A closed port ends it at once, in words."""
    code, told = await desk("127.0.0.1:1", "ltp")
    assert code == 1
    assert "BROKEN  KafkaConnectionError: Unable to bootstrap from" in told


async def test_without_the_topics_it_says_so(bootstrap: str) -> None:
    """A wrong prefix ends it at once, in words."""
    code, told = await desk(bootstrap, "nobody")
    assert code == 1
    assert "BROKEN  no topic nobody.main.orders nor " in told


async def test_a_tool_that_is_missing_is_named(tmp_path: Path) -> None:
    """`make examples` says which command it lacks and what to install, and fails."""
    process = await start_module("tests.examples.run", "java", "go", env={"PATH": str(tmp_path)})
    told, _ = await process.communicate()
    assert process.returncode == 1
    assert "java FAILED: `java` is not on PATH; install a JDK, 17 or later" in told.decode()
    assert "go FAILED: `go` is not on PATH; install Go, 1.26 or later" in told.decode()

"""The demo, and the sandbox with a broker, as processes: their output, and that they leave nothing behind."""

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from bridge.client import Client
from tests.support.demo_run import DemoRun, start_run
from tests.witness.waiting import until

_DEADLINE_S = 60.0


async def test_everything_arrives_once_and_nothing_stays(tmp_path: Path) -> None:
    """A short run on its own broker loses and repeats nothing, answers every command, and leaves nothing behind."""
    async with start_run(tmp_path, "--seconds", "4", "--json") as run:
        code, made = await run.result()
        assert (0, []) == (code, made["wrong"])
        counts = {name: made[name] for name in ("lost", "in_gaps", "duplicated", "sequence_breaks", "gaps", "logins")}
        assert {**dict.fromkeys(counts, 0), "logins": 1} == counts
        outcomes = {name: count for name, count in made["commands"].items() if name != "sent"}
        assert made["commands"]["sent"] == sum(outcomes.values()) == made["topics"]["commands"]
        assert not {"unanswered", "unknown"} & outcomes.keys()
        assert all(made["topics"][stream] for stream in ("orders", "trades", "assets", "positions", "margin-calls"))
        assert all(0 < street["median"] <= street["p99"] for street in made["latency_ms"].values())
        await until(lambda: not run.remains())


async def test_after_each_cut_the_daemon_is_back(tmp_path: Path, bootstrap: str) -> None:
    """Each cut has its gap, logins are at least a second apart, and a given broker keeps no topic."""
    async with start_run(tmp_path, "--seconds", "5", "--cuts", "2", "--json", bootstrap=bootstrap) as run:
        code, made = await run.result()
    assert (0, []) == (code, made["wrong"])
    assert {"cuts": 2, "gaps": 2, "logins": 3, "lost": 0} == {
        name: made[name] for name in ("cuts", "gaps", "logins", "lost")
    }
    assert made["min_login_gap_s"] >= 1
    back = re.compile(r"cut [12] of 2: login back after (\d+\.\d\d) s, places after (\d+\.\d\d) s, gap \d+-\d+$")
    told = [match for line in run.lines if (match := back.search(line))]
    assert len(told) == 2
    assert all(0 <= float(match[1]) <= float(match[2]) for match in told)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        assert [topic for topic in await admin.list_topics() if topic.startswith("ltp-demo-")] == []
    finally:
        await admin.close()


async def test_a_killed_demo_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL of the demo ends the daemon and the broker, and their folders are removed."""
    async with start_run(tmp_path, "--json") as run:
        await until(lambda: run.runs("bridge run"))
        run.process.send_signal(signal.SIGKILL)
        await until(lambda: not run.remains())


ENVIRONMENT = ("--broker", "--json", "--ws-port", "0", "--rest-port", "0", "--management-port", "0")


async def _read_announcement(run: DemoRun) -> dict[str, Any]:
    assert run.process.stdout is not None
    async with asyncio.timeout(_DEADLINE_S):
        announcement: dict[str, Any] = json.loads(await run.process.stdout.readline())
    return announcement


async def test_an_environment_without_a_desk_has_only_its_callers_orders(tmp_path: Path, bootstrap: str) -> None:
    """Each account is ready and answers; its topics have only the test's order; and the broker keeps no topic."""
    async with start_run(
        tmp_path, *ENVIRONMENT, "--account", "one", "--account", "two", bootstrap=bootstrap, name="sandbox"
    ) as run:
        announcement = await _read_announcement(run)
        assert (announcement["bootstrap_servers"], announcement["topic_prefix"]) == (bootstrap, "ltp-sandbox")
        async with aiohttp.ClientSession() as http:
            async with http.get(announcement["ready_url"]) as answer:
                assert sorted((await answer.json())["accounts"]) == ["one", "two"]
            async with http.get(announcement["page_url"]) as page:
                assert (200, "text/html") == (page.status, page.content_type)
        async with Client(bootstrap, prefix="ltp-sandbox", account="two") as client:
            placed = await client.place(
                sym="BINANCE_PERP_BTC_USDT",
                side="BUY",
                order_type="LIMIT",
                order_qty="0.003",
                limit_price="20000",
                timeout_s=_DEADLINE_S,
            )
            assert placed.outcome == "accepted"
        topics = [TopicPartition(f"ltp-sandbox.{name}.orders", 0) for name in ("one", "two")]
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        consumer.assign(topics)
        ends = await consumer.end_offsets(topics)
        assert ends[topics[0]] == 0
        assert json.loads((await consumer.getone(topics[1])).value)["orderId"] == placed.order_id
        await consumer.stop()
        run.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(run.process.wait(), _DEADLINE_S) == 0
        await until(lambda: not run.remains())
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        assert [topic for topic in await admin.list_topics() if topic.startswith("ltp-sandbox")] == []
    finally:
        await admin.close()


async def test_an_interrupted_start_leaves_nothing(tmp_path: Path, bootstrap: str) -> None:
    """A signal during the start ends the environment and leaves nothing behind."""
    async with start_run(tmp_path, *ENVIRONMENT, bootstrap=bootstrap, name="sandbox") as run:
        await until(lambda: run.runs("bridge run"))
        run.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(run.process.wait(), _DEADLINE_S) == 130
        await until(lambda: not run.remains())


@pytest.mark.parametrize("words", ["kafka.Kafka", "bridge run"])
async def test_an_interrupted_start_of_the_demo_leaves_nothing(words: str, tmp_path: Path) -> None:
    """Ctrl-C while a part starts ends the demo at once, with a sentence and no traceback."""
    async with start_run(tmp_path) as run:
        await until(lambda: run.runs(words))
        run.process.send_signal(signal.SIGINT)
        lines = await run.read_lines("broken off; everything is taken down")
        assert await asyncio.wait_for(run.process.wait(), _DEADLINE_S) == 130
        await until(lambda: not run.remains())
    assert not any("Traceback" in line for line in lines)

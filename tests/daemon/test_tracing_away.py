"""A collector that is away, hangs or refuses: commands are answered as ever, and the daemon stops in time."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.contract.topics import Stream
from tests.support.collector import Collector
from tests.support.rig import PLACE, Rig, command
from tests.witness.waiting import until

STOP_S = 20.0


@pytest_asyncio.fixture(loop_scope="session")
async def collector() -> AsyncIterator[Collector]:
    """Return a collector, which takes everything as long as it is not told otherwise."""
    async with Collector() as listening:
        yield listening


@pytest.fixture(autouse=True)
def _exported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let spans be exported while the daemon still runs: after a moment, not after seconds."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")


async def _trades(rig: Rig, endpoint: str) -> float:
    """Have two commands answered, with spans on their way; return how long the stop took."""
    async with rig.daemon(rig.settings(tracing={"otlp_endpoint": endpoint})):
        results = await rig.topic(Stream.RESULTS)
        for place in (command("place_order", PLACE), command("place_order", PLACE)):
            await rig.send(place)
            assert (await results.result(place))["outcome"] == "accepted"
        stopping = time.monotonic()
    return time.monotonic() - stopping


async def test_a_collector_that_never_answers(rig: Rig, collector: Collector) -> None:
    """It has the spans and says nothing: a stop does not wait for it."""
    collector.hangs = True
    assert await _trades(rig, collector.url) < STOP_S
    assert collector.asked > 0


@pytest.mark.parametrize("status", [401, 500, 503])
async def test_a_collector_that_refuses(rig: Rig, collector: Collector, status: int) -> None:
    """For good, or for now."""
    collector.status = status
    assert await _trades(rig, collector.url) < STOP_S
    assert collector.asked > 0


async def test_a_collector_that_is_not_there(rig: Rig) -> None:
    """Nobody listens at its port."""
    async with Collector() as gone:
        url = gone.url
    assert await _trades(rig, url) < STOP_S


async def test_a_collector_that_comes_back(rig: Rig, collector: Collector) -> None:
    """What is answered afterwards is traced."""
    collector.status = 400
    async with rig.daemon(rig.settings(tracing={"otlp_endpoint": collector.url})):
        results = await rig.topic(Stream.RESULTS)
        lost, kept = command("place_order", PLACE), command("place_order", PLACE)
        await rig.send(lost)
        await until(lambda: collector.asked > 0)
        collector.status = 200
        await rig.send(kept)
        await results.result(kept)
    assert len(collector.of(kept)) == 1


async def test_a_process_ends_in_time_beside_a_collector_that_hangs(rig: Rig, collector: Collector) -> None:
    """SIGTERM ends it in good order: what still waits for the collector ends with it."""
    collector.hangs = True
    async with rig.daemon_process(unread=True, tracing={"otlp_endpoint": collector.url}) as process:
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        place = command("place_order", PLACE)
        await rig.send(place)
        await results.result(place)
        await until(lambda: collector.asked > 0)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), STOP_S) == 0
    await session.until(lambda values: values[-1]["type"] == "owner.released")

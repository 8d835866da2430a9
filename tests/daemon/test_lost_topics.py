"""Topics that are deleted while the daemon runs: made again, and what can be told again is."""

import asyncio
import json
from collections.abc import Callable

import aiohttp
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from bridge.config import Timing
from bridge.contract.topics import Stream, topic_name
from bridge.kafka import topic_watch
from bridge.sandbox.broker.cluster import find_free_ports
from tests.support import kafka_tool
from tests.support.rig import PLACE, Rig, Topic, command
from tests.witness.waiting import until

QUICK = Timing(session_timeout_s=3, heartbeat_s=0.3, rebalance_timeout_s=3, lease_s=1, commit_period_s=0.4)


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that a test is short."""
    monkeypatch.setattr(topic_watch, "_PERIOD_S", 0.2)
    monkeypatch.setattr(topic_watch, "_SOON_S", 0.1)


async def delete(rig: Rig, *streams: Stream) -> None:
    """Delete topics, as an operator does by mistake."""
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.bootstrap)
    try:
        await admin.start()
        await admin.delete_topics([topic_name(rig.prefix, "main", stream) for stream in streams])
    finally:
        await admin.close()


def told(kind: str, **fields: str) -> Callable[[list[dict[str, str]]], bool]:
    """Say what is waited for on `session`."""
    return lambda values: any(one["type"] == kind and fields.items() <= one.items() for one in values)


async def session_of(rig: Rig, topic: str) -> Topic:
    """Wait until a loss has been told, and return `session` as who begins to read now finds it."""
    session = await rig.topic(Stream.SESSION)
    await session.until(
        told("alarm.cleared", alarm="topic_lost", subject=topic_name(rig.prefix, "main", Stream(topic)))
    )
    return session


async def test_topics_that_are_deleted_are_made_again_and_told_again(rig: Rig) -> None:
    """The live order is on the new `orders`, `session` says who owns the account and what was lost, trading goes on."""
    async with rig.daemon(rig.settings(timing=QUICK)):
        results, orders = await rig.topic(Stream.RESULTS), await rig.topic(Stream.ORDERS)
        place = command("place_order", PLACE)
        await rig.send(place)
        order_id = (await results.result(place))["orderId"]
        await orders.until(lambda values: any(one["orderId"] == order_id for one in values))
        await (await rig.topic(Stream.SESSION)).until(told("recovery.complete"))
        await delete(rig, Stream.ORDERS, Stream.SESSION, Stream.RESULTS, Stream.TRADES)
        await until(lambda: bool(rig.venue.connections))
        for stream in (Stream.ORDERS, Stream.SESSION, Stream.RESULTS, Stream.TRADES):
            session = await session_of(rig, stream.value)
        await session.until(told("owner.acquired"))
        await session.until(told("session.opened"))
        again = await rig.topic(Stream.ORDERS)
        await again.until(lambda values: any(one["orderId"] == order_id for one in values))
        results = await rig.topic(Stream.RESULTS)
        await results.until(lambda values: any(one.get("epoch") == 1 for one in values))
        more = command("place_order", PLACE)
        await rig.send(more)
        assert (await results.result(more))["outcome"] == "accepted"
    async with rig.daemon(rig.settings(timing=QUICK)):
        last = command("place_order", PLACE)
        await rig.send(last)
        assert (await results.result(last))["outcome"] == "accepted"
    assert len(rig.written("place_order")) == 3


async def test_commands_that_are_deleted_are_made_again_and_the_next_are_carried_out(rig: Rig) -> None:
    """The term ends, because its offsets name other commands now; the next one says what was lost."""
    async with rig.daemon(rig.settings(timing=QUICK)):
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        first = command("place_order", PLACE)
        await rig.send(first)
        await results.result(first)
        await delete(rig, Stream.COMMANDS)
        await results.until(lambda values: any(one.get("epoch", 0) > 1 for one in values))
        second = command("place_order", PLACE)
        await rig.send(second)
        assert (await results.result(second))["outcome"] == "accepted"
        name = topic_name(rig.prefix, "main", Stream.COMMANDS)
        await session.until(told("alarm.cleared", alarm="topic_lost", subject=name))
    assert len(rig.written("place_order")) == 2


@pytest.mark.parametrize("stream", [Stream.COMMANDS, Stream.SESSION])
async def test_without_the_right_to_make_topics_the_command_is_said_and_then_all_goes_on(
    rig: Rig, stream: Stream
) -> None:
    """Not even the account is held for ever: `/readyz` has the command, and when it has been run, trading goes on."""
    (port,) = find_free_ports(1)
    told_by: list[str] = []

    async def missing() -> list[str]:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/readyz") as answer:
            lacking = json.loads(await answer.read())["accounts"]["main"]["missing"]
        return [one["detail"] for one in lacking if one["what"] == "topics"]

    async with rig.daemon(rig.settings(timing=QUICK)):
        results = await rig.topic(Stream.RESULTS)
        await results.until(bool)
    section = {**rig.kafka(rig.bootstrap), "create_topics": False}
    async with rig.daemon(rig.settings(kafka=section, timing=QUICK, management={"port": port})):
        await results.until(lambda values: len(values) == 2)
        await delete(rig, stream)
        async with asyncio.timeout(30):
            while not told_by:
                told_by += await missing()
        await kafka_tool.run_told_command(told_by[0], rig.bootstrap)
        place = command("place_order", PLACE)
        if stream is Stream.COMMANDS:  # what stands there before an owner has begun may have been sent by another
            await results.until(lambda values: any(one.get("epoch", 0) > 2 for one in values))
        await rig.send(place)
        assert (await results.result(place))["outcome"] == "accepted"
        async with asyncio.timeout(30):
            while await missing():  # noqa: ASYNC110 - another program's page has no event to wait for
                await asyncio.sleep(0.02)
        session = await rig.topic(Stream.SESSION)
        name = topic_name(rig.prefix, "main", stream)
        await session.until(told("alarm.cleared", alarm="topic_lost", subject=name))

"""Brokers go away: the client says what is certain and what is not, and trades again when they are back."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bridge.client import Client, NotAnswered, NotSent, Unreachable, cancel_orders, place_order
from bridge.contract.topics import Stream, topic_name
from bridge.sandbox.broker.launcher import Broker
from tests.support.proxy import PRODUCE, KafkaProxy
from tests.witness.topic_log import read_topic

COMMANDS = topic_name("ltp", "main", Stream.COMMANDS)


async def make_topics(bootstrap: str) -> None:
    """Make the topics that a client needs."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    streams = (Stream.COMMANDS, Stream.RESULTS, Stream.DEAD_LETTERS)
    await admin.create_topics([NewTopic(topic_name("ltp", "main", stream), 1, 1) for stream in streams])
    await admin.close()


async def commands_on(bootstrap: str) -> list[str]:
    """Return the commandIds on the topic, in order."""
    return [record.name for record in await read_topic(bootstrap, COMMANDS)]


async def test_without_a_broker_the_client_does_not_start() -> None:
    """Without a broker at the address the start raises an error at once and leaves no task."""
    before = asyncio.all_tasks()
    with pytest.raises(Unreachable, match="cannot be written to"):
        await Client("127.0.0.1:1").__aenter__()
    assert asyncio.all_tasks() <= before


async def test_not_sent_and_not_answered_are_told_apart(own_broker: Broker) -> None:
    """A frozen broker confirms nothing, a dead one accepts nothing; later each command is there at most once."""
    await make_topics(own_broker.bootstrap_servers)
    before = asyncio.all_tasks()
    async with Client(own_broker.bootstrap_servers, append_timeout_s=2) as client:
        first = await client.submit(cancel_orders("ALL"))
        await own_broker.pause()
        frozen = cancel_orders("ALL")
        together = await asyncio.gather(
            client.submit(frozen), client.submit(cancel_orders("OKX")), return_exceptions=True
        )
        assert [type(error) for error in together] == [NotAnswered] * 2
        with pytest.raises(NotAnswered, match=r"after 0\.5 s.*not confirmed"):
            await client.cancel_all("ALL", timeout_s=0.5)
        await own_broker.kill()
        with pytest.raises(NotSent):
            await client.cancel_all("ALL")
        await own_broker.restart()
        again = await client.submit(frozen)
        written = await commands_on(own_broker.bootstrap_servers)
        assert written[again.offset] == frozen.command_id
        assert not first.over
    assert asyncio.all_tasks() <= before


async def test_a_close_does_not_wait_for_a_dead_broker(own_broker: Broker) -> None:
    """With a dead broker the client closes within seconds; what it was about to send is certainly not sent."""
    await make_topics(own_broker.bootstrap_servers)
    before = asyncio.all_tasks()
    async with asyncio.timeout(30):
        async with Client(own_broker.bootstrap_servers, append_timeout_s=2) as client:
            one = await client.submit(cancel_orders("ALL"))
            await own_broker.pause()
            with pytest.raises(NotAnswered):
                await client.submit(cancel_orders("ALL"))
            await own_broker.kill()
            underway = [asyncio.create_task(client.submit(cancel_orders("ALL"))) for _ in range(2)]
            await asyncio.sleep(0)
        ended = await asyncio.gather(*underway, return_exceptions=True)
    assert [type(error) for error in ended] == [NotSent] * 2
    with pytest.raises(NotAnswered, match="the client was closed"):
        await one.result()
    assert asyncio.all_tasks() <= before


async def test_the_broker_refuses_a_place_that_the_network_delivers_late(own_broker: Broker) -> None:
    """An unconfirmed place arrives behind the cancel_orders that the caller sent to be safe: the broker refuses it."""
    await make_topics(own_broker.bootstrap_servers)
    async with KafkaProxy(own_broker.bootstrap_servers) as proxy, Client(proxy.bootstrap, append_timeout_s=1) as client:
        proxy.hold_next(lambda kind, _: kind == PRODUCE)
        with pytest.raises(NotAnswered):
            await client.submit(
                place_order(sym="BINANCE_PERP_BTC_USDT", side="BUY", order_type="MARKET", order_qty="1")
            )
        made_sure = await client.submit(cancel_orders("ALL"))
        proxy.release()
        async with asyncio.timeout(10):
            while proxy.late == 0:  # noqa: ASYNC110 - a proxy has no event for it
                await asyncio.sleep(0.01)
        assert proxy.late_and_reset == 1
        assert await commands_on(own_broker.bootstrap_servers) == [made_sure.command_id]

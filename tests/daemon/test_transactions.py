"""Callers that write in Kafka transactions: nothing of theirs is carried out, and nobody waits for them."""

import json

from aiokafka import AIOKafkaProducer

from bridge.contract.topics import Stream, topic_name
from tests.support.rig import PLACE, Rig, command


async def test_what_a_transaction_writes_is_denied_before_it_ends(rig: Rig) -> None:
    """Aborted or open, no place of it goes live; a command beside an open transaction is answered at once."""
    aborted, opened = command("place_order", PLACE), command("place_order", PLACE)
    cancel = command("cancel_orders", {"exchangeType": "ALL"})
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        topic = topic_name(rig.prefix, "main", Stream.COMMANDS)
        producer = AIOKafkaProducer(bootstrap_servers=rig.bootstrap, transactional_id=rig.prefix)
        await producer.start()
        try:
            for one in (aborted, opened):
                await producer.begin_transaction()
                await producer.send_and_wait(topic, json.dumps(one).encode(), key=b"k")
                said = await results.result(one)
                assert (said["outcome"], said["reason"]) == ("denied", "transactional")
                if one is aborted:
                    await producer.abort_transaction()
            await rig.send(cancel)
            assert (await results.result(cancel))["outcome"] == "accepted"
            await producer.commit_transaction()
        finally:
            await producer.stop()
    assert rig.written("place_order") == []

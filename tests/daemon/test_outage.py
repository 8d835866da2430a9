"""Kafka goes away and comes back: nothing that was received is lost, and the daemon trades again by itself."""

import asyncio
import signal
from pathlib import Path

from bridge.contract.topics import Stream
from bridge.sandbox.broker.launcher import Broker
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.rig import FIRST_SESSION, PLACE, Rig, command


async def test_a_broker_that_is_killed_and_restarted(own_broker: Broker, tmp_path: Path) -> None:
    """Trades pushed while the broker is gone are on the topic once when it is back, and commands are answered.

    Although it is gone for longer than a group's session lasts, the venue's session stays open: nothing is missed.
    """
    async with Venue(VenueSettings()) as venue, Rig(own_broker.bootstrap_servers, venue, tmp_path) as rig, rig.daemon():
        results, trades = await rig.topic(Stream.RESULTS), await rig.topic(Stream.TRADES)
        session = await rig.topic(Stream.SESSION)
        before = command("place_order", PLACE)
        await rig.send(before)
        assert (await results.result(before))["outcome"] == "accepted"
        await own_broker.kill()
        market = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}
        for _ in range(5):
            venue.inject.foreign_action("main", "place_order", market)
            await asyncio.sleep(1.5)  # how long the broker is gone, not a wait for something
        made = venue.ledger.trades(venue.keys["main"].portfolio_id)
        await own_broker.restart()
        await trades.until(lambda values: len(values) >= len(made), 60)
        after = command("place_order", PLACE)
        await rig.send(after)
        assert (await results.result(after, 60))["outcome"] == "accepted"
        assert [v["type"] for v in session.values] == FIRST_SESSION
    published = {dict(record.headers)["ce_id"]: record.value for record in trades.records}
    assert made
    assert sorted(published.values()) == sorted(event.payload for event in made)


async def test_a_stop_is_heeded_while_there_is_no_kafka(tmp_path: Path) -> None:
    """A daemon that waits for its first broker ends at once when it is told to."""
    async with Venue(VenueSettings()) as venue:
        rig = Rig("127.0.0.1:1", venue, tmp_path)
        async with rig.daemon_process() as process:
            assert process.stdout is not None
            while b"bridge.started" not in await process.stdout.readline():
                pass
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                assert await process.wait() == 0

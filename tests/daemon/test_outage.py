"""Kafka goes away and comes back: nothing that was received is lost, and the daemon trades again by itself."""

from pathlib import Path

from rig import PLACE, Rig, command

from bridge.contract.topics import Stream
from bridge.sandbox.broker import Broker
from bridge.sandbox.settings import VenueSettings
from bridge.sandbox.venue import Venue


async def test_a_broker_that_is_killed_and_restarted(own_broker: Broker, tmp_path: Path) -> None:
    """Trades pushed while the broker is gone are on the topic once when it is back, and commands are answered."""
    async with Venue(VenueSettings()) as venue, Rig(own_broker.bootstrap_servers, venue, tmp_path) as rig, rig.daemon():
        results, trades = await rig.topic(Stream.RESULTS), await rig.topic(Stream.TRADES)
        before = command("place_order", PLACE)
        await rig.send(before)
        assert (await results.result(before))["outcome"] == "accepted"
        await own_broker.kill()
        market = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}
        for _ in range(5):
            venue.inject.foreign_action("main", "place_order", market)
        made = venue.ledger.trades(venue.keys["main"].portfolio_id)
        await own_broker.restart()
        await trades.until(lambda values: len(values) >= len(made), 60)
        after = command("place_order", PLACE)
        await rig.send(after)
        assert (await results.result(after, 60))["outcome"] == "accepted"
    published = {dict(record.headers)["ce_id"]: record.value for record in trades.records}
    assert made
    assert sorted(published.values()) == sorted(event.payload for event in made)

"""A symbol in another script, and of an exchange that no document names: the venue decides what there is."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat

from bridge.config import Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.instruments import CATALOGUE
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.rig import PLACE, Rig, command
from tests.witness.waiting import until

_QUICK = Timing(ack_timeout_s=1, late_landing_s=10, rest_lag_s=1, audit_period_s=2)
_STREAMS = (Stream.ORDERS, Stream.POSITIONS, Stream.TRADES)


@pytest.mark.parametrize("sym", ["BINANCE_PERP_币安人生_USDT"])
async def test_a_symbol_that_the_venue_lists_trades_like_any_other(bootstrap: str, tmp_path: Path, sym: str) -> None:
    """Placed, replaced, filled, asked for over REST after a cut, cancelled; keys and ids hold its letters."""
    likeness = next(one for one in CATALOGUE if one.sym == "BINANCE_PERP_ETH_USDT")
    listed = msgspec.structs.replace(likeness, sym=sym, start_price=Decimal("2600.00"))
    market = {"sym": sym, "side": "BUY", "orderType": "MARKET", "orderQty": "0.02"}
    async with Venue(VenueSettings(instruments=(*CATALOGUE, listed))) as venue, Rig(bootstrap, venue, tmp_path) as rig:
        async with rig.daemon(rig.settings(timing=_QUICK)):
            results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
            topics = {stream: await rig.topic(stream) for stream in _STREAMS}
            place = command("place_order", {**PLACE, "sym": sym, "limitPrice": "2000", "orderQty": "0.05"})
            buy, unknown = command("place_order", market), command("place_order", {**market, "sym": "NEW2_X_人_Y"})
            await rig.send(place, buy, unknown)
            order_id = (await results.result(place, 60))["orderId"]
            assert (await results.result(buy))["outcome"] == "accepted"
            assert [(await results.result(unknown))[name] for name in ("outcome", "code")] == ["rejected", 401011]
            await topics[Stream.POSITIONS].until(bool)
            venue.cut_connections()
            venue.inject.foreign_action("main", "place_order", {**market, "side": "SELL"})
            await session.until(lambda events: [e["type"] for e in events].count("gap.closed") >= 2, 60)
            cancel = command("cancel_order", {"orderId": order_id})
            await rig.send(cancel)
            assert (await results.result(cancel, 60))["outcome"] == "accepted"
            keys = topics[Stream.POSITIONS]
            await until(lambda: keys.records[-1].value is None or keys.values[-1]["positionQty"] == "0", 60)
        assert {(record.key or b"").decode() for record in keys.records} == {f"{sym}:NONE"}
        for topic in topics.values():
            for record in topic.records:
                if record.value is not None:
                    event = from_kafka(KafkaMessage(dict(record.headers), record.key, record.value), JSONFormat())
                    data = event.get_data()
                    assert isinstance(data, dict)
                    assert data["sym"] == sym

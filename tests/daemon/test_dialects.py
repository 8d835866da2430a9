"""Daemons against the sandbox in each of its dialects: they say what is true, and see nothing wrong with the venue."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from bridge.config import Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.dialects import DIALECTS, Dialect
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.recovery.told import read_all, untrue
from tests.support.rig import PLACE, Rig, Topic, command
from tests.witness.waiting import until

SYM = PLACE["sym"]
TIMING = Timing(ack_timeout_s=1, late_landing_s=3, rest_lag_s=1, audit_period_s=0.5, reconnect_cap_s=1.2)
MARKET = {"sym": SYM, "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}
WRONG_SIDE = {**PLACE, "tpTriggerPrice": "10000", "tpPrice": "0"}
SCHEMAS = Path(__file__).parents[2] / "schemas"
SCHEMA_OF = {Stream.TRADES: "trade", Stream.ORDERS: "order", Stream.ASSETS: "asset", Stream.POSITIONS: "position"}
SETS: dict[str, Dialect] = {
    **DIALECTS,
    "tradingFee pushed": Dialect(trading_fee="pushed", rebate="order"),
    "tradingFee gone": Dialect(trading_fee="gone", rebate="order"),
}
AUDITS = 2
DEADLINE_S = 90


def _audits(rig: Rig) -> int:
    return len(rig.venue.ledger.requests_received("rest_executions", rig.venue.portfolio().portfolio_id))


async def _outcome(rig: Rig, results: Topic, action: str, args: dict[str, str]) -> dict[str, Any]:
    one = command(action, args)
    await rig.send(one)
    return await results.result(one)


def _fill(rig: Rig) -> None:
    """Fill what rests 50 below the market, in parts: as a maker, whose fees are rebates."""
    quotation = rig.venue.quotation(SYM)
    start = quotation.price
    for _ in range(50):
        quotation.move(start - 51)
        rig.venue.settle_prices()
    quotation.move(start)


def _count(values: list[Any], kind: str) -> int:
    return sum(value["type"] == kind for value in values)


async def _trade(rig: Rig, results: Topic, session: Topic) -> list[dict[str, Any]]:
    """Let orders live and end, and others trade while the link is cut; return the results, the refused one last."""
    near = {**PLACE, "orderQty": "0.05", "limitPrice": str(rig.venue.quotation(SYM).price - 50)}
    placed = await _outcome(rig, results, "place_order", PLACE)
    order = {"orderId": str(placed["orderId"])}
    said = [placed, await _outcome(rig, results, "replace_order", {**order, "replacePrice": "20100"})]
    said.append(await _outcome(rig, results, "place_order", near))
    _fill(rig)
    said.append(await _outcome(rig, results, "place_order", MARKET))
    said.append(await _outcome(rig, results, "cancel_order", order))
    refused = await _outcome(rig, results, "place_order", WRONG_SIDE)
    await rig.venue.close_tier("az4")
    rig.venue.inject.foreign_action("main", "place_order", near | {"clientOrderId": "theirs"})
    _fill(rig)
    rig.venue.inject.foreign_action("main", "place_order", MARKET)
    await rig.venue.open_tier("az4")
    await session.until(lambda values: _count(values, "gap.closed") == 2, DEADLINE_S)
    said.append(await _outcome(rig, results, "place_order", PLACE))
    said.append(await _outcome(rig, results, "cancel_orders", {"exchangeType": "ALL"}))
    return [*said, refused]


def _unlike_their_schema(topics: Mapping[Stream, Topic]) -> list[str]:
    """Return what is wrong with the values of these topics by the published schemas."""
    found = []
    for stream, name in SCHEMA_OF.items():
        validator = Draft202012Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")))
        values = [value for value in topics[stream].values if value is not None]
        assert values
        found += [f"{name}: {error.message}" for value in values for error in validator.iter_errors(value)]
    return found


async def _day(dialect: Dialect, bootstrap: str, folder: Path) -> list[object]:
    """Return what differs from what a day should be told as."""
    async with Venue(VenueSettings(dialect=dialect)) as venue, Rig(bootstrap, venue, folder) as rig:
        async with rig.daemon(rig.settings(timing=TIMING)):
            results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
            topics = await read_all(rig)
            *said, refused = await _trade(rig, results, session)
            begun = _audits(rig)
            await until(lambda: _audits(rig) >= begun + AUDITS, DEADLINE_S, "audits")
            await until(lambda: untrue(rig, topics) == [], DEADLINE_S, "what is told being true")
            unrecognized = await rig.topic(Stream.UNRECOGNIZED)
        wrong: list[object] = [one for one in said if one["outcome"] != "accepted"]
        wrong += [refused] * (refused["outcome"] != ("not_found" if dialect.action_failure == "older" else "rejected"))
        # Six daemons share one event loop here: on a slow machine some commands wait for more than a second.
        alarms = [one for one in session.values if one["type"] == "alarm.raised"]
        wrong += [one for one in alarms if one["alarm"] != "commands_behind"]
        causes = [one["cause"] for one in session.values if one["type"] == "gap.opened"]
        wrong += [causes] * (causes[:2] != ["first_start", "link_failed"] or set(causes[2:]) - {"stopped"} != set())
        return wrong + unrecognized.values + _unlike_their_schema(topics)


async def test_a_day_in_every_dialect(bootstrap: str, tmp_path: Path) -> None:
    """Orders live and end, REST gives back what a cut has cost, and is asked again and again: no word is wrong."""
    folders = [tmp_path / str(number) for number in range(len(SETS))]
    for folder in folders:
        folder.mkdir()
    days = [_day(dialect, bootstrap, folder) for dialect, folder in zip(SETS.values(), folders, strict=True)]
    assert dict(zip(SETS, await asyncio.gather(*days), strict=True)) == {name: [] for name in SETS}

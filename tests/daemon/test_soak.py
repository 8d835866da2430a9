"""Everything goes wrong at random, from a fixed seed; when it is quiet again, every answer is true."""

import random
from collections import Counter
from typing import Any

import pytest
import shapes
from rig import PLACE, Rig, Topic, command
from truth import lies

from bridge.config import Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import Kind

TIMING = Timing(ack_timeout_s=1, late_landing_s=5, reconnect_cap_s=1.2)
COMMANDS = 200
BATCH = 25
PLACES: tuple[dict[str, str], ...] = (
    PLACE,
    {**PLACE, "sym": "OKX_PERP_ETH_USDT", "orderQty": "1"},
    {**PLACE, "orderQty": "0.0000001"},
    {"sym": "BINANCE_PERP_BTC_USDT", "side": "SELL", "orderType": "MARKET", "orderQty": "0.01"},
)
FAULTS = (
    Fault(kind=FaultKind.DROP_ANSWER, share=0.08, times=None),
    Fault(kind=FaultKind.DELAY_ANSWER, share=0.08, times=None, delay_s=0.4),
    Fault(kind=FaultKind.DELAY_ANSWER, share=0.05, times=None, delay_s=1.6),
    Fault(kind=FaultKind.DUPLICATE_ANSWER, share=0.1, times=None),
    Fault(kind=FaultKind.PUSH_FIRST, share=0.15, times=None),
    Fault(kind=FaultKind.HOLD_REQUEST, share=0.03, times=None, delay_s=1.5),
    Fault(kind=FaultKind.MUTE_PUSH, share=0.15, times=None),
    Fault(kind=FaultKind.DELAY_PUSH, share=0.1, times=None, delay_s=0.5),
    Fault(kind=FaultKind.DUPLICATE_PUSH, share=0.1, times=None),
    Fault(kind=FaultKind.SWAP_PUSH, share=0.1, times=None),
    Fault(kind=FaultKind.REJECT_ORDER, share=0.05, times=None),
    Fault(kind=FaultKind.FAIL_CANCEL, share=0.1, times=None),
    Fault(kind=FaultKind.FAIL_AMEND, share=0.1, times=None),
    Fault(kind=FaultKind.KILL_ON_AMEND, share=0.05, times=None),
    Fault(kind=FaultKind.REPLACE_ANSWER, action="GET /api/v1/trading/order", share=0.03, times=None, status=502),
    *(Fault(kind=kind, action="place_order", after=40, times=2) for kind in (FaultKind.CLOSE_BEFORE,)),
    *(Fault(kind=kind, action="place_order", after=80, times=2) for kind in (FaultKind.CLOSE_AFTER,)),
)


def _script(rig: Rig) -> None:
    for fault in FAULTS:
        rig.venue.faults.add(fault)
    for number, text in enumerate(shapes.PROVES_NOTHING.values()):
        for lands in (True, False):
            rig.venue.faults.add(
                Fault(kind=FaultKind.REPLACE_ANSWER, action="place_order", after=number, text=text, lands=lands)
            )


def _some(dice: random.Random, places: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a place, or a replace or cancel of one that was asked for before, or a cancel_orders."""
    action = dice.choices(("place_order", "replace_order", "cancel_order", "cancel_orders"), (60, 18, 20, 2))[0]
    if action == "place_order" or not places:
        places.append(command("place_order", dice.choices(PLACES, (70, 15, 5, 10))[0], valid_s=60))
        return places[-1]
    if action == "cancel_orders":
        return command(action, {"exchangeType": dice.choice(("BINANCE", "OKX"))}, valid_s=60)
    order = {"clientOrderId": dice.choice(places[-40:])["commandId"].replace("-", "")}
    if action == "replace_order":
        return command(action, {**order, "replacePrice": str(dice.randrange(19000, 21000))}, valid_s=dice.choice((1, 60)))
    return command(action, order, valid_s=dice.choice((2, 60)))


def _have_a_word(results: Topic, batch: list[dict[str, Any]]) -> bool:
    """Tell whether something was said of each place; what follows it may have to wait until its fate is known."""
    said = {v["commandId"] for v in results.values if "commandId" in v}
    return all(one["commandId"] in said for one in batch if one["action"] == "place_order")


@pytest.mark.parametrize("seed", [1])
async def test_every_answer_is_true_whatever_went_wrong(rig: Rig, seed: int) -> None:
    """200 commands while answers, pushes, sockets and REST fail at random: one true last word for each."""
    dice = random.Random(seed)  # noqa: S311 - replayable chances, not cryptography
    _script(rig)
    sent: dict[int, dict[str, Any]] = {}
    places: list[dict[str, Any]] = []
    async with rig.daemon(rig.settings(timing=TIMING)):
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        await session.until(lambda values: any(v["type"] == "session.opened" for v in values))
        while len(sent) < COMMANDS:
            batch = [_some(dice, places) for _ in range(BATCH)]
            sent |= dict(zip(await rig.send(*batch), batch, strict=True))
            await results.until(lambda _, batch=batch: _have_a_word(results, batch), 60)
        rig.venue.faults.clear()
        await results.until(lambda _: len(results.answered_ms) == len(sent), 60)
    assert lies(rig, results, sent) == []
    bitten = Counter(entry.facts["fault"] for entry in rig.venue.ledger.entries(Kind.FAULT))
    assert {str(fault.kind) for fault in FAULTS} <= bitten.keys()
    outcomes = Counter(v["outcome"] for v in results.values if "commandId" in v)
    print(dict(outcomes), dict(bitten))
    assert {"accepted", "rejected", "not_found", "unknown"} <= outcomes.keys()

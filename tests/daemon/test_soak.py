"""Everything goes wrong at random, from a fixed seed; when it is quiet again, every answer is true."""

import random
import sys
from collections import Counter
from typing import Any

import pytest

from bridge.config import Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from tests.support import shapes
from tests.support.rig import PLACE, Rig, Topic, command
from tests.support.truth import lies

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
    Fault(kind=FaultKind.FAIL_CANCEL, share=0.2, times=None),
    Fault(kind=FaultKind.FAIL_AMEND, share=0.1, times=None),
    Fault(kind=FaultKind.KILL_ON_AMEND, share=0.05, times=None),
    Fault(kind=FaultKind.REPLACE_ANSWER, action="GET /api/v1/trading/order", share=0.1, times=None, status=502),
    Fault(kind=FaultKind.CLOSE_BEFORE, action="place_order", after=30),
    Fault(kind=FaultKind.CLOSE_AFTER, action="place_order", after=60),
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
        order["replacePrice"] = str(dice.randrange(19000, 21000))
    return command(action, order, valid_s=dice.choice((2, 60)))


async def _word_of_each_place(results: Topic, batch: list[dict[str, Any]]) -> None:
    """Wait until something was said of each place; what follows it may have to wait until its fate is known."""
    names = {one["commandId"] for one in batch if one["action"] == "place_order"}
    await results.until(lambda values: names <= {v.get("commandId") for v in values}, 60)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.pace) for seed in range(2, 8))])
async def test_every_answer_is_true_whatever_went_wrong(rig: Rig, seed: int) -> None:
    """200 commands while answers, pushes, sockets and REST fail at random: one true last word for each."""
    dice = random.Random(seed)  # noqa: S311 - replayable chances, not cryptography
    _script(rig)
    sent: dict[int, dict[str, Any]] = {}
    places: list[dict[str, Any]] = []
    async with rig.daemon(rig.settings(timing=TIMING)):
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        await session.until(lambda values: any(v["type"] == "recovery.complete" for v in values))
        while len(sent) < COMMANDS:
            batch = [_some(dice, places) for _ in range(BATCH)]
            sent |= dict(zip(await rig.send(*batch), batch, strict=True))
            await _word_of_each_place(results, batch)
        rig.venue.faults.clear()
        await results.until(lambda _: len(results.answered_ms) == len(sent), 60)
    assert lies(rig, results, sent) == []
    # An idle script cannot pass.
    bitten = Counter(entry.facts["fault"] for entry in rig.venue.ledger.entries(EntryKind.FAULT))
    assert {str(fault.kind) for fault in FAULTS} <= bitten.keys()
    outcomes = Counter(v["outcome"] for v in results.values if "commandId" in v)
    sys.stdout.write(f"outcomes {dict(outcomes)}, faults {dict(bitten)}\n")
    assert {"accepted", "rejected", "not_found", "unknown"} <= outcomes.keys()

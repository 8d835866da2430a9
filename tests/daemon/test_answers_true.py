"""Answers lost, late, doubled, out of order and of every shape: what is said in the end is the venue's truth."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bridge.config import Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support import shapes
from tests.support.clocks import AheadClock
from tests.support.rig import PLACE, Rig, Topic, command
from tests.support.truth import lies
from tests.witness.waiting import until

TIMING = Timing(ack_timeout_s=1, late_landing_s=4, reconnect_cap_s=1.2)
OPEN_ORDERS = "GET /api/v1/trading/orders"
NO_ORDERS = '{"code":200000,"message":"Success","data":{"pageSize":0,"pageNum":0,"page":1,"list":[]}}'
TOO_SMALL = {**PLACE, "orderQty": "0.0000001"}
MARKET = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}
Command = dict[str, Any]


async def _send(rig: Rig, *commands: Command) -> dict[int, Command]:
    return dict(zip(await rig.send(*commands), commands, strict=True))


def _outcomes(results: Topic, one: Command) -> list[str]:
    return [v["outcome"] for v in results.values if v.get("commandId") == one["commandId"]]


@pytest.mark.parametrize("pushed", [True, False], ids=["with_pushes", "without_pushes"])
async def test_an_answer_of_every_shape(rig: Rig, *, pushed: bool) -> None:
    """Only a listed code under the request's own id is a refusal; what proves nothing is settled by facts."""
    script: list[tuple[str, bool, tuple[str, int | None]]]
    script = [(text, False, ("rejected", code)) for text, code in shapes.REFUSED.values()]
    script += [(text, True, ("accepted", code)) for text, code in shapes.SUCCESS.values()]
    script += [(text, True, ("accepted", None)) for text in shapes.PROVES_NOTHING.values()]
    # The general failure says nothing, but what it said is passed on.
    script += [
        (text, False, ("not_found", 60009 if "60009" in text else None)) for text in shapes.PROVES_NOTHING.values()
    ]
    for text, lands, _ in script:
        rig.venue.faults.add(Fault(kind=FaultKind.REPLACE_ANSWER, action="place_order", text=text, lands=lands))
    if not pushed:
        rig.venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, times=None))
    async with rig.daemon(rig.settings(timing=TIMING)):
        results = await rig.topic(Stream.RESULTS)
        sent = await _send(rig, *(command("place_order", PLACE) for _ in script))
        answers = [await results.result(one) for one in sent.values()]
    said = [(one["outcome"], one.get("code")) for one in answers]
    # A place that landed may be known by its order before its answer is there; then no code is said.
    wrong = [
        (text, what, expected)
        for (text, _, expected), what in zip(script, said, strict=True)
        if what != expected and what != (expected[0], None)
    ]
    assert wrong == []
    assert lies(rig, results, sent) == []


async def test_an_answer_that_the_login_is_gone(rig: Rig) -> None:
    """The place was refused; the session is renewed, and what was in flight with it is true too."""
    rig.venue.faults.add(Fault(kind=FaultKind.REPLACE_ANSWER, action="place_order", text=shapes.LOGGED_OUT))
    async with rig.daemon(rig.settings(timing=TIMING)):
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        sent = await _send(rig, *(command("place_order", PLACE) for _ in range(3)))
        outcomes = [(await results.result(one))["outcome"] for one in sent.values()]
        await session.until(lambda values: sum(v["type"] == "recovery.complete" for v in values) == 2)
    assert outcomes == ["rejected", "accepted", "accepted"]
    assert lies(rig, results, sent) == []


async def test_answers_around_the_real_timeout(rig: Rig) -> None:
    """With the 5 s of the default: a second is waited for; after 6 s it was `unknown`, then what the venue said."""
    rig.venue.faults.add(Fault(kind=FaultKind.DELAY_ANSWER, action="place_order", delay_s=1))
    rig.venue.faults.add(Fault(kind=FaultKind.DELAY_ANSWER, action="place_order", delay_s=6, times=2))
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        sent = await _send(rig, *(command("place_order", args) for args in (PLACE, PLACE, TOO_SMALL)))
        for one in sent.values():
            await results.result(one)
    said = [_outcomes(results, one) for one in sent.values()]
    assert said == [["accepted"], ["unknown", "accepted"], ["unknown", "rejected"]]
    assert lies(rig, results, sent) == []


async def test_a_refusal_later_than_all_doubt_changes_nothing(rig: Rig) -> None:
    """A refusal that comes after `not_found` agrees with it: no second word, no alarm."""
    rig.venue.faults.add(Fault(kind=FaultKind.DELAY_ANSWER, action="place_order", delay_s=4))
    refused = command("place_order", TOO_SMALL)
    async with rig.daemon(rig.settings(timing=Timing(ack_timeout_s=0.5, late_landing_s=2))):
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        sent = await _send(rig, refused)
        await results.result(refused)
        answered = rig.venue.ledger.entries
        await until(lambda: any('"place_order"' in one.facts["text"] for one in answered(EntryKind.ANSWER)))
        after = command("place_order", PLACE)
        sent |= await _send(rig, after)
        await results.result(after)
    assert _outcomes(results, refused) == ["unknown", "not_found"]
    raised = [v["alarm"] for v in session.values if v["type"] == "alarm.raised"]
    assert [alarm for alarm in raised if alarm != "commands_behind"] == []  # the machine may be busy
    assert lies(rig, results, sent) == []


@pytest.mark.parametrize("kind", [FaultKind.DUPLICATE_ANSWER, FaultKind.PUSH_FIRST, FaultKind.DELAY_ANSWER])
async def test_answers_doubled_and_overtaken_by_pushes(rig: Rig, kind: FaultKind) -> None:
    """An ack thrice, pushes before it, the whole fill before it: each command has one answer, and it is true."""
    rig.venue.faults.add(Fault(kind=kind, times=None, copies=3, delay_s=0.3))
    async with rig.daemon():
        results, trades = await rig.topic(Stream.RESULTS), await rig.topic(Stream.TRADES)
        place, fill = command("place_order", PLACE), command("place_order", MARKET)
        sent = await _send(rig, place, fill)
        order = (await results.result(place))["orderId"]
        await results.result(fill)
        for action, args in (
            ("replace_order", {"orderId": order, "replacePrice": "20100"}),
            ("cancel_order", {"orderId": order}),
            ("cancel_orders", {"exchangeType": "ALL"}),
        ):
            sent |= await _send(rig, one := command(action, args))
            await results.result(one)
        await trades.until(bool)
    assert [_outcomes(results, one) for one in sent.values()] == [["accepted"]] * len(sent)
    assert lies(rig, results, sent) == []


STRANGERS: tuple[tuple[float, dict[str, str]], ...] = (
    (0, {"orderQty": "0.004"}),
    (0, {"side": "SELL", "limitPrice": "200000"}),
    (-60, {}),
)
"""What was there before: how long ago, and in what it differs."""


async def test_an_order_of_somebody_else_is_not_taken_for_ours(bootstrap: str, tmp_path: Path) -> None:
    """Orders with our clientOrderIds were there before: ours are refused, and a stranger's never answers for one."""
    clock = AheadClock(0)
    async with Venue(VenueSettings(), clock) as venue, Rig(bootstrap, venue, tmp_path) as rig:
        venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, times=None))
        # What the first sweep lists is known before the write; these strangers are met afterwards.
        venue.faults.add(Fault(kind=FaultKind.REPLACE_ANSWER, action=OPEN_ORDERS, text=NO_ORDERS, status=200))
        venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action="place_order", after=len(STRANGERS), times=None))
        for number, (clock.ahead_s, terms) in enumerate(STRANGERS * 2):
            venue.inject.foreign_action("main", "place_order", {**PLACE, **terms, "clientOrderId": f"first{number}"})
        clock.ahead_s = 0
        ours = [command("place_order", {**PLACE, "clientOrderId": f"first{n}"}) for n in range(2 * len(STRANGERS))]
        async with rig.daemon(rig.settings(timing=TIMING)):
            results = await rig.topic(Stream.RESULTS)
            sent = await _send(rig, *ours)
            said = [await results.result(one) for one in ours]
        told = [(one["outcome"], one.get("code")) for one in said]
        assert told == [("rejected", 401009)] * len(STRANGERS) + [("not_found", None)] * len(STRANGERS)
        assert lies(rig, results, sent) == []
        assert len(venue.portfolio().open_orders) == len(ours)


async def test_the_check_sees_a_lie(rig: Rig) -> None:
    """Had the bridge said anything else of a place that the venue took, `lies` would have told."""
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        sent = await _send(rig, place := command("place_order", PLACE))
        await results.result(place)
    assert lies(rig, results, sent) == []
    said = results.records
    for lie in ("rejected", "not_found", "superseded", "unknown"):
        word = f'"{lie}"'.encode()
        results.records = [dataclasses.replace(one, value=one.value.replace(b'"accepted"', word)) for one in said]
        assert len(lies(rig, results, sent)) == 1

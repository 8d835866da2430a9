"""The session under the daemon: cuts, gaps, doubts, and accounts that do not disturb each other."""

import json

import structlog

from bridge.config import Limits, Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from tests.support.rig import PLACE, Rig, command
from tests.witness.waiting import until

CUTS = 10


async def test_ten_cuts(rig: Rig) -> None:
    """After each cut the session is back, a gap is opened for it, logins keep their distance, commands are answered."""
    async with rig.daemon():
        session, results = await rig.topic(Stream.SESSION), await rig.topic(Stream.RESULTS)

        async def opened(times: int) -> None:
            await session.until(lambda values: sum(v["type"] == "recovery.complete" for v in values) == times)

        for cut in range(CUTS):
            await opened(cut + 1)
            place = command("place_order", PLACE)
            await rig.send(place)
            assert (await results.result(place))["outcome"] == "accepted"
            assert rig.venue.cut_connections() == 1
        await opened(CUTS + 1)
    lost = [v for v in session.values if v["type"] == "session.lost" and v["cause"] != "stopped"]
    gaps = [v for v in session.values if v["type"] == "gap.opened" and v["cause"] == "link_failed"]
    assert len(lost) == CUTS
    assert len(gaps) == CUTS
    assert len({gap["gapId"] for gap in gaps}) == CUTS
    assert all(gap["fromMs"] <= gap["at"] for gap in gaps)
    assert min(rig.venue.ledger.login_gaps_s(rig.venue.keys["main"].api_key)) >= 1.0


async def test_a_lost_answer_is_unknown_until_a_fact_settles_it(rig: Rig) -> None:
    """A place whose answer was lost is `unknown`, then `accepted` by its own order's push; it is written once."""
    timing = Timing(ack_timeout_s=0.3)
    async with rig.daemon(rig.settings(timing=timing)):
        results = await rig.topic(Stream.RESULTS)
        rig.venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action="place_order"))
        place = command("place_order", PLACE)
        await rig.send(place)
        settled = await results.result(place)
    outcomes = [v["outcome"] for v in results.values if v.get("commandId") == place["commandId"]]
    assert outcomes == ["unknown", "accepted"]
    assert settled["orderId"] in rig.venue.portfolio().open_orders
    assert len(rig.venue.ledger.requests_received("place_order", rig.venue.keys["main"].portfolio_id)) == 1


async def test_the_sweep_after_a_login_settles_what_the_cut_left_in_doubt(rig: Rig) -> None:
    """A place that landed while the socket closed is found by its clientOrderId on the next login."""
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        rig.venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, channel="Orders", times=None))
        rig.venue.faults.add(Fault(kind=FaultKind.CLOSE_AFTER, action="place_order"))
        place = command("place_order", PLACE)
        await rig.send(place)
        settled = await results.result(place)
    assert settled["outcome"] == "accepted"
    assert len(rig.venue.ledger.requests_received("place_order", rig.venue.keys["main"].portfolio_id)) == 1


async def test_a_place_that_never_landed_stays_unknown_and_holds_the_watermark(rig: Rig) -> None:
    """A place of which the venue knows nothing stays `unknown`; commands behind it are answered all the same."""
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        rig.venue.faults.add(Fault(kind=FaultKind.CLOSE_BEFORE, action="place_order"))
        lost, behind = command("place_order", PLACE), command("place_order", PLACE)
        await rig.send(lost)
        await results.until(lambda values: any(v.get("outcome") == "unknown" for v in values))
        await rig.send(behind)
        assert (await results.result(behind))["outcome"] == "accepted"
    assert results.results_of(lost) == []
    async with rig.daemon():
        again = await rig.topic(Stream.RESULTS)
        more = command("place_order", PLACE)
        await rig.send(more)
        assert (await again.result(more))["outcome"] == "accepted"
    received = rig.venue.ledger.requests_received("place_order", rig.venue.keys["main"].portfolio_id)
    assert len(received) == len([behind, more])


async def test_a_wrong_secret_stops_one_account_and_not_the_other(two_accounts: Rig) -> None:
    """The account with the wrong secret gives up after some logins and says why; the other trades undisturbed."""
    rig = two_accounts
    settings = rig.settings(accounts=["main", "second"], timing=Timing(login_give_up_s=1))
    settings.accounts["second"].api_secret_file.write_text("not-the-secret")
    with structlog.testing.capture_logs() as logs:
        async with rig.daemon(settings):
            results = await rig.topic(Stream.RESULTS)
            alarms = await rig.topic(Stream.SESSION, "second")
            place = command("place_order", PLACE)
            await rig.send(place)
            assert (await results.result(place))["outcome"] == "accepted"
            await alarms.until(lambda values: any(v.get("alarm") == "login_stopped" for v in values))
            await until(lambda: any(line["event"] == "account.stopped" for line in logs))
            place = command("place_order", PLACE)
            await rig.send(place)
            assert (await results.result(place))["outcome"] == "accepted"
    key = rig.venue.keys["second"]
    logins = [entry for entry in rig.venue.ledger.entries(EntryKind.LOGIN) if entry.facts["api_key"] == key.api_key]
    assert len(logins) >= Limits().login_attempts_max
    refused, stopped = [v for v in alarms.values if v["type"] == "alarm.raised"]
    assert (refused["alarm"], stopped["alarm"]) == ("login_refused", "login_stopped")
    assert "60009" in stopped["detail"]
    told = json.dumps(logs, default=str) + json.dumps(alarms.values)
    for secret in (key.api_secret, key.api_key, rig.venue.keys["main"].api_secret, "not-the-secret"):
        assert secret not in told

"""A commit that was written and has no answer: nobody knows whether it was stored, so the term ends."""

import re
from pathlib import Path

from bridge.config import Timing
from bridge.contract.topics import Stream
from bridge.sandbox.broker.launcher import Broker
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.proxy import OFFSET_COMMIT, KafkaProxy
from tests.support.replica import replica
from tests.support.rig import PLACE, Rig, command
from tests.witness.waiting import until

TIMING = Timing(session_timeout_s=3, heartbeat_s=0.3, rebalance_timeout_s=3, lease_s=1, commit_period_s=0.4)
_METADATA = re.compile(rb"ltpb[0-9]:[A-Za-z0-9_:-]*")


def _is_claim(kind: int, request: bytes) -> bool:
    """Whether a request is a commit whose metadata ends with at least one claimed offset."""
    found = _METADATA.search(request) if kind == OFFSET_COMMIT else None
    return found is not None and not found[0].endswith(b":")


async def test_a_claim_without_an_answer_begins_a_new_term(bootstrap: str, rig: Rig) -> None:
    """The answer to a claim is lost: the daemon takes over anew with a higher epoch, and sends that place never.

    Its claim was stored, so for the new term it is one that may have been written. Before and after it the daemon
    trades, each place goes out once, and logins keep their distance.
    """
    async with KafkaProxy(bootstrap) as proxy:
        settings = rig.settings(kafka=rig.kafka(proxy.bootstrap), timing=TIMING)
        async with rig.daemon(settings):
            results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
            before, doubtful, after = (command("place_order", PLACE) for _ in range(3))
            await rig.send(before)
            assert (await results.result(before))["outcome"] == "accepted"
            proxy.lose_one_answer(_is_claim)
            await rig.send(doubtful)
            await until(lambda: proxy.lost == 1, what="the lost answer")
            await session.until(lambda values: sum(v["type"] == "recovery.complete" for v in values) == 2)
            await rig.send(after)
            assert (await results.result(after))["outcome"] == "accepted"
    said = [value["outcome"] for value in results.values if value.get("commandId") == doubtful["commandId"]]
    assert said[0] == "unknown"
    assert set(said[1:]) <= {"not_found"}
    assert [v["epoch"] for v in session.values if v["type"] == "owner.acquired"] == [1, 2]
    assert [frame["args"]["clientOrderId"] for frame in rig.written("place_order")] == [
        one["commandId"].replace("-", "") for one in (before, after)
    ]
    assert min(rig.venue.ledger.login_gaps_s(rig.venue.keys["main"].api_key)) >= 1.0


async def test_a_broker_that_freezes_with_a_claim(own_broker: Broker, tmp_path: Path) -> None:
    """The broker stands still with a claim in its socket for longer than a request lasts, and wakes up.

    Whether it stored the claim is found out by the next term: if so the place is never sent, if not it is an ordinary
    new one and goes out once. What comes later is accepted, by a higher epoch.
    """
    async with (
        Venue(VenueSettings()) as venue,
        Rig(own_broker.bootstrap_servers, venue, tmp_path) as rig,
        KafkaProxy(own_broker.bootstrap_servers) as proxy,
        replica(rig, kafka=rig.kafka(proxy.bootstrap), timing=TIMING) as daemon,
    ):
        await daemon.until("recovery.complete")
        results = await rig.topic(Stream.RESULTS)
        proxy.hold(_is_claim)
        doubtful, after = command("place_order", PLACE, valid_s=120), command("place_order", PLACE, valid_s=120)
        await rig.send(doubtful)
        await until(lambda: proxy.held == 1, what="the claim")
        await own_broker.pause()
        proxy.release()
        await daemon.until("term.ended")
        await own_broker.resume()
        await rig.send(after)
        assert (await results.result(after, 60))["outcome"] == "accepted"
        await results.until(lambda _: any(value.get("commandId") == doubtful["commandId"] for value in results.values))
    said = [value["outcome"] for value in results.values if value.get("commandId") == doubtful["commandId"]]
    names = [frame["args"]["clientOrderId"] for frame in rig.written("place_order")]
    assert names.count(after["commandId"].replace("-", "")) == 1
    assert names.count(doubtful["commandId"].replace("-", "")) == (said[0] == "accepted")
    assert daemon.logged("account.owned")[-1]["epoch"] > 1

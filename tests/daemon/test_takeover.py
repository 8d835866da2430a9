"""What one owner leaves, the next takes up: nothing is sent twice, nothing is answered twice."""

import json
import signal

from aiokafka.admin import AIOKafkaAdminClient

from bridge.contract.topics import Stream, group_name
from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.support.rig import PLACE, Rig, command
from tests.witness.waiting import until


async def test_a_restart_goes_on_where_the_last_run_ended(rig: Rig) -> None:
    """The next run has the next epoch, sends nothing again, answers a resubmission with the first outcome."""
    place, later = command("place_order", PLACE), command("place_order", PLACE)
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        await rig.send(place)
        first = await results.result(place)
    await rig.send(later)
    async with rig.daemon():
        assert (await results.result(later))["outcome"] == "accepted"
        await rig.send(place)
        await results.until(lambda _: len(results.results_of(place)) == 2)
    assert results.results_of(place)[1]["orderId"] == first["orderId"]
    takeovers = [v for v in results.values if "epoch" in v]
    assert [one["epoch"] for one in takeovers] == [1, 2]
    assert len(rig.venue.ledger.requests_received("place_order", rig.venue.keys["main"].portfolio_id)) == 2


async def test_a_claimed_command_is_never_sent_again(rig: Rig) -> None:
    """SIGKILL between write and ack: the next owner asks the venue, finds the order, and answers `accepted` once."""
    rig.venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action="place_order"))
    rig.venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, channel="Orders", times=None))
    place = command("place_order", PLACE)
    portfolio = rig.venue.keys["main"].portfolio_id
    async with rig.daemon_process() as process:
        results = await rig.topic(Stream.RESULTS)
        await rig.send(place)
        await until(lambda: len(rig.venue.ledger.requests_received("place_order", portfolio)) == 1, what="the write")
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with rig.daemon():
        assert (await results.result(place))["outcome"] == "accepted"
    assert len(rig.venue.ledger.requests_received("place_order", portfolio)) == 1


async def test_sigterm_ends_in_good_order(rig: Rig) -> None:
    """SIGTERM: what was written settles, the state is committed, the group is left, the exit code is 0."""
    places = [command("place_order", PLACE) for _ in range(20)]
    rig.venue.faults.add(Fault(kind=FaultKind.DELAY_ANSWER, action="place_order", delay_s=0.5, times=None))
    async with rig.daemon_process() as process:
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        offsets = await rig.send(*places)
        portfolio = rig.venue.keys["main"].portfolio_id
        await until(lambda: len(rig.venue.ledger.requests_received("place_order", portfolio)) == len(places))
        process.send_signal(signal.SIGTERM)
        output, _ = await process.communicate()
    assert process.returncode == 0
    for place in places:
        assert (await results.result(place))["outcome"] == "accepted"
    await session.until(lambda values: any(v["type"] == "owner.released" for v in values))
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.bootstrap)
    await admin.start()
    try:
        group = group_name(rig.prefix, "main")
        (committed,) = (await admin.list_consumer_group_offsets(group)).values()
        (described,) = await admin.describe_consumer_groups([group])
        members = described.groups[0][-1] if isinstance(described.groups[0][-1], list) else described.groups[0][5]
    finally:
        await admin.close()
    assert committed.offset == offsets[-1] + 1
    assert members == []
    lines = [json.loads(line) for line in output.splitlines()]
    assert {"bridge.started", "recovery.complete", "command.accepted", "bridge.stopped"} <= {
        line["event"] for line in lines
    }
    of_no_account = {line["event"] for line in lines if line.get("account") != "main"}
    assert of_no_account == {"bridge.started", "bridge.stopping", "bridge.stopped"}
    key = rig.venue.keys["main"]
    assert key.api_key.encode() not in output
    assert key.api_secret.encode() not in output


async def test_a_standby_takes_over_when_the_owner_stops(rig: Rig) -> None:
    """Of two daemons one owns; when it stops, the other trades, and neither sent a command twice."""
    async with rig.daemon_process() as first:
        session = await rig.topic(Stream.SESSION)
        await session.until(lambda values: any(v["type"] == "recovery.complete" for v in values))
        async with rig.daemon():
            results = await rig.topic(Stream.RESULTS)
            places = [command("place_order", PLACE) for _ in range(10)]
            await rig.send(*places)
            for place in places:
                await results.result(place)
            first.send_signal(signal.SIGTERM)
            await first.communicate()
            after = command("place_order", PLACE)
            await rig.send(after)
            assert (await results.result(after))["outcome"] == "accepted"
    owners = [v["instance"] for v in session.values if v["type"] == "owner.acquired"]
    assert len(set(owners)) == 2
    assert min(rig.venue.ledger.login_gaps_s(rig.venue.keys["main"].api_key)) >= 1.0
    assert len(rig.venue.ledger.requests_received("place_order", rig.venue.keys["main"].portfolio_id)) == 11

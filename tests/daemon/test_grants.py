"""Grants: with those of the README's table everything works, without one of them the bridge says which and how."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from bridge.config import Kafka, Settings, Timing
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.core.records import OutgoingRecord
from bridge.kafka import topic_queue, topic_watch
from bridge.kafka.grants import GROUP_OPERATIONS, needed_operations
from bridge.kafka.preflight import check_topics
from bridge.kafka.publisher import Publisher
from bridge.kafka.topic_watch import TopicWatch
from bridge.sandbox.broker.cluster import find_free_ports
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support import kafka_tool
from tests.support.rig import PLACE, Rig, Topic, command
from tests.support.secured_broker import PRINCIPALS, Grant, Grants, SecuredBroker, administrator_of
from tests.witness.waiting import until

README = Path(__file__).parents[2] / "README.md"
MARKET = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}
QUICK = Timing(session_timeout_s=3, heartbeat_s=0.3, rebalance_timeout_s=3, lease_s=1, commit_period_s=0.4)


def grants_of_the_readme() -> list[Grant]:
    """Return the grants of the table, one operation each."""
    table = README.read_text(encoding="utf-8").split("| on | granted | because |\n")[1].split("\n\n")[0]
    found = []
    for row in table.splitlines()[1:]:
        on, granted, *_ = (cell.strip() for cell in row.strip("|").split("|"))
        named = [Stream(name) for name in re.findall(r"`([a-z-]+)`", on)]
        streams: list[Stream | None] = list(named)
        if on.startswith("every topic"):
            streams = [stream for stream in Stream if stream not in named]
        elif on.startswith("the group"):
            streams = [None]
        found += [Grant(stream, operation) for stream in streams for operation in granted.split(", ")]
    return found


TABLE = grants_of_the_readme()


def test_the_table_is_what_is_asked_for() -> None:
    """Every operation that preflight looks for stands in the README, and no other."""
    needed = [Grant(stream, one.kafka_name) for stream in Stream for one in needed_operations(stream)]
    needed += [Grant(None, one.kafka_name) for one in GROUP_OPERATIONS]
    assert sorted(map(str, needed)) == sorted(map(str, TABLE))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def secured() -> AsyncIterator[SecuredBroker]:
    """Return a broker with an authorizer."""
    broker = await SecuredBroker.start(print)
    try:
        yield broker
    finally:
        await broker.close()


@pytest_asyncio.fixture(loop_scope="session")
async def grants(secured: SecuredBroker) -> AsyncIterator[Grants]:
    """Return an administrator."""
    async with administrator_of(secured) as admin:
        yield Grants(admin)


Granted = Callable[..., Awaitable[Kafka]]


@pytest.fixture
def granted(secured: SecuredBroker, grants: Grants, tmp_path: Path) -> Granted:
    """Return what makes the topics of a new account, grants a principal what the table says, and tells the settings."""

    async def give(principal: str, prefix: str = "") -> Kafka:
        prefix = prefix or f"t{uuid.uuid4().hex[:12]}"
        kafka = secured.kafka(principal, tmp_path, prefix)
        await grants.give(principal, prefix, TABLE)
        making = {"bootstrap_servers": secured.bootstrap_servers, "topic_prefix": prefix, "create_topics": True}
        making |= {"replication_factor": 1, "min_insync_replicas": 1}
        assert await check_topics(Kafka.model_validate(making), QUICK, ["main"]) == []
        return kafka

    return give


@pytest_asyncio.fixture(loop_scope="session")
async def rig(secured: SecuredBroker, tmp_path: Path) -> AsyncIterator[Rig]:
    """Return a rig on the secured broker, whose own clients may do everything."""
    async with (
        Venue(VenueSettings(step_period_s=0.05)) as venue,
        Rig(secured.bootstrap_servers, venue, tmp_path) as built,
    ):
        yield built


async def problems_once(kafka: Kafka, holds: Callable[[list[str]], bool]) -> list[str]:
    """Check until the brokers have heard of a change of the grants; return what is said then."""
    end = time.monotonic() + 20
    while not holds(found := [one.sentence for one in await check_topics(kafka, QUICK, ["main"])]):
        assert time.monotonic() < end, found
    return found


SettingsOf = Callable[[str], Awaitable[Callable[[int], Settings]]]


@pytest.fixture
def settings_of(granted: Granted, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> SettingsOf:
    """Return what grants a principal everything, and then makes settings of its daemons by their management port."""
    monkeypatch.setattr(topic_watch, "_PERIOD_S", 0.2)

    async def give(principal: str) -> Callable[[int], Settings]:
        kafka = await granted(principal, rig.prefix)
        await problems_once(kafka, lambda found: not found)
        section = kafka.model_dump(mode="json", exclude_none=True)
        return lambda port: rig.settings(kafka=section, timing=QUICK, management={"port": port})

    return give


async def test_each_missing_grant_is_named_with_the_command_that_gives_it(granted: Granted, grants: Grants) -> None:
    """One row of the table after the other is taken away: a single sentence tells of it, and none when it is back."""
    principal = PRINCIPALS[0]
    kafka = await granted(principal)
    await problems_once(kafka, lambda found: not found)
    for grant in TABLE:
        if grant.operation == "Describe":
            continue  # comes with Read and Write
        await grants.take(principal, kafka.topic_prefix, grant)
        (told,) = await problems_once(kafka, bool)
        topic = topic_name(kafka.topic_prefix, "main", grant.stream) if grant.stream else ""
        resource = f"--topic {topic}" if topic else f"--group {group_name(kafka.topic_prefix, 'main')}"
        assert f" --add --allow-principal User:{principal} --operation {grant.operation} {resource}" in told
        assert told.startswith((f"{topic}: this principal lacks {grant.operation}", "group "))
        await grants.give(principal, kafka.topic_prefix, [grant])
        await problems_once(kafka, lambda found: not found)


async def test_all_missing_grants_are_named_at_once_and_the_commands_work(
    secured: SecuredBroker, granted: Granted, grants: Grants
) -> None:
    """A principal without any is told one sentence for each topic and for the group; two are tried."""
    principal = PRINCIPALS[1]
    kafka = await granted(principal)
    await grants.take(principal, kafka.topic_prefix, *TABLE)
    told = await problems_once(kafka, lambda found: len(found) == len(Stream) + 1)
    for one in (told[0], told[-1]):
        await kafka_tool.run_told_command(one, secured.bootstrap_servers)
    left = await problems_once(kafka, lambda found: len(found) == len(Stream) - 1)
    assert set(left) == set(told) - {told[0], told[-1]}


async def test_a_topic_that_may_not_be_made_is_named_with_the_grant(
    secured: SecuredBroker, grants: Grants, tmp_path: Path
) -> None:
    """Where topics are to be made: the grant is Create, and once it is given they are."""
    principal, prefix = PRINCIPALS[2], f"t{uuid.uuid4().hex[:12]}"
    kafka = secured.kafka(principal, tmp_path, prefix).model_copy(update={"create_topics": True})
    await grants.give(principal, prefix, TABLE)
    told = await problems_once(kafka, lambda found: len(found) == len(Stream))
    assert all("--operation Create --topic" in one for one in told)
    await grants.give(principal, prefix, [Grant(stream, "Create") for stream in Stream])
    await problems_once(kafka, lambda found: not found)


async def test_a_topic_that_may_not_be_described_is_named(granted: Granted, grants: Grants) -> None:
    """Nothing can be known of it then, so everything that is needed on it is told."""
    principal = PRINCIPALS[2]
    kafka = await granted(principal)
    await grants.give(principal, kafka.topic_prefix, [Grant(Stream.TRADES, "Describe")], deny=True)
    (told,) = await problems_once(kafka, bool)
    assert "lacks Describe and DescribeConfigs and Read and Write" in told


async def test_with_the_grants_of_the_table_everything_works(granted: Granted, rig: Rig) -> None:
    """The daemon starts, publishes on every topic, and another one takes over."""
    kafka = await granted(PRINCIPALS[3], rig.prefix)
    await problems_once(kafka, lambda found: not found)
    settings = rig.settings(kafka=kafka.model_dump(mode="json", exclude_none=True), timing=QUICK)
    topics = {stream: await rig.topic(stream) for stream in Stream}
    async with rig.daemon(settings), rig.daemon(settings):
        trade = command("place_order", MARKET)
        await rig.send(trade, b"no command")
        await topics[Stream.RESULTS].result(trade)
        rig.venue.inject.margin_call("main")
        rig.venue.inject.liquidation_event("main")
        rig.venue.inject.frame("main", b"no JSON")
        for topic in topics.values():
            await topic.until(lambda _: bool(topic.records))  # noqa: B023 - it is waited for at once
    async with rig.daemon(settings):
        place = command("place_order", PLACE)
        await rig.send(place)
        assert (await topics[Stream.RESULTS].result(place))["outcome"] == "accepted"
    owners = [one for one in topics[Stream.SESSION].values if one["type"] == "owner.acquired"]
    assert len(owners) >= 2


async def _missing(port: int) -> dict[str, str]:
    """Return what the account lacks by `/readyz`, and why."""
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/readyz") as answer:
            told = json.loads(await answer.read())["accounts"]["main"]["missing"]
    except aiohttp.ClientConnectorError:
        return {"process": "it does not listen yet"}
    return {one["what"]: one["detail"] for one in told}


async def _missing_once(port: int, holds: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    end = time.monotonic() + 30
    while not holds(missing := await _missing(port)):
        assert time.monotonic() < end, missing
    return missing


async def test_a_grant_that_is_taken_away_is_told_and_nothing_is_lost(
    settings_of: SettingsOf, grants: Grants, rig: Rig
) -> None:
    """Without Write on `trades` its records wait, others go on, and the alarm and `/readyz` say what is missing."""
    principal, write = PRINCIPALS[4], Grant(Stream.TRADES, "Write")
    settings, (port,) = await settings_of(principal), find_free_ports(1)
    results, trades, session = [await rig.topic(one) for one in (Stream.RESULTS, Stream.TRADES, Stream.SESSION)]
    trades_topic = topic_name(rig.prefix, "main", Stream.TRADES)
    async with rig.daemon(settings(port)):
        await session.until(lambda values: any(one["type"] == "recovery.complete" for one in values))
        first = command("place_order", MARKET)
        await rig.send(first)
        await results.result(first)
        await trades.until(lambda values: len(values) == 1)
        await grants.take(principal, rig.prefix, write)
        rig.venue.inject.foreign_action("main", "place_order", MARKET)
        missing = await _missing_once(port, lambda found: {"topics", "publishing"} <= found.keys())
        for detail in missing.values():
            assert f"{trades_topic}: this principal lacks Write" in detail
        raised = await session.until(lambda values: any(one["type"] == "alarm.raised" for one in values))
        (alarm,) = [one for one in raised if one["type"] == "alarm.raised"]
        assert (alarm["alarm"], alarm["subject"]) == ("grant_missing", trades_topic)
        await grants.give(principal, rig.prefix, [write])
        await trades.until(lambda values: len(values) == 2)
        await _missing_once(port, lambda found: not found)
        await session.until(lambda values: any(one["type"] == "alarm.cleared" for one in values))
        last = command("place_order", MARKET)
        await rig.send(last)
        assert (await results.result(last))["outcome"] == "accepted"
        await trades.until(lambda values: len(values) == 3)
    assert [int(trades.headers(n)["ce_sequence"]) for n in range(3)] == [1, 2, 3]


async def test_a_refused_topic_holds_up_no_other(
    granted: Granted, grants: Grants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the brokers tell that it is not granted, it is left alone until they grant it."""
    monkeypatch.setattr(topic_watch, "_PERIOD_S", 0.2)
    monkeypatch.setattr(topic_queue, "_HOLD_FIRST_S", 0.01)
    monkeypatch.setattr(topic_queue, "_HOLD_LAST_S", 0.01)
    principal, write = PRINCIPALS[5], Grant(Stream.TRADES, "Write")
    kafka = await granted(principal)
    await problems_once(kafka, lambda found: not found)
    await grants.take(principal, kafka.topic_prefix, write)
    await problems_once(kafka, bool)
    publisher = Publisher(kafka, environment="test", account="main", buffer_bytes_max=10**7, pause_bytes=10**7)
    watch = TopicWatch(kafka, QUICK, "main", on_unwritable=publisher.note_unwritable)
    await publisher.start()
    running = asyncio.create_task(watch.run())
    try:
        publisher.publish(OutgoingRecord(Stream.TRADES, b"k", b"0", 1))
        await until(lambda: bool(watch.missing_grants()) and publisher._sender.producer.is_live, 20)
        renewals = publisher.renewals
        for number in range(100):
            publisher.publish(OutgoingRecord(Stream.TRADES, b"k", b"%d" % number, 1))
            publisher.publish(OutgoingRecord(Stream.ORDERS, b"k", b"1", 1))
            assert await publisher.flush(20, [Stream.ORDERS])
        assert publisher.renewals == renewals
        assert publisher.problems
        await until(lambda: not publisher.healthy, 20)
        await grants.give(principal, kafka.topic_prefix, [write])
        assert await publisher.flush(20)
        assert (publisher.problems, publisher.healthy) == ([], True)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await publisher.stop(0)


async def _placed(rig: Rig, results: Topic) -> None:
    place = command("place_order", PLACE)
    await rig.send(place)
    assert (await results.result(place))["outcome"] == "accepted"


@pytest.mark.parametrize(
    ("grant", "why"),
    [
        (Grant(None, "Read"), "--operation Read --group"),
        (Grant(Stream.COMMANDS, "Read"), "--operation Read --topic"),
    ],
    ids=["group", "commands"],
)
async def test_an_account_that_may_not_be_owned_any_more_says_so_and_goes_on_when_it_may(
    grant: Grant, why: str, settings_of: SettingsOf, grants: Grants, rig: Rig
) -> None:
    """The command that gives the grant is in `/readyz`; what was sent meanwhile is carried out once it is given."""
    principal = PRINCIPALS[6]
    settings, (port,) = await settings_of(principal), find_free_ports(1)
    results = await rig.topic(Stream.RESULTS)
    async with rig.daemon(settings(port)):
        await _placed(rig, results)
        await grants.take(principal, rig.prefix, grant)
        await _missing_once(port, lambda found: any(why in detail for detail in found.values()))
        waiting = command("place_order", PLACE)
        await rig.send(waiting)
        await grants.give(principal, rig.prefix, [grant])
        assert (await results.result(waiting))["outcome"] == "accepted"
        await _missing_once(port, lambda found: not found)


async def test_a_standby_that_may_not_read_what_a_takeover_needs_says_so(
    settings_of: SettingsOf, grants: Grants, rig: Rig
) -> None:
    """While the owner lives, and when it has ended; once the grant is given the takeover ends by itself."""
    principal, read = PRINCIPALS[7], Grant(Stream.SESSION, "Read")
    settings, ports = await settings_of(principal), find_free_ports(2)
    first, second = (settings(port) for port in ports)
    results = await rig.topic(Stream.RESULTS)
    async with AsyncExitStack() as standing_by:
        async with rig.daemon(first):
            await _placed(rig, results)
            await standing_by.enter_async_context(rig.daemon(second))
            await _missing_once(ports[1], lambda found: not found)
            await grants.take(principal, rig.prefix, read)
            for port in ports:
                missing = await _missing_once(port, lambda found: "topics" in found)
                assert "lacks Read, so no takeover can end" in missing["topics"]
        await _missing_once(ports[1], lambda found: {"topics", "takeover"} <= found.keys())
        await grants.give(principal, rig.prefix, [read])
        await _placed(rig, results)
        await _missing_once(ports[1], lambda found: not found)

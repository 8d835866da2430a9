"""The doctor at brokers that ask for a password and for grants: what is missing is named with its command."""

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest_asyncio

from bridge.config import Kafka, Settings
from bridge.contract.topics import Stream, topic_name
from bridge.doctor.findings import Level
from bridge.kafka.grants import GROUP_OPERATIONS, needed_operations
from bridge.kafka.preflight import check_topics
from bridge.sandbox.venue.venue import Venue
from tests.support import kafka_tool
from tests.support.rig import Rig
from tests.support.secured_broker import PRINCIPALS, Grant, Grants, SecuredBroker, administrator_of

Examine = Callable[[Settings], Awaitable[Any]]
NEEDED = [Grant(stream, one.kafka_name) for stream in Stream for one in needed_operations(stream)]
NEEDED += [Grant(None, one.kafka_name) for one in GROUP_OPERATIONS]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def secured(may_start_broker: None) -> AsyncIterator[SecuredBroker]:
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


@pytest_asyncio.fixture(loop_scope="session")
async def rig(secured: SecuredBroker, tmp_path: Path) -> AsyncIterator[Rig]:
    """Return a rig on the secured broker, whose topics are made."""
    async with Venue() as venue, Rig(secured.bootstrap_servers, venue, tmp_path) as built:
        settings = built.settings()
        assert await check_topics(settings.kafka, settings.timing, ["main"]) == []
        yield built


def _settings(rig: Rig, kafka: Kafka) -> Settings:
    kafka.sasl_password_file.chmod(0o600)  # type: ignore[union-attr] # a secured broker asks for one
    return rig.settings(kafka=kafka.model_dump(mode="json", exclude_none=True))


async def _examined_once(examined: Examine, settings: Settings, wrong: set[str]) -> Any:  # noqa: ANN401
    """Run the doctor until the brokers have heard of a change of the grants."""
    end_s = time.monotonic() + 30
    while (found := await examined(settings)).wrong != wrong:
        assert time.monotonic() < end_s, found.wrong
    return found


async def test_missing_grants_are_named_and_the_commands_give_them(
    secured: SecuredBroker, grants: Grants, rig: Rig, tmp_path: Path, examined: Examine
) -> None:
    """On a topic and on the group; what the daemon does not need and the doctor could use is a note."""
    principal = PRINCIPALS[0]
    settings = _settings(rig, secured.kafka(principal, tmp_path, rig.prefix))
    lacking = {Grant(Stream.TRADES, "Write"), Grant(None, "Read")}
    await grants.give(principal, rig.prefix, [one for one in NEEDED if one not in lacking])
    found = await _examined_once(examined, settings, {"kafka.grants.topic", "kafka.grants.group", "kafka.owners"})
    topic = found.one("kafka.grants.topic", Level.WRONG)
    assert topic.subject == topic_name(rig.prefix, "main", Stream.TRADES)
    assert topic.found == "this principal lacks Write, so nothing can be published there"
    group = found.one("kafka.grants.group", Level.WRONG)
    for one in (topic, group):
        assert f"kafka-acls.sh --bootstrap-server 127.0.0.1:{secured.sasl_port} --add --allow-principal" in one.remedy
        await kafka_tool.run_told_command(one.remedy, secured.bootstrap_servers)
    found = await _examined_once(examined, settings, set())
    for finding_id in ("kafka.brokers.settings", "clock.kafka"):
        assert "--cluster" in found.one(finding_id, Level.NOTE).remedy
    for one in (found.one("kafka.brokers.settings", Level.NOTE), found.one("clock.kafka", Level.NOTE)):
        await kafka_tool.run_told_command(one.remedy, secured.bootstrap_servers)
    end_s = time.monotonic() + 30
    while {one.level for one in (await examined(settings)).of("clock.kafka")} != {Level.OK}:
        assert time.monotonic() < end_s


async def test_a_wrong_password_is_named_and_tried_once(
    secured: SecuredBroker, rig: Rig, tmp_path: Path, examined: Examine
) -> None:
    """It is not shown; the venue is tried all the same."""
    kafka = secured.kafka(PRINCIPALS[1], tmp_path, rig.prefix)
    settings = _settings(rig, kafka)
    (tmp_path / "kafka-password").write_text(f"canary-{uuid.uuid4().hex}")
    begun_s = time.monotonic()
    found = await examined(settings)
    assert time.monotonic() - begun_s < 20
    assert found.wrong == {"kafka.access"}
    access = found.one("kafka.access", Level.WRONG)
    assert f"the brokers refused the password of {PRINCIPALS[1]} once" in access.found
    assert "kafka.sasl_password_file" in access.remedy
    found.one("venue.rest", Level.OK)
    assert "canary" not in str([(one.found, one.remedy) for one in found.findings])

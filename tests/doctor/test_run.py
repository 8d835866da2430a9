"""`ltp-bridge doctor`, whole runs: each thing that is wrong is a finding with its id and what to do."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiokafka.admin import NewPartitions
from click.testing import CliRunner

from bridge import __version__, account_parts
from bridge.cli import main
from bridge.config import Settings
from bridge.contract.topics import Stream, topic_name
from bridge.core.now import Now
from bridge.doctor.findings import Findings, Level
from bridge.doctor.report import Printer, write_json
from bridge.doctor.run import examine
from bridge.doctor.venue import Endpoints
from bridge.kafka import aiokafka_internals
from bridge.kafka.preflight import check_topics, reach_cluster
from bridge.kafka.topic_making import alter_configs
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.venue import Venue
from tests.support import kafka_tool
from tests.support.clocks import AheadClock
from tests.support.rig import Rig

HOSTILE = "[bold red]x[/] [/nope] \x1b[2J\x1b]0;pwned\x07\x9b\nok    kafka.topics main: all is fit\x1b[8m"
Examine = Callable[[Settings], Awaitable[Any]]


async def test_all_is_well(rig: Rig, examined: Examine) -> None:
    """With everything in place nothing is wrong, every part is named, and no order comes to be."""
    found = await examined(rig.settings())
    assert found.wrong == set()
    for finding_id in (
        *("config.settings", "files.secret", "venue.tcp", "venue.rest", "venue.symbols", "venue.account"),
        *("venue.login", "clock.venue", "clock.kafka", "kafka.access", "kafka.brokers", "kafka.version"),
        *("kafka.brokers.settings", "kafka.topics", "kafka.grants", "kafka.owners"),
    ):
        assert {Level.OK} == {one.level for one in found.of(finding_id)}, finding_id
    assert "Read and Trade" in found.one("venue.key.rights", Level.NOTE).remedy
    assert rig.venue.portfolio().orders == {}
    assert {request["action"] for request in _requests(rig)} == {"login"}


def _requests(rig: Rig) -> list[dict[str, Any]]:
    actions = ("login", "place_order", "replace_order", "cancel_order", "cancel_orders")
    return [one for action in actions for one in rig.written(action)]


async def test_a_wrong_secret_is_called_so(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do and without the secret, by REST and by the login; the topics are checked all the same."""
    settings = rig.settings()
    settings.accounts["main"].api_secret_file.write_text("wrong-canary")
    findings = Findings(Printer().print_finding)
    await examine(settings, account_parts.clock, findings)
    by_id = {one.id: one for one in findings.all}
    assert by_id["venue.key.secret"].level is Level.WRONG
    assert "2000" in by_id["venue.key.secret"].found
    assert "key and secret belong together" in by_id["venue.key.secret"].remedy
    assert by_id["venue.login"].level is Level.WRONG
    assert by_id["venue.login"].remedy
    assert by_id["kafka.topics"].level is Level.OK
    told = capsys.readouterr().out + write_json(findings, account_parts.clock())
    assert "wrong-canary" not in told
    assert rig.venue.keys["main"].api_key not in told


@pytest.mark.parametrize(("ahead_s", "way"), [(-20, "ahead of the venue's"), (20, "behind the venue's")])
async def test_a_clock_that_differs_is_told_with_its_way(
    bootstrap: str, tmp_path: Path, examined: Examine, ahead_s: int, way: str
) -> None:
    """By how much this machine's clock differs from the venue's, in which direction, and what to do."""
    async with Venue(clock=AheadClock(ahead_s)) as venue, Rig(bootstrap, venue, tmp_path) as rig:
        found = await examined(rig.settings())
    clock = found.one("clock.venue", Level.WRONG)
    assert way in clock.found
    assert "timing.skew_bound_s allows 5 s" in clock.found
    assert "NTP" in clock.remedy
    assert found.one("clock.kafka", Level.OK)


async def test_a_wrong_clock_of_this_machine_differs_from_the_clusters_too(rig: Rig) -> None:
    """Both other clocks are named, so it is plain which of the three is wrong."""

    def clock() -> Now:
        now = account_parts.clock()
        return Now(now.boot_s, now.wall_ms + 20_000)

    findings = Findings()
    await examine(rig.settings(), clock, findings)
    wrong = {one.id: one for one in findings.all if one.level is Level.WRONG}
    assert wrong.keys() == {"clock.venue", "clock.kafka"}
    for one in wrong.values():
        assert "s ahead of the " in one.found
        assert "NTP" in one.remedy


async def test_an_endpoint_that_is_away_is_named(rig: Rig, unused_tcp_port: int, examined: Examine) -> None:
    """An endpoint that would only be needed at a fail-over is tried today; the other is tried in full."""
    first = {"name": "FIRST", "ws_url": rig.venue.ws_url, "rest_url": rig.venue.rest_url}
    dead = f"127.0.0.1:{unused_tcp_port}"
    second = {"name": "HA", "ws_url": f"ws://{dead}/v1/private", "rest_url": f"http://{dead}"}
    found = await examined(rig.settings(endpoints=[first, second]))
    assert found.wrong == {"venue.tcp"}
    for one in found.of("venue.tcp")[2:]:
        assert one.subject == f"HA {dead}"
        assert dead in one.remedy
    assert [Level.OK, Level.NOTE] == [one.level for one in found.of("venue.rest")]
    assert [Level.OK, Level.NOTE] == [one.level for one in found.of("venue.login")]


async def test_the_session_of_an_owner_is_left_alone(rig: Rig, examined: Examine) -> None:
    """Run beside a daemon, as the chart's notes say, it logs in with no key that is in use, and finds nothing wrong."""
    async with rig.daemon():
        session = await rig.topic(Stream.SESSION)
        await session.until(lambda seen: any(event["type"] == "recovery.complete" for event in seen))
        logins = len(rig.venue.ledger.entries(EntryKind.LOGIN))
        found = await examined(rig.settings())
        assert len(rig.venue.ledger.entries(EntryKind.LOGIN)) == logins
    assert found.wrong == set()
    login = found.one("venue.login", Level.NOTE)
    assert "a daemon at 127.0.0.1 has its session" in login.found
    assert "a daemon at 127.0.0.1 owns it" in found.one("kafka.owners", Level.OK).found


async def test_two_runs_in_a_row_are_content(rig: Rig, examined: Examine) -> None:
    """The venue takes one login a second of a key; one that comes too soon is tried again."""
    for _ in range(2):
        assert (await examined(rig.settings())).wrong == set()


async def test_topics_that_break_the_promise_are_named_and_the_commands_mend_them(
    rig: Rig, bootstrap: str, examined: Examine
) -> None:
    """One is missing, one has a partition too many, one forgets too soon: each with its id and its command."""
    settings = rig.settings(kafka={**rig.kafka(bootstrap), "create_topics": False})
    kafka, timing = settings.kafka, settings.timing
    assert await check_topics(kafka.model_copy(update={"create_topics": True}), timing, ["main"]) == []
    trades, orders, results = (
        topic_name(rig.prefix, "main", one) for one in (Stream.TRADES, Stream.ORDERS, Stream.RESULTS)
    )
    admin = await reach_cluster(kafka)
    try:
        await admin.delete_topics([trades])
        await admin.create_partitions({orders: NewPartitions(total_count=2)})
        assert await alter_configs(admin, results, {"retention.ms": "1000"}) is None
    finally:
        await aiokafka_internals.close_admin(admin)
    found = await examined(settings)
    assert found.wrong == {"kafka.topics.missing", "kafka.topics.partitions", "kafka.topics.retention_ms"}
    missing = found.one("kafka.topics.missing", Level.WRONG)
    assert (missing.subject, missing.found) == (trades, "does not exist")
    partitions = found.one("kafka.topics.partitions", Level.WRONG)
    assert partitions.subject == orders
    assert partitions.remedy == "delete the topic and create it anew"
    retention = found.one("kafka.topics.retention_ms", Level.WRONG)
    assert retention.subject == results
    for one in (missing, retention):
        await kafka_tool.run_told_command(one.remedy, bootstrap)
    assert (await examined(settings)).wrong == {"kafka.topics.partitions"}


async def test_a_cluster_that_is_away_holds_nothing_else_up(rig: Rig, unused_tcp_port: int, examined: Examine) -> None:
    """The brokers are named as unreachable; the venue is tried, but for logins: a daemon may own the account."""
    found = await examined(rig.settings(kafka=rig.kafka(f"127.0.0.1:{unused_tcp_port}")))
    assert found.wrong == {"kafka.tcp"}
    assert "kafka.bootstrap_servers" in found.one("kafka.tcp", Level.WRONG).remedy
    found.one("kafka.access", Level.NOTE)
    found.one("venue.rest", Level.OK)
    assert "only Kafka knows" in found.one("venue.login", Level.NOTE).found


@pytest.mark.parametrize(
    "answer",
    [
        {"code": 100018, "message": HOSTILE},
        {"code": 200000, "data": [{"exchangeType": HOSTILE, "accountStatus": HOSTILE, "equity": HOSTILE}]},
    ],
)
async def test_nothing_that_the_venue_says_is_obeyed(
    answer: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a terminal's commands nor rich's markup, in a refusal and in a row; and no line looks like two."""

    async def answer_all(_: web.Request) -> web.Response:
        return web.json_response(answer)

    (tmp_path / "key").write_text("ak-1")
    (tmp_path / "secret").write_text("sk-1")
    venue = web.Application()
    venue.router.add_route("*", "/{path:.*}", answer_all)
    runner = web.AppRunner(venue)
    await runner.setup()
    findings = Findings(Printer().print_finding)
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        settings = Settings(
            environment="x",
            endpoints=[{"name": "X", "ws_url": url.replace("http", "ws") + "/v1/private", "rest_url": url}],
            accounts={"main": {"api_key_file": tmp_path / "key", "api_secret_file": tmp_path / "secret"}},
            kafka={"bootstrap_servers": "127.0.0.1:1"},
        )
        endpoints = Endpoints(findings, settings, account_parts.clock)
        await endpoints.check_routes()
        await endpoints.check_account("main", settings.accounts["main"], has_owner=False)
    finally:
        await runner.cleanup()
    told = capsys.readouterr().out
    assert "[bold red]x[/] [/nope]" in told
    assert all(one.isprintable() or one == "\n" for one in told)
    assert not any(line.startswith("ok    kafka") for line in told.splitlines())
    document = write_json(findings, account_parts.clock())
    assert document.isascii()
    assert document.isprintable()


def test_a_bad_file_ends_with_the_list_of_problems(tmp_path: Path) -> None:
    """`run` with settings that cannot be used exits with 1 and names each problem."""
    path = tmp_path / "bridge.toml"
    path.write_text("colour = 'blue'\n")
    outcome = CliRunner().invoke(main, ["run", "--config", str(path)])
    assert outcome.exit_code == 1
    assert "colour: there is no such setting" in outcome.output
    assert "accounts: is needed" in outcome.output


def test_the_version_is_told() -> None:
    """`--version` names the program and its version."""
    assert CliRunner().invoke(main, ["--version"]).output == f"ltp-bridge, version {__version__}\n"

"""`ltp-bridge check` and the command line's errors."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from bridge import __version__, account_parts
from bridge.admin import check
from bridge.cli import main
from bridge.config import Settings
from bridge.contract.topics import Stream
from bridge.sandbox.venue.ledger import EntryKind
from tests.support.rig import Rig

HOSTILE = "[bold red]x[/] [/nope] \x1b[2J\x1b]0;pwned\x07\x9b\nok    topics: every topic of main is fit\x1b[8m"


async def test_check_shows_the_account_and_tries_the_login(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """With everything in place check is content, shows the account's risk, and places no order."""
    assert await check.run(rig.settings(), account_parts.clock)
    told = capsys.readouterr().out
    for expected in (
        "configuration",
        "BINANCE",
        "NORMAL",
        "login at SANDBOX",
        "every topic of main is fit",
        "brokers: 1",
    ):
        assert expected in told
    assert rig.venue.portfolio().orders == {}


async def test_check_names_what_is_wrong(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong secret is told with a way out and without the secret; the topics are checked all the same."""
    settings = rig.settings()
    settings.accounts["main"].api_secret_file.write_text("wrong-canary")
    assert not await check.run(settings, account_parts.clock)
    told = capsys.readouterr().out
    assert "2000" in told
    assert "topics: every topic of main is fit" in told
    assert "wrong-canary" not in told
    assert rig.venue.keys["main"].api_key not in told


async def test_check_tries_every_endpoint(rig: Rig, unused_tcp_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """An endpoint that would only be needed at a fail-over is tried today, its REST and its login."""
    first = {"name": "FIRST", "ws_url": rig.venue.ws_url, "rest_url": rig.venue.rest_url}
    dead = f"127.0.0.1:{unused_tcp_port}"
    second = {"name": "SECOND", "ws_url": f"ws://{dead}/v1/private", "rest_url": f"http://{dead}"}
    assert not await check.run(rig.settings(endpoints=[first, second]), account_parts.clock)
    told = capsys.readouterr().out
    assert "ok    account main: REST at FIRST" in told
    assert "ok    account main: login at FIRST" in told
    assert "wrong account main: REST at SECOND" in told
    assert f"wrong account main: login at ws://{dead}/v1/private: SECOND: link_failed" in told


async def test_check_leaves_the_session_of_an_owner_alone(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Run beside a daemon, as the chart's notes say, it logs in with no key that is in use, and is content."""
    async with rig.daemon():
        session = await rig.topic(Stream.SESSION)
        await session.until(lambda seen: any(event["type"] == "recovery.complete" for event in seen))
        logins = len(rig.venue.ledger.entries(EntryKind.LOGIN))
        assert await check.run(rig.settings(), account_parts.clock)
        assert len(rig.venue.ledger.entries(EntryKind.LOGIN)) == logins
    assert "note  account main: no login was tried: a daemon at 127.0.0.1 has its session" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answer",
    [
        {"code": 100018, "message": HOSTILE},
        {"code": 200000, "data": [{"exchangeType": HOSTILE, "accountStatus": HOSTILE, "equity": HOSTILE}]},
    ],
)
async def test_check_obeys_nothing_that_the_venue_says(
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
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        settings = Settings(
            environment="x",
            endpoints=[{"name": "X", "ws_url": "ws://127.0.0.1:1/v1/private", "rest_url": url}],
            accounts={"main": {"api_key_file": tmp_path / "key", "api_secret_file": tmp_path / "secret"}},
            kafka={"bootstrap_servers": "127.0.0.1:1"},
        )
        await check._Check(settings, account_parts.clock).try_rest("main", settings.accounts["main"], has_owner=False)
    finally:
        await runner.cleanup()
    told = capsys.readouterr().out
    assert "[bold red]x[/] [/nope]" in told
    assert all(one.isprintable() or one == "\n" for one in told)
    assert not any(line.startswith("ok    topics") for line in told.splitlines())


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

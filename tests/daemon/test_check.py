"""`ltp-bridge check` and the command line's errors."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from rig import Rig

from bridge import __version__, app
from bridge.admin import check
from bridge.cli import main


async def test_check_shows_the_account_and_tries_the_login(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """With everything in place check is content, shows the account's risk, and places no order."""
    assert await check.run(rig.settings(), app.clock)
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
    assert not await check.run(settings, app.clock)
    told = capsys.readouterr().out
    assert "2000" in told
    assert "topics: every topic of main is fit" in told
    assert "wrong-canary" not in told
    assert rig.venue.keys["main"].api_key not in told


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

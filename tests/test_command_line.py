"""Errors on the command line and in its environment are a sentence and never a traceback."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli import main


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--seconds", "nan"],
        ["demo", "--seconds", "inf"],
        ["demo", "--rate", "nan"],
        ["demo", "--rate", "0"],
        ["demo", "--cuts", "-1"],
        ["sandbox", "--ws-port", "99999"],
        ["sandbox", "--rest-port", "x"],
        ["check", "--colour"],
    ],
)
def test_an_invalid_option_is_refused(arguments: list[str]) -> None:
    """The error names the option; NaN and infinity are refused too."""
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 2
    assert arguments[1] in outcome.output


@pytest.mark.parametrize("servers", ["host:notaport", "host:99999", "https://x:1", "a b:1", "me:canary@x:1", "x:1,"])
def test_an_invalid_broker_address_of_the_demo_is_refused(servers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable and a remedy, and does not show what may be a password."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    outcome = CliRunner().invoke(main, ["demo", "--seconds", "1", "--json"])
    assert outcome.exit_code == 1
    assert "KAFKA_BOOTSTRAP_SERVERS is set, but" in outcome.output
    assert "canary" not in outcome.output


def test_an_unwritable_folder_is_an_error(tmp_path: Path) -> None:
    """The export of the contract says that it cannot write."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "below", Path("/proc/nowhere")):
        outcome = CliRunner().invoke(main, ["schema", "export", str(folder)])
        assert outcome.exit_code == 1
        assert f"{folder} cannot be written to" in outcome.output


@pytest.mark.parametrize("command", ["run", "check"])
def test_run_and_check_report_the_same_problems(command: str, tmp_path: Path) -> None:
    """Both report problems of the settings before they start anything."""
    path = tmp_path / "bridge.toml"
    path.write_text("[kafka]\nbootstrap_servers = 'kafka-0:notaport'\n[management]\nport = 99999\n")
    outcome = CliRunner().invoke(main, [command, "--config", str(path)])
    assert outcome.exit_code == 1
    for expected in ("kafka.bootstrap_servers: server 1 of the list must be host:port", "management.port: "):
        assert expected in outcome.output

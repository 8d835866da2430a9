"""Mistakes on the command line, and in the variables that it reads, are a sentence and never a traceback."""

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
def test_an_option_that_makes_no_sense(arguments: list[str]) -> None:
    """The option is named; a number that is none, or has no bound, is refused like any other."""
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 2
    assert arguments[1] in outcome.output


@pytest.mark.parametrize("servers", ["host:notaport", "host:99999", "https://x:1", "a b:1", "me:canary@x:1", "x:1,"])
def test_a_broker_for_the_demo_that_is_none(servers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named at once, with a way out and without what may be a password."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    outcome = CliRunner().invoke(main, ["demo", "--seconds", "1", "--json"])
    assert outcome.exit_code == 1
    assert "KAFKA_BOOTSTRAP_SERVERS is set, but" in outcome.output
    assert "canary" not in outcome.output


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    """The contract's export says so."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "below", Path("/proc/nowhere")):
        outcome = CliRunner().invoke(main, ["schema", "export", str(folder)])
        assert outcome.exit_code == 1
        assert f"{folder} cannot be written to" in outcome.output


@pytest.mark.parametrize("command", ["run", "check"])
def test_run_and_check_tell_the_same_mistakes(command: str, tmp_path: Path) -> None:
    """Before they begin anything."""
    path = tmp_path / "bridge.toml"
    path.write_text("[kafka]\nbootstrap_servers = 'kafka-0:notaport'\n[management]\nport = 99999\n")
    outcome = CliRunner().invoke(main, [command, "--config", str(path)])
    assert outcome.exit_code == 1
    for expected in ("kafka.bootstrap_servers: server 1 of the list must be host:port", "management.port: "):
        assert expected in outcome.output

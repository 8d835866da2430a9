"""The command line of `tail` and `trace`: what is refused before a broker is asked."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.config import Settings, load_topic_settings
from bridge.errors import ConfigError
from bridge.inspect.accounts import choose_account

TOML = """
environment = "production"
[accounts.main]
api_key_file = "/nowhere/key"
api_secret_file = "/nowhere/secret"
{more}
[kafka]
bootstrap_servers = "127.0.0.1:{port}"
"""


@pytest.fixture
def config(tmp_path: Path, unused_tcp_port: int) -> str:
    """Return a file of settings whose broker does not answer, and whose keys are not there."""
    path = tmp_path / "bridge.toml"
    path.write_text(TOML.format(more="", port=unused_tcp_port))
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tail", "fills"], "'fills' is not one of 'orders', 'trades'"),
        (["tail", "--since", "yesterday"], "'--since': it must be a point in time, such as 10m"),
        (["tail", "--until", "2026-01-01T00:00:00"], "'--until': it must name its zone"),
        (["tail", "--since", "1m", "--until", "2m"], "--until is before --since"),
        (["tail", "--account", "other"], "--account other: the settings have no such account; they have main"),
        (["trace"], "Missing argument 'COMMAND_ID|ORDER_ID'"),
        (["trace", "x", "--account", "other"], "--account other: the settings have no such account; they have main"),
    ],
)
def test_a_mistake_in_the_arguments_is_told(arguments: list[str], said: str, config: str) -> None:
    """The exit code is 2."""
    outcome = CliRunner().invoke(main, [*arguments, "--config", config])
    assert outcome.exit_code == 2
    assert said in " ".join(outcome.output.replace("│", " ").split())


@pytest.mark.parametrize("arguments", [["tail"], ["trace", "x"]])
def test_no_broker_is_one_line_with_what_to_do(arguments: list[str], config: str) -> None:
    """The exit code is 1, and no traceback or log line is beside it."""
    outcome = CliRunner().invoke(main, [*arguments, "--config", config])
    assert outcome.exit_code == 1
    (line,) = outcome.output.splitlines()
    assert line.startswith("Error: no broker of 127.0.0.1:")
    assert "check kafka.bootstrap_servers and that the broker runs" in line


def test_settings_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    """As `run` tells them, and only what concerns the topics."""
    path = tmp_path / "bridge.toml"
    path.write_text("colour = 1\n[kafka]\nbootstrap_servers = 'x:y'\n")
    outcome = CliRunner().invoke(main, ["tail", "--config", str(path)])
    assert outcome.exit_code == 1
    assert "kafka.bootstrap_servers: server 1 of the list must be host:port" in outcome.output
    assert "colour" not in outcome.output


def test_the_account_must_be_named_where_there_are_several() -> None:
    """The only one is the default, and without settings any name may be given."""
    assert choose_account(["main"], None) == "main"
    assert choose_account([], "any") == "any"
    for accounts, said in ((["b", "a"], r"several \(a, b\)"), ([], "the settings have none")):
        with pytest.raises(Exception, match=said):
            choose_account(accounts, None)


def test_the_topics_need_less_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is read, and the environment takes precedence, as for the daemon."""
    path = tmp_path / "bridge.toml"
    path.write_text(TOML.format(more="[accounts.second]", port=1))
    monkeypatch.setenv("LTP_BRIDGE_KAFKA__TOPIC_PREFIX", "other")
    settings = load_topic_settings(path)
    assert sorted(settings.accounts) == ["main", "second"]
    assert (settings.kafka.bootstrap_servers, settings.kafka.topic_prefix) == ("127.0.0.1:1", "other")
    monkeypatch.setenv("LTP_BRIDGE_COLOUR", "1")
    with pytest.raises(ConfigError, match="LTP_BRIDGE_COLOUR: there is no such setting"):
        load_topic_settings(path)
    assert set(Settings.model_fields) > {"accounts", "kafka"}

"""Settings come from file and environment; one error lists every problem and shows no secret."""

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.config import Settings, Timing, load
from bridge.errors import ConfigError

GOOD = """
environment = "sandbox"

[accounts.main]
api_key_file = "{folder}/key"
api_secret_file = "{folder}/secret"

[kafka]
bootstrap_servers = "127.0.0.1:9092"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a key and a secret."""
    (tmp_path / "key").write_text("ak-canary\n")
    (tmp_path / "secret").write_text("sk-canary\n")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    """Write a settings file."""
    path = folder / "bridge.toml"
    path.write_text(text.replace("{folder}", str(folder)))
    return path


def test_a_small_file_is_enough(folder: Path) -> None:
    """The defaults are those of the design, and the secrets come from their files without white space."""
    settings = load(write(folder, GOOD))
    assert settings.timing == Timing()
    assert settings.endpoints[0].name == "AZ4"
    assert settings.accounts["main"].api_secret.get_secret_value() == "sk-canary"


def test_the_environment_takes_precedence_over_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable replaces one setting and changes no other."""
    monkeypatch.setenv("LTP_BRIDGE_KAFKA__TOPIC_PREFIX", "desk7")
    settings = load(write(folder, GOOD))
    assert settings.kafka.topic_prefix == "desk7"
    assert settings.kafka.bootstrap_servers == "127.0.0.1:9092"


def test_one_error_lists_every_problem(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six problems in a file and one in the environment are seven lines, each with its setting and a remedy."""
    monkeypatch.setenv("LTP_BRIDGE_KAFAK__TOPIC_PREFIX", "typo")
    text = """
environment = "PROD!"
colour = "blue"
[accounts.main]
api_key_file = "{folder}/key"
api_secret_file = "{folder}/missing"
[kafka]
topic_prefix = "has space"
[timing]
lease_s = 7
[limits]
budget_percent = 120
"""
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text))
    told = "\n".join(caught.value.problems)
    for expected in (
        "environment:",
        "colour: there is no such setting",
        "accounts.main.api_secret_file: the file",
        "kafka.bootstrap_servers: is needed",
        "kafka.topic_prefix:",
        "timing: lease_s must be less than session_timeout_s",
        "limits.budget_percent:",
        "LTP_BRIDGE_KAFAK__TOPIC_PREFIX: there is no such setting",
    ):
        assert expected in told


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("[kafka]\nbootstrap_servers = 'x:1'\nsecurity_protocol = 'SASL_SSL'", "sasl_username"),
        ("[kafka]\nbootstrap_servers = 'x:1'\nreplication_factor = 1", "min_insync_replicas"),
        (
            "[[endpoints]]\nname = 'X'\nws_url = 'ws://venue.example.com'\nrest_url = 'https://venue.example.com'",
            "wss://",
        ),
        ("[timing]\ncommit_period_s = 1.5", "half of lease_s"),
        ("[timing]\nrebalance_timeout_s = 2.5", "rebalance_timeout_s"),
        ("[timing]\nhorizon_s = 60", "horizon_s"),
        ("[timing]\nlogin_spacing_s = 0.5", "login_spacing_s"),
    ],
)
def test_contradicting_settings_are_refused(folder: Path, section: str, text: str) -> None:
    """A set of values that breaks an inequality, or sends secrets over plain text, does not start."""
    base = GOOD if "[kafka]" not in section else GOOD[: GOOD.index("[kafka]")]
    with pytest.raises(ConfigError, match=text):
        load(write(folder, base + "\n" + section))


@pytest.mark.parametrize(
    "url",
    ["otel:4318", "grpc://otel:4317", "http://otel:4318/v1/traces/", "http://me:canary@otel:4318", "http://o?canary"],
)
def test_a_collector_is_named_by_its_base_url(folder: Path, url: str) -> None:
    """A URL that OpenTelemetry would complete wrongly, or that may hold a secret, is refused and not shown."""
    assert load(write(folder, GOOD)).tracing.otlp_endpoint is None
    traced = GOOD + "\n[tracing]\notlp_endpoint = '{}'"
    good = load(write(folder, traced.replace("{}", "https://otel.example/x/")))
    assert good.tracing.otlp_endpoint == "https://otel.example/x"
    with pytest.raises(ConfigError, match="must be the collector's base URL") as caught:
        load(write(folder, traced.replace("{}", url)))
    assert "canary" not in str(caught.value)


_BLOCKED = """
import sys
sys.modules["opentelemetry"] = None
from bridge.cli import main
main(sys.argv[1:])
"""


def _python(text: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in a process of its own."""
    call = [sys.executable, "-c", text, *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=False)  # noqa: S603 - what stands here


@pytest.mark.parametrize(("command", "exit_code"), [("run", 1), ("doctor", 2)])
def test_spans_without_opentelemetry_are_refused(folder: Path, command: str, exit_code: int) -> None:
    """Without OpenTelemetry the daemon does not start, and the error says what to install."""
    path = write(folder, GOOD + "\n[tracing]\notlp_endpoint = 'http://otel:4318'")
    told = _python(_BLOCKED, command, "--config", str(path))
    assert told.returncode == exit_code
    for expected in ("tracing.otlp_endpoint: OpenTelemetry is not installed", "install ltp-kafka-bridge[otel]"):
        assert expected in told.stdout + told.stderr


@pytest.mark.parametrize("room", ["opentel", "bridge.contract.export", "bridge.sandbox"])
def test_the_daemon_imports_no_extra_export_or_sandbox(room: str) -> None:
    """The import of each takes time, and may fail."""
    told = _python(f"import sys, bridge.cli, bridge.app; print([n for n in sys.modules if n.startswith('{room}')])")
    assert told.stdout.strip() == "[]"


def test_one_key_cannot_serve_two_accounts(folder: Path) -> None:
    """Two accounts with the same API key are refused by name, without showing the key."""
    second = '\n[accounts.second]\napi_key_file = "{folder}/key"\napi_secret_file = "{folder}/secret"\n'
    with pytest.raises(ConfigError, match="main and second hold the same API key") as caught:
        load(write(folder, GOOD + second))
    assert "canary" not in str(caught.value)


def test_secrets_are_in_no_repr(folder: Path) -> None:
    """Neither the settings nor their parts show a key in `repr`."""
    settings = load(write(folder, GOOD))
    account = settings.accounts["main"]
    shown = f"{settings!r} {settings} {account!r} {account.api_key!r} {settings.model_dump_json()}"
    assert "canary" not in shown


@pytest.mark.parametrize(("content", "problem"), [("", "alone, on one line"), ("two words", "alone, on one line")])
def test_a_secret_file_holds_the_secret_alone(folder: Path, content: str, problem: str) -> None:
    """An empty file or one with more than the secret is refused, and its content is not shown."""
    (folder / "secret").write_text(content)
    with pytest.raises(ConfigError, match=problem) as caught:
        load(write(folder, GOOD))
    assert "two words" not in str(caught.value)


def test_a_secret_in_the_place_of_its_file_is_not_shown(folder: Path) -> None:
    """If the secret itself stands in the place of its file, the error does not show it."""
    with pytest.raises(ConfigError, match="api_secret_file: the file that it names does not exist") as caught:
        load(write(folder, GOOD.replace("{folder}/secret", "sk-canary/with+slash==")))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "bootstrap_servers",
            "bootstrap_server",
            "kafka.bootstrap_server: there is no such setting; did you mean boot",
        ),
        ("[kafka]", "[endpoints]\n[kafka]", "endpoints: must be a list of tables; begin each with double brackets"),
        ("[kafka]", "[[endpoints]]\n[kafka]", "endpoints.0.name: is needed"),
        ("[kafka]", "[zookeeper]", "kafka: is needed: a table [kafka] with bootstrap_servers"),
        ("accounts.main", "accounts.Main", "accounts.Main: String should match"),
    ],
)
def test_a_typical_mistake_is_reported_with_its_remedy(folder: Path, old: str, new: str, line: str) -> None:
    """The error shows the right name or the right form, and does not call a wrong list empty."""
    with pytest.raises(ConfigError) as caught:
        load(write(folder, GOOD.replace(old, new)))
    assert [problem for problem in caught.value.problems if problem.startswith(line)] != []
    assert [problem for problem in caught.value.problems if "at least 1 item" in problem] == []


def test_without_a_file_the_option_is_named() -> None:
    """Without settings and without a file, the error names the option for a file."""
    with pytest.raises(ConfigError, match="no file was given; name one with --config"):
        load(None)


def test_an_unreadable_variable_is_reported_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A section's variable that is not JSON is one of the problems."""
    monkeypatch.setenv("LTP_BRIDGE_ACCOUNTS", "canary")
    with pytest.raises(ConfigError, match="a whole section must be JSON") as caught:
        load(None)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(("text", "problem"), [("= nonsense", "not readable as TOML"), (None, "does not exist")])
def test_an_unreadable_file_is_reported(tmp_path: Path, text: str | None, problem: str) -> None:
    """The error says that a file is missing or is not TOML."""
    path = tmp_path / "bridge.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        load(path)


def test_the_settings_cannot_be_changed(folder: Path) -> None:
    """Settings cannot change after their check."""
    settings = load(write(folder, GOOD))
    with pytest.raises(ValueError, match="frozen"):
        settings.environment = "other"  # type: ignore[misc]
    assert isinstance(settings, Settings)


@pytest.mark.parametrize("written", ["2026-11-01T00:00:00Z", '"2026-11-01T00:00:00Z"'])
def test_executions_since_needs_a_time_zone(folder: Path, written: str) -> None:
    """The setting is a date and time of TOML or a text, with a time zone."""
    wanted = GOOD.replace("[accounts.main]", f"[accounts.main]\nexecutions_since = {written}")
    since = load(write(folder, wanted)).accounts["main"].executions_since
    assert since is not None
    assert since.timestamp() == 1_793_491_200
    with pytest.raises(ConfigError, match="executions_since"):
        load(write(folder, wanted.replace("00Z", "00")))

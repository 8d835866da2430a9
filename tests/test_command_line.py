"""Errors on the command line and in its environment are a sentence and never a traceback."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge import __version__
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
        ["doctor", "--colour"],
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


@pytest.mark.parametrize(("command", "exit_code"), [("run", 1), ("doctor", 2), ("check", 2)])
def test_run_and_doctor_report_the_same_problems(command: str, exit_code: int, tmp_path: Path) -> None:
    """Both report problems of the settings before they start anything; `check` is another name of `doctor`."""
    path = tmp_path / "bridge.toml"
    path.write_text("[kafka]\nbootstrap_servers = 'kafka-0:notaport'\n[management]\nport = 99999\n")
    outcome = CliRunner().invoke(main, [command, "--config", str(path)])
    assert outcome.exit_code == exit_code
    for expected in ("kafka.bootstrap_servers: server 1 of the list must be host:port", "management.port: "):
        assert expected in outcome.output


def test_doctor_writes_unreadable_settings_as_json(tmp_path: Path) -> None:
    """One document, whose findings name the setting and what to do; a missing file of a secret has an id of its own."""
    path = tmp_path / "bridge.toml"
    (tmp_path / "key").write_text("ak-1")
    path.write_text(
        f"environment = 'x'\n[accounts.main]\napi_key_file = '{tmp_path}/key'\napi_secret_file = '{tmp_path}/none'\n"
        "[kafka]\nbootstrap_servers = 'kafka-0:notaport'\n"
    )
    outcome = CliRunner().invoke(main, ["doctor", "--json", "--config", str(path)])
    assert outcome.exit_code == 2
    document = json.loads(outcome.output)
    assert (document["version"], document["counts"]) == (__version__, {"ok": 0, "note": 0, "wrong": 2})
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", document["when"])
    by_id = {one["id"]: one for one in document["findings"]}
    secret = by_id["files.unusable"]
    assert secret["subject"] == "accounts.main.api_secret_file"
    assert secret["found"] == "the file that it names does not exist"
    assert secret["remedy"] == "mount it there or correct the path"
    assert by_id["config.settings"]["subject"] == "kafka.bootstrap_servers"
    assert by_id["config.settings"]["remedy"]


def test_doctor_ends_with_1_when_something_is_wrong(tmp_path: Path, unused_tcp_port: int) -> None:
    """Nothing listens at the addresses of these settings; each is named, and nothing hangs."""
    for name in ("key", "secret"):
        (tmp_path / name).write_text(f"{name}-canary")
    path, dead = tmp_path / "bridge.toml", f"127.0.0.1:{unused_tcp_port}"
    path.write_text(
        f"environment = 'x'\n[[endpoints]]\nname = 'A'\nws_url = 'ws://{dead}/v1/private'\nrest_url = 'http://{dead}'\n"
        f"[accounts.main]\napi_key_file = '{tmp_path}/key'\napi_secret_file = '{tmp_path}/secret'\n"
        f"[kafka]\nbootstrap_servers = '{dead}'\n"
    )
    outcome = CliRunner().invoke(main, ["doctor", "--config", str(path)])
    assert outcome.exit_code == 1
    assert f"wrong venue.tcp A {dead}: no connection to {dead}" in outcome.output
    assert f"wrong kafka.tcp {dead}: no connection to {dead}" in outcome.output
    assert "canary" not in outcome.output


@pytest.mark.parametrize(
    ("imported", "exit_code"), [("bridge.config", -signal.SIGINT), ("bridge.sandbox.demo.show", 130)]
)
def test_an_interrupt_during_the_imports_prints_nothing(imported: str, exit_code: int) -> None:
    """Ctrl-C before the command has begun ends the process without a traceback."""
    interrupting = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {imported!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv[:] = ['ltp-bridge', 'demo']\n"
        "from bridge.__main__ import main\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", interrupting], capture_output=True, check=False, timeout=60)  # noqa: S603
    assert (ended.returncode, ended.stdout, ended.stderr) == (exit_code, b"", b"")

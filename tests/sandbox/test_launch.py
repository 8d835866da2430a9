"""The options of `ltp-bridge sandbox`: accounts, host, TLS, and invalid combinations."""

import asyncio
import io
import json
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from bridge.cli import main, sandbox_
from bridge.config import Settings, Timing
from bridge.core.now import Now
from bridge.ltp.network import load_network_settings
from bridge.ltp.rest import RestClient
from bridge.sandbox import launch
from bridge.sandbox.venue.dialects import DIALECTS
from tests.support.listening import RecordingListener, make_session, running
from tests.support.raw_venue import CERTIFICATES

CERTIFICATE = CERTIFICATES / "localhost.pem"
KEY = CERTIFICATES / "localhost.key"


class Output(io.StringIO):
    """A stream for the announcement."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = asyncio.Event()

    def flush(self) -> None:
        """Set `flushed`."""
        self.flushed.set()


def options(*words: str) -> launch.SandboxOptions:
    """Return the options of a command line."""
    context = sandbox_.make_context("sandbox", list(words))
    return launch.SandboxOptions(**context.params)


async def run_sandbox(asked: launch.SandboxOptions, use: Callable[[dict[str, Any]], Awaitable[None]]) -> dict[str, Any]:
    """Run a sandbox, call `use` with its announcement, end it, and return the announcement."""
    out = Output()
    task = asyncio.create_task(launch.run(asked, out, out))
    async with asyncio.timeout(30):
        flushed = asyncio.create_task(out.flushed.wait())
        await asyncio.wait((task, flushed), return_when=asyncio.FIRST_COMPLETED)
        flushed.cancel()
        if not task.done():
            facts: dict[str, Any] = json.loads(out.getvalue())
            try:
                await use(facts)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
        assert await task == 0
    return facts


async def ignore(_: dict[str, Any]) -> None:
    """Ignore the announcement."""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--account", "Main"], "--account Main"),
        (["--account", "a", "--account", "a"], "--account"),
        (["--tls-cert", str(CERTIFICATE)], "--tls-key"),
        (["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE)], "its own key"),
        (["--kafka-port", "9092"], "--broker"),
        (["--broker", "--tls-cert", str(CERTIFICATE), "--tls-key", str(KEY)], "--tls-cert"),
        (["--management-port", "0"], "--broker"),
        (["--dialect", "newest"], "--dialect"),
        (["--rebate", "both"], "--rebate"),
        (["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "--tls-cert"),
    ],
)
def test_invalid_options_are_refused(words: list[str], said: str) -> None:
    """Invalid options are refused with a sentence, before anything is started."""
    outcome = CliRunner().invoke(main, ["sandbox", *words])
    assert outcome.exit_code == 2
    assert said in outcome.output
    assert "Traceback" not in outcome.output


@pytest.mark.parametrize("words", [["--ws-port"], ["--rest-port"], ["--broker", "--management-port"]])
def test_a_port_that_is_taken_is_named_with_its_option(words: list[str]) -> None:
    """A port in use is refused before anything is started, so that no other daemon is taken for this one."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        outcome = CliRunner().invoke(main, ["sandbox", "--ws-port", "0", "--rest-port", "0", *words, port])
    assert outcome.exit_code == 1
    assert port in outcome.output
    assert words[-1] in outcome.output
    assert "running" not in outcome.output


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])
def test_a_host_that_is_no_address_here_is_named(host: str) -> None:
    """An unknown name, and an address of another machine, are refused."""
    outcome = CliRunner().invoke(main, ["sandbox", "--host", host])
    assert outcome.exit_code == 1
    assert f"--host {host} is no address of this machine" in outcome.output


def test_a_switch_goes_before_its_dialect() -> None:
    """A given switch replaces that of the dialect; all other switches stay."""
    asked = options("--dialect", "observed", "--cancel-all-scope", "portfolio", "--trading-fee", "gone")
    wanted = msgspec.structs.replace(DIALECTS["observed"], cancel_all_scope="portfolio", trading_fee="gone")
    assert launch.make_venue_settings(asked).dialect == wanted
    assert launch.make_venue_settings(options()).dialect == DIALECTS["documented"]


async def test_each_account_has_a_key_and_a_portfolio() -> None:
    """The same seed gives the same keys; the first account's key is repeated at the top."""
    asked = options("--json", "--account", "one", "--account", "two")
    first, again = await run_sandbox(asked, ignore), await run_sandbox(asked, ignore)
    assert first["accounts"] == again["accounts"]
    one, two = first["accounts"]["one"], first["accounts"]["two"]
    assert {one[name] == two[name] for name in ("api_key", "api_secret", "portfolio_id")} == {False}
    assert (first["api_key"], first["api_secret"]) == (one["api_key"], one["api_secret"])


async def test_a_daemon_reaches_a_sandbox_of_another_machine(tmp_path: Path) -> None:
    """The sandbox listens on every address with TLS; a session and a REST client with its certificate reach it."""
    asked = options("--json", "--host", "0.0.0.0", "--tls-cert", str(CERTIFICATE), "--tls-key", str(KEY))  # noqa: S104

    async def use(facts: dict[str, Any]) -> None:
        await _log_in(facts, tmp_path)

    facts = await run_sandbox(asked, use)
    assert facts["ws_url"].startswith("wss://localhost:")
    assert facts["rest_url"].startswith("https://localhost:")


async def _log_in(facts: dict[str, Any], folder: Path) -> None:
    (folder / "key").write_text(facts["api_key"])
    (folder / "secret").write_text(facts["api_secret"])
    settings = Settings.model_validate(
        {
            "environment": "sandbox",
            "endpoints": [{"name": "SANDBOX", "ws_url": facts["ws_url"], "rest_url": facts["rest_url"]}],
            "venue": {"ca_file": str(CERTIFICATE)},
            "accounts": {"main": {"api_key_file": str(folder / "key"), "api_secret_file": str(folder / "secret")}},
            "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
        }
    )

    def clock() -> Now:
        return Now(time.monotonic(), time.time_ns() // 1_000_000)

    notes, network = RecordingListener(), load_network_settings(settings.venue)
    session = make_session(notes, settings.endpoints, settings.accounts["main"], Timing(), network=network)
    async with running(session), RestClient(settings.endpoints, settings.accounts["main"], clock, network) as rest:
        await notes.wait("logged_in")
        assert {risk.exchange_type for risk in await rest.fetch_account_states()} == {"BINANCE", "OKX", "EDX"}

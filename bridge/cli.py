"""The command line: `ltp-bridge run`, `doctor`, `tail`, `trace`, `rebalance`, `sandbox`, `demo` and `schema export`."""

import asyncio
import errno
import logging
import math
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bridge import __version__, account_parts, app, event_loop, rebalance
from bridge.admin import logs
from bridge.config import Settings, load, load_group_settings
from bridge.doctor import report
from bridge.doctor.files import report_unusable_settings
from bridge.doctor.findings import Findings, Level
from bridge.doctor.run import examine
from bridge.errors import BridgeError, ConfigError
from bridge.inspect.commands import tail_command, trace_command
from bridge.terminal import EscapedFailure, escape_background_exceptions, escape_text, print_exception

_DAY_S = 86_400.0
_INTERRUPTED = 130
_PORT = click.IntRange(0, 65535)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_config = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="TOML file with the settings; variables of the environment (LTP_BRIDGE_…) take precedence.",
)


class _FiniteRange(click.FloatRange):
    """A number between two bounds. click itself accepts NaN; this class refuses it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's
        """Return the number. Raises click's error for anything else."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail("it must be a number", param, ctx)
        return number


class _Failure(EscapedFailure):
    """An error of the bridge, or of this machine, as one of the command line."""

    def __init__(self, error: BridgeError | OSError | str, taken: str = "") -> None:
        """Use the error's text, or `taken` when another process has the port."""
        is_taken = taken and isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        super().__init__(taken if is_taken else str(error))


def _load_settings(path: Path | None) -> Settings:
    try:
        return load(path)
    except BridgeError as error:
        raise _Failure(error) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ltp-bridge")
def main() -> None:
    """Bridge LTP/RapidX and Kafka: pushes to topics, commands from a topic to the venue."""
    sys.excepthook = print_exception


@main.command()
@_config
def run(path: Path | None) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    settings = _load_settings(path)
    logs.configure(settings.log.level, settings.log.format)
    escape_background_exceptions()
    try:
        event_loop.run(app.run(settings))
    except (BridgeError, OSError) as error:
        port = f"{settings.management.host}:{settings.management.port}"
        taken = f"another process has the management port {port}; set management.port (0 takes any free one)"
        raise _Failure(error, taken) from None


@main.command("doctor", short_help="Try what the daemon needs; send no order.")
@_config
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with all findings.")
def doctor_(path: Path | None, *, as_json: bool) -> None:
    """Try everything that the daemon needs, without trading, and say what is wrong and what to do.

    It tries settings and files, the way to venue and brokers with TLS, clocks, topics and grants, REST and the login at
    every endpoint. It tries no login for an account that has an owner: the login could end the session of the daemon.
    With kafka.create_topics it makes the topics that are missing.

    \b
    Exit codes:
      0  nothing is wrong (there may be notes)
      1  something is wrong
      2  the command line or the configuration cannot be read
    """  # noqa: D301 - the mark by which click leaves a paragraph as it is
    # The findings say what goes wrong; log lines would only disturb them.
    logs.configure("critical", "pretty")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    findings = Findings(None if as_json else report.Printer().print_finding)
    exit_code = 0
    try:
        settings = load(path)
    except ConfigError as error:
        report_unusable_settings(findings, error.problems)
        exit_code = 2
    else:
        event_loop.run(examine(settings, account_parts.clock, findings))
        exit_code = 1 if findings.count(Level.WRONG) else 0
    if as_json:
        click.echo(report.write_json(findings, account_parts.clock()))
    else:
        report.Printer().print_counts(findings)
    sys.exit(exit_code)


main.add_command(doctor_, "check")


main.add_command(tail_command)
main.add_command(trace_command)


@main.command("rebalance", short_help="Hand accounts over until they are spread evenly.")
@_config
@click.option("--dry-run", is_flag=True, help="Only print who owns what, and what would move.")
def rebalance_(path: Path | None, *, dry_run: bool) -> None:
    """Hand accounts over, one at a time, until each is at the replica that hashing chooses, and print every gap.

    Each owner settles what is on its way, commits and leaves, as at SIGTERM; the next account waits until the new owner
    carries out all commands. The first that does not go well is the last. Run it where the daemon runs, with its
    settings: it needs the daemon's grants, and no key of the venue.
    """
    logs.configure("critical", "pretty")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        settings = load_group_settings(path)
        work = rebalance.run(settings.kafka, settings.timing, settings.accounts, _print_line, is_dry_run=dry_run)
        event_loop.run(work)
    except BridgeError as error:
        raise _Failure(error) from None


def _print_line(text: str) -> None:
    click.echo(escape_text(text))


@contextmanager
def _require_sandbox() -> Iterator[None]:
    """Raise UsageError, which says what to install, where the sandbox cannot be imported for it is not installed.

    The imports take a second; Ctrl-C meanwhile ends the process.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except ImportError as error:
        if error.name not in ("bridge.sandbox", "bridge.sandbox.demo"):
            raise
        raise click.UsageError(
            "the sandbox is not installed: pip install 'ltp-kafka-bridge[demo]'; "
            "among container images, the one built with --target sandbox has it"
        ) from None


@main.command("sandbox", short_help="Run a simulated venue, alone or with broker and daemon.")
@click.option("--json", "as_json", is_flag=True, help="Print addresses and keys as one line of JSON.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 in a pod.")
@click.option(
    "--ws-port", type=_PORT, help="Port of the WebSocket, 0 for a free one.  [default: 0; 7001 with --broker]"
)
@click.option("--rest-port", type=_PORT, help="Port of REST, 0 for a free one.  [default: 0; 7002 with --broker]")
@click.option("--tls-cert", type=_FILE, help="PEM file of a certificate: the venue then speaks TLS.")
@click.option("--tls-key", type=_FILE, help="PEM file of the certificate's key.")
@click.option(
    "--account",
    "accounts",
    multiple=True,
    default=["main"],
    show_default=True,
    help="Name of an account, with a key and a portfolio of its own. May be repeated.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same market and keys.")
@click.option(
    "--dialect",
    type=click.Choice(["documented", "observed", "older", "contest"]),
    default="documented",
    show_default=True,
    help="Which of the venue's documents to follow where they contradict each other; the README lists the differences.",
)
@click.option(
    "--cancel-all-scope",
    type=click.Choice(["portfolio", "rest", "user"]),
    help="Whose orders a cancel-all ends: of the key's portfolio; over REST, of all portfolios; always of all.  "
    "[default: the dialect's]",
)
@click.option(
    "--trading-fee",
    type=click.Choice(["sent", "pushed", "gone"]),
    help="Where a fill has its tradingFee: over REST and pushed; pushed alone; nowhere.  [default: the dialect's]",
)
@click.option(
    "--rebate",
    type=click.Choice(["fill", "order"]),
    help="What REST gives as a fill's rebate: its own, or the sum of its order so far.  [default: the dialect's]",
)
@click.option("--broker", is_flag=True, help="Run a broker and the daemon too.")
@click.option("--kafka-port", type=_PORT, help="With --broker: port of the broker.  [default: 9092]")
@click.option("--management-port", type=_PORT, help="With --broker: management port of the daemon.  [default: 9090]")
def sandbox_(**options: Any) -> None:  # noqa: ANN401 - click's
    """Run a venue that speaks LTP's protocol, until Ctrl-C.

    With --broker it starts a quiet development environment: broker, venue and daemon on fixed ports, and no desk.
    Needs the extra `demo`.
    """
    with _require_sandbox():
        from bridge.sandbox import launch  # noqa: PLC0415 - the daemon runs without the sandbox

    try:
        sys.exit(asyncio.run(launch.run(launch.SandboxOptions(**options), sys.stdout, sys.stderr)))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except launch.InvalidOptions as error:
        raise click.UsageError(str(error)) from None
    except (BridgeError, OSError) as error:
        raise _sandbox_failure(error, options["host"]) from None


def _sandbox_failure(error: BridgeError | OSError, host: str) -> _Failure:
    """Return the error of a sandbox that could not start, with the option that helps."""
    if isinstance(error, socket.gaierror) or (isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL):
        return _Failure(f"--host {host} is no address of this machine: {error.strerror}")
    taken = f"another process has a port of the venue's: {getattr(error, 'strerror', '')}"
    return _Failure(error, f"{taken}; --ws-port and --rest-port name others (0 takes any free one)")


@main.command("demo", short_help="Show both streets live on this machine.")
@click.option("--seconds", type=_FiniteRange(1, _DAY_S), help="End after so many seconds; by default at Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print plain lines; the last one is the result as JSON.")
@click.option("--cuts", type=click.IntRange(0, 1000), default=0, help="How many times to cut the venue's connections.")
@click.option(
    "--rate", type=_FiniteRange(0.1, 100), default=10, show_default=True, help="Commands per second of the desk."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same market and orders.")
def demo_(seconds: float | None, cuts: int, rate: float, seed: int, *, as_json: bool) -> None:
    """Show both streets live: a real broker, a sandbox venue, the daemon, and a desk that trades.

    Needs the extra `demo`. KAFKA_BOOTSTRAP_SERVERS names a broker to use. Exit code 0 says that nothing was lost
    or duplicated and that every command was answered.
    """
    with _require_sandbox():
        from bridge.sandbox.demo import show as demo  # noqa: PLC0415 - the daemon runs without the sandbox

    options = demo.DemoOptions(seconds=seconds, as_json=as_json, cuts=cuts, rate_per_s=rate, seed=seed)
    try:
        sys.exit(asyncio.run(demo.run(options)))
    except (BridgeError, OSError) as error:
        raise _Failure(error) from None
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


@main.group()
def schema() -> None:
    """Show or write the published contract."""


@schema.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("schemas"))
def schema_export(folder: Path) -> None:
    """Write JSON Schemas, the AsyncAPI document and golden samples into FOLDER."""
    from bridge.contract.export.write import write_contract  # noqa: PLC0415 - the daemon does not need the export

    try:
        for name in write_contract(folder):
            click.echo(escape_text(name))
    except OSError as error:
        raise _Failure(f"{folder} cannot be written to ({error.strerror}); name another folder") from None

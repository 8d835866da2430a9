"""The command line: `ltp-bridge run`, `check`, `sandbox`, `demo` and `schema export`."""

import asyncio
import sys
from pathlib import Path

import click

from bridge import __version__, app
from bridge.admin import check, logs
from bridge.config import Settings, load
from bridge.contract import export
from bridge.errors import BridgeError

_config = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    envvar="LTP_BRIDGE_CONFIG_FILE",
    help="TOML file with the settings; the environment (LTP_BRIDGE_…) wins over it.",
)


def _settings(path: Path | None) -> Settings:
    try:
        return load(path)
    except BridgeError as error:
        raise click.ClickException(str(error)) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ltp-bridge")
def main() -> None:
    """Bridge LTP/RapidX and Kafka: pushes to topics, commands from a topic to the venue."""


@main.command()
@_config
def run(path: Path | None) -> None:
    """Run the daemon until SIGTERM."""
    settings = _settings(path)
    logs.configure(settings.log.level, settings.log.format)
    try:
        asyncio.run(app.run(settings))
    except (BridgeError, OSError) as error:
        raise click.ClickException(str(error)) from None


@main.command("check")
@_config
def check_(path: Path | None) -> None:
    """Try everything the daemon needs, without trading: settings, REST, login, topics."""
    settings = _settings(path)
    logs.configure("error", "pretty")
    if not asyncio.run(check.run(settings, app.clock)):
        sys.exit(1)


@main.group()
def schema() -> None:
    """Show or write the published contract."""


@schema.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("schemas"))
def schema_export(folder: Path) -> None:
    """Write the JSON Schemas of every record into FOLDER."""
    for name in export.write(folder):
        click.echo(name)

"""The commands `tail` and `trace` as the command line has them."""

import logging
import os
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import structlog

from bridge import event_loop
from bridge.config import TopicSettings, load_topic_settings
from bridge.contract.topics import Stream
from bridge.errors import BridgeError
from bridge.inspect import tail, trace
from bridge.inspect.accounts import choose_account
from bridge.inspect.filters import RecordFilter
from bridge.inspect.line_printer import LinePrinter
from bridge.inspect.points import read_point_option
from bridge.terminal import EscapedFailure, escape_text

_INTERRUPTED: Final = 130

_config = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="TOML file with the settings; only the table kafka and the names of accounts are read.",
)
_account = click.option("--account", help="The account.  [default: the only one of the settings]")
_point = partial(click.option, metavar="TIME", callback=read_point_option)
_json = click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")


@click.command("tail", short_help="Show the records of an account's topics, live or of a time.")
@click.argument("streams", metavar="[STREAM]...", nargs=-1, type=click.Choice([stream.value for stream in Stream]))
@_config
@_account
@click.option(
    "--since",
    metavar="TIME",
    callback=read_point_option,
    default="5m",
    show_default=True,
    help="Where to begin; all: everything.",
)
@click.option(
    "--until", metavar="TIME", callback=read_point_option, help="Where to end; by default it follows until Ctrl-C."
)
@click.option("--no-follow", is_flag=True, help="End at what is there now.")
@click.option("--symbol", default="", help="Only records that name this symbol.")
@click.option("--order", default="", help="Only records that name this orderId or clientOrderId.")
@click.option("--command", default="", help="Only records that name this commandId.")
@_json
def tail_command(
    path: Path | None,
    account: str | None,
    *,
    streams: Sequence[str],
    since: int,
    until: int | None,
    symbol: str,
    order: str,
    command: str,
    no_follow: bool,
    as_json: bool,
) -> None:
    """Print the records of streams of one account, each on a line: by default of all streams, and on until Ctrl-C.

    STREAM is orders, trades, results, session and so on, as in the topics' names. TIME is 10m (ago; ms, s, m, h, d, w),
    2026-11-20T08:42:36Z, now or all. Records of several topics come in the order of their times.

    [void]: a record of a later owner is before it; readers ignore it. Up to 500 offsets before the first record are
    read to know; what is before them is not known. [recovered]: it came from REST. [repeated]: a record with its ce_id
    was read before.

    Needs Read on the topics and no key of the venue. Joins no group and writes nothing.
    """
    if until is not None and until < since:
        raise click.UsageError("--until is before --since; exchange them")
    settings = _load(path)
    options = tail.TailOptions(
        account=choose_account(settings.accounts, account),
        streams=[Stream(stream) for stream in streams] or list(Stream),
        since_ms=since,
        until_ms=until,
        follows=until is None and not no_follow,
        wanted=RecordFilter(symbol, order, command),
    )
    _run(tail.run(settings.kafka, options, _printer(as_json=as_json), _tell), interrupted=0)


@click.command("trace", short_help="Tell what happened to one command or order.")
@click.argument("subject", metavar="COMMAND_ID|ORDER_ID")
@_config
@_account
@click.option(
    "--since",
    metavar="TIME",
    callback=read_point_option,
    default="1d",
    show_default=True,
    help="Where to begin; all: everything.",
)
@_json
def trace_command(subject: str, path: Path | None, account: str | None, since: int, *, as_json: bool) -> None:
    """Print every record about one command or order, in order, and a sentence that says what became of it.

    The argument is a commandId, an orderId or a clientOrderId. A command leads to its order, an order to all commands
    on it and to the orders that replaces made of it. Events of the session in between are shown too. It reads the
    topics several times, until nothing new is found. Exit code 1: nothing was found.

    Needs Read on commands, results, dead-letters, orders, trades and session, and no key of the venue.
    """
    settings = _load(path)
    options = trace.TraceOptions(
        account=choose_account(settings.accounts, account), subject=subject, since_ms=since, as_json=as_json
    )
    _run(trace.run(settings.kafka, options, _printer(as_json=as_json), _tell), interrupted=_INTERRUPTED)


def _load(path: Path | None) -> TopicSettings:
    try:
        return load_topic_settings(path)
    except BridgeError as error:
        raise EscapedFailure(str(error)) from None


def _printer(*, as_json: bool) -> LinePrinter:
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # a terminal may not know every sign
    return LinePrinter(sys.stdout, as_json=as_json)


def _tell(text: str) -> None:
    """Print what is no record, beside the output."""
    click.echo(f"note: {escape_text(text)}", err=True)


@contextmanager
def _keep_logs_out() -> Iterator[None]:
    """Let nobody log meanwhile: what goes wrong is told by the command, and a log line would disturb its output."""
    logger, config = logging.getLogger("aiokafka"), structlog.get_config()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        logger.setLevel(level)
        structlog.configure(**config)


def _run(command: Coroutine[Any, Any, None], *, interrupted: int) -> None:
    """Run a command to its end. Ctrl-C ends it with the given exit code, and a reader that leaves with 0."""
    try:
        with _keep_logs_out():
            event_loop.run(command)
    except KeyboardInterrupt:
        sys.exit(interrupted)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
    except BridgeError as error:
        raise EscapedFailure(str(error)) from None

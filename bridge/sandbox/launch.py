"""The command `ltp-bridge sandbox`: run a venue alone, or a venue with a broker and a daemon."""

import re
from pathlib import Path
from ssl import SSLContext, SSLError
from typing import IO, Final

import msgspec

from bridge.errors import BridgeError
from bridge.sandbox.demo import environment
from bridge.sandbox.venue import serve
from bridge.sandbox.venue.dialects import DIALECTS, CancelAllScope, Dialect, Rebate, TradingFee
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings

_MARKET_STEP_S: Final = 0.1
"""How often prices move."""
_WS_PORT: Final = 7001
_REST_PORT: Final = 7002
_KAFKA_PORT: Final = 9092
_MANAGEMENT_PORT: Final = 9090
_ACCOUNT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""The form of an account name in the daemon's settings."""


class InvalidOptions(BridgeError):
    """Options that contradict each other, or an invalid account name; the text says which."""


class SandboxOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of the command line; None for an option that was not given."""

    as_json: bool
    host: str
    ws_port: int | None
    rest_port: int | None
    tls_cert: Path | None
    tls_key: Path | None
    accounts: tuple[str, ...]
    seed: int
    dialect: str
    cancel_all_scope: CancelAllScope | None
    trading_fee: TradingFee | None
    rebate: Rebate | None
    broker: bool
    kafka_port: int | None
    management_port: int | None


async def run(options: SandboxOptions, out: IO[str], progress: IO[str]) -> int:
    """Run the sandbox until a signal; return the exit code.

    Raises InvalidOptions, BridgeError when a part cannot be started, and OSError for a port that is taken.
    """
    _check_options(options)
    settings = make_venue_settings(options)
    if not options.broker:
        await serve.serve(settings, as_json=options.as_json, out=out, tls=_tls_context(options))
        return 0
    asked = environment.Environment(
        venue=settings,
        kafka_port=_port_or(options.kafka_port, _KAFKA_PORT),
        management_port=_port_or(options.management_port, _MANAGEMENT_PORT),
        as_json=options.as_json,
        out=out,
        progress=progress,
    )
    return await environment.run(asked)


def _check_options(options: SandboxOptions) -> None:
    for name in options.accounts:
        if not _ACCOUNT.fullmatch(name):
            raise InvalidOptions(f"--account {name}: a name has lower-case letters, digits and dashes, 32 at most")
    if len(set(options.accounts)) < len(options.accounts):
        raise InvalidOptions("--account: each account has a name of its own")
    if (options.tls_cert is None) != (options.tls_key is None):
        raise InvalidOptions("--tls-cert and --tls-key belong together")
    if options.broker and options.tls_cert is not None:
        raise InvalidOptions("--tls-cert is for a venue alone; the daemon of --broker is on the same machine")
    if not options.broker and (options.kafka_port is not None or options.management_port is not None):
        raise InvalidOptions("--kafka-port and --management-port go with --broker")


def make_venue_settings(options: SandboxOptions) -> VenueSettings:
    """Return the settings of the venue: the named dialect, with its switches replaced by those that were given."""
    fixed = options.broker
    return VenueSettings(
        host=options.host,
        ws_port=_port_or(options.ws_port, _WS_PORT if fixed else 0),
        rest_port=_port_or(options.rest_port, _REST_PORT if fixed else 0),
        seed=options.seed,
        step_period_s=_MARKET_STEP_S,
        accounts=tuple(AccountSettings(name=name) for name in options.accounts),
        dialect=_choose_dialect(options),
    )


def _choose_dialect(options: SandboxOptions) -> Dialect:
    asked = {
        "cancel_all_scope": options.cancel_all_scope,
        "trading_fee": options.trading_fee,
        "rebate": options.rebate,
    }
    switches = {name: value for name, value in asked.items() if value is not None}
    return msgspec.structs.replace(DIALECTS[options.dialect], **switches)


def _tls_context(options: SandboxOptions) -> SSLContext | None:
    if options.tls_cert is None or options.tls_key is None:
        return None
    try:
        return serve.load_tls_context(options.tls_cert, options.tls_key)
    except SSLError as error:
        raise InvalidOptions(f"--tls-cert and --tls-key must be a PEM certificate and its own key ({error})") from None


def _port_or(port: int | None, default: int) -> int:
    return default if port is None else port

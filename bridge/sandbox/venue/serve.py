"""The venue alone, for development without an API key of LTP."""

import asyncio
import signal
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import msgspec

from bridge.sandbox.venue.keys import ApiKey
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue

_STEP_PERIOD_S = 0.25


async def serve(settings: VenueSettings, *, as_json: bool, out: IO[str], tls: ssl.SSLContext | None = None) -> None:
    """Write the addresses of a venue and the key of each account, and run the venue until SIGINT or SIGTERM.

    The written secrets are the sandbox's own. Without a step period in the settings a default is used, because
    no test moves the prices. Raises OSError when a port is taken.
    """
    if settings.step_period_s <= 0:
        settings = msgspec.structs.replace(settings, step_period_s=_STEP_PERIOD_S)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with Venue(settings, tls=tls) as venue:
            facts = {"ws_url": venue.ws_url, "rest_url": venue.rest_url}
            out.write(announce_sandbox("Sandbox venue is running; Ctrl-C ends it.", facts, venue.keys, as_json=as_json))
            out.flush()
            await stop.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def load_tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the TLS context of a server certificate and its key. Raises SSLError if they do not match."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def announce_sandbox(title: str, facts: dict[str, str], keys: Iterable[ApiKey], *, as_json: bool) -> str:
    """Return the announcement of a running sandbox; the JSON form repeats the first account's key at the top."""
    keys = list(keys)
    accounts = {
        key.name: {"api_key": key.api_key, "api_secret": key.api_secret, "portfolio_id": key.portfolio_id}
        for key in keys
    }
    if as_json:
        first = {"api_key": keys[0].api_key, "api_secret": keys[0].api_secret}
        return msgspec.json.encode({**facts, **first, "accounts": accounts}).decode() + "\n"
    width = max(len(name) for name in (*facts, "portfolio_id"))
    lines = [f"  {name:<{width}}  {value}" for name, value in facts.items()]
    for name, account in accounts.items():
        lines += [f"account {name}", *(f"  {name:<{width}}  {value}" for name, value in account.items())]
    return "\n".join([title, *lines, ""])

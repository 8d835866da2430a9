"""The venue by itself, for whoever builds against it without a key of LTP's."""

import asyncio
import signal
from typing import IO

import msgspec

from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue

_STEP_PERIOD_S = 0.25


async def serve(settings: VenueSettings, *, as_json: bool, out: IO[str]) -> None:
    """Run a venue until SIGINT or SIGTERM, having told where it is and one key of its first account.

    The secret that is told is the sandbox's own. Where no step period is set prices move all the same, for
    nobody is there to move them by hand. Raises OSError when a port is taken.
    """
    if settings.step_period_s <= 0:
        settings = msgspec.structs.replace(settings, step_period_s=_STEP_PERIOD_S)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with Venue(settings) as venue:
            out.write(_announcement(venue, as_json=as_json))
            out.flush()
            await stop.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _announcement(venue: Venue, *, as_json: bool) -> str:
    key = next(iter(venue.keys))
    facts = {
        "ws_url": venue.ws_url,
        "rest_url": venue.rest_url,
        "api_key": key.api_key,
        "api_secret": key.api_secret,
    }
    if as_json:
        return msgspec.json.encode(facts).decode() + "\n"
    lines = [f"  {name:<10}  {value}" for name, value in facts.items()]
    return "\n".join(["Sandbox venue is running; Ctrl-C ends it.", *lines, ""])
